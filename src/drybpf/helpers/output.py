"""Samples for user space: perf buffers and ring buffers."""

from __future__ import annotations

from drybpf.helpers.arguments import M32, map_of, refuse, u32
from drybpf.helpers.dynptr import (
    MOST,
    RINGBUF,
    Dynptr,
    clear_dynptr,
    load_dynptr,
    store_dynptr,
)
from drybpf.helpers.errno import E2BIG, EFAULT, EINVAL, ENOENT, EOPNOTSUPP
from drybpf.maps import layout
from drybpf.records import Event
from drybpf.state import Context

_CURRENT_CPU = M32  # BPF_F_CURRENT_CPU
_LENGTH_SHIFT = 32  # of the packet bytes in the flags: BPF_F_CTXLEN_MASK
_LENGTH_MASK = 0xFFFFF << _LENGTH_SHIFT
_WAKEUPS = 3  # BPF_RB_NO_WAKEUP and BPF_RB_FORCE_WAKEUP
_PACKETS = """
    xdp sched_cls sched_act socket_filter cgroup_skb lwt_in lwt_out lwt_xmit lwt_seg6local sk_skb
"""  # the types of programs whose samples can end with bytes of the packet


def perf_event_output(
    context: Context, _ctx: int, handle: int, flags: int, data: int, size: int
) -> int:
    """Send a sample through the perf buffer of a CPU; 0 or a negative error.

    The upper half of the flags is the number of the packet's bytes to append.
    """
    packets = context.state.hook.program_type in _PACKETS.split()
    return _perf_output(context, handle, flags, context.read(data, size), packets=packets)


def skb_output(context: Context, _skb: int, handle: int, flags: int, data: int, size: int) -> int:
    """Send a sample and bytes of a packet that a traced function was given."""
    return _perf_output(context, handle, flags, context.read(data, size), packets=True)


def xdp_output(context: Context, _xdp: int, handle: int, flags: int, data: int, size: int) -> int:
    """Send a sample and bytes of a packet that a traced function was given."""
    return _perf_output(context, handle, flags, context.read(data, size), packets=True)


def _perf_output(context: Context, handle: int, flags: int, data: bytes, *, packets: bool) -> int:
    buffers = map_of(context, handle)
    if flags & ~(M32 | (_LENGTH_MASK if packets else 0)):
        return -EINVAL
    begin, end = context.state.packet
    length = (flags & _LENGTH_MASK) >> _LENGTH_SHIFT
    if length > end - begin:
        return -EFAULT
    cpu = context.state.cpu if flags & M32 == _CURRENT_CPU else flags & M32
    if cpu >= (buffers.definition.max_entries or context.host.cpus):
        return -E2BIG
    if cpu >= context.host.cpus:
        return -ENOENT  # each CPU has its perf event
    if cpu != context.state.cpu:
        return -EOPNOTSUPP  # a perf event of one CPU is not written on another
    packet = context.read(begin, length)
    result = int(buffers.output(cpu, data + packet))
    if not result:
        context.record(Event(buffers.definition.name, cpu, data + packet, packet))
    return result


def ringbuf_output(context: Context, handle: int, data: int, size: int, flags: int, *_: int) -> int:
    """Copy a sample into a ring buffer; 0, -EINVAL or -EAGAIN where it is full."""
    ring, sample = map_of(context, handle), context.read(data, size)
    if flags & ~_WAKEUPS:
        return -EINVAL
    result = int(ring.output(sample, flags))
    if not result:
        context.record(Event(ring.definition.name, context.state.cpu, sample))
    return result


def ringbuf_reserve(context: Context, handle: int, size: int, flags: int, *_: int) -> int:
    """The address of `size` bytes of a new sample, or 0 where there is no room."""
    return 0 if flags else _reserve(context, handle, size)


def _reserve(context: Context, handle: int, size: int) -> int:
    """A sample of the ring's own memory as a region of just its size; 0 where there is no room."""
    ring = map_of(context, handle)
    offset = int(ring.reserve(size))
    if offset < 0:
        return 0
    region = context.memory.add(ring.definition.name, ring.region.data[offset : offset + size])
    context.state.hook.reservations[region.start] = (handle, offset)
    return region.start


def ringbuf_submit(context: Context, sample: int, _flags: int, *_: int) -> int:
    """Hand a reserved sample over; the program can no longer access it."""
    _finish(context, sample, submit=True)
    return 0


def ringbuf_discard(context: Context, sample: int, _flags: int, *_: int) -> int:
    """Give a reserved sample up; the program can no longer access it."""
    _finish(context, sample, submit=False)
    return 0


def _finish(context: Context, sample: int, *, submit: bool) -> None:
    state = context.state
    if sample not in state.hook.reservations:
        raise refuse(context, f"{sample:#x} is no reserved sample")
    handle, offset = state.hook.reservations.pop(sample)
    ring, region = map_of(context, handle), context.memory.dynamic(sample)
    data = b""
    if region is not None:
        data = bytes(region.data)
        context.memory.unmap(region)
    if submit:
        ring.submit(offset)
        context.record(Event(ring.definition.name, state.cpu, data))
    else:
        ring.discard(offset)


def ringbuf_query(context: Context, handle: int, flags: int, *_: int) -> int:
    """What is known of a ring: 0 bytes unread, 1 its size, 2 and 3 both positions."""
    ring = map_of(context, handle)
    produced, consumed = (
        int.from_bytes(ring.storage[word : word + 8], "little")
        for word in (layout.PRODUCED, layout.CONSUMED)
    )
    size = ring.definition.max_entries
    known = {0: produced - consumed, 1: size, 2: consumed, 3: produced}
    return int(known.get(flags, 0))


def ringbuf_reserve_dynptr(
    context: Context, handle: int, size: int, flags: int, pointer: int, *_: int
) -> int:
    """Reserve a sample as a dynptr; 0 or a negative error and a null dynptr."""
    context.memory.check(pointer, 16, write=True)
    if flags or u32(size) > MOST:
        clear_dynptr(context, pointer)
        return -EINVAL if flags else -E2BIG
    sample = _reserve(context, handle, u32(size))
    if not sample:
        clear_dynptr(context, pointer)
        return -EINVAL
    store_dynptr(context, pointer, Dynptr(sample, u32(size), kind=RINGBUF))
    return 0


def ringbuf_submit_dynptr(context: Context, pointer: int, _flags: int, *_: int) -> int:
    """Hand over what a dynptr reserved."""
    return _finish_dynptr(context, pointer, submit=True)


def ringbuf_discard_dynptr(context: Context, pointer: int, _flags: int, *_: int) -> int:
    """Give up what a dynptr reserved."""
    return _finish_dynptr(context, pointer, submit=False)


def _finish_dynptr(context: Context, pointer: int, *, submit: bool) -> int:
    context.memory.check(pointer, 16, write=True)
    dynptr = load_dynptr(context, pointer)
    if dynptr.data:
        _finish(context, dynptr.data, submit=submit)
    clear_dynptr(context, pointer)
    return 0
