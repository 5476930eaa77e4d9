"""Does memory stay flat?  `tools/soak.py [--compiles 10000] [--faults 1000000]`.

Compiles so many different programs, and runs one that faults so often: through the compiled
function, and a tenth of them in batches that record their faults.  Prints the resident memory as it
goes and exits with 1 where the second half of the work took more than 2 MiB, and 3 KiB a compile:
llvmlite keeps 1.5 KiB of each pass builder, for which it has no way to free.
"""

import argparse
import gc
import os
from collections.abc import Callable
from pathlib import Path

from drybpf import Program
from drybpf.errors import MemoryFault

MOST, OF_A_COMPILE = 2 << 20, 3 << 10  # bytes that the second half may take


def resident() -> int:
    """The resident memory of this process, in bytes (Linux)."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compile_one(number: int) -> None:
    """Compile and run a program that there has not been."""
    program = Program.from_asm(f"ldxb r0, [r1]\nadd64 r0, {number}\nexit", engine="jit")
    if program(b"\1") != number + 1:
        raise SystemExit("a wrong result")


def fault(number: int) -> None:
    """Fault by a call, or a hundred times in a batch."""
    if number % 1000 == 999:
        FAULTING.run_batch([b"short"] * 100, on_fault="record")
        return
    try:
        CALL(b"short")
    except MemoryFault:
        return
    raise SystemExit("no fault")


FAULTING = Program.from_asm("ldxdw r0, [r1]\nexit", engine="jit")
CALL = FAULTING.function


def soak(name: str, work: Callable[[int], None], times: int, each: int = 0) -> bool:
    """Do something so often; whether memory stays flat in the second half, but for `each`."""
    marks = []
    for number in range(times):
        if number in (times // 10, times // 2):
            marks.append(resident())
        work(number)
    marks.append(resident())
    print(f"{times:,} {name}: {', '.join(f'{mark / 1e6:.1f} MB' for mark in marks)}", flush=True)
    return marks[-1] - marks[1] <= MOST + each * times // 2


def main() -> None:
    """Work, and judge."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--compiles", type=int, default=10_000)
    options.add_argument("--faults", type=int, default=1_000_000)
    given = options.parse_args()
    os.environ["DRYBPF_CACHE"] = "0"
    flat = [
        soak("compiles", compile_one, given.compiles, OF_A_COMPILE),
        soak("faults", fault, given.faults),
    ]
    raise SystemExit(0 if all(flat) else 1)


if __name__ == "__main__":
    main()
