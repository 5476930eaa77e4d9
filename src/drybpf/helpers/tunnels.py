"""Tunnels: what one tells of the packet, and what it is told about the packet's way."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EINVAL, ENOENT, ENOMEM, EPROTO
from drybpf.helpers.skb import skb_of
from drybpf.host import TunnelInfo
from drybpf.records import TunnelSet
from drybpf.state import Context

_SIZE = 44  # bytes of a struct bpf_tunnel_key
_OLDER = (8, 22, 24, 28)  # of the same in older kernels
_IPV6, _FLAGS = 1, 1 << 4  # BPF_F_TUNINFO_IPV6, BPF_F_TUNINFO_FLAGS
_SETTABLE = 0x1F
_MOST_OPTIONS = 255


def skb_get_tunnel_key(context: Context, _skb: int, to: int, size: int, flags: int, *_: int) -> int:
    """Fill in a `struct bpf_tunnel_key`; 0, or a negative error and zeros."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    info = skb_of(context).received
    error = _refusal(info, size, flags)
    if error or info is None:
        context.write(to, bytes(size))
        return -error
    context.write(to, _pack(info, flags)[:size])
    return 0


def _refusal(info: TunnelInfo | None, size: int, flags: int) -> int:
    """Why a key cannot be given; 0 where it can."""
    if flags & ~(_IPV6 | _FLAGS) or info is None:
        return EINVAL
    if info.is_ipv6 != bool(flags & _IPV6):
        return EPROTO
    if size != _SIZE and (size not in _OLDER or (size == 8 and info.is_ipv6)):
        return EINVAL
    return 0


def _pack(info: TunnelInfo, flags: int) -> bytes:
    extra = info.flags.to_bytes(2, "big") if flags & _FLAGS else bytes(2)
    label = info.label if info.is_ipv6 else 0
    return b"".join(
        (
            u32(info.id).to_bytes(4, "little"),
            _address(info.remote),
            bytes((info.tos, info.ttl)),
            extra,
            label.to_bytes(4, "little"),
            _address(info.local),
        )
    )


def _address(text: str) -> bytes:
    """An address as the key holds it, each 32 bits in the processor's order; zeros for none."""
    packed = ip_address(text).packed if text else b""
    words = (packed[begin : begin + 4][::-1] for begin in range(0, len(packed), 4))
    return b"".join(words).ljust(16, b"\0")


def skb_set_tunnel_key(
    context: Context, _skb: int, source: int, size: int, flags: int, *_: int
) -> int:
    """Say through which tunnel the packet is to go; 0 or -EINVAL."""
    data = context.read(source, u32(size))
    if flags & ~_SETTABLE or (len(data) != _SIZE and len(data) not in _OLDER):
        return -EINVAL
    key = data.ljust(_SIZE, b"\0")
    label = int.from_bytes(key[24:28], "little")
    if (label and not flags & _IPV6) or any(key[22:24]):
        return -EINVAL
    info = TunnelInfo(
        int.from_bytes(key[:4], "little"),
        _text(key[4:20], flags),
        _text(key[28:44], flags),
        key[20],
        key[21],
        label,
        flags,
    )
    skb_of(context).sent = info
    context.record(TunnelSet(info))
    return 0


def _text(data: bytes, flags: int) -> str:
    """An address out of a key."""
    words = range(0, 16 if flags & _IPV6 else 4, 4)
    return str(ip_address(b"".join(data[begin : begin + 4][::-1] for begin in words)))


def skb_get_tunnel_opt(context: Context, _skb: int, to: int, size: int, *_: int) -> int:
    """Copy the tunnel's options; their length, or a negative error and zeros."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    info = skb_of(context).received
    options = info.options if info is not None else None
    if options is None or size < len(options):
        context.write(to, bytes(size))
        return -ENOENT if options is None else -ENOMEM
    context.write(to, options.ljust(size, b"\0"))
    return len(options)


def skb_set_tunnel_opt(context: Context, _skb: int, source: int, size: int, *_: int) -> int:
    """Give options to the tunnel that was set before; 0 or a negative error."""
    data, skb = context.read(source, u32(size)), skb_of(context)
    if skb.sent is None or len(data) % 4:
        return -EINVAL
    if len(data) > _MOST_OPTIONS:
        return -ENOMEM
    skb.sent = replace(skb.sent, options=data)
    context.record(TunnelSet(skb.sent))
    return 0
