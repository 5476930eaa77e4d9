"""Ring buffers, and the buffers of perf events.

PRODUCED and CONSUMED count bytes for ever, INDEX_MASK + 1 are there.  A record takes 8 bytes for a
header, as in the kernel, and its sample's rounded up to 8; one that begins near the end goes on
behind it, in room that no other uses.  Headers are kept where programs cannot write:

    header of a record   size   1 << 30 discarded   1 << 31 not yet submitted   CPU << 32
"""

from __future__ import annotations

from drybpf.maps.algorithms.errno import E2BIG, EAGAIN, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP
from drybpf.maps.algorithms.words import copy
from drybpf.maps.layout import (
    CONSUMED,
    CPUS,
    INDEX_MASK,
    LOST,
    MAX_ENTRIES,
    NOTHING,
    PRODUCED,
    RECORDS,
    VALUES,
)
from drybpf.native.restricted import load64, restricted, store64

BUSY, DISCARDED, SIZE = 1 << 31, 1 << 30, (1 << 30) - 1
CURRENT_CPU = 0xFFFF_FFFF
WAKEUPS = 3  # the flags NO_WAKEUP and FORCE_WAKEUP


@restricted
def reserve(m: int, size: int, flags: int) -> int:
    """The offset of a new sample in the value area, or NOTHING."""
    if flags:
        return NOTHING
    mask = load64(m + INDEX_MASK)
    produced = load64(m + PRODUCED)
    length = size + 15 & ~7
    end = produced + length
    if size > SIZE or length > mask or end - load64(m + CONSUMED) > mask:
        store64(m + LOST, load64(m + LOST) + 1)
        return NOTHING
    store64(m + load64(m + RECORDS) + (produced & mask & ~7), size | BUSY)
    store64(m + PRODUCED, end)
    return (produced & mask & ~7) + 8


@restricted
def settle(m: int, offset: int, mark: int) -> int:
    """Let a reserved sample be read, with a mark in its header; only once."""
    offset -= 8
    if offset > load64(m + INDEX_MASK) or offset & 7:
        return -EINVAL
    place = m + load64(m + RECORDS) + offset
    header = load64(place)
    if not header & BUSY:
        return -EINVAL
    store64(place, header ^ BUSY | mark)
    return 0


@restricted
def submit(m: int, offset: int, flags: int) -> int:
    """Let a reserved sample be read."""
    return settle(m, offset, 0)


@restricted
def discard(m: int, offset: int, flags: int) -> int:
    """Give up a reserved sample."""
    return settle(m, offset, DISCARDED)


@restricted
def output(m: int, data: int, size: int, flags: int, cpu: int) -> int:
    """Copy a sample in: 0 or -errno."""
    if flags > WAKEUPS:
        return -EINVAL
    offset = reserve(m, size, 0)
    if offset == NOTHING:
        return -EAGAIN
    copy(m + load64(m + VALUES) + offset, data, size)
    return settle(m, offset, 0)


@restricted
def perf_output(m: int, data: int, size: int, flags: int, cpu: int) -> int:
    """Copy an event in, for the CPU that `flags` names, which must be the one at hand."""
    index = flags & CURRENT_CPU
    if flags > CURRENT_CPU:
        return -EINVAL
    if index == CURRENT_CPU:
        index = cpu
    if index >= load64(m + MAX_ENTRIES):
        return -E2BIG
    if index >= load64(m + CPUS):
        return -ENOENT
    if index != cpu:
        return -EOPNOTSUPP
    offset = reserve(m, size, 0)
    if offset == NOTHING:
        return -ENOSPC
    copy(m + load64(m + VALUES) + offset, data, size)
    return settle(m, offset, cpu << 32)
