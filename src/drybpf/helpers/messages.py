"""Messages that processes send, before they are sent."""

from __future__ import annotations

from drybpf.helpers.arguments import field, set_field, u32
from drybpf.helpers.errno import EINVAL
from drybpf.helpers.packet import packet_length, resize
from drybpf.records import Message
from drybpf.state import Context


def msg_apply_bytes(context: Context, _msg: int, count: int, *_: int) -> int:
    """Have the verdict count for so many bytes; 0."""
    context.record(Message("apply", u32(count)))
    return 0


def msg_cork_bytes(context: Context, _msg: int, count: int, *_: int) -> int:
    """Hold the message back until so many bytes are there; 0."""
    context.record(Message("cork", u32(count)))
    return 0


def msg_pull_data(context: Context, _msg: int, start: int, end: int, flags: int, *_: int) -> int:
    """Let the program access the bytes from `start` up to `end`; 0 or -EINVAL.

    `data` is then the address of the first of them.
    """
    start, end = u32(start), u32(end)
    begin = context.state.shape.packet_address
    if flags or end <= start or end > field(context, "size"):
        return -EINVAL
    context.state.move_packet(begin + start, begin + start, begin + end)
    return 0


def _whole(context: Context) -> None:
    """Let the program access the whole message."""
    begin = context.state.shape.packet_address
    context.state.move_packet(begin, begin, begin + field(context, "size"))


def msg_push_data(context: Context, _msg: int, start: int, count: int, flags: int, *_: int) -> int:
    """Put zeros into the message; 0 or -EINVAL."""
    start, count, size = u32(start), u32(count), field(context, "size")
    if not flags and not count:
        return 0  # wherever that is
    if flags or start > size or size + count >= 1 << 32:
        return -EINVAL
    _whole(context)
    _resize(context, start, 0, count)
    return 0


def msg_pop_data(context: Context, _msg: int, start: int, count: int, flags: int, *_: int) -> int:
    """Take bytes out of the message; 0 or -EINVAL."""
    start, count, size = u32(start), u32(count), field(context, "size")
    if not flags and not count:
        return 0  # as above
    if flags or start + count > size:
        return -EINVAL
    _whole(context)
    _resize(context, start, count, 0)
    return 0


def _resize(context: Context, place: int, remove: int, insert: int) -> None:
    """Change the message's bytes; it keeps beginning where it began."""
    before = context.state.shape.packet_address
    resize(context, place, remove, insert)
    begin, end = context.state.packet
    data = context.read(begin, end - begin)
    frame = context.memory.packet_frame
    if begin != before and frame is not None:
        if before + len(data) > frame.limit:
            frame.extend(before + len(data) - frame.limit)
        context.state.move_packet(before, before, before + len(data))
        context.write(before, data)
    set_field(context, "size", packet_length(context))
