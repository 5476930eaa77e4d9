"""Bytes at addresses: copied, compared, hashed."""

from __future__ import annotations

from drybpf.native.restricted import (
    load8,
    load16,
    load32,
    load64,
    restricted,
    store8,
    store16,
    store32,
    store64,
)

MIX = 0x9E37_79B9_7F4A_7C15
STIR = 0xD6E8_FEB8_6659_FD93


@restricted
def copy(to: int, source: int, size: int) -> int:
    """Copy bytes, from the first to the last."""
    at = 0
    while at + 8 <= size:
        store64(to + at, load64(source + at))
        at += 8
    if size & 4:
        store32(to + at, load32(source + at))
        at += 4
    if size & 2:
        store16(to + at, load16(source + at))
        at += 2
    if size & 1:
        store8(to + at, load8(source + at))
    return 0


@restricted
def zero(to: int, size: int) -> int:
    """Zero `size` bytes rounded up to eight."""
    at = 0
    while at < size:
        store64(to + at, 0)
        at += 8
    return 0


@restricted
def same(left: int, right: int, size: int) -> int:
    """Whether two places hold the same bytes."""
    at = 0
    while at + 8 <= size:
        if load64(left + at) != load64(right + at):
            return 0
        at += 8
    if size & 4:
        if load32(left + at) != load32(right + at):
            return 0
        at += 4
    if size & 2:
        if load16(left + at) != load16(right + at):
            return 0
        at += 2
    if size & 1:
        return load8(left + at) == load8(right + at)
    return 1


@restricted
def hashed(place: int, size: int, seed: int) -> int:
    """A 32-bit hash of some bytes."""
    mixed = seed ^ size
    at = 0
    while at + 8 <= size:
        mixed = (mixed ^ load64(place + at)) * MIX
        mixed = mixed ^ mixed >> 32
        at += 8
    rest = 0
    if size & 4:
        rest = load32(place + at)
        at += 4
    if size & 2:
        rest = rest << 16 | load16(place + at)
        at += 2
    if size & 1:
        rest = rest << 8 | load8(place + at)
    if size & 7:
        mixed = (mixed ^ rest) * MIX
        mixed = mixed ^ mixed >> 32
    return mixed * STIR >> 32
