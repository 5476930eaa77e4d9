"""drybpf beside native C and the kernel, measured in one run: minima of interleaved rounds.

    python benchmarks/run.py [--quick] [--json FILE] [--markdown FILE] [--only NAME] …

Everything is explained in README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import native
from calls import batches, calls, interpreted
from compiling import compiles, first_verdicts
from engines import CEILING, EXPECTED, JIT, KERNEL, UNCHECKED, engines, names
from figures import Figure, table, topics
from importing import imports
from runs import (
    KERNEL_OVERHEAD,
    LIMIT,
    SLACK,
    Comparison,
    Round,
    Times,
    beside,
    compare,
    is_slow,
    mean,
    measure,
    test_run,
)

HERE = Path(__file__).parent
TOPICS: dict[str, Callable[..., list[Figure]]] = {
    "calls": calls,
    "batch": batches,
    "compile": compiles,
    "import": imports,
    "first": first_verdicts,
    "interpreter": interpreted,
}
FULL, QUICK = Round(100, 3e6), Round(2, 1e5)  # short: few are disturbed


def main() -> None:
    """Measure and print."""
    given = _options()
    print(machine())
    figures: list[Figure] = []
    best: Times = {}
    if "runs" in given.topics:
        programs = [given.only] if given.only else sorted(EXPECTED)
        found = {name: engines(name, given.engines, given.engine) for name in programs}
        best = measure(found, QUICK if given.quick else FULL)
    comparisons = compare(best)
    text = [runs_table(best, comparisons)] if best else []
    figures += summary(best, comparisons)
    for topic in [topic for topic in TOPICS if topic in given.topics]:
        figures += TOPICS[topic](quick=given.quick)
    text.append(topics(figures))
    report = "\n\n".join(text)
    print(report)
    if given.json:
        record = {"machine": machine(), "runs": best, "peers": list(map(asdict, comparisons))}
        record["figures"] = [asdict(f) | {"reached": f.reached} for f in figures]
        given.json.write_text(json.dumps(record, indent=1))
    if given.markdown:
        template = (HERE / "performance.md.in").read_text()
        given.markdown.write_text(template.format(machine=machine(), table=report))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure drybpf beside native C and the kernel.")
    parser.add_argument("--quick", action="store_true", help="few rounds: does it work?")
    parser.add_argument("--only", choices=sorted(EXPECTED), help="one program")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--markdown", type=Path, help="write the page there")
    parser.add_argument(
        "--engines",
        type=_words,
        default=set(names()),
        help=f"of {', '.join(names())}; separated by ;",
    )
    parser.add_argument(
        "--engine",
        action="append",
        type=_template,
        default=[],
        metavar="NAME=COMMAND",
        help="another one: a command with {bin} {mem} {repeat} that prints ns a run",
    )
    every = ("runs", *TOPICS)
    parser.add_argument(
        "--topics", type=_words, default=set(every), help=f"of {', '.join(every)}; separated by ;"
    )
    given = parser.parse_args()
    given.engine = dict(given.engine)
    for chosen, known in ((given.engines, names()), (given.topics, every)):
        if not chosen <= set(known):
            parser.error(f"unknown: {', '.join(sorted(chosen - set(known)))}")
    return given


def _words(text: str) -> set[str]:
    return {word.strip() for word in text.split(";")}


def _template(text: str) -> tuple[str, str]:
    label, equals, command = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("it has the form NAME=COMMAND")
    return label, command


def runs_table(best: Times, comparisons: list[Comparison]) -> str:
    """The time of a run of each program, beside the others and the best peer."""
    labels = list(dict.fromkeys(label for times in best.values() for label in times))
    peers = {comparison.name: comparison for comparison in comparisons}
    rows = []
    for name, times in best.items():
        cells = [f"{times[label]:,.1f}" if label in times else "" for label in labels]
        peer = peers.get(name)
        beside = [f"{peer.scaled:,.1f} ({peer.peer})", f"{peer.ratio:.2f}"] if peer else ["", ""]
        rows.append([name, *cells, *beside])
    head = ["program", *labels, "best peer, scaled", "ratio"]
    return "## Time of a run, in ns\n\n" + table(head, rows)


def summary(best: Times, comparisons: list[Comparison]) -> list[Figure]:
    """What the ratios come to."""
    peer, figures = "Against the best peer", []
    average = mean({c.name: c.ratio for c in comparisons})
    if average is not None:
        slow = [c.name for c in comparisons if c.slow]
        limit = f"programs above {LIMIT} × and {SLACK:g} ns of it"
        figures = [
            Figure(peer, "geometric mean, without 00_nop", average, "×", 0.6),
            Figure(peer, limit, len(slow), " ".join(slow), 0),
        ]
    for label, target in {CEILING: 1.2, UNCHECKED: 1.05}.items():
        average = mean(beside(best, label))
        if average is not None:
            topic, what = f"Against {label} of this run", "geometric mean, without 00_nop"
            figures.append(Figure(topic, what, average, "×", target))
    figures += beside_kernel(best, KERNEL_OVERHEAD, "")
    own = test_run(best)
    if own is not None:
        figures += beside_kernel(best, own, " (its 00_nop without ours)")
    return figures


def beside_kernel(best: Times, less: float, source: str) -> list[Figure]:
    """Drybpf beside the kernel, with so many ns taken off that are the test run's own."""
    ratios = beside(best, KERNEL, less)
    average = mean(ratios)
    if average is None:
        return []
    topic = f"Against kernel of this run, {less:.1f} ns taken off{source}"
    slow = [n for n, ratio in ratios.items() if is_slow(best[n][JIT], best[n][JIT] / ratio)]
    what = f"programs above {LIMIT} × and {SLACK:g} ns of it (it counts whole ns)"
    return [
        Figure(topic, "geometric mean, without 00_nop", average, "×", 0.6),
        Figure(topic, what, len(slow), " ".join(slow), 0),
    ]


def machine() -> str:
    """What was measured on, and when."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    parts = [
        platform.machine(),
        models[0] if models else platform.processor(),
        f"{os.cpu_count()} processors",
        f"Python {platform.python_version()}",
        native.version() or "no C compiler",
        f"load {os.getloadavg()[0]:.0f}",
        f"{datetime.now(UTC):%Y-%m-%d}",
    ]
    return ", ".join(part for part in parts if part)


if __name__ == "__main__":
    main()
