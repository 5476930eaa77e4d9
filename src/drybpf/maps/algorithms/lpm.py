"""Longest-prefix match: a hash table of prefixes, asked for one length after another.

A key is its length in bits, 4 bytes, and data, the most significant bit of each byte first.  Only
lengths that can match are tried, the longest first: a bit a length says which are in use at all,
and filters which of them occur below the beginning of the data, in three tables of 64-bit sets:

    first byte    256 sets   lengths 8 to 15
    16 bits      4096 sets   lengths 16 to 31   by a hash of the bits
    32 bits      4096 sets   lengths from 32    by a hash, as the length modulo 64

A set may name too many lengths, after deletions too, never too few.
"""

from __future__ import annotations

from drybpf.maps.algorithms.entries import append, give, link, take, withdraw
from drybpf.maps.algorithms.errno import EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EXIST, NOEXIST
from drybpf.maps.algorithms.index import ENTRY, insert, remove
from drybpf.maps.algorithms.words import MIX, STIR, copy, zero
from drybpf.maps.layout import (
    CAPACITY,
    COUNT,
    FILTERS,
    HEAD,
    INDEX,
    INDEX_MASK,
    KEY_SIZE,
    KEY_STRIDE,
    KEYS,
    LENGTHS,
    MAX_ENTRIES,
    NOTHING,
    STALE,
    STRIDE,
    USED,
    VALUE_SIZE,
    VALUES,
)
from drybpf.native.restricted import (
    load8,
    load16,
    load32,
    load64,
    restricted,
    store32,
    store64,
)

LONG, SHORT = 0, 4096 * 8  # offsets of the filters of 32 bits, of 16, and of the first byte
FIRST = 2 * SHORT
FILTER_SIZE = FIRST + 256 * 8


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


@restricted
def find_prefix(m: int, data: int, size: int, bits: int, code: int) -> int:
    """The entry of a prefix with this hash, or NOTHING."""
    index = m + load64(m + INDEX)
    mask = load64(m + INDEX_MASK)
    at = code & mask
    left = mask
    while left:
        slot = load64(index + at * 8)
        if not slot:
            return NOTHING
        entry = (slot & ENTRY) - 1
        if slot >> 32 == code and entry < load64(m + CAPACITY):
            key = m + load64(m + KEYS) + entry * load64(m + KEY_STRIDE)
            if load32(key) == bits and same_prefix(key + 4, data, size, bits):
                return entry
        at = at + 1 & mask
        left -= 1
    return NOTHING


@restricted
def set_place(m: int, start: int, bits: int) -> int:
    """The address of the set that names a length from 8 on, for data that starts so."""
    filters = m + load64(m + FILTERS)
    if bits < 16:
        return filters + FIRST + (start & 0xFF) * 8
    if bits < 32:
        return filters + SHORT + ((start & 0xFFFF) * MIX >> 52) * 8
    return filters + LONG + ((start & 0xFFFF_FFFF) * MIX >> 52) * 8


@restricted
def search(m: int, key: int, size: int) -> int:
    """The entry of the longest prefix of a key, or NOTHING; its data has `size` bytes."""
    limit = load32(key)
    if limit > size * 8:
        return NOTHING
    data = key + 4
    start = word(data, size)
    long = load64(set_place(m, start, 32))
    used = m + load64(m + USED)
    block = limit >> 6
    # The lengths of the block that are not above the limit.
    within = (2 << (limit & 63)) - 1
    while 1:
        lengths = load64(used + block * 8) & within
        if block:
            lengths = lengths & long
        elif lengths:
            short = load64(set_place(m, start, 16)) & 0xFFFF_0000
            first = load64(set_place(m, start, 8)) & 0xFF00
            lengths = lengths & (long & ~0xFFFF_FFFF | short | first | 0xFF)
        while lengths:
            top = 0
            rest = lengths >> 1
            while rest:
                rest = rest >> 1
                top += 1
            lengths = lengths ^ 1 << top
            bits = block << 6 | top
            entry = find_prefix(m, data, size, bits, prefix_hash(data, size, bits))
            if entry != NOTHING:
                return entry
        if not block:
            return NOTHING
        block -= 1
        within = NOTHING
    return NOTHING


@restricted
def lookup(m: int, key: int, cpu: int) -> int:
    """The offset in the value area of the value of the longest prefix of a key, or NOTHING."""
    size = load64(m + KEY_SIZE) - 4
    if size == 4:
        entry = search(m, key, 4)
    else:
        entry = search(m, key, size)
    if entry == NOTHING:
        return NOTHING
    return entry * load64(m + STRIDE)


@restricted
def exact(m: int, key: int, cpu: int) -> int:
    """The offset of the value of just this prefix, or NOTHING."""
    bits = load32(key)
    size = load64(m + KEY_SIZE) - 4
    if bits > size * 8:
        return NOTHING
    entry = find_prefix(m, key + 4, size, bits, prefix_hash(key + 4, size, bits))
    if entry == NOTHING:
        return NOTHING
    return entry * load64(m + STRIDE)


@restricted
def enlist(m: int, key: int) -> int:
    """Let the filters name the length of a prefix."""
    bits = load32(key)
    if bits >= 8:
        place = set_place(m, word(key + 4, load64(m + KEY_SIZE) - 4), bits)
        store64(place, load64(place) | 1 << (bits & 63))
    return 0


@restricted
def renew(m: int) -> int:
    """Make the filters anew, without what was deleted."""
    zero(m + load64(m + FILTERS), FILTER_SIZE)
    store64(m + STALE, 0)
    at = load64(m + HEAD)
    left = load64(m + COUNT)
    while at and left:
        if at <= load64(m + CAPACITY):
            enlist(m, m + load64(m + KEYS) + (at - 1) * load64(m + KEY_STRIDE))
        at = load32(link(m, at - 1))
        left -= 1
    return 0


@restricted
def count_length(m: int, bits: int, change: int) -> int:
    """Count the prefixes of a length; the set of those in use follows."""
    place = m + load64(m + LENGTHS) + bits * 4
    count = load32(place) + change
    store32(place, count)
    block = m + load64(m + USED) + (bits >> 6) * 8
    bit = 1 << (bits & 63)
    if count & 0xFFFF_FFFF:
        store64(block, load64(block) | bit)
    else:
        store64(block, load64(block) & ~bit)
    return 0


@restricted
def update(m: int, key: int, value: int, flags: int, cpu: int, epoch: int) -> int:
    """Put the value of a prefix: 0 or -errno."""
    bits = load32(key)
    size = load64(m + KEY_SIZE) - 4
    if flags > EXIST or bits > size * 8:
        return -EINVAL
    code = prefix_hash(key + 4, size, bits)
    entry = find_prefix(m, key + 4, size, bits, code)
    fresh = entry == NOTHING
    if fresh:
        if flags == EXIST:
            return -ENOENT
        if load64(m + COUNT) >= load64(m + MAX_ENTRIES):
            return -ENOSPC
        entry = take(m, epoch)
        if entry == NOTHING:
            return -ENOMEM
    elif flags == NOEXIST:
        return -EEXIST
    copy(m + load64(m + VALUES) + entry * load64(m + STRIDE), value, load64(m + VALUE_SIZE))
    copy(m + load64(m + KEYS) + entry * load64(m + KEY_STRIDE), key, size + 4)
    if fresh:
        insert(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry)
        append(m, entry, code)
        count_length(m, bits, 1)
        enlist(m, key)
    return 0


@restricted
def delete(m: int, key: int, epoch: int) -> int:
    """Take a prefix out: 0 or -errno."""
    bits = load32(key)
    size = load64(m + KEY_SIZE) - 4
    if bits > size * 8:
        return -EINVAL
    code = prefix_hash(key + 4, size, bits)
    entry = find_prefix(m, key + 4, size, bits, code)
    if entry == NOTHING:
        return -ENOENT
    remove(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry)
    withdraw(m, entry)
    give(m, entry, epoch)
    count_length(m, bits, -1)
    stale = load64(m + STALE) + 1
    store64(m + STALE, stale)
    # As often as it pays: making them anew costs as much as some hundred updates.
    if stale > load64(m + COUNT) + 1024:
        renew(m)
    return 0
