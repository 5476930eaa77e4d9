"""The entries of a map: those in use in the order in which they came, and those deleted.

    links of an entry   +0 next + 1   +4 previous + 1   +8 its hash, or the epoch of its deletion

A deleted entry keeps its value for the rest of the run: it is used again when the run's number, the
epoch, is another one, the longest deleted first, or when there is no entry that was never used.
"""

from __future__ import annotations

from drybpf.maps.layout import (
    CAPACITY,
    COUNT,
    FREE_HEAD,
    FREE_TAIL,
    FRESH,
    HEAD,
    LINK,
    LINKS,
    NOTHING,
    TAIL,
)
from drybpf.native.restricted import load32, load64, restricted, store32, store64


@restricted
def link(m: int, entry: int) -> int:
    """The address of an entry's links; of some entry's, whatever the number."""
    if entry >= load64(m + CAPACITY):
        entry = 0
    return m + load64(m + LINKS) + entry * LINK


@restricted
def take(m: int, epoch: int) -> int:
    """An entry to use, or NOTHING."""
    head = load64(m + FREE_HEAD)
    fresh = load64(m + FRESH)
    more = fresh < load64(m + CAPACITY)
    if head and head <= load64(m + CAPACITY):
        place = link(m, head - 1)
        if not more or load64(place + 8) != epoch:
            after = load32(place)
            store64(m + FREE_HEAD, after)
            if not after:
                store64(m + FREE_TAIL, 0)
            return head - 1
    if more:
        store64(m + FRESH, fresh + 1)
        return fresh
    return NOTHING


@restricted
def give(m: int, entry: int, epoch: int) -> int:
    """Keep a deleted entry until it may be used again."""
    place = link(m, entry)
    store64(place, 0)
    store64(place + 8, epoch)
    tail = load64(m + FREE_TAIL)
    if tail:
        store32(link(m, tail - 1), entry + 1)
    else:
        store64(m + FREE_HEAD, entry + 1)
    store64(m + FREE_TAIL, entry + 1)
    return 0


@restricted
def append(m: int, entry: int, code: int) -> int:
    """Put an entry, whose key has this hash, behind those in use."""
    tail = load64(m + TAIL)
    place = link(m, entry)
    store64(place, tail << 32)
    store64(place + 8, code)
    if tail:
        store32(link(m, tail - 1), entry + 1)
    else:
        store64(m + HEAD, entry + 1)
    store64(m + TAIL, entry + 1)
    store64(m + COUNT, load64(m + COUNT) + 1)
    return 0


@restricted
def withdraw(m: int, entry: int) -> int:
    """Take an entry out of those in use; gives the hash of its key."""
    place = link(m, entry)
    after = load32(place)
    before = load32(place + 4)
    if after:
        store32(link(m, after - 1) + 4, before)
    else:
        store64(m + TAIL, before)
    if before:
        store32(link(m, before - 1), after)
    else:
        store64(m + HEAD, after)
    store64(m + COUNT, load64(m + COUNT) - 1)
    return load64(place + 8)


@restricted
def succeed(m: int, entry: int, other: int) -> int:
    """Put another entry in the place that one has among those in use, for the same key."""
    old = link(m, entry)
    new = link(m, other)
    after = load32(old)
    before = load32(old + 4)
    store64(new, load64(old))
    store64(new + 8, load64(old + 8))
    if after:
        store32(link(m, after - 1) + 4, other + 1)
    else:
        store64(m + TAIL, other + 1)
    if before:
        store32(link(m, before - 1), other + 1)
    else:
        store64(m + HEAD, other + 1)
    return 0


@restricted
def walk(m: int, out: int, limit: int) -> int:
    """Write the numbers of the entries in use to `out`, 4 bytes each, at most `limit` of them."""
    count = 0
    at = load64(m + HEAD)
    while at and at <= load64(m + CAPACITY) and count < limit:
        store32(out + count * 4, at - 1)
        at = load32(link(m, at - 1))
        count += 1
    return count
