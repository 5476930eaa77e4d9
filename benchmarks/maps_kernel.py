"""Look-ups and updates in maps, inside a program: the kernel's own maps beside ours.

    python benchmarks/maps_kernel.py [--quick] [--only hash] [--json FILE]

One object file (tests/fixtures/src/map_operations.c) is loaded by both: each of its programs does
500 operations of one kind, on a map of 1,000 or 100,000 entries, by pseudo-random keys that differ
from run to run.  The cost of the loop without them is subtracted.  In each round kernel and JIT
run one after the other, for 20 ms each, since the first of them only fetch the map into the cache
again; the minimum of the rounds counts.  Before it is timed, each program must
have the same result on both.  Linux, as root.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import drybpf
from drybpf.kernel import objection
from drybpf.objects import Object, ObjectProgram
from figures import table

OBJECT = Path(__file__).parent.parent / "tests" / "fixtures" / "objects" / "map_operations.o"
OPERATIONS = 500  # of a run, as in the source
TURN = 20e6  # ns of one engine in a round: the other's data is long out of the cache by then
KINDS = ("array", "hash", "lru_hash", "lpm_trie")
SIZES = (1_000, 100_000)
SPREAD = 2654435761  # the trie's keys, as in the source
PACKET = bytes(64)

Measure = Callable[[int], float]  # from a number of runs to nanoseconds a run


@dataclass(frozen=True)
class Cost:
    """One operation on one map: nanoseconds in the kernel and in our compiled code.

    `kernel_loop` and `our_loop` are with the loop around it.
    """

    map: str
    entries: int
    operation: str
    kernel: float
    ours: float
    kernel_loop: float
    our_loop: float

    def row(self) -> list[str]:
        """The cells of its line in a table."""
        times = [self.kernel, self.ours, self.ours / self.kernel if self.kernel > 1 else math.nan]
        loops = [self.kernel_loop, self.our_loop, self.our_loop / self.kernel_loop]
        cells = [f"{number:.2f}" for number in (*times, *loops)]
        return [self.map, f"{self.entries:,}", self.operation, *cells]


def filled(kinds: Iterable[str] = KINDS) -> Object:
    """The object, with maps full of the keys that the programs ask for."""
    found = drybpf.load(OBJECT)
    for kind in kinds:
        for size in SIZES:
            _fill(found.maps[f"{kind}_{size}"], kind, size)
    return found


def _fill(table: Any, kind: str, size: int) -> None:  # noqa: ANN401 (each kind is another class)
    for index in range(size):
        key: object = index
        if kind == "lpm_trie":  # a prefix of 24 bits, in network order
            key = struct.pack("<I", 24) + struct.pack(">I", index * SPREAD << 8 & 0xFFFF_FFFF)
        table[key] = index + 1


@contextmanager
def in_kernel(program: ObjectProgram) -> Iterator[Measure]:
    """Runs in the kernel, on maps with the same contents as ours."""
    with program.kernel.measuring(program.state(PACKET)) as measure:
        yield measure


def compiled(program: ObjectProgram) -> Measure:
    """Runs in our compiled code."""
    program.engine = "jit"
    program(PACKET)
    jit = program._runner.jit  # noqa: SLF001 (the loop in machine code that benchmarks have)
    return lambda times: jit.repeat(program.state(PACKET, budget=None), times) / times


def check(found: Object, program: ObjectProgram) -> None:
    """One run on each engine from the same state must come to the same sum."""
    sums = []
    for engine in ("kernel", "jit"):
        found.data["random_state"], found.data["kept"] = 88172645463325252, 0
        program.run(PACKET, engine=engine, budget=None)  # type: ignore[arg-type]  # both are names
        sums.append((found.data["kept"], found.data["random_state"]))
    if sums[0] != sums[1] or (not sums[0][0] and "update" not in program.name):
        sys.exit(f"{program.name}: the engines do not agree: {sums}")


def measured(found: Object, name: str, rounds: int, nanoseconds: float) -> dict[str, float]:
    """The least nanoseconds of a run of a program, by engine, each given so many in a round."""
    program = found.programs[name]
    check(found, program)
    best = dict.fromkeys(("kernel", "ours"), math.inf)
    with in_kernel(program) as kernel:
        engines = {"kernel": kernel, "ours": compiled(program)}
        times = {engine: int(nanoseconds / measure(5)) + 1 for engine, measure in engines.items()}
        for _ in range(rounds):
            for engine, measure in engines.items():
                best[engine] = min(best[engine], measure(times[engine]))
    return best


def costs(found: Object, kinds: tuple[str, ...], rounds: int, nanoseconds: float) -> Iterator[Cost]:
    """The cost of every operation on every map."""
    loop = measured(found, "loop", rounds, nanoseconds)
    for kind in kinds:
        for size in SIZES:
            for operation in ("lookup", "update"):
                taken = measured(found, f"{kind}_{size}_{operation}", rounds, nanoseconds)
                whole = [taken[engine] / OPERATIONS for engine in ("kernel", "ours")]
                bare = [loop[engine] / OPERATIONS for engine in ("kernel", "ours")]
                alone = [most - least for most, least in zip(whole, bare, strict=True)]
                yield Cost(kind, size, operation, *alone, *whole)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds: does it work?")
    parser.add_argument("--only", choices=KINDS, help="one kind of map")
    parser.add_argument("--json", type=Path, help="write the figures")
    given = parser.parse_args()
    if reason := objection():
        print(reason, file=sys.stderr)
        return 1
    rounds, nanoseconds = (2, 1e5) if given.quick else (15, TURN)
    kinds = (given.only,) if given.only else KINDS
    found = list(costs(filled(kinds), kinds, rounds, nanoseconds))
    head = ["map", "entries", "operation", "kernel, ns", "drybpf, ns", "ratio"]
    head += ["kernel with loop", "drybpf with loop", "ratio"]
    print(table(head, [cost.row() for cost in found]))
    if given.json:
        given.json.write_text(json.dumps([asdict(cost) for cost in found], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
