"""The packet of a run, as helpers read, change and resize it."""

from __future__ import annotations

from drybpf.helpers.errno import EFAULT
from drybpf.state import Context


def load_bytes(context: Context, offset: int, length: int) -> bytes | None:
    """Bytes of the packet from its first one on; None where they do not lie in it."""
    begin, end = context.state.packet
    inside = offset >= 0 and begin + offset + length <= end
    return context.read(begin + offset, length) if inside else None


def store_bytes(context: Context, offset: int, data: bytes) -> int:
    """Change bytes of the packet; 0 or -EFAULT."""
    begin, end = context.state.packet
    if begin + offset + len(data) > end:
        return -EFAULT
    context.write(begin + offset, data)
    return 0


def packet_length(context: Context) -> int:
    """The packet's length."""
    begin, end = context.state.packet
    return end - begin


def whole_packet(context: Context) -> bytes:
    """The packet's bytes."""
    begin, end = context.state.packet
    return context.read(begin, end - begin)


def resize(context: Context, offset: int, remove: int, insert: int) -> None:
    """Take bytes out of the packet at an offset, and put zeros there.

    What lies before the offset moves where the headroom allows, else what lies behind it; where
    the buffer is too small, the packet gets a larger one.
    """
    data = whole_packet(context)
    changed = data[:offset] + bytes(insert) + data[offset + remove :]
    state, frame = context.state, context.memory.packet_frame
    begin, end = state.packet
    if frame is None:  # the program could not write, so nothing was to be moved
        raise ValueError("this run's packet cannot be resized")
    first, last = begin + remove - insert, end
    if first < frame.origin:
        first = frame.origin
        last = first + len(changed)
    if last > frame.limit:
        frame.extend(last - frame.limit)
    if offset >= len(data):  # at the end, the beginning stays
        first, last = begin, begin + len(changed)
        if last > frame.limit:
            frame.extend(last - frame.limit)
    state.move_packet(first, first, last)
    context.write(first, changed)
