"""Queues and stacks: the items in a ring, the oldest at number CONSUMED, COUNT of them."""

from __future__ import annotations

from drybpf.maps.algorithms.errno import E2BIG, EINVAL, ENOENT, EXIST, NOEXIST
from drybpf.maps.algorithms.words import copy
from drybpf.maps.layout import CONSUMED, COUNT, MAX_ENTRIES, STRIDE, VALUE_SIZE, VALUES
from drybpf.native.restricted import load64, restricted, store8, store64


@restricted
def item(m: int, number: int) -> int:
    """The address of an item, counted from the oldest."""
    size = load64(m + MAX_ENTRIES)
    return m + load64(m + VALUES) + (load64(m + CONSUMED) + number) % size * load64(m + STRIDE)


@restricted
def push(m: int, value: int, flags: int) -> int:
    """Put an item in; the flag EXIST lets the oldest go where there is no room."""
    if flags == NOEXIST or flags > EXIST:
        return -EINVAL
    count = load64(m + COUNT)
    if count >= load64(m + MAX_ENTRIES):
        if flags != EXIST:
            return -E2BIG
        store64(m + CONSUMED, (load64(m + CONSUMED) + 1) % load64(m + MAX_ENTRIES))
        count -= 1
    copy(item(m, count), value, load64(m + VALUE_SIZE))
    store64(m + COUNT, count + 1)
    return 0


@restricted
def peek(m: int, value: int, *, STACK: int) -> int:
    """Copy the next item out; zeros and -ENOENT where there is none."""
    count = load64(m + COUNT)
    if not count:
        at = 0
        while at < load64(m + VALUE_SIZE):
            store8(value + at, 0)
            at += 1
        return -ENOENT
    number = 0
    if STACK:
        number = count - 1
    copy(value, item(m, number), load64(m + VALUE_SIZE))
    return 0


@restricted
def pop(m: int, value: int, *, STACK: int) -> int:
    """Take the next item out: from a queue the oldest, from a stack the newest."""
    result = peek(m, value, STACK=STACK)
    if not result:
        if not STACK:
            store64(m + CONSUMED, (load64(m + CONSUMED) + 1) % load64(m + MAX_ENTRIES))
        store64(m + COUNT, load64(m + COUNT) - 1)
    return result


@restricted
def no_element(m: int, key: int, epoch: int) -> int:
    """There are no keys to delete."""
    return -EINVAL


@restricted
def no_update(m: int, key: int, value: int, flags: int, cpu: int, epoch: int) -> int:
    """There are no keys to update."""
    return -EINVAL
