"""Arrays: plain and per CPU, and arrays of things, whose entries can be empty."""

from __future__ import annotations

from drybpf.maps.algorithms.errno import E2BIG, EEXIST, EINVAL, ENOENT, EXIST, LOCK, NOEXIST
from drybpf.maps.algorithms.words import copy, zero
from drybpf.maps.layout import (
    COUNT,
    CPU_STRIDE,
    CPUS,
    LOCKED,
    MARKS,
    MAX_ENTRIES,
    NOTHING,
    STRIDE,
    VALUE_SIZE,
    VALUES,
)
from drybpf.native.restricted import load8, load32, load64, restricted, store8, store32, store64


@restricted
def lookup(m: int, key: int, cpu: int) -> int:
    """The offset of a value in the value area, or NOTHING."""
    index = load32(key)
    between = load64(m + CPU_STRIDE)
    if index >= load64(m + MAX_ENTRIES) or (between and cpu >= load64(m + CPUS)):
        return NOTHING
    return index * load64(m + STRIDE) + cpu * between


@restricted
def lookup_here(m: int, key: int, cpu: int, *, MAX: int, BETWEEN: int) -> int:
    """`lookup` of a plain array with what the header says as constants, to be inlined."""
    index = load32(key)
    if index >= MAX:
        return NOTHING
    return index * BETWEEN


@restricted
def lookup_of_cpu(
    m: int, key: int, cpu: int, *, MAX: int, BETWEEN: int, CPU_COUNT: int, OF_CPU: int
) -> int:
    """The same of an array of per-CPU values."""
    index = load32(key)
    if index >= MAX or cpu >= CPU_COUNT:
        return NOTHING
    return index * BETWEEN + cpu * OF_CPU


@restricted
def put(m: int, place: int, value: int) -> int:
    """Write a value; the spin lock that it may have stays as it is."""
    lock = load64(m + LOCKED)
    if lock and lock + 3 <= load64(m + VALUE_SIZE):
        held = load32(place + lock - 1)
        copy(place, value, load64(m + VALUE_SIZE))
        store32(place + lock - 1, held)
        return 0
    copy(place, value, load64(m + VALUE_SIZE))
    return 0


@restricted
def update(m: int, key: int, value: int, flags: int, cpu: int, epoch: int, *, PERCPU: int) -> int:
    """Put a value, on an array of per-CPU values that of one CPU: 0 or -errno."""
    locked = flags & LOCK
    flags = flags & ~LOCK
    if not PERCPU:
        cpu = 0
    elif cpu >= load64(m + CPUS):
        return -EINVAL
    index = load32(key)
    if flags > EXIST:
        return -EINVAL
    if index >= load64(m + MAX_ENTRIES):
        return -E2BIG
    if flags == NOEXIST:
        return -EEXIST
    if locked and not load64(m + LOCKED):
        return -EINVAL
    between = load64(m + STRIDE)
    place = m + load64(m + VALUES) + index * between + cpu * load64(m + CPU_STRIDE)
    put(m, place, value)
    # The byte that ends the gap behind the value says whether the value has a timer: see timers.
    store8(place + between - 1, 0)
    return 0


@restricted
def delete(m: int, key: int, epoch: int) -> int:
    """Nothing can be deleted from an array."""
    return -EINVAL


@restricted
def lookup_filled(m: int, key: int, cpu: int) -> int:
    """The offset of a value in the value area, or NOTHING where the entry is empty."""
    index = load32(key)
    if index >= load64(m + MAX_ENTRIES) or not load8(m + load64(m + MARKS) + index):
        return NOTHING
    return index * load64(m + STRIDE)


@restricted
def leading(value: int, size: int) -> int:
    """The first four bytes of a value, of a smaller one all."""
    if size >= 4:
        return load32(value)
    number = 0
    while size:
        size -= 1
        number = number << 8 | load8(value + size)
    return number


@restricted
def fill(
    m: int,
    key: int,
    value: int,
    flags: int,
    cpu: int,
    epoch: int,
    *,
    MOST: int,
    EMPTY: int,
    ZERO: int,
) -> int:
    """Fill an entry; flags up to MOST are allowed.  With EMPTY, an empty entry does not exist.

    With ZERO, a value whose first four bytes are zero empties it.
    """
    index = load32(key)
    if flags > MOST:
        return -EINVAL
    if index >= load64(m + MAX_ENTRIES):
        return -E2BIG
    place = m + load64(m + MARKS) + index
    there = load8(place) or not EMPTY
    if flags == NOEXIST and there:
        return -EEXIST
    if flags == EXIST and not there:
        return -ENOENT
    if ZERO and not leading(value, load64(m + VALUE_SIZE)):
        empty(m, key, epoch, BEYOND=E2BIG, MISSING=ENOENT)
        return 0
    copy(m + load64(m + VALUES) + index * load64(m + STRIDE), value, load64(m + VALUE_SIZE))
    if not load8(place):
        store8(place, 1)
        store64(m + COUNT, load64(m + COUNT) + 1)
    return 0


@restricted
def empty(m: int, key: int, epoch: int, *, BEYOND: int, MISSING: int) -> int:
    """Empty an entry; the errors of an index beyond the end and of an empty entry are given."""
    index = load32(key)
    if index >= load64(m + MAX_ENTRIES):
        return -BEYOND
    place = m + load64(m + MARKS) + index
    if not load8(place):
        return -MISSING
    store8(place, 0)
    store64(m + COUNT, load64(m + COUNT) - 1)
    zero(m + load64(m + VALUES) + index * load64(m + STRIDE), load64(m + VALUE_SIZE))
    return 0


@restricted
def walk_filled(m: int, out: int, limit: int) -> int:
    """Write the indices of the filled entries to `out`, 4 bytes each, at most `limit` of them."""
    count = 0
    index = 0
    size = load64(m + MAX_ENTRIES)
    while index < size and count < limit and count < load64(m + COUNT):
        if load8(m + load64(m + MARKS) + index):
            store32(out + count * 4, index)
            count += 1
        index += 1
    return count
