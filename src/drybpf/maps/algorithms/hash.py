"""Hash maps: plain and per CPU, and the same forgetting what was not used for longest (LRU).

    entry     key at KEYS + entry * KEY_STRIDE, value at VALUES + entry * STRIDE

LRU is second chance: the oldest entry goes, unless it was looked up or updated since it came or
was last passed over; then it counts as just come.

An update of a key that is there is a new entry in the old one's place, as in the kernel: who holds
the old value goes on to see that, and what it had besides bytes, as a timer, is gone with it.  Only
values of CPUs, and those that are locked for it, are written where they are.
"""

from __future__ import annotations

from drybpf.maps.algorithms.array import put
from drybpf.maps.algorithms.entries import append, give, succeed, take, withdraw
from drybpf.maps.algorithms.errno import E2BIG, EEXIST, EINVAL, ENOENT, ENOMEM, EXIST, LOCK, NOEXIST
from drybpf.maps.algorithms.index import exchange, insert, remove
from drybpf.maps.algorithms.index import find as find_entry
from drybpf.maps.algorithms.words import copy, hashed, zero
from drybpf.maps.layout import (
    CAPACITY,
    COUNT,
    CPU_STRIDE,
    CPUS,
    HEAD,
    INDEX,
    INDEX_MASK,
    KEY_SIZE,
    KEY_STRIDE,
    KEYS,
    LINK,
    LINKS,
    LOCKED,
    MARKS,
    MAX_ENTRIES,
    NOTHING,
    STRIDE,
    TAIL,
    VALUE_SIZE,
    VALUES,
)
from drybpf.native.restricted import load8, load64, restricted, store8, store32


@restricted
def entry_of(m: int, key: int, code: int) -> int:
    """The entry of a key with this hash, or NOTHING."""
    return find_entry(
        key,
        load64(m + KEY_SIZE),
        code,
        m + load64(m + INDEX),
        load64(m + INDEX_MASK),
        m + load64(m + KEYS),
        load64(m + KEY_STRIDE),
        load64(m + CAPACITY),
    )


@restricted
def mark(m: int, entry: int) -> int:
    """Let an entry count as used, for LRU."""
    place = m + load64(m + MARKS) + entry
    if not load8(place):
        store8(place, 1)
    return 0


@restricted
def find(m: int, key: int, cpu: int) -> int:
    """The offset of a value in the value area, or NOTHING; leaves no mark."""
    between = load64(m + CPU_STRIDE)
    if between and cpu >= load64(m + CPUS):
        return NOTHING
    entry = entry_of(m, key, hashed(key, load64(m + KEY_SIZE), 0))
    if entry == NOTHING:
        return NOTHING
    return entry * load64(m + STRIDE) + cpu * between


@restricted
def lookup(m: int, key: int, cpu: int, *, LRU: int, PERCPU: int) -> int:
    """The offset of a value in the value area, or NOTHING."""
    if PERCPU and cpu >= load64(m + CPUS):
        return NOTHING
    entry = entry_of(m, key, hashed(key, load64(m + KEY_SIZE), 0))
    if entry == NOTHING:
        return NOTHING
    if LRU:
        mark(m, entry)
    if PERCPU:
        return entry * load64(m + STRIDE) + cpu * load64(m + CPU_STRIDE)
    return entry * load64(m + STRIDE)


@restricted
def lookup_here(
    m: int,
    key: int,
    cpu: int,
    *,
    KEY: int,
    ENTRIES: int,
    AT_INDEX: int,
    SLOTS: int,
    AT_KEYS: int,
    BETWEEN_KEYS: int,
    BETWEEN: int,
    OF_CPU: int,
    CPU_COUNT: int,
    AT_MARKS: int,
) -> int:
    """`lookup` with all that the header says as constants, to be inlined."""
    if OF_CPU and cpu >= CPU_COUNT:
        return NOTHING
    code = hashed(key, KEY, 0)
    entry = find_entry(key, KEY, code, m + AT_INDEX, SLOTS - 1, m + AT_KEYS, BETWEEN_KEYS, ENTRIES)
    if entry == NOTHING:
        return NOTHING
    if AT_MARKS:
        place = m + AT_MARKS + entry
        if not load8(place):
            store8(place, 1)
    if OF_CPU:
        return entry * BETWEEN + cpu * OF_CPU
    return entry * BETWEEN


@restricted
def evict(m: int, epoch: int) -> int:
    """Take out the oldest entry that has had no second chance."""
    chances = load64(m + COUNT)
    while 1:
        entry = load64(m + HEAD) - 1
        if entry >= load64(m + CAPACITY):
            return 0
        place = m + load64(m + MARKS) + entry
        if not load8(place) or not chances:
            drop(m, entry, epoch)
            return 1
        chances -= 1
        store8(place, 0)
        if load64(m + TAIL) != entry + 1:
            code = withdraw(m, entry)
            append(m, entry, code)
    return 0


@restricted
def drop(m: int, entry: int, epoch: int) -> int:
    """Take an entry out; its value stays as it is."""
    code = load64(m + load64(m + LINKS) + entry * LINK + 8)
    remove(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry)
    withdraw(m, entry)
    give(m, entry, epoch)
    return 0


@restricted
def write(m: int, entry: int, value: int, cpu: int, alone: int) -> int:
    """Put the value of an entry; `alone` zeroes it for the other CPUs."""
    size = load64(m + VALUE_SIZE)
    place = m + load64(m + VALUES) + entry * load64(m + STRIDE)
    between = load64(m + CPU_STRIDE)
    if between and alone:
        other = load64(m + CPUS)
        while other:
            other -= 1
            if other != cpu:
                zero(place + other * between, size)
    put(m, place + cpu * between, value)
    return 0


@restricted
def fill(m: int, entry: int, key: int, value: int, cpu: int) -> int:
    """Write key and value of a new entry."""
    copy(m + load64(m + KEYS) + entry * load64(m + KEY_STRIDE), key, load64(m + KEY_SIZE))
    # The byte that ends the gap behind the value says whether the value has a timer: see timers.
    store8(m + load64(m + VALUES) + entry * load64(m + STRIDE) + load64(m + STRIDE) - 1, 0)
    lock = load64(m + LOCKED)
    if lock and lock + 3 <= load64(m + VALUE_SIZE):
        store32(m + load64(m + VALUES) + entry * load64(m + STRIDE) + lock - 1, 0)
    write(m, entry, value, cpu, 1)
    return 0


@restricted
def renew(m: int, entry: int, key: int, value: int, code: int, epoch: int, *, LRU: int) -> int:
    """Put a new value for a key in another entry, which takes the place of the old one."""
    other = take(m, epoch)
    if other == NOTHING:
        return -ENOMEM
    fill(m, other, key, value, 0)
    exchange(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry, other)
    succeed(m, entry, other)
    give(m, entry, epoch)
    if LRU:
        mark(m, other)
    return 0


@restricted
def update(
    m: int, key: int, value: int, flags: int, cpu: int, epoch: int, *, LRU: int, PERCPU: int
) -> int:
    """Put a value, on a map of per-CPU values that of one CPU: 0 or -errno."""
    locked = 0
    if not LRU and not PERCPU and load64(m + LOCKED):
        locked = flags & LOCK
        flags = flags & ~LOCK
    if flags > EXIST:
        return -EINVAL
    if not PERCPU:
        cpu = 0
    elif cpu >= load64(m + CPUS):
        return -EINVAL
    size = load64(m + KEY_SIZE)
    code = hashed(key, size, 0)
    entry = entry_of(m, key, code)
    if entry != NOTHING:
        if flags == NOEXIST:
            return -EEXIST
        if not PERCPU and not locked:
            return renew(m, entry, key, value, code, epoch, LRU=LRU)
        write(m, entry, value, cpu, 0)
        if LRU:
            mark(m, entry)
        return 0
    if flags == EXIST:
        return -ENOENT
    if load64(m + COUNT) >= load64(m + MAX_ENTRIES):
        if not LRU:
            return -E2BIG
        evict(m, epoch)
    entry = take(m, epoch)
    if entry == NOTHING:
        return -ENOMEM
    fill(m, entry, key, value, cpu)
    if LRU:
        store8(m + load64(m + MARKS) + entry, 0)
    insert(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry)
    append(m, entry, code)
    return 0


@restricted
def delete(m: int, key: int, epoch: int) -> int:
    """Take a key out: 0 or -errno."""
    entry = entry_of(m, key, hashed(key, load64(m + KEY_SIZE), 0))
    if entry == NOTHING:
        return -ENOENT
    drop(m, entry, epoch)
    return 0
