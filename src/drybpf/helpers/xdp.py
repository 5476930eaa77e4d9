"""The helpers of XDP programs that look at their packet or move its ends."""

from __future__ import annotations

from drybpf.helpers.arguments import s32, u32
from drybpf.helpers.errno import EACCES, EFAULT, EINVAL
from drybpf.memory import CONTEXT
from drybpf.state import Context

FRAME = 40  # bytes before the headroom that belong to the kernel: its struct xdp_frame
ETHERNET = 14  # a packet is never made shorter than its link header
MOST_METADATA = 255
_MOST = 0xFFFF  # the largest offset and length that are looked at


def _bounds(context: Context) -> tuple[int, int, int]:
    """The addresses of the metadata, of the packet's first byte and behind its last."""
    begin, end = context.state.packet
    return begin - metadata_length(context), begin, end


def metadata_length(context: Context) -> int:
    """The bytes of metadata before an XDP program's packet."""
    region = context.memory.at(CONTEXT)
    begin, _ = context.state.packet
    return begin - int.from_bytes(region.data[8:12], "little") if region else 0


def _hard_start(context: Context) -> int:
    frame = context.memory.packet_frame
    return (frame.origin if frame else context.state.packet[0]) + FRAME


def xdp_adjust_head(context: Context, _xdp: int, delta: int, *_: int) -> int:
    """Move the packet's first byte by `delta`, its metadata with it; 0 or -EINVAL."""
    low, data, high = _bounds(context)
    to = data + s32(delta)
    if to < _hard_start(context) + data - low or to > high - ETHERNET:
        return -EINVAL
    metadata = context.read(low, data - low)
    context.state.move_packet(to - len(metadata), to, high)
    context.write(to - len(metadata), metadata)
    return 0


def xdp_adjust_tail(context: Context, _xdp: int, delta: int, *_: int) -> int:
    """Move the packet's end by `delta`; what is new is zero.  0 or -EINVAL."""
    low, data, high = _bounds(context)
    frame = context.memory.packet_frame
    to = high + s32(delta)
    if to > (frame.limit if frame else high) or to < data + ETHERNET:
        return -EINVAL
    context.state.move_packet(low, data, to)
    if to > high:
        context.write(high, bytes(to - high))
    return 0


def xdp_adjust_meta(context: Context, _xdp: int, delta: int, *_: int) -> int:
    """Move the beginning of the metadata by `delta`; 0, -EINVAL or -EACCES."""
    low, data, high = _bounds(context)
    to = low + s32(delta)
    if to < _hard_start(context) or to > data:
        return -EINVAL
    if (data - to) % 4 or data - to > MOST_METADATA:
        return -EACCES
    context.state.move_packet(to, data, high)
    return 0


def xdp_get_buff_len(context: Context, *_: int) -> int:
    """The packet's length."""
    begin, end = context.state.packet
    return end - begin


def _place(context: Context, offset: int, length: int) -> int:
    """The address of some bytes of the packet, or a negative error."""
    begin, end = context.state.packet
    if offset > _MOST or length > _MOST:
        return -EFAULT
    return begin + offset if begin + offset + length <= end else -EINVAL


def xdp_load_bytes(context: Context, _xdp: int, offset: int, to: int, length: int, *_: int) -> int:
    """Copy bytes out of the packet; 0 or a negative error."""
    length = u32(length)
    context.memory.check(to, length, write=True)
    place = _place(context, u32(offset), length)
    if place < 0:
        return place
    context.write(to, context.read(place, length))
    return 0


def xdp_store_bytes(
    context: Context, _xdp: int, offset: int, source: int, length: int, *_: int
) -> int:
    """Copy bytes into the packet; 0 or a negative error."""
    data = context.read(source, u32(length))
    place = _place(context, u32(offset), len(data))
    if place < 0:
        return place
    context.write(place, data)
    return 0
