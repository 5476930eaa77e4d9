"""Which prefixes there are, as a trie that takes six bits a step.

A node says with a bit each which of its 64 children are there and which of the 63 prefixes of zero
to five bits below it; a prefix of b bits p is bit `1 << b | p`, so a higher bit is a longer prefix.
Children lie side by side, in the order of their bits, in a block of a power of two of nodes:

    +0 children   +8 prefixes   +16 number of the first child
    +24 of one of the prefixes, the number of its bit << 32 | its entry + 1

Where there is one prefix alone below, it is not followed further: its node is a leaf, without bits,
that has LEAF << 32 | entry + 1 there, and the prefix is in the entry's key.

Data is taken in words of 64 bits, of which the eleventh step takes the last four, so that no step
looks at two words.  Node 1 is the root.  A free block's first word is the number of the next one.
"""

from __future__ import annotations

from drybpf.maps.algorithms.index import ENTRY
from drybpf.maps.algorithms.prefixes import same_prefix, word
from drybpf.maps.algorithms.words import zero
from drybpf.maps.layout import (
    CAPACITY,
    FREE_BLOCKS,
    FREE_CLASSES,
    FRESH_NODE,
    KEY_SIZE,
    KEY_STRIDE,
    KEYS,
    LAST_NODE,
    NODES,
)
from drybpf.native.restricted import load32, load64, restricted, store64

ENTRY_KNOWN = 1 << 63
LEAF = 64
NODE = 32
ROOT = 1
STEPS = 11  # of a word


@restricted
def swapped(value: int) -> int:
    """The bytes of a number in the opposite order."""
    value = value >> 8 & 0x00FF_00FF_00FF_00FF | (value & 0x00FF_00FF_00FF_00FF) << 8
    value = value >> 16 & 0x0000_FFFF_0000_FFFF | (value & 0x0000_FFFF_0000_FFFF) << 16
    return value >> 32 | value << 32


@restricted
def ones(value: int) -> int:
    """How many bits are set."""
    value = value - (value >> 1 & 0x5555_5555_5555_5555)
    value = (value & 0x3333_3333_3333_3333) + (value >> 2 & 0x3333_3333_3333_3333)
    value = value + (value >> 4) & 0x0F0F_0F0F_0F0F_0F0F
    return value * 0x0101_0101_0101_0101 >> 56


@restricted
def top(value: int) -> int:
    """The number of the highest bit that is set."""
    number = 0
    rest = value >> 1
    while rest:
        rest = rest >> 1
        number += 1
    return number


@restricted
def covering(chunk: int) -> int:
    """The prefixes, as a node has them, of six bits."""
    bits = 2 | 1 << (chunk >> 5 | 2) | 1 << (chunk >> 4 | 4)
    return bits | 1 << (chunk >> 3 | 8) | 1 << (chunk >> 2 | 16) | 1 << (chunk >> 1 | 32)


@restricted
def key_of(m: int, entry: int) -> int:
    """The address of an entry's key; of some entry's, whatever the number."""
    if entry >= load64(m + CAPACITY):
        entry = 0
    return m + load64(m + KEYS) + entry * load64(m + KEY_STRIDE)


@restricted
def answer(node: int, hits: int, length: int) -> int:
    """What `longest` gives for some prefixes of a node, which begin at a length."""
    if not hits:
        return 0
    bit = top(hits)
    known = load64(node + 24)
    if known >> 32 == bit:
        return known & ENTRY | ENTRY_KNOWN
    return length + top(bit) + 1


@restricted
def longest(m: int, data: int, size: int, limit: int) -> int:
    """The longest prefix of `size` bytes, at most `limit` bits long: 0 where there is none.

    Either its length + 1, or ENTRY_KNOWN | its entry + 1.
    """
    nodes = m + load64(m + NODES)
    last = load64(m + LAST_NODE)
    node = nodes + ROOT * NODE
    begin = data
    whole = size
    length = 0
    found = 0
    hits = 0
    holder = node
    while 1:
        window = swapped(word(data, size))
        step = 0
        while step < STEPS:
            if length > limit:
                return answer(holder, hits, found)
            chunk = window >> 58
            here = load64(node + 8) & covering(chunk)
            if length + 5 > limit:
                here = here & (1 << (2 << limit - length)) - 1
            if here:
                hits = here
                found = length
                holder = node
            children = load64(node)
            if not children >> chunk & 1:
                known = load64(node + 24)
                if known >> 32 == LEAF:
                    key = key_of(m, (known & ENTRY) - 1)
                    bits = load32(key)
                    if bits <= limit and same_prefix(key + 4, begin, whole, bits):
                        return known & ENTRY | ENTRY_KNOWN
                return answer(holder, hits, found)
            number = load64(node + 16) + ones(children & (1 << chunk) - 1)
            if number > last:
                return 0
            node = nodes + number * NODE
            window = window << 6
            length += 6
            step += 1
        length -= 2
        data += 8
        size -= 8
    return 0


@restricted
def chunk_of(data: int, size: int, depth: int) -> int:
    """The six bits of some data that a step takes."""
    skipped = depth // STEPS * 8
    return swapped(word(data + skipped, size - skipped)) << depth % STEPS * 6 >> 58


@restricted
def depth_of(bits: int) -> int:
    """The number of steps to the node that has the prefixes of a length."""
    return (bits >> 6) * STEPS + (bits & 63) // 6


@restricted
def bit_of(data: int, size: int, bits: int) -> int:
    """The number of a prefix's bit in its node."""
    more = (bits & 63) % 6
    return 1 << more | chunk_of(data, size, depth_of(bits)) >> 6 - more


@restricted
def node_at(m: int, number: int) -> int:
    """The address of a node; of the root for a number that is none."""
    if number > load64(m + LAST_NODE):
        number = ROOT
    return m + load64(m + NODES) + number * NODE


@restricted
def child(m: int, node: int, chunk: int) -> int:
    """The address of a child, 0 where there is none."""
    children = load64(node)
    if not children >> chunk & 1:
        return 0
    return node_at(m, load64(node + 16) + ones(children & (1 << chunk) - 1))


@restricted
def room_for(count: int) -> int:
    """The class of the blocks for some nodes: 1 << class of them fit."""
    if count <= 1:
        return 0
    return top(count - 1) + 1


@restricted
def take_block(m: int, room: int) -> int:
    """The number of the first node of a block, 0 where there is none left."""
    place = m + FREE_BLOCKS + room * 8
    head = load64(place)
    if head:
        store64(place, load64(node_at(m, head)))
        return head
    fresh = load64(m + FRESH_NODE)
    if fresh + ROOT + (1 << room) > load64(m + LAST_NODE):
        return 0
    store64(m + FRESH_NODE, fresh + (1 << room))
    return fresh + ROOT + 1


@restricted
def give_block(m: int, number: int, room: int) -> int:
    """Keep a block for the next that wants one of its class."""
    place = m + FREE_BLOCKS + room * 8
    store64(node_at(m, number), load64(place))
    store64(place, number)
    return 0


@restricted
def move(m: int, source: int, to: int) -> int:
    """Copy a node."""
    old = node_at(m, source)
    new = node_at(m, to)
    store64(new, load64(old))
    store64(new + 8, load64(old + 8))
    store64(new + 16, load64(old + 16))
    store64(new + 24, load64(old + 24))
    return 0


@restricted
def add_child(m: int, node: int, chunk: int) -> int:
    """Make a child that is not there; gives its address, 0 where there is no room."""
    children = load64(node)
    count = ones(children)
    rank = ones(children & (1 << chunk) - 1)
    old = load64(node + 16)
    new = old
    if not count or count == 1 << room_for(count):
        new = take_block(m, room_for(count + 1))
        if not new:
            return 0
    at = count
    while at > rank:
        at -= 1
        move(m, old + at, new + at + 1)
    if new != old:
        while at:
            at -= 1
            move(m, old + at, new + at)
        if count:
            give_block(m, old, room_for(count))
    store64(node, children | 1 << chunk)
    store64(node + 16, new)
    made = node_at(m, new + rank)
    zero(made, NODE)
    return made


@restricted
def remove_child(m: int, node: int, chunk: int) -> int:
    """Take out a child, which is empty; half of the block goes where that is free now."""
    children = load64(node)
    count = ones(children) - 1
    first = load64(node + 16)
    at = ones(children & (1 << chunk) - 1)
    while at < count:
        move(m, first + at + 1, first + at)
        at += 1
    store64(node, children & ~(1 << chunk))
    if not count:
        give_block(m, first, 0)
    elif count == 1 << room_for(count):
        give_block(m, first + count, room_for(count))
    return 0


@restricted
def unfold(m: int, node: int, depth: int) -> int:
    """Make a leaf a node like others, with its prefix in or below it: 1, or 0 without room."""
    entry = (load64(node + 24) & ENTRY) - 1
    key = key_of(m, entry)
    bits = load32(key)
    size = load64(m + KEY_SIZE) - 4
    store64(node + 24, 0)
    if depth_of(bits) == depth:
        bit = bit_of(key + 4, size, bits)
        store64(node + 8, 1 << bit)
        store64(node + 24, bit << 32 | entry + 1)
        return 1
    below = add_child(m, node, chunk_of(key + 4, size, depth))
    if not below:
        return 0
    store64(below + 24, LEAF << 32 | entry + 1)
    return 1


@restricted
def add(m: int, data: int, size: int, bits: int, entry: int) -> int:
    """Put a prefix in, which is an entry's: 1, or 0 where there is no room.

    After a 0, another prefix may be missing, and the trie has to be made anew.
    """
    node = node_at(m, ROOT)
    end = depth_of(bits)
    depth = 0
    while 1:
        if load64(node + 24) >> 32 == LEAF and not unfold(m, node, depth):
            return 0
        if depth >= end:
            break
        chunk = chunk_of(data, size, depth)
        below = child(m, node, chunk)
        if not below:
            below = add_child(m, node, chunk)
            if not below:
                return 0
            store64(below + 24, LEAF << 32 | entry + 1)
            return 1
        node = below
        depth += 1
    bit = bit_of(data, size, bits)
    store64(node + 8, load64(node + 8) | 1 << bit)
    store64(node + 24, bit << 32 | entry + 1)
    return 1


@restricted
def exchange(m: int, data: int, size: int, bits: int, entry: int) -> int:
    """Let a prefix that is there be another entry's."""
    node = node_at(m, ROOT)
    end = depth_of(bits)
    depth = 0
    while depth < end and load64(node + 24) >> 32 != LEAF:
        node = child(m, node, chunk_of(data, size, depth))
        if not node:
            return 0
        depth += 1
    bit = LEAF
    if load64(node + 24) >> 32 != LEAF:
        bit = bit_of(data, size, bits)
    if load64(node + 24) >> 32 == bit:
        store64(node + 24, bit << 32 | entry + 1)
    return 1


@restricted
def remove(m: int, data: int, size: int, bits: int) -> int:
    """Take a prefix out, and the nodes that led to nothing else."""
    node = node_at(m, ROOT)
    end = depth_of(bits)
    # The last node before the prefix's own that leads to something else too, and its depth.
    kept = node
    level = 0
    depth = 0
    while depth < end and load64(node + 24) >> 32 != LEAF:
        children = load64(node)
        if load64(node + 8) or children & children - 1:
            kept = node
            level = depth
        node = child(m, node, chunk_of(data, size, depth))
        if not node:
            return 0
        depth += 1
    end = depth
    bit = LEAF
    if load64(node + 24) >> 32 != LEAF:
        bit = bit_of(data, size, bits)
        store64(node + 8, load64(node + 8) & ~(1 << bit))
    if load64(node + 24) >> 32 == bit:
        store64(node + 24, 0)
    if load64(node) or load64(node + 8) or not end:
        return 0
    lead = chunk_of(data, size, level)
    node = child(m, kept, lead)
    while level + 1 < end and node:
        # A block of one node; freed, it keeps all but its first word.
        below = load64(node + 16)
        give_block(m, below, 0)
        node = node_at(m, below)
        level += 1
    remove_child(m, kept, lead)
    return 0


@restricted
def forget(m: int) -> int:
    """Take all prefixes out."""
    zero(node_at(m, ROOT), NODE)
    store64(m + FRESH_NODE, 0)
    room = 0
    while room < FREE_CLASSES:
        store64(m + FREE_BLOCKS + room * 8, 0)
        room += 1
    return 0
