"""What it costs that compiled code counts: the benchmark programs with a meter and without.

    python benchmarks/covering.py

Runs with and without alternate, and the least time of each counts.
"""

from __future__ import annotations

import math
from pathlib import Path

from drybpf import Program
from drybpf.hooks import Hook, Raw, Xdp
from drybpf.meter import Meter

PROGRAMS = Path(__file__).parent / "programs"
ROUNDS, SLICE_NS = 14, 4_000_000


def measure(path: Path, hook: Hook) -> tuple[float, float]:
    """Nanoseconds a run: plain, and counting."""
    program = Program.from_bytes(path.read_bytes(), hook=hook)
    memory = path.with_name(path.name.split(".")[0] + ".mem").read_bytes()
    jit = program._runner.jit  # noqa: SLF001 (it times runs without Python's call)
    plain = counting = math.inf
    first = jit.repeat(program.state(memory), 100) / 100
    times = max(100, int(SLICE_NS / (first + 0.1)))
    for _ in range(ROUNDS):
        plain = min(plain, jit.repeat(program.state(memory), times) / times)
        with Meter():
            counting = min(counting, jit.repeat(program.state(memory), times) / times)
    return plain, counting


def main() -> None:
    """Print a line a program, and the geometric mean of the ratios."""
    ratios = []
    for hook, ending in ((Raw(), ".bin"), (Xdp(), ".xdp.bin")):
        for memory in sorted(PROGRAMS.glob("*.mem")):
            path = memory.with_suffix(ending)
            plain, counting = measure(path, hook)
            ratios.append(counting / plain)
            print(f"{path.name:24} {plain:10.1f} {counting:10.1f}  {ratios[-1]:.2f}")
    print(f"geometric mean {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}")


if __name__ == "__main__":
    main()
