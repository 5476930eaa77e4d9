"""Prefixes: the first bits of some bytes, the most significant bit of each first."""

from __future__ import annotations

from drybpf.maps.algorithms.words import MIX, STIR
from drybpf.native.restricted import load8, load16, load32, load64, restricted


@restricted
def word(place: int, size: int) -> int:
    """The first 8 bytes of some, as a little-endian number; where there are fewer, zeros follow."""
    if size >= 8:
        return load64(place)
    value = 0
    at = 0
    if size & 4:
        value = load32(place)
        at = 4
    if size & 2:
        value = value | load16(place + at) << 8 * at
        at += 2
    if size & 1:
        value = value | load8(place + at) << 8 * at
    return value


@restricted
def mask_of(bits: int) -> int:
    """The mask of the first bits, fewer than 64, of 8 bytes in that order."""
    whole = bits & 56
    return (1 << whole) - 1 | (0xFF00 >> (bits & 7) & 0xFF) << whole


@restricted
def prefix_hash(data: int, size: int, bits: int) -> int:
    """A 32-bit hash of a prefix."""
    mixed = bits * STIR
    while bits >= 64:
        mixed = (mixed ^ load64(data)) * MIX
        mixed = mixed ^ mixed >> 32
        data += 8
        size -= 8
        bits -= 64
    if bits:
        mixed = (mixed ^ (word(data, size) & mask_of(bits))) * MIX
        mixed = mixed ^ mixed >> 32
    return mixed * STIR >> 32


@restricted
def same_prefix(left: int, right: int, size: int, bits: int) -> int:
    """Whether the first bits of two places are the same."""
    while bits >= 64:
        if load64(left) != load64(right):
            return 0
        left += 8
        right += 8
        size -= 8
        bits -= 64
    if bits:
        return not (word(left, size) ^ word(right, size)) & mask_of(bits)
    return 1
