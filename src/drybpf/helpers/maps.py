"""The helpers of maps: what the kernel checks before the map itself is asked."""

from __future__ import annotations

from typing import Any

from drybpf.helpers.arguments import map_of, refuse, u32
from drybpf.helpers.errno import EINVAL
from drybpf.maps import MapFlag, MapType
from drybpf.state import Context

_EXIST = 2  # BPF_EXIST: for queues, the oldest value makes room
_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)


def map_lookup_elem(context: Context, handle: int, key: int, *_: int) -> int:
    """The address of a key's value, the inner map where the map holds maps, or 0."""
    asked = map_of(context, handle)
    data = context.read(key, asked.definition.key_size)
    if asked.definition.type in _OF_MAPS:
        return int(asked.handle_of(data))
    return _address(asked, asked.lookup_element(data, context.state.cpu))


def map_lookup_percpu_elem(context: Context, handle: int, key: int, cpu: int, *_: int) -> int:
    """The address of a key's value for a CPU, or 0."""
    asked = map_of(context, handle)
    data = context.read(key, asked.definition.key_size)
    if u32(cpu) >= context.host.cpus:
        return 0
    return _address(asked, asked.lookup_element(data, u32(cpu)))


def _address(asked: Any, offset: int) -> int:  # noqa: ANN401 (a map)
    """Where a value lies, from what a look-up gave; 0 where programs cannot see it."""
    return 0 if offset < 0 or asked.region is None else int(asked.region.start + offset)


def _changeable(context: Context, handle: int) -> Any:  # noqa: ANN401 (a map)
    """The map of a handle; a fault where programs may only read it, which no verifier lets by."""
    found = map_of(context, handle)
    if found.definition.flags & MapFlag.RDONLY_PROG:
        raise refuse(context, f"map {found.definition.name!r} is read-only for programs")
    return found


def map_update_elem(
    context: Context, handle: int, key: int, value: int, flags: int, *_: int
) -> int:
    """Set a key's value; 0 or a negative error."""
    changed = _changeable(context, handle)
    key_bytes = context.read(key, changed.definition.key_size)
    data = context.read(value, changed.definition.value_size)
    result: int = changed.update_element(key_bytes, data, flags, context.state.cpu, _epoch(context))
    return result


def map_delete_elem(context: Context, handle: int, key: int, *_: int) -> int:
    """Delete a key; 0 or a negative error.  The value's memory stays valid for the run."""
    changed = _changeable(context, handle)
    result: int = changed.delete_element(
        context.read(key, changed.definition.key_size), _epoch(context)
    )
    return result


def _epoch(context: Context) -> int:
    return context.state.space.epoch


def map_push_elem(context: Context, handle: int, value: int, flags: int, *_: int) -> int:
    """Put a value into a queue, a stack or a Bloom filter; 0 or a negative error."""
    changed = _changeable(context, handle)
    data = context.read(value, changed.definition.value_size)
    if flags & ~_EXIST:
        return -EINVAL
    result: int = changed.push_element(data, flags)
    return result


def map_pop_elem(context: Context, handle: int, value: int, *_: int) -> int:
    """Take the next value out; 0, or a negative error and zeros where there is none."""
    changed = _changeable(context, handle)
    context.memory.check(value, changed.definition.value_size, write=True)
    result, data = changed.pop_element()
    context.write(value, data)
    return int(result)


def map_peek_elem(context: Context, handle: int, value: int, *_: int) -> int:
    """Copy the next value; of a Bloom filter, ask whether the value may be in it."""
    asked = map_of(context, handle)
    size = asked.definition.value_size
    if asked.definition.type == MapType.BLOOM_FILTER:
        return int(asked.peek_element(context.read(value, size))[0])
    context.memory.check(value, size, write=True)
    result, data = asked.peek_element()
    context.write(value, data)
    return int(result)


def kptr_xchg(context: Context, field: int, pointer: int, *_: int) -> int:
    """Put a pointer into a map's value; the result is the one that was there."""
    memory = context.memory
    memory.check(field, 8, write=True)
    before = memory.load(field, 8)
    memory.store(field, 8, pointer)
    return before
