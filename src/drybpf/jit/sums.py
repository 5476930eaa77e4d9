"""`csum_diff` in compiled code: as `helpers.checksums` has it, for sizes that are known."""

from __future__ import annotations

from drybpf.jit.access import argument, host_address
from drybpf.jit.function import FunctionText
from drybpf.jit.ir import Value
from drybpf.jit.provenance import Pointer
from drybpf.native.restricted import load32, restricted

LONGEST = 512  # bytes
M32 = (1 << 32) - 1


@restricted
def fold(total: int) -> int:
    """A sum of 64 bits as one of 32."""
    total = (total & M32) + (total >> 32)
    return (total & M32) + (total >> 32)


@restricted
def add_words(data: int, size: int, seed: int) -> int:
    """The sum of a buffer's words of 32 bits, added to a seed."""
    end = data + size
    while data < end:
        seed += load32(data)
        data += 4
    return fold(seed)


@restricted
def difference(old: int, old_size: int, new: int, new_size: int, seed: int) -> int:
    """The sum that takes some bytes out and puts others in."""
    total = seed & M32
    if old_size and new_size:
        total = fold(add_words(new, new_size, total) + (add_words(old, old_size, 0) ^ M32))
    elif new_size:
        total = add_words(new, new_size, total)
    elif old_size:
        total = add_words(old, old_size, total ^ M32) ^ M32
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


def _sizes(f: FunctionText, pc: int) -> tuple[object, object]:
    return f.guesses[pc][2], f.guesses[pc][4]


def applies(f: FunctionText, pc: int) -> bool:
    """Whether both sizes are known, and divided by 4; where one is not 0, there is a pointer."""
    return all(
        isinstance(size, int)
        and size <= LONGEST
        and not size % 4
        and (not size or isinstance(f.guesses[pc][register], Pointer))
        for size, register in zip(_sizes(f, pc), (1, 3), strict=True)
    )


def csum_diff(f: FunctionText, pc: int) -> Value:
    """The sum; a size that is not what was guessed leaves."""
    places: list[str] = []
    for size, register in zip(_sizes(f, pc), (1, 3), strict=True):
        known = f.value(f"icmp eq i64 {f.get(register + 1)}, {size}")
        f.leave_unless(known, pc, "othersize", "aside")
        place = "0"
        if isinstance(size, int) and size:
            host = host_address(f, pc, argument(f, pc, register), size, "read")
            place = f.value(f"ptrtoint ptr {host} to i64")
        places += [place, str(size)]
    f.inlined[difference] = None
    passed = ", ".join(f"i64 {value}" for value in (*places, f.get(5)))
    return f.value(f"call i64 @{difference.symbol}({passed})")
