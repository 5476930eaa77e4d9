"""Bloom filters: HASHES bits a value, in INDEX_MASK + 1 of them."""

from __future__ import annotations

from drybpf.maps.algorithms.errno import EINVAL, ENOENT
from drybpf.maps.algorithms.words import MIX, hashed
from drybpf.maps.layout import COUNT, HASHES, INDEX, INDEX_MASK, VALUE_SIZE
from drybpf.native.restricted import load8, load64, restricted, store8, store64


@restricted
def bit(m: int, value: int, number: int) -> int:
    """The number of the bit that a hash function chooses."""
    return hashed(value, load64(m + VALUE_SIZE), number * MIX) & load64(m + INDEX_MASK)


@restricted
def push(m: int, value: int, flags: int) -> int:
    """Put a value in."""
    if flags:
        return -EINVAL
    number = load64(m + HASHES)
    while number:
        number -= 1
        at = bit(m, value, number)
        place = m + load64(m + INDEX) + (at >> 3)
        store8(place, load8(place) | 1 << (at & 7))
    store64(m + COUNT, load64(m + COUNT) + 1)
    return 0


@restricted
def peek(m: int, value: int) -> int:
    """Whether a value may be in: 0, else -ENOENT."""
    number = load64(m + HASHES)
    while number:
        number -= 1
        at = bit(m, value, number)
        if not load8(m + load64(m + INDEX) + (at >> 3)) >> (at & 7) & 1:
            return -ENOENT
    return 0
