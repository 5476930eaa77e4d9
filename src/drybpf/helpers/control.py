"""Helpers that call: other programs, and functions of the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drybpf.helpers.arguments import callback, map_of, refuse, u32
from drybpf.helpers.dynptr import Dynptr, store_dynptr
from drybpf.helpers.errno import E2BIG, EINVAL, ENOENT
from drybpf.helpers.looping import MAX_LOOPS, Looping
from drybpf.maps import MapType
from drybpf.state import Context, Enter, Invoke

MOST_SAMPLES = 1 << 17  # that one call takes: BPF_MAX_USER_RINGBUF_SAMPLES
_WAKEUPS = 3  # BPF_RB_NO_WAKEUP and BPF_RB_FORCE_WAKEUP


def tail_call(context: Context, _skb: int, handle: int, index: int, *_: int) -> int | Enter:
    """Run another program in place of this one, at most 33 times in a run.

    Returns, with a negative error, only where the slot is empty or the limit is reached.
    """
    programs = map_of(context, handle)
    if programs.definition.type != MapType.PROG_ARRAY:
        raise refuse(context, f"map {programs.definition.name!r} holds no programs")
    if u32(index) >= programs.definition.max_entries:
        return -ENOENT
    program = programs.get(u32(index))
    if program is None:
        return -ENOENT
    if not context.count_tail_call():
        return -ENOENT
    return Enter(program.code)


def loop(
    context: Context, times: int, function: int, argument: int, flags: int, *_: int
) -> int | Invoke:
    """Call `function(index, argument)` so many times, or until it gives other than 0.

    The result is the number of calls.
    """
    entry = callback(context, function)
    if flags:
        return -EINVAL
    if u32(times) > MAX_LOOPS:
        return -E2BIG
    return Looping(entry, 0, u32(times), argument).turn()


def for_each_map_elem(
    context: Context, handle: int, function: int, argument: int, flags: int, *_: int
) -> int | Invoke:
    """Call `function(map, key, value, argument)` for each key, until it gives other than 0.

    The result is the number of calls.  A key that is deleted before its turn is left out, and so
    is one that comes meanwhile, which the kernel's walk may meet or not.
    """
    walked = map_of(context, handle)
    entry = callback(context, function)
    if walked.region is None:
        raise refuse(context, f"map {walked.definition.name!r} has no values that programs see")
    if flags:
        return -EINVAL
    return _visit(context, walked, entry, argument, walked.keys_in_order(), 0, 0)


def _visit(
    context: Context,
    walked: Any,  # noqa: ANN401 (a map)
    entry: int,
    argument: int,
    keys: Sequence[bytes],
    index: int,
    calls: int,
) -> int | Invoke:
    """Call for the next key that is still there; the number of calls where there is none."""
    for place in range(index, len(keys)):
        offset = walked.find_element(keys[place], context.state.cpu)
        if offset < 0:
            continue
        start = context.memory.add("key", keys[place], writable=False).start
        value = walked.region.start + offset

        def then(
            after: Context, result: int, place: int = place, start: int = start
        ) -> int | Invoke:
            region = after.memory.dynamic(start)
            if region is not None:
                after.memory.unmap(region)
            if result:
                return calls + 1
            return _visit(after, walked, entry, argument, keys, place + 1, calls + 1)

        handle = walked.handle
        return Invoke(entry, (handle, start, value, argument), then)
    return calls


def user_ringbuf_drain(
    context: Context, handle: int, function: int, argument: int, flags: int, *_: int
) -> int | Invoke:
    """Call `function(dynptr, argument)` for each sample of a user's, until it gives other than 0.

    The result is the number of samples taken.
    """
    ring = map_of(context, handle)
    entry = callback(context, function)
    if ring.definition.type != MapType.USER_RINGBUF or flags & ~_WAKEUPS:
        return -EINVAL
    return _drain(context, ring, entry, argument, 0)


def _drain(
    context: Context,
    ring: Any,  # noqa: ANN401 (a map)
    entry: int,
    argument: int,
    taken: int,
) -> int | Invoke:
    sample = next(ring.events(), None) if taken < MOST_SAMPLES else None
    if sample is None:
        return taken
    data = context.memory.add("sample", sample.data, writable=False).start
    pointer = context.memory.add("dynptr", bytearray(16)).start
    store_dynptr(context, pointer, Dynptr(data, len(sample.data), read_only=True))

    def then(after: Context, result: int) -> int | Invoke:
        for address in (data, pointer):
            region = after.memory.dynamic(address)
            if region is not None:
                after.memory.unmap(region)
        return taken + 1 if result else _drain(after, ring, entry, argument, taken + 1)

    return Invoke(entry, (pointer, argument), then)


def spin_lock(context: Context, lock: int, *_: int) -> int:
    """Take a lock; on one CPU a lock that is held can only be a deadlock, which faults."""
    memory = context.memory
    memory.check(lock, 4, write=True)
    if memory.load(lock, 4):
        raise refuse(context, f"deadlock: the lock at {lock:#x} is held")
    memory.store(lock, 4, 1)
    return 0


def spin_unlock(context: Context, lock: int, *_: int) -> int:
    """Give a lock back; a fault where it is not held."""
    memory = context.memory
    memory.check(lock, 4, write=True)
    if not memory.load(lock, 4):
        raise refuse(context, f"the lock at {lock:#x} is not held")
    memory.store(lock, 4, 0)
    return 0
