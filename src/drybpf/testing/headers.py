"""Which header field each byte of a frame belongs to, from Ethernet to what tunnels carry.

A frame that is cut, or lies about its lengths, is named as far as its bytes go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """The bytes from `start` up to `end` of a frame, and what they are: `ipv4.ttl`."""

    start: int
    end: int
    name: str


Parser = Callable[[bytes, int], Iterator[Field]]
_VLANS = (0x8100, 0x88A8)
_DEEPEST = 16  # headers, so that a frame cannot nest for ever


def fields(frame: bytes) -> list[Field]:
    """The fields of an Ethernet frame, in order and without gaps; what is left is `payload`."""
    found = [field for field in _ethernet(frame, 0) if field.start < len(frame)]
    found = [Field(f.start, min(f.end, len(frame)), f.name) for f in found]
    end = found[-1].end if found else 0
    if end < len(frame):
        found.append(Field(end, len(frame), "payload"))
    return found


def name_at(found: list[Field], index: int) -> str:
    """The name of the field that a byte lies in."""
    return next((field.name for field in found if field.start <= index < field.end), "")


def _fixed(layer: str, layout: str) -> Callable[[int], tuple[list[Field], int]]:
    """A header of fixed fields: `dst:6 src:6`."""
    parts = [part.split(":") for part in layout.split()]

    def place(at: int) -> tuple[list[Field], int]:
        placed = []
        for name, size in parts:
            placed.append(Field(at, at + int(size), f"{layer}.{name}"))
            at += int(size)
        return placed, at

    return place


_ETHERNET = _fixed("ethernet", "dst:6 src:6 type:2")
_VLAN = _fixed("vlan", "tci:2 type:2")
_ARP = _fixed("arp", "hardware:2 protocol:2 hlen:1 plen:1 operation:2 sha:6 spa:4 tha:6 tpa:4")
_IPV4 = _fixed(
    "ipv4",
    "version_ihl:1 tos:1 total_length:2 id:2 fragment:2 ttl:1 protocol:1 checksum:2 src:4 dst:4",
)
_IPV6 = _fixed(
    "ipv6", "version_class_flow:4 payload_length:2 next_header:1 hop_limit:1 src:16 dst:16"
)
_TCP = _fixed(
    "tcp", "src_port:2 dst_port:2 seq:4 ack:4 data_offset:1 flags:1 window:2 checksum:2 urgent:2"
)
_UDP = _fixed("udp", "src_port:2 dst_port:2 length:2 checksum:2")
_ICMP = _fixed("icmp", "type:1 code:1 checksum:2 rest:4")
_ICMPV6 = _fixed("icmpv6", "type:1 code:1 checksum:2 rest:4")
_VXLAN = _fixed("vxlan", "flags:1 reserved:3 vni:3 reserved:1")
_GRE = _fixed("gre", "flags_version:2 protocol:2")


def _number(frame: bytes, at: int, size: int) -> int:
    return int.from_bytes(frame[at : at + size], "big")


def _ethernet(frame: bytes, at: int, depth: int = 0) -> Iterator[Field]:
    placed, at = _ETHERNET(at)
    yield from placed
    kind = _number(frame, at - 2, 2)
    for _ in range(4):
        if kind not in _VLANS:
            break
        placed, at = _VLAN(at)
        yield from placed
        kind = _number(frame, at - 2, 2)
    yield from _network(frame, at, kind, depth)


def _network(frame: bytes, at: int, kind: int, depth: int) -> Iterator[Field]:
    if depth > _DEEPEST or at >= len(frame):
        return
    if kind == 0x0806:
        yield from _ARP(at)[0]
    elif kind == 0x0800:
        yield from _ipv4(frame, at, depth)
    elif kind == 0x86DD:
        yield from _ipv6(frame, at, depth)


def _ipv4(frame: bytes, at: int, depth: int) -> Iterator[Field]:
    placed, behind = _IPV4(at)
    yield from placed
    length = 4 * (frame[at] & 15)
    if length > 20:
        yield Field(behind, at + length, "ipv4.options")
    later_fragment = _number(frame, at + 6, 2) & 0x1FFF
    if not later_fragment and at + 9 < len(frame):
        yield from _transport(frame, at + max(length, 20), frame[at + 9], depth)


def _ipv6(frame: bytes, at: int, depth: int) -> Iterator[Field]:
    placed, behind = _IPV6(at)
    yield from placed
    following = _number(frame, at + 6, 1)
    names = {0: "hop_by_hop", 43: "routing", 44: "fragment", 60: "destination"}
    while following in names and behind + 8 <= len(frame):
        size = 8 if following == 44 else 8 * (frame[behind + 1] + 1)
        yield Field(behind, behind + 1, f"ipv6.{names[following]}.next_header")
        yield Field(behind + 1, behind + size, f"ipv6.{names[following]}")
        following, behind = frame[behind], behind + size
    yield from _transport(frame, behind, following, depth)


def _transport(frame: bytes, at: int, protocol: int, depth: int) -> Iterator[Field]:
    if at >= len(frame):
        return
    if protocol == 6:
        placed, behind = _TCP(at)
        yield from placed
        length = 4 * (_number(frame, at + 12, 1) >> 4)
        if length > 20:
            yield Field(behind, at + length, "tcp.options")
    elif protocol == 17:
        placed, behind = _UDP(at)
        yield from placed
        if _number(frame, at + 2, 2) == 4789 and behind < len(frame):
            placed, behind = _VXLAN(behind)
            yield from placed
            yield from _ethernet(frame, behind, depth + 1)
    elif protocol in (1, 58):
        yield from (_ICMP if protocol == 1 else _ICMPV6)(at)[0]
    elif protocol in (4, 41):
        yield from _network(frame, at, 0x0800 if protocol == 4 else 0x86DD, depth + 1)
    elif protocol == 47:
        placed, behind = _GRE(at)
        yield from placed
        flags = _number(frame, at, 2)
        extra = 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
        if extra:
            yield Field(behind, behind + extra, "gre.options")
        yield from _network(frame, behind + extra, _number(frame, at + 2, 2), depth + 1)
