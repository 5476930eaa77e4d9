"""A table of counters, written in restricted Python: the proof that map types can be.

Open addressing with linear probing; what is deleted is closed up, so there are no tombstones.
BITS is the logarithm of the number of slots; one slot always stays empty, so every search ends.

    0      8        8 + slots      (rounded up to 8)
    used   marks    padding        slots of key and count, 8 bytes each
"""

from __future__ import annotations

from drybpf.native.restricted import load8, load64, restricted, store8, store64

GOLDEN = 0x9E37_79B9_7F4A_7C15
MARKS = 8


def table_size(bits: int) -> int:
    """The bytes that a table takes; all zero is an empty one."""
    slots = 1 << bits
    return MARKS + (slots + 7 & ~7) + slots * 16


@restricted
def entry(table: int, slot: int, *, BITS: int) -> int:  # noqa: N803 (a constant)
    """The address of a slot's key."""
    return table + MARKS + ((1 << BITS) + 7 & ~7) + slot * 16


@restricted
def home(key: int, *, BITS: int) -> int:  # noqa: N803
    """The slot where the search for a key begins."""
    return (key ^ key >> 32) * GOLDEN >> 64 - BITS


@restricted
def find(table: int, key: int, *, BITS: int) -> int:  # noqa: N803
    """The slot of a key, or the empty slot where it belongs."""
    slot = home(key, BITS=BITS)
    while load8(table + MARKS + slot) and load64(entry(table, slot, BITS=BITS)) != key:
        slot = slot + 1 & (1 << BITS) - 1
    return slot


@restricted
def count(table: int, key: int, *, BITS: int) -> int:  # noqa: N803
    """The count of a key, 0 where it has none."""
    slot = find(table, key, BITS=BITS)
    if not load8(table + MARKS + slot):
        return 0
    return load64(entry(table, slot, BITS=BITS) + 8)


@restricted
def add(table: int, key: int, amount: int, *, BITS: int) -> int:  # noqa: N803
    """Add to the count of a key and give it; a new key in a full table gives 2^64 - 1."""
    slot = find(table, key, BITS=BITS)
    place = entry(table, slot, BITS=BITS)
    if not load8(table + MARKS + slot):
        used = load64(table)
        if used + 1 == 1 << BITS:
            return -1
        store64(table, used + 1)
        store8(table + MARKS + slot, 1)
        store64(place, key)
    store64(place + 8, load64(place + 8) + amount)
    return load64(place + 8)


@restricted
def remove(table: int, key: int, *, BITS: int) -> int:  # noqa: N803
    """Forget a key: 1 where it was there, else 0."""
    gap = find(table, key, BITS=BITS)
    if not load8(table + MARKS + gap):
        return 0
    mask = (1 << BITS) - 1
    slot = gap
    while 1:
        slot = slot + 1 & mask
        if not load8(table + MARKS + slot):
            break
        here = entry(table, slot, BITS=BITS)
        # An entry may move back into the gap unless its home lies behind the gap.
        if (slot - home(load64(here), BITS=BITS) & mask) < (slot - gap & mask):
            continue
        there = entry(table, gap, BITS=BITS)
        store64(there, load64(here))
        store64(there + 8, load64(here + 8))
        gap = slot
    store8(table + MARKS + gap, 0)
    store64(entry(table, gap, BITS=BITS), 0)
    store64(entry(table, gap, BITS=BITS) + 8, 0)
    store64(table, load64(table) - 1)
    return 1
