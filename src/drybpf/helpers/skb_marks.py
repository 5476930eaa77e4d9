"""What a socket buffer carries beside its bytes: hash and time stamp."""

from __future__ import annotations

from zlib import crc32

from drybpf.helpers.arguments import field, set_field, u32
from drybpf.helpers.errno import EINVAL, EOPNOTSUPP
from drybpf.helpers.packet import whole_packet
from drybpf.helpers.skb import skb_of
from drybpf.helpers.skb_bytes import clear_hash
from drybpf.helpers.skb_shape import protocol
from drybpf.state import Context

_IPV4, _IPV6 = 0x0800, 0x86DD
_WITH_PORTS = (6, 17, 33, 132, 136)  # TCP, UDP, DCCP, SCTP, UDP-Lite
_REALTIME, _TAI = 0, 2


def get_hash_recalc(context: Context, *_: int) -> int:
    """The packet's hash, made from its flow where it has none.

    The kernel's depends on a secret; this one is the same in every run, and as there the same in
    both directions of a flow.
    """
    skb = skb_of(context)
    if not skb.hashed and not field(context, "hash"):
        set_field(context, "hash", flow_hash(whole_packet(context), protocol(context), skb.network))
        skb.hashed = True
    return field(context, "hash")


def flow_hash(packet: bytes, kind: int, network: int) -> int:
    """A hash of a packet's addresses, protocol and ports, never 0."""
    header = packet[network:]
    flow = [header[:64]]
    if kind == _IPV4 and len(header) >= 20:
        behind = header[(header[0] & 15) * 4 :]
        fragment = int.from_bytes(header[6:8], "big") & 0x1FFF
        flow = _flow(header[12:16], header[16:20], header[9], b"" if fragment else behind)
    elif kind == _IPV6 and len(header) >= 40:
        flow = _flow(header[8:24], header[24:40], header[6], header[40:])
    return crc32(b"".join(flow)) or 1


def _flow(source: bytes, target: bytes, transport: int, behind: bytes) -> list[bytes]:
    ports = (behind[0:2], behind[2:4]) if transport in _WITH_PORTS else (b"", b"")
    ends = sorted([source + ports[0], target + ports[1]])
    return [*ends, bytes([transport])]


def set_hash_invalid(context: Context, *_: int) -> int:
    """Forget the packet's hash, so that it is made anew."""
    clear_hash(context)
    return 0


def set_hash(context: Context, _skb: int, value: int, *_: int) -> int:
    """Set the packet's hash."""
    set_field(context, "hash", value)
    skb_of(context).hashed = True
    return 0


def skb_set_tstamp(context: Context, _skb: int, when: int, kind: int, *_: int) -> int:
    """Set when the packet is to be sent, and by which clock; 0 or a negative error."""
    if protocol(context) not in (_IPV4, _IPV6):
        return -EOPNOTSUPP
    if u32(kind) > _TAI:
        return -EINVAL
    if u32(kind) != _REALTIME and not when:
        return -EINVAL
    set_field(context, "tstamp", when)
    set_field(context, "tstamp_type", u32(kind))
    return 0
