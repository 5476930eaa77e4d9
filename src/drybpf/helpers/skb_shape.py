"""Changing a socket buffer's length, headers, VLAN tag and kind."""

from __future__ import annotations

from drybpf.helpers.arguments import field, s32, set_field, u32
from drybpf.helpers.errno import EALREADY, EFAULT, EINVAL, ENOMEM, ENOTSUPP
from drybpf.helpers.packet import load_bytes, packet_length, resize, store_bytes
from drybpf.helpers.skb import CHECKSUM_COMPLETE, CHECKSUM_NONE, CHECKSUM_UNNECESSARY, skb_of
from drybpf.helpers.skb_bytes import clear_hash
from drybpf.state import Context

MOST = 16384 - 320  # bytes of a packet that helpers make: the kernel's SKB_MAX_ALLOC
_IPV4, _IPV6 = 0x0800, 0x86DD
_VLANS = (0x8100, 0x88A8)
_HEADERS = {_IPV4: 20, _IPV6: 40}
_VLAN = 4  # bytes of a VLAN header in the packet
_DEEPEST = 8  # VLAN headers, of which the kernel gives up: VLAN_MAX_DEPTH
_OTHER_HOST = 3  # the last kind of packet that programs may set


def protocol(context: Context) -> int:
    """The packet's protocol, such as 0x0800."""
    return _swapped(field(context, "protocol"))


def set_protocol(context: Context, value: int) -> None:
    """Change the packet's protocol."""
    set_field(context, "protocol", _swapped(value))


def _swapped(value: int) -> int:
    return (value & 0xFF) << 8 | value >> 8 & 0xFF


def skb_change_type(context: Context, _skb: int, kind: int, *_: int) -> int:
    """Set for whom the packet is (`PACKET_HOST`, …); 0 or -EINVAL."""
    if field(context, "pkt_type") > _OTHER_HOST or u32(kind) > _OTHER_HOST:
        return -EINVAL
    set_field(context, "pkt_type", kind)
    return 0


def skb_change_tail(context: Context, _skb: int, length: int, flags: int, *_: int) -> int:
    """Make the packet longer, with zeros, or shorter; 0 or a negative error."""
    length, skb = u32(length), skb_of(context)
    if flags or not skb.network <= length <= MOST:
        return -EINVAL
    if skb.encapsulated:
        return -ENOTSUPP
    before = packet_length(context)
    if length > before:
        resize(context, before, 0, length - before)
    elif length < before:
        resize(context, length, before - length, 0)
    if length != before and skb.checksum == CHECKSUM_COMPLETE:
        skb.checksum = CHECKSUM_NONE
    _reset_gso(context)
    return 0


def skb_change_head(context: Context, _skb: int, room: int, flags: int, *_: int) -> int:
    """Put zeros before the packet, for a new link header; 0 or -EINVAL."""
    length = packet_length(context) + u32(room)
    if flags or s32(room) < 0 or length > MOST:
        return -EINVAL
    resize(context, 0, 0, u32(room))
    skb_of(context).network += u32(room)
    return 0


def skb_change_proto(context: Context, _skb: int, to: int, flags: int, *_: int) -> int:
    """Make room for an IPv6 header in place of IPv4's, or the other way; 0 or a negative error.

    The protocol comes in network order; the headers' bytes are the program's business.
    """
    if flags:
        return -EINVAL
    before, after, skb = protocol(context), _swapped(to), skb_of(context)
    if {before, after} != {_IPV4, _IPV6}:
        return -ENOTSUPP
    if after == _IPV6:
        resize(context, skb.network, 0, 20)
    else:
        if packet_length(context) < skb.network + 20:
            return -ENOMEM
        resize(context, skb.network, 20, 0)
    set_protocol(context, after)
    clear_hash(context)
    return 0


_FIXED_GSO, _ENCAP_IPV4, _ENCAP_IPV6, _ENCAP_GRE, _ENCAP_UDP, _KEEP_SUM, _ENCAP_ETH = (
    1 << bit for bit in range(7)
)
_DECAP_IPV4, _DECAP_IPV6 = 1 << 7, 1 << 8
_ENCAP = _ENCAP_IPV4 | _ENCAP_IPV6
_DECAP = _DECAP_IPV4 | _DECAP_IPV6
_LINK_SHIFT = 56  # of the inner link header's length
_KNOWN = (
    _FIXED_GSO | _ENCAP | _ENCAP_GRE | _ENCAP_UDP | _KEEP_SUM | _ENCAP_ETH | _DECAP
    | 0xFF << _LINK_SHIFT
)  # fmt: skip
_NET, _MAC = 0, 1


def skb_adjust_room(
    context: Context, _skb: int, difference: int, mode: int, flags: int, *_: int
) -> int:
    """Make or take away room behind the network header (mode 0) or before it (1)."""
    skb, kind, change = skb_of(context), protocol(context), s32(difference)
    if flags & ~_KNOWN:
        return -EINVAL
    if abs(change) > 0xFFF:
        return -EFAULT
    if kind not in _HEADERS or u32(mode) not in (_NET, _MAC):
        return -ENOTSUPP
    least = _HEADERS[kind]
    place = skb.network + (least if u32(mode) == _NET else 0)
    if flags & _DECAP:
        if change >= 0 or flags & _DECAP == _DECAP:
            return -EINVAL
        least = 20 if flags & _DECAP_IPV4 else 40
    length = packet_length(context)
    behind = length - skb.network
    if change < 0 and behind + change < max(least, 1):
        return -ENOTSUPP
    if change >= 0 and length + change > MOST:
        return -ENOTSUPP
    error = (
        _shrink(context, place, -change, flags)
        if change < 0
        else _grow(context, place, change, flags)
    )
    if not error and not flags & _KEEP_SUM and skb.checksum == CHECKSUM_UNNECESSARY:
        skb.checksum, skb.level = CHECKSUM_NONE, 0
    return -error


def _grow(context: Context, place: int, count: int, flags: int) -> int:
    """Put zeros into the packet; 0 or an error."""
    skb, inner_link = skb_of(context), flags >> _LINK_SHIFT
    if flags & _ENCAP:
        if flags & _ENCAP == _ENCAP or (flags & _ENCAP_GRE and flags & _ENCAP_UDP):
            return EINVAL
        if flags & _ENCAP_ETH and inner_link < 14:
            return EINVAL
        if skb.encapsulated:
            return EALREADY
        if inner_link > count:
            return EINVAL
    if place > packet_length(context):
        return ENOMEM
    resize(context, place, 0, count)
    if flags & _ENCAP:
        skb.encapsulated = True
        set_protocol(context, _IPV6 if flags & _ENCAP_IPV6 else _IPV4)
    return 0


def _shrink(context: Context, place: int, count: int, flags: int) -> int:
    """Take bytes out of the packet; 0 or an error."""
    if flags & ~(_FIXED_GSO | _DECAP | _KEEP_SUM):
        return EINVAL
    if place + count > packet_length(context):
        return ENOMEM
    resize(context, place, count, 0)
    if flags & _DECAP:
        set_protocol(context, _IPV6 if flags & _DECAP_IPV6 else _IPV4)
    return 0


def _reset_gso(context: Context) -> None:
    for name in ("gso_segs", "gso_size"):
        set_field(context, name, 0)


def skb_vlan_push(context: Context, _skb: int, kind: int, tag: int, *_: int) -> int:
    """Tag the packet; a tag that it has already goes into its bytes.  0 or a negative error.

    The kind comes in network order; what is no kind of VLAN counts as 0x8100.
    """
    wanted = _swapped(kind)
    if field(context, "vlan_present"):
        outer = _swapped(field(context, "vlan_proto"))
        resize(context, 12, 0, _VLAN)
        header = outer.to_bytes(2, "big") + (field(context, "vlan_tci") & 0xFFFF).to_bytes(2, "big")
        store_bytes(context, 12, header)
        set_protocol(context, outer)
    _set_tag(context, wanted if wanted in _VLANS else _VLANS[0], tag & 0xFFFF)
    return 0


def _set_tag(context: Context, kind: int, tag: int) -> None:
    set_field(context, "vlan_present", 1)
    set_field(context, "vlan_proto", _swapped(kind))
    set_field(context, "vlan_tci", tag)


def skb_vlan_pop(context: Context, *_: int) -> int:
    """Take the outer VLAN tag off; one that follows in the bytes takes its place."""
    if field(context, "vlan_present"):
        for name in ("vlan_present", "vlan_proto", "vlan_tci"):
            set_field(context, name, 0)
    else:
        if protocol(context) not in _VLANS:
            return 0
        if _pop_header(context) is None:
            return -ENOMEM
    kind = protocol(context)
    if kind not in _VLANS:
        return 0
    tag = _pop_header(context)
    if tag is None:
        return -ENOMEM
    _set_tag(context, kind, tag)
    return 0


def _pop_header(context: Context) -> int | None:
    """Take a VLAN header out of the bytes; its tag, or None where the packet is too short."""
    header = load_bytes(context, 14, _VLAN)
    if header is None:
        return None
    kind = int.from_bytes(header[2:], "big")
    if kind < 0x600:
        kind = 1 if load_bytes(context, 18, 2) == b"\xff\xff" else 4
    resize(context, 12, _VLAN, 0)
    set_protocol(context, kind)
    return int.from_bytes(header[:2], "big")


def _behind_tags(context: Context) -> int:
    """The packet's protocol; behind VLAN headers where it has some."""
    kind, place, tags = protocol(context), skb_of(context).network, 0
    while kind in _VLANS:
        header, tags = load_bytes(context, place, _VLAN), tags + 1
        if header is None or tags == _DEEPEST:
            return 0
        kind, place = int.from_bytes(header[2:], "big"), place + _VLAN
    return kind


def skb_ecn_set_ce(context: Context, *_: int) -> int:
    """Mark congestion in the IP header where its sender can take it; 1 where it is marked."""
    kind, network = _behind_tags(context), skb_of(context).network
    size = _HEADERS.get(kind)
    header = load_bytes(context, network, size) if size else None
    if header is None:
        return 0
    if kind == _IPV6:
        if not header[1] & 0x30:
            return 0
        store_bytes(context, network + 1, bytes([header[1] | 0x30]))
        return 1
    ecn = (header[1] + 1) & 3
    if not ecn & 2:
        return int(not ecn)
    total = int.from_bytes(header[10:12], "little") + _swapped(0xFFFB) + _swapped(ecn)
    total = (total & 0xFFFF) + (total >> 16)
    store_bytes(context, network + 10, (total & 0xFFFF).to_bytes(2, "little"))
    store_bytes(context, network + 1, bytes([header[1] | 3]))
    return 1
