"""Reading and changing the bytes of a socket buffer."""

from __future__ import annotations

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EFAULT
from drybpf.helpers.packet import load_bytes
from drybpf.helpers.skb import skb_of
from drybpf.state import Context

_LARGEST = (1 << 31) - 1  # the largest offset
_MAC_HEADER, _NETWORK_HEADER = 0, 1


def skb_load_bytes(context: Context, _skb: int, offset: int, to: int, length: int, *_: int) -> int:
    """Copy bytes of the packet; 0, or -EFAULT and zeros."""
    return _load(context, u32(offset), to, u32(length))


def _load(context: Context, offset: int, to: int, length: int) -> int:
    context.memory.check(to, length, write=True)
    data = load_bytes(context, offset, length) if offset <= _LARGEST else None
    context.write(to, bytes(length) if data is None else data)
    return -EFAULT if data is None else 0


def skb_load_bytes_relative(
    context: Context, _skb: int, offset: int, to: int, length: int, start: int
) -> int:
    """Copy bytes counted from the link header or the network header; 0, or -EFAULT and zeros."""
    length, offset = u32(length), u32(offset)
    context.memory.check(to, length, write=True)
    data = _load_relative(context, offset, length, u32(start)) if offset <= _LARGEST else None
    context.write(to, bytes(length) if data is None else data)
    return -EFAULT if data is None else 0


def _load_relative(context: Context, offset: int, length: int, start: int) -> bytes | None:
    skb = skb_of(context)
    if start == _NETWORK_HEADER:
        return load_bytes(context, skb.link + offset, length)
    if start != _MAC_HEADER or not (skb.link or skb.hidden):
        return None
    begin, end = context.state.packet
    frame = skb.hidden + context.read(begin, end - begin)
    return frame[offset : offset + length] if offset + length <= len(frame) else None
