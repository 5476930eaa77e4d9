"""What tracing programs ask about the place that they are attached to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from drybpf.helpers.arguments import map_of, u32
from drybpf.helpers.errno import E2BIG, EEXIST, EFAULT, EINVAL, ENOENT, EOPNOTSUPP
from drybpf.maps import MapFlag
from drybpf.state import Context

_CURRENT_CPU = 0xFFFF_FFFF
_FRAME = 32  # bytes of a frame with the build id of its file: struct bpf_stack_build_id
_NO_BUILD_ID = 2  # BPF_STACK_BUILD_ID_IP: the status where there is none
_SKIP, _USER, _FAST, _REUSE, _BUILD_ID = 0xFF, 1 << 8, 1 << 9, 1 << 10, 1 << 11


def perf_event_read(context: Context, handle: int, flags: int, *_: int) -> int:
    """The value of a counter in a slot of a perf event array, or a negative error."""
    return _counter(context, handle, flags)


def perf_event_read_value(
    context: Context, handle: int, flags: int, to: int, size: int, *_: int
) -> int:
    """Copy a counter, and twice the time that it has run; 0, or an error and zeros."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    value = _counter(context, handle, flags) if size == 24 else -EINVAL
    if value < 0:
        context.write(to, bytes(size))
        return value
    _give_counter(context, to, value)
    return 0


def perf_prog_read_value(context: Context, _ctx: int, to: int, size: int, *_: int) -> int:
    """The same of the counter that the program is attached to."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    if size != 24:
        context.write(to, bytes(size))
        return -EINVAL
    _give_counter(context, to, context.host.counters.get(-1, 0))
    return 0


def _give_counter(context: Context, to: int, value: int) -> None:
    running = context.host.clock().to_bytes(8, "little")
    context.write(to, value.to_bytes(8, "little") + running + running)


def _counter(context: Context, handle: int, flags: int) -> int:
    events = map_of(context, handle)
    if flags & ~_CURRENT_CPU:
        return -EINVAL
    index = context.state.cpu if u32(flags) == _CURRENT_CPU else u32(flags)
    if index >= events.definition.max_entries:
        return -E2BIG
    return context.host.counters.get(index, -ENOENT)


def get_stackid(context: Context, _ctx: int, handle: int, flags: int, *_: int) -> int:
    """Put the call stack into a map of stack traces; its slot there, or a negative error."""
    traces = map_of(context, handle)
    if flags & ~(_SKIP | _USER | _FAST | _REUSE):
        return -EINVAL
    by_file = traces.definition.flags & MapFlag.STACK_BUILD_ID
    depth = traces.definition.value_size // (_FRAME if by_file else 8)
    addresses = _stack(context, flags)[:depth]
    if not addresses:
        return -EFAULT
    data = _pack(addresses, by_file=bool(by_file))
    entries = 1 << (traces.definition.max_entries - 1).bit_length()
    slot = crc32(data) % min(entries, traces.definition.max_entries)
    return _keep(traces, slot, data.ljust(traces.definition.value_size, b"\0"), flags)


def _keep(traces: Any, slot: int, data: bytes, flags: int) -> int:  # noqa: ANN401 (a map)
    key = slot.to_bytes(4, "little")
    offset = traces.lookup_element(key)
    if offset >= 0:
        known = bytes(traces.store.buffer[offset : offset + len(data)])
        if known == data:
            return slot
        if not flags & _REUSE:
            return -EEXIST
    traces.fill_entry(key, data)
    return slot


def get_stack(context: Context, _ctx: int, to: int, size: int, flags: int, *_: int) -> int:
    """Copy the call stack, 8 or 32 bytes a frame; the bytes copied, or an error and zeros."""
    return _give_stack(context, to, u32(size), flags)


def get_task_stack(context: Context, _task: int, to: int, size: int, flags: int, *_: int) -> int:
    """The same of a task, here always the current one."""
    return _give_stack(context, to, u32(size), flags)


def _give_stack(context: Context, to: int, size: int, flags: int) -> int:
    context.memory.check(to, size, write=True)
    by_file = flags & _BUILD_ID
    frame = _FRAME if by_file else 8
    if flags & ~(_SKIP | _USER | _BUILD_ID) or size % frame or (by_file and not flags & _USER):
        context.write(to, bytes(size))
        return -EINVAL
    whole = _stack(context, flags & ~_SKIP)
    if not whole or len(whole) < flags & _SKIP:
        context.write(to, bytes(size))
        return -EFAULT
    data = _pack(_stack(context, flags)[: size // frame], by_file=bool(by_file))
    context.write(to, data.ljust(size, b"\0"))
    return len(data)


def _stack(context: Context, flags: int) -> Sequence[int]:
    process = context.host.process
    return (process.user_stack if flags & _USER else process.stack)[flags & _SKIP :]


def _pack(addresses: Sequence[int], *, by_file: bool = False) -> bytes:
    """Addresses as they are, or as `struct bpf_stack_build_id`.

    The simulated process has no files, so that these have the addresses, too, and say so.
    """
    head = _NO_BUILD_ID.to_bytes(4, "little") + bytes(20) if by_file else b""
    return b"".join(head + address.to_bytes(8, "little") for address in addresses)


def get_func_ip(context: Context, *_: int) -> int:
    """The address of the function that the program is attached to."""
    return context.state.hook.place.function


def get_attach_cookie(context: Context, *_: int) -> int:
    """The number that was given when the program was attached."""
    return context.state.hook.place.cookie


def get_func_arg(context: Context, ctx: int, number: int, to: int, *_: int) -> int:
    """Copy an argument of the traced function; 0 or -EINVAL."""
    context.memory.check(to, 8, write=True)
    if u32(number) >= context.state.hook.place.arguments:
        return -EINVAL
    context.memory.store(to, 8, context.memory.load(ctx + 8 * u32(number), 8))
    return 0


def get_func_ret(context: Context, ctx: int, to: int, *_: int) -> int:
    """Copy what the traced function has returned; 0, or -EOPNOTSUPP before it has."""
    context.memory.check(to, 8, write=True)
    place = context.state.hook.place
    if not place.returned:
        return -EOPNOTSUPP
    context.memory.store(to, 8, context.memory.load(ctx + 8 * place.arguments, 8))
    return 0


def get_func_arg_cnt(context: Context, *_: int) -> int:
    """How many arguments the traced function has."""
    return context.state.hook.place.arguments


def per_cpu_ptr(context: Context, pointer: int, cpu: int, *_: int) -> int:
    """The address of a CPU's copy of a kernel variable: the same here for each, 0 beyond them."""
    return pointer if u32(cpu) < context.host.cpus else 0


def this_cpu_ptr(_: Context, pointer: int, *_rest: int) -> int:
    """The address of the run's CPU's copy of a kernel variable."""
    return pointer
