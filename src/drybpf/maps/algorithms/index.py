"""A hash table of entries: open addressing, linear probing, closed up where something goes.

A slot is `hash << 32 | entry + 1`, 0 where it is empty, and a search begins at the low bits of the
hash; so entries move without a look at their keys.  At least half of the slots are always empty.
"""

from __future__ import annotations

from drybpf.maps.algorithms.words import same
from drybpf.maps.layout import NOTHING
from drybpf.native.restricted import load64, restricted, store64

ENTRY = 0xFFFF_FFFF


@restricted
def find(
    key: int, size: int, code: int, index: int, mask: int, keys: int, stride: int, capacity: int
) -> int:
    """The entry whose key it is, or NOTHING; `code` is the hash, index and keys are addresses."""
    at = code & mask
    left = mask
    while left:
        slot = load64(index + at * 8)
        if not slot:
            return NOTHING
        entry = (slot & ENTRY) - 1
        if slot >> 32 == code and entry < capacity and same(keys + entry * stride, key, size):
            return entry
        at = at + 1 & mask
        left -= 1
    return NOTHING


@restricted
def insert(index: int, mask: int, code: int, entry: int) -> int:
    """Put an entry that is not there into the first free slot for its hash."""
    at = code & mask
    left = mask
    while left and load64(index + at * 8):
        at = at + 1 & mask
        left -= 1
    store64(index + at * 8, code << 32 | entry + 1)
    return 0


@restricted
def slot_of(index: int, mask: int, code: int, entry: int) -> int:
    """The slot that an entry is in, above the mask where it is in none."""
    at = code & mask
    left = mask
    while load64(index + at * 8) & ENTRY != entry + 1:
        at = at + 1 & mask
        left -= 1
        if not left:
            return mask + 1
    return at


@restricted
def exchange(index: int, mask: int, code: int, entry: int, other: int) -> int:
    """Let another entry, of the same key, be found where one is."""
    at = slot_of(index, mask, code, entry)
    if at > mask:
        return 0
    store64(index + at * 8, code << 32 | other + 1)
    return 1


@restricted
def remove(index: int, mask: int, code: int, entry: int) -> int:
    """Take an entry out; those that were pushed on by it move back."""
    gap = slot_of(index, mask, code, entry)
    if gap > mask:
        return 0
    at = gap
    left = mask
    while left:
        left -= 1
        at = at + 1 & mask
        slot = load64(index + at * 8)
        if not slot:
            break
        # It may move back into the gap unless its search begins behind the gap.
        if (at - (slot >> 32) & mask) >= (at - gap & mask):
            store64(index + gap * 8, slot)
            gap = at
    store64(index + gap * 8, 0)
    return 1
