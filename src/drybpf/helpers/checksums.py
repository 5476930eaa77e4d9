"""The checksum of the Internet (RFC 1071), as the kernel's helpers compute and change it.

Sums are of 16-bit words as they lie in memory, taken as little-endian numbers.
"""

from __future__ import annotations

from drybpf.helpers.arguments import M32, u32
from drybpf.helpers.errno import EINVAL
from drybpf.state import Context


def sum32(data: bytes, seed: int = 0) -> int:
    """The sum of a buffer in ones' complement of 32 bits, added to a seed."""
    padded = data + bytes(-len(data) % 4)
    total = seed + sum(
        int.from_bytes(padded[begin : begin + 4], "little") for begin in range(0, len(padded), 4)
    )
    while total >> 32:
        total = (total & M32) + (total >> 32)
    return total


def add32(left: int, right: int) -> int:
    """The sum of two sums."""
    total = left + right
    return (total & M32) + (total >> 32)


def fold(total: int) -> int:
    """A sum of 32 bits as one of 16."""
    total = (total & 0xFFFF) + (total >> 16)
    return (total & 0xFFFF) + (total >> 16)


def csum_diff(
    context: Context, before: int, before_size: int, after: int, after_size: int, seed: int
) -> int:
    """The sum that takes some bytes out of a checksum and puts others in, in 16 bits.

    Sizes are multiples of 4, else -EINVAL.
    """
    before_size, after_size, total = u32(before_size), u32(after_size), u32(seed)
    old, new = context.read(before, before_size), context.read(after, after_size)
    if (before_size | after_size) % 4:
        return -EINVAL
    if old and new:
        total = add32(sum32(new, total), ~sum32(old) & M32)
    elif new:
        total = sum32(new, total)
    elif old:
        total = ~sum32(old, ~total & M32) & M32
    return fold(total)
