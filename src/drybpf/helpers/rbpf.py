"""The helpers that rbpf brings, with rbpf's meaning, safe on every argument."""

from __future__ import annotations

from math import isqrt

from drybpf.isa.semantics import M64
from drybpf.state import Context

BPF_KTIME_GETNS_IDX = 5
BPF_TRACE_PRINTK_IDX = 6

_FROB = bytes(byte ^ 42 for byte in range(256))


def bpf_time_getns(context: Context, *_: int) -> int:
    """Nanoseconds on the host's clock."""
    return context.host.clock()


def bpf_trace_printf(context: Context, _r1: int, _r2: int, r3: int, r4: int, r5: int) -> int:
    """Print r3, r4 and r5 in hexadecimal; r1 and r2 are not looked at.

    Returns the number of bytes printed, the newline included.
    """
    text = f"bpf_trace_printf: {r3:#x}, {r4:#x}, {r5:#x}"
    context.print(text)
    return len(text) + 1


def gather_bytes(_: Context, r1: int, r2: int, r3: int, r4: int, r5: int) -> int:
    """Put five bytes side by side: `r1 << 32 | r2 << 24 | r3 << 16 | r4 << 8 | r5`."""
    return (r1 << 32 | r2 << 24 | r3 << 16 | r4 << 8 | r5) & M64


def memfrob(context: Context, address: int, length: int, *_: int) -> int:
    """Exclusive-or `length` bytes with 42, in place; returns 0."""
    context.write(address, context.read(address, length).translate(_FROB))
    return 0


def sqrti(_: Context, value: int, *_rest: int) -> int:
    """The integer part of the square root, exactly."""
    return isqrt(value)


def strcmp(context: Context, left: int, right: int, *_: int) -> int:
    """Compare two strings that end with a zero byte.

    Returns 0 where they are equal, 2^64 - 1 where a pointer is null, and else the absolute
    difference of the first two bytes that differ.
    """
    if not left or not right:
        return M64
    while True:
        a, b = context.read(left, 1)[0], context.read(right, 1)[0]
        if a != b or not a:
            return abs(a - b)
        left, right = left + 1, right + 1


def rand(context: Context, low: int, high: int, *_: int) -> int:
    """A random number: from `low` to `high`, both included, where low < high, else of 64 bits."""
    if low < high:
        return context.host.random.randint(low, high)
    return context.host.random.getrandbits(64)
