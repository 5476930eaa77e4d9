"""Longest-prefix match: a trie finds the length of the longest prefix, a hash table its entry.

A key is its length in bits, 4 bytes, and data, the most significant bit of each byte first.
An update of a prefix that is there is a new entry in the old one's place: see `hash`.
"""

from __future__ import annotations

from drybpf.maps.algorithms.entries import append, give, link, succeed, take, withdraw
from drybpf.maps.algorithms.errno import EEXIST, EINVAL, ENOENT, ENOMEM, ENOSPC, EXIST, NOEXIST
from drybpf.maps.algorithms.index import ENTRY, exchange, insert, remove
from drybpf.maps.algorithms.prefixes import prefix_hash, same_prefix
from drybpf.maps.algorithms.trie import ENTRY_KNOWN, add, forget, longest
from drybpf.maps.algorithms.trie import exchange as exchange_prefix
from drybpf.maps.algorithms.trie import remove as remove_prefix
from drybpf.maps.algorithms.words import copy
from drybpf.maps.layout import (
    CAPACITY,
    COUNT,
    HEAD,
    INDEX,
    INDEX_MASK,
    KEY_SIZE,
    KEY_STRIDE,
    KEYS,
    MAX_ENTRIES,
    NOTHING,
    STRIDE,
    VALUE_SIZE,
    VALUES,
)
from drybpf.native.restricted import load32, load64, restricted


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
def search(m: int, key: int, size: int) -> int:
    """The entry of the longest prefix of a key, or NOTHING; its data has `size` bytes."""
    limit = load32(key)
    if limit > size * 8:
        return NOTHING
    data = key + 4
    bits = longest(m, data, size, limit) - 1
    if bits & ENTRY_KNOWN:
        # Of nothing found, too, since 0 - 1 has that bit: no entry has such a number.
        entry = bits ^ ENTRY_KNOWN
        if entry < load64(m + CAPACITY):
            return entry
        return NOTHING
    return find_prefix(m, data, size, bits, prefix_hash(data, size, bits))


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
def renew(m: int) -> int:
    """Make the trie anew of the entries: what was scattered is together again."""
    forget(m)
    size = load64(m + KEY_SIZE) - 4
    at = load64(m + HEAD)
    left = load64(m + CAPACITY)
    while at and left:
        if at <= load64(m + CAPACITY):
            key = m + load64(m + KEYS) + (at - 1) * load64(m + KEY_STRIDE)
            add(m, key + 4, size, load32(key), at - 1)
        at = load32(link(m, at - 1))
        left -= 1
    return 0


@restricted
def write(m: int, entry: int, key: int, value: int) -> int:
    """Write key and value of an entry."""
    copy(m + load64(m + VALUES) + entry * load64(m + STRIDE), value, load64(m + VALUE_SIZE))
    copy(m + load64(m + KEYS) + entry * load64(m + KEY_STRIDE), key, load64(m + KEY_SIZE))
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
    if entry != NOTHING:
        if flags == NOEXIST:
            return -EEXIST
        other = take(m, epoch)
        if other == NOTHING:
            return -ENOMEM
        write(m, other, key, value)
        exchange(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry, other)
        exchange_prefix(m, key + 4, size, bits, other)
        succeed(m, entry, other)
        give(m, entry, epoch)
        return 0
    if flags == EXIST:
        return -ENOENT
    if load64(m + COUNT) >= load64(m + MAX_ENTRIES):
        return -ENOSPC
    entry = take(m, epoch)
    if entry == NOTHING:
        return -ENOMEM
    if not add(m, key + 4, size, bits, entry):
        renew(m)
        if not add(m, key + 4, size, bits, entry):
            renew(m)
            give(m, entry, NOTHING)
            return -ENOMEM
    write(m, entry, key, value)
    insert(m + load64(m + INDEX), load64(m + INDEX_MASK), code, entry)
    append(m, entry, code)
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
    remove_prefix(m, key + 4, size, bits)
    return 0
