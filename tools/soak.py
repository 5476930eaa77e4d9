"""Does memory stay flat?  `tools/soak.py [--compiles 10000] [--faults 1000000]`.

Compiles so many different programs, and runs one that faults so often: through the compiled
function, and a tenth of them in batches that record their faults.  Prints what is allocated, and
the resident memory, as it goes; exits with 1 where the second half of the work left more than
64 KiB allocated, and 1,500 bytes a compile: llvmlite 0.50 makes an object of 1,488 bytes for each
pass builder (its `PassInstrumentationCallbacks`) and has no way to free it.
"""

import argparse
import ctypes
import gc
import os
from collections.abc import Callable
from pathlib import Path

from drybpf import Program
from drybpf.errors import MemoryFault

MOST, OF_A_COMPILE = 64 << 10, 1500  # bytes that the second half may leave


class _Malloc(ctypes.Structure):
    """What glibc's `mallinfo2` gives."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def allocated() -> int:
    """The bytes that the process has from malloc and not given back (glibc from 2.33 on)."""
    gc.collect()
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = _Malloc
    info = mallinfo()
    return int(info.uordblks + info.hblkhd)


def resident() -> int:
    """The resident memory of this process, in bytes (Linux): with holes that nothing fills."""
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
            marks.append((allocated(), resident()))
        work(number)
    marks.append((allocated(), resident()))
    for title, (first, half, last) in zip(
        ("allocated", "resident"), zip(*marks, strict=True), strict=True
    ):
        grown = (last - half) / (times / 2)
        print(
            f"{times:,} {name}, {title}: {first / 1e6:.2f}, {half / 1e6:.2f}, {last / 1e6:.2f} MB; "
            f"{grown:.1f} bytes each in the second half",
            flush=True,
        )
    return marks[-1][0] - marks[1][0] <= MOST + each * times // 2


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
