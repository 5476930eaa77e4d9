"""Reading and changing the bytes of a socket buffer."""

from __future__ import annotations

from drybpf.helpers.arguments import set_field, u32
from drybpf.helpers.checksums import add32, sum32
from drybpf.helpers.errno import EFAULT, EINVAL, ENOMEM
from drybpf.helpers.packet import load_bytes, packet_length, store_bytes
from drybpf.helpers.skb import CHECKSUM_COMPLETE, SkbState, skb_of
from drybpf.state import Context

_LARGEST = (1 << 31) - 1  # the largest offset
_MAC_HEADER, _NETWORK_HEADER = 0, 1
_RECOMPUTE, _INVALIDATE_HASH = 1, 2  # BPF_F_RECOMPUTE_CSUM, BPF_F_INVALIDATE_HASH


def skb_load_bytes(context: Context, _skb: int, offset: int, to: int, length: int, *_: int) -> int:
    """Copy bytes of the packet; 0, or -EFAULT and zeros."""
    offset, length = u32(offset), u32(length)
    context.memory.check(to, length, write=True)
    return _give(context, to, length, load_bytes(context, offset, length))


def skb_load_bytes_relative(
    context: Context, _skb: int, offset: int, to: int, length: int, start: int
) -> int:
    """Copy bytes counted from the link header or the network header; 0, or -EFAULT and zeros."""
    offset, length = u32(offset), u32(length)
    context.memory.check(to, length, write=True)
    return _give(context, to, length, _load_relative(context, offset, length, u32(start)))


def _give(context: Context, to: int, length: int, data: bytes | None) -> int:
    context.write(to, bytes(length) if data is None else data)
    return -EFAULT if data is None else 0


def _load_relative(context: Context, offset: int, length: int, start: int) -> bytes | None:
    skb = context.state.hook
    if not isinstance(skb, SkbState):
        return None  # an sk_reuseport program's packet, of which no header but transport's is there
    if start == _NETWORK_HEADER:
        return load_bytes(context, skb.network + offset, length)
    if start != _MAC_HEADER or not (skb.network or skb.hidden):
        return None
    begin, end = context.state.packet
    frame = skb.hidden + context.read(begin, end - begin)
    return frame[offset : offset + length] if offset + length <= len(frame) else None


def skb_store_bytes(
    context: Context, _skb: int, offset: int, source: int, length: int, flags: int
) -> int:
    """Copy bytes into the packet; 0 or a negative error."""
    return store(context, u32(offset), context.read(source, u32(length)), flags)


def store(context: Context, offset: int, data: bytes, flags: int) -> int:
    """Change bytes of a socket buffer, with the flags of `bpf_skb_store_bytes`."""
    if flags & ~(_RECOMPUTE | _INVALIDATE_HASH):
        return -EINVAL
    before = load_bytes(context, offset, len(data)) if offset <= _LARGEST else None
    if before is None:
        return -EFAULT
    result = store_bytes(context, offset, data)
    skb = skb_of(context)
    if flags & _RECOMPUTE and skb.checksum == CHECKSUM_COMPLETE:
        removed = ~sum32(_aligned(before, offset)) & 0xFFFF_FFFF
        skb.complete = add32(add32(skb.complete, removed), sum32(_aligned(data, offset)))
    if flags & _INVALIDATE_HASH:
        clear_hash(context)
    return result


def _aligned(data: bytes, offset: int) -> bytes:
    """Bytes as they count in a sum that begins at an even place."""
    return b"\0" + data if offset % 2 else data


def clear_hash(context: Context) -> None:
    """Forget the packet's hash."""
    set_field(context, "hash", 0)
    skb_of(context).hashed = False


def skb_pull_data(context: Context, _skb: int, length: int, *_: int) -> int:
    """Make bytes directly accessible, which they always are; -ENOMEM beyond the packet."""
    return -ENOMEM if u32(length) > packet_length(context) else 0
