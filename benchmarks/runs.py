"""Time per run of the benchmark programs, beside the peers on a machine of this speed."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engines import JIT, KERNEL, PLAIN, Engine

PEERS: dict[str, dict[str, float]] = json.loads((Path(__file__).parent / "peers.json").read_text())[
    "ns"
]
KERNEL_OVERHEAD = 25  # ns of the test run's own, in the peers' table and here
NATIVE = PEERS["native"]
LIMIT, SLACK = 1.1, 1.0  # times the best peer, or so many ns more
MOST, LEAST = 5_000_000, 1  # runs in a round
Times = dict[str, dict[str, float]]  # program -> engine -> ns a run


@dataclass(frozen=True)
class Round:
    """How long and how often each engine runs each program."""

    count: int
    nanoseconds: float  # that an engine is given for a program in a round


def measure(table: Mapping[str, Mapping[str, Engine]], rounds: Round) -> Times:
    """The minimum over all rounds; in a round every engine runs every program, in turn.

    A first round, not counted, tells how many runs fill the time.
    """
    best: Times = {name: {} for name in table}
    counts: dict[tuple[str, str], int] = {}
    for number in range(rounds.count + 1):
        for name, found in table.items():
            for label, engine in found.items():
                taken = engine(counts.get((name, label), LEAST))
                fitting = int(rounds.nanoseconds / max(taken, 0.5))
                counts[name, label] = max(LEAST, min(MOST, fitting))
                if number:
                    best[name][label] = min(taken, best[name].get(label, math.inf))
    return best


@dataclass(frozen=True)
class Comparison:
    """A program's time beside its best peer's, scaled to this machine."""

    name: str
    peer: str
    scaled: float  # ns
    ratio: float  # drybpf's time to it

    @property
    def slow(self) -> bool:
        """Whether drybpf takes more than the limit."""
        return is_slow(self.ratio * self.scaled, self.scaled)


def is_slow(ours: float, theirs: float) -> bool:
    """Whether a time is beyond what it may be beside another one."""
    return ours > LIMIT * theirs and ours > theirs + SLACK


def compare(best: Times) -> list[Comparison]:
    """Each program beside its best peer; the peers are scaled by native C of the same run.

    Where a program has no C, the median of the others' speeds counts; where none has, 1.
    """
    speeds = {n: t[PLAIN] / NATIVE[n] for n, t in best.items() if PLAIN in t and n in NATIVE}
    typical = statistics.median(speeds.values()) if speeds else 1.0
    found = []
    for name, times in best.items():
        peers = _peers(name)
        if JIT in times and peers:
            peer = min(peers, key=lambda label, peers=peers: peers[label])  # type: ignore[misc]
            scaled = peers[peer] * speeds.get(name, typical)
            found.append(Comparison(name, peer, scaled, times[JIT] / scaled))
    return found


def _peers(name: str) -> dict[str, float]:
    overheads = {"kernel": KERNEL_OVERHEAD}
    return {
        label: times[name] - overheads.get(label, 0)
        for label, times in PEERS.items()
        if label != "native" and name in times
    }


def mean(ratios: Mapping[str, float]) -> float | None:
    """The geometric mean of ratios; `00_nop`, which is the call alone, does not count."""
    counted = [ratio for name, ratio in ratios.items() if name != "00_nop"]
    return math.exp(sum(map(math.log, counted)) / len(counted)) if counted else None


def test_run(best: Times) -> float | None:
    """What the kernel's test run takes by itself, in ns: a program of nothing there, less one here.

    None where neither was measured.
    """
    nothing = best.get("00_nop", {})
    return nothing[KERNEL] - nothing[JIT] if nothing.keys() >= {KERNEL, JIT} else None


def beside(best: Times, label: str, less: float = 0) -> dict[str, float]:
    """Drybpf's times over those of another engine of the same run, which are so many ns less."""
    return {
        name: times[JIT] / max(times[label] - less, 1.0)
        for name, times in best.items()
        if JIT in times and label in times
    }
