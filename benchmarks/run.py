"""drybpf beside native C and the kernel, measured in one run: minima of interleaved rounds.

python benchmarks/run.py [--quick] [--markdown FILE] [--json FILE] [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import threading
import timeit
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, perf_counter_ns

import kernel
import native
from drybpf import interpreter
from drybpf.batch import PacketBatch
from drybpf.program import Program

HERE = Path(__file__).parent
PROGRAMS = HERE / "programs"
PEERS = json.loads((HERE / "peers.json").read_text())
EXPECTED: dict[str, int] = json.loads((PROGRAMS / "expected.json").read_text())
KERNEL_OVERHEAD = 25  # ns of the test-run's own, in the peers' table
Engine = Callable[[int], float]  # a number of runs -> ns a run


def engines_of(name: str) -> dict[str, Engine]:
    """Whatever can run a program here, each checked to give the right result."""
    bytecode = (PROGRAMS / f"{name}.bin").read_bytes()
    memory = (PROGRAMS / f"{name}.mem").read_bytes()
    program = Program.from_bytes(bytecode, engine="jit")
    if program.run(memory).value != EXPECTED[name]:
        raise SystemExit(f"{name}: the compiled program gives a wrong result")
    from drybpf.jit.compiled import Jit  # noqa: PLC0415 (after the import times)

    jit, state = Jit(program.code, program.hook.shape), program.state(bytearray(memory))
    found: dict[str, Engine] = {"drybpf": lambda times: jit.repeat(state, times) / times}
    source = PROGRAMS / f"{name}.c"
    if source.exists() and native.compiler():
        for label, flags in (("C", ["-DNOUNROLL="]), ("C, no unrolling", [])):
            run, own = native.build(source, flags), bytearray(memory)
            if run(own, 1)[0] != EXPECTED[name]:
                raise SystemExit(f"{name}: native C gives a wrong result")
            found[label] = lambda times, run=run, own=own: run(own, times)[1] / times  # type: ignore[misc]
    try:
        loaded = kernel.load((PROGRAMS / f"{name}.xdp.bin").read_bytes())
        if kernel.run(loaded, memory.ljust(64, b"\0"), 1)[0] == EXPECTED[name] & 0xFFFF_FFFF:
            packet = memory.ljust(64, b"\0")
            found["kernel"] = lambda times: kernel.run(loaded, packet, times)[1]
    except kernel.Refused as refusal:
        print(f"{name}: no kernel: {refusal}", file=sys.stderr)
    return found


def measure_runs(names: list[str], rounds: int, target_ns: float) -> dict[str, dict[str, float]]:
    """Time every engine on every program, all in turn, round after round."""
    table = {name: engines_of(name) for name in names}
    best: dict[str, dict[str, float]] = {name: {} for name in names}
    times: dict[tuple[str, str], int] = {}
    for _ in range(rounds):
        for name, engines in table.items():
            for label, engine in engines.items():
                count = times.get((name, label), 10)
                taken = engine(count)
                times[name, label] = max(10, min(5_000_000, int(target_ns / max(taken, 0.5))))
                if count > 10:
                    best[name][label] = min(taken, best[name].get(label, math.inf))
    return best


def interpreter_speed(name: str = "06_xorshift") -> float:
    """Instructions a second of the interpreter."""
    program = Program.from_bytes((PROGRAMS / f"{name}.bin").read_bytes(), engine="interpreter")
    memory, best = (PROGRAMS / f"{name}.mem").read_bytes(), 0.0
    for _ in range(3):
        state = program.state(memory)
        begin = perf_counter()
        interpreter.run(state)
        best = max(best, state.instructions / (perf_counter() - begin))
    return best


def calls() -> dict[str, float]:
    """One call from Python, in ns, on a 64-byte packet, beside a built-in that does nothing."""
    program, packet = parser(), (PROGRAMS / "02_parser.mem").read_bytes()
    program(packet)
    known = {"program": program, "function": program.function, "crc32": zlib.crc32, "p": packet}
    forms = {"program(packet)": "program(p)", "program.function(packet)": "function(p)"}
    forms['zlib.crc32(b"")'] = 'crc32(b"")'
    number, best = 100_000, dict.fromkeys(forms, math.inf)
    for _ in range(9):
        for label, text in forms.items():
            taken = timeit.timeit(text, globals=known, number=number) / number * 1e9
            best[label] = min(best[label], taken)
    return best


def parser() -> Program:
    """The parser, compiled."""
    return Program.from_bytes((PROGRAMS / "02_parser.bin").read_bytes(), engine="jit")


def batches() -> dict[str, float]:
    """A batch through the parser: ns a packet on one thread, and the speed-up of two."""
    program, packet = parser(), (PROGRAMS / "02_parser.mem").read_bytes()
    best: dict[str, float] = {}
    for count in (10_000, 1_000_000):
        batch, label = PacketBatch.from_packets([packet] * count), f"{count} packets, ns a packet"
        best[label] = min(_timed(lambda: program.run_batch(batch)) for _ in range(9)) / count  # noqa: B023

    def pair() -> None:
        threads = [threading.Thread(target=program.run_batch, args=(batch,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ratios = []
    for _ in range(7):
        alone = _timed(lambda: program.run_batch(batch))
        ratios.append(2 * alone / _timed(pair))
    best["two threads, speed-up (median)"] = statistics.median(ratios)
    return best


def _timed(work: Callable[[], object]) -> int:
    begin = perf_counter_ns()
    work()
    return perf_counter_ns() - begin


def compiles() -> dict[str, float]:
    """Cold and warm compiles in ms, LLVM loaded; each in a process of its own."""
    script = (
        "import sys; from time import perf_counter as t; from pathlib import Path\n"
        "from drybpf.code import Code; from drybpf.hooks import Raw\n"
        "from drybpf.jit.compiled import Jit, prepare\n"
        "prepare(Raw.shape, may_write=False); best = 9\n"
        "for path in sys.argv[1:]:\n"
        "    code = Code(Path(path).read_bytes()); begin = t()\n"
        "    Jit(code, Raw.shape).variant(); print((t() - begin) * 1000)\n"
    )
    paths = [str(PROGRAMS / f"{name}.bin") for name in ("00_nop", "02_parser", "10_straight")]
    results: dict[str, float] = {}
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"drybpf-bench-{os.getpid()}")  # noqa: PTH118, S108
    for label, cache in (("cold", "0"), ("first", folder), ("warm", folder)):
        variable = "DRYBPF_CACHE" if cache == "0" else "DRYBPF_CACHE_DIR"
        for _ in range(3 if label != "first" else 1):
            done = subprocess.run(
                [sys.executable, "-c", script, *paths],
                env={**os.environ, variable: cache},
                capture_output=True,
                text=True,
                check=True,
            )
            for path, line in zip(paths[1:], done.stdout.split()[1:], strict=True):
                key = f"{label} {Path(path).stem}, ms"
                results[key] = min(float(line), results.get(key, math.inf))
    return {key: value for key, value in results.items() if not key.startswith("first")}


def imports() -> float:
    """What `import drybpf` costs over bare Python, in ms."""
    best = dict.fromkeys(("pass", "import drybpf"), math.inf)
    for _ in range(15):
        for text in best:
            command = [sys.executable, "-c", text]
            taken = _timed(lambda: subprocess.run(command, check=True)) / 1e6  # noqa: B023
            best[text] = min(best[text], taken)
    return best["import drybpf"] - best["pass"]


def compare(best: dict[str, dict[str, float]]) -> tuple[list[list[str]], dict[str, float]]:
    """The table of runs, and each program's ratio to its best peer on a machine of this speed."""
    rows, ratios = [], {}
    speeds = [
        times["C, no unrolling"] / PEERS["native"][name]
        for name, times in best.items()
        if "C, no unrolling" in times
    ]
    typical = statistics.median(speeds) if speeds else 1.0
    for name, times in best.items():
        speed = typical
        if "C, no unrolling" in times:
            speed = times["C, no unrolling"] / PEERS["native"][name]
        peers = {p: PEERS[p][name] for p in ("uBPF", "rbpf", "llvmbpf") if name in PEERS[p]}
        if name in PEERS["kernel"]:
            peers["kernel"] = PEERS["kernel"][name] - KERNEL_OVERHEAD
        peer = min(peers, key=lambda label: peers[label])
        ratios[name] = times["drybpf"] / (peers[peer] * speed)
        shown = [f"{times[e]:,.1f}" if e in times else "" for e in ("drybpf", "C", "kernel")]
        rows.append([name, *shown, f"{peers[peer] * speed:,.1f} ({peer})", f"{ratios[name]:.2f}"])
    return rows, ratios


def mean(values: list[float]) -> float:
    """The geometric mean."""
    return math.exp(sum(map(math.log, values)) / len(values))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="few rounds, runs only")
    options.add_argument("--only", help="one program")
    options.add_argument("--json", type=Path)
    options.add_argument("--markdown", type=Path)
    given = options.parse_args()
    names = [given.only] if given.only else sorted(EXPECTED)
    best = measure_runs(names, 3 if given.quick else 25, 2e6 if given.quick else 2e7)
    rows, ratios = compare(best)
    counted = [ratio for name, ratio in ratios.items() if name != "00_nop"]
    head = ["program", "drybpf", "C -O3", "kernel", "best peer, scaled", "ratio"]
    rules = ["---", *["---:"] * 5]
    lines = ["| " + " | ".join(row) + " |" for row in (head, rules, *rows)]
    if counted:
        lines += ["", f"Geometric mean of the ratios, without 00_nop: {mean(counted):.2f}"]
    other: dict[str, float] = {}
    if not given.quick:
        other = {f"call: {key}, ns": value for key, value in calls().items()}
        other |= {f"batch: {key}": value for key, value in batches().items()}
        other |= {f"compile: {key}": value for key, value in compiles().items()}
        other["import drybpf, ms over bare Python"] = imports()
        other["interpreter, million instructions a second"] = interpreter_speed() / 1e6
        lines += ["", "| what | figure |", "|---|---:|"]
        lines += [f"| {key} | {value:.2f} |" for key, value in other.items()]
    text = "\n".join(lines)
    print(text)
    if given.json:
        given.json.write_text(json.dumps({"runs": best, "ratios": ratios, "other": other}))
    if given.markdown:
        template = (HERE / "performance.md.in").read_text()
        machine = f"{platform.machine()}, {cpu()}, {datetime.now(UTC):%Y-%m-%d}"
        given.markdown.write_text(template.format(machine=machine, table=text))


def cpu() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    found = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor()


if __name__ == "__main__":
    main()
