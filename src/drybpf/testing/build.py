"""Packets made by hand: bytes of each header, with lengths and checksums that fit.

Each function takes the payload first and gives the header with it, so that they nest:
`ethernet(ipv4(udp(b"hi", dport=53)))`.  Addresses are text (`"10.0.0.1"`) or bytes.  What does not
fit its field is a `ValueError`; fields may well lie.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Self

IPV4, ARP, VLAN, QINQ, IPV6 = 0x0800, 0x0806, 0x8100, 0x88A8, 0x86DD  # types of Ethernet
ICMP, IPIP, TCP, UDP, IPV6_IN_IP, GRE, ICMPV6 = 1, 4, 6, 17, 41, 47, 58  # protocols of IP
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60  # extension headers of IPv6
VXLAN_PORT, GENEVE_PORT = 4789, 6081
MAC_A, MAC_B = "02:00:00:00:00:01", "02:00:00:00:00:02"

Address = str | bytes


def checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    total = sum(
        int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big") for at in range(0, len(data), 2)
    )
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pack(layout: str, *values: int) -> bytes:
    """Fields as bytes.  Raises `ValueError` for numbers that do not fit."""
    try:
        return struct.pack(layout, *values)
    except struct.error as error:
        raise ValueError(f"{values} do not fit the fields {layout}: {error}") from None


def mac(address: Address) -> bytes:
    """The six bytes of a MAC address."""
    data = address if isinstance(address, bytes) else bytes.fromhex(address.replace(":", ""))
    return _of_size(data, address, 6, "a MAC address")


def ip(address: Address) -> bytes:
    """The bytes of an IPv4 or IPv6 address."""
    if isinstance(address, bytes):
        return address
    return (IPv6Address(address) if ":" in address else IPv4Address(address)).packed


def _ipv4(address: Address) -> bytes:
    return _of_size(ip(address), address, 4, "an IPv4 address")


def _ipv6(address: Address) -> bytes:
    return _of_size(ip(address), address, 16, "an IPv6 address")


def _of_size(data: bytes, given: Address, size: int, what: str) -> bytes:
    if len(data) != size:
        raise ValueError(f"{given!r} is not {what}")
    return data


def _type_of(payload: bytes) -> int:
    """The type of Ethernet that a payload looks like."""
    return IPV6 if payload[:1] and payload[0] >> 4 == 6 else IPV4


def ethernet(
    payload: bytes = b"",
    *,
    src: Address = MAC_A,
    dst: Address = MAC_B,
    type: int | None = None,  # noqa: A002 (what the header calls it)
) -> bytes:
    """An Ethernet frame, without its checksum; the type is that of the IP packet in it."""
    return mac(dst) + mac(src) + pack(">H", _type_of(payload) if type is None else type) + payload


def vlan(frame: bytes, vid: int = 1, *, pcp: int = 0, type: int = VLAN) -> bytes:  # noqa: A002
    """An Ethernet frame with a tag (IEEE 802.1Q) put in front of those that it has."""
    return frame[:12] + pack(">HH", type, pcp << 13 | vid & 0xFFF) + frame[12:]


def arp(
    *,
    operation: int = 1,
    sha: Address = MAC_A,
    spa: Address = "10.0.0.1",
    tha: Address = bytes(6),
    tpa: Address = "10.0.0.2",
) -> bytes:
    """An ARP packet for IPv4 on Ethernet."""
    return pack(">HHBBH", 1, IPV4, 6, 4, operation) + mac(sha) + _ipv4(spa) + mac(tha) + _ipv4(tpa)


def ipv4(
    payload: bytes = b"",
    *,
    src: Address = "10.0.0.1",
    dst: Address = "10.0.0.2",
    protocol: int | None = None,
    options: bytes = b"",
    ttl: int = 64,
    tos: int = 0,
    id: int = 0,  # noqa: A002 (what the header calls it)
    fragment: int = 0,
    total_length: int | None = None,
    ihl: int | None = None,
) -> bytes:
    """An IPv4 packet (RFC 791); `fragment` is the 16 bits of flags and offset.

    Options are padded to 32-bit words.  The protocol is that of a payload made by this module.
    The checksum of TCP and UDP is put in.
    """
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4
    number = _protocol(payload) if protocol is None else protocol
    length = 4 * words + len(payload) if total_length is None else total_length
    head = bytearray(
        pack(
            ">BBHHHBBH",
            0x40 | (words if ihl is None else ihl) & 15,
            tos,
            length & 0xFFFF,
            id,
            fragment,
            ttl,
            number,
            0,
        )
    )
    head += _ipv4(src) + _ipv4(dst) + options
    head[10:12] = pack(">H", checksum(bytes(head)))
    pseudo = ip(src) + ip(dst) + pack(">BBH", 0, number, len(payload))
    return bytes(head) + _with_checksum(payload, number, pseudo, fragment & 0x1FFF == 0)


def ipv6(
    payload: bytes = b"",
    *,
    src: Address = "fd00::1",
    dst: Address = "fd00::2",
    next_header: int | None = None,
    extensions: tuple[tuple[int, bytes], ...] = (),
    hop_limit: int = 64,
    flow: int = 0,
    payload_length: int | None = None,
) -> bytes:
    """An IPv6 packet (RFC 8200); `extensions` are the numbers and contents of extension headers.

    A content is what follows the two bytes of next header and length; it is padded to 8 bytes.
    """
    number = _protocol(payload, ICMPV6) if next_header is None else next_header
    pseudo = _ipv6(src) + _ipv6(dst) + pack(">IHBB", len(payload), 0, 0, number)
    body = _with_checksum(payload, number, pseudo, True)
    following = number
    for kind, content in reversed(extensions):
        body = _extension(kind, content, following) + body
        following = kind
    length = len(body) if payload_length is None else payload_length
    head = pack(">IHBB", 6 << 28 | flow & 0xFFFFFFF, length & 0xFFFF, following, hop_limit)
    return head + _ipv6(src) + _ipv6(dst) + body


def _extension(kind: int, content: bytes, following: int) -> bytes:
    if kind == FRAGMENT:
        return bytes([following, 0]) + content[:6].ljust(6, b"\0")
    content += bytes(-(len(content) + 2) % 8)
    return bytes([following, (len(content) + 2) // 8 - 1 & 0xFF]) + content


class _Segment(bytes):
    """What goes into an IP packet, and the protocol number that says so."""

    protocol = 0

    def __new__(cls, data: bytes, protocol: int) -> Self:
        """Remember the number."""
        made = super().__new__(cls, data)
        made.protocol = protocol
        return made


def _protocol(payload: bytes, icmp: int = ICMP) -> int:
    number = payload.protocol if isinstance(payload, _Segment) else 59 if icmp == ICMPV6 else 253
    return icmp if number == ICMP else number


def _with_checksum(payload: bytes, number: int, pseudo: bytes, whole: bool) -> bytes:
    """Put in the checksum of a transport header that was made here, which still has none."""
    place = {TCP: 16, UDP: 6, ICMPV6: 2}.get(number)
    if not isinstance(payload, _Segment) or place is None or not whole:
        return payload
    if len(payload) < place + 2 or payload[place : place + 2] != b"\0\0":
        return payload
    value = checksum(pseudo + payload) or (0xFFFF if number == UDP else 0)
    return payload[:place] + pack(">H", value) + payload[place + 2 :]


def tcp(
    payload: bytes = b"",
    *,
    sport: int = 40000,
    dport: int = 80,
    seq: int = 0,
    ack: int = 0,
    flags: int = 0x02,
    window: int = 65535,
    options: bytes = b"",
    data_offset: int | None = None,
) -> bytes:
    """A TCP segment (RFC 9293), by default a SYN; options are padded to 32-bit words."""
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    head = pack(">HHIIBBHHH", sport, dport, seq, ack, (words & 15) << 4, flags, window, 0, 0)
    return _Segment(head + options + payload, TCP)


def udp(
    payload: bytes = b"", *, sport: int = 40000, dport: int = 53, length: int | None = None
) -> bytes:
    """A UDP datagram (RFC 768)."""
    size = 8 + len(payload) if length is None else length
    return _Segment(pack(">HHHH", sport, dport, size & 0xFFFF, 0) + payload, UDP)


def icmp(payload: bytes = b"", *, type: int = 8, code: int = 0, rest: int = 0) -> bytes:  # noqa: A002
    """An ICMP message (RFC 792); within `ipv6` an ICMPv6 one: give its type (128 for an echo)."""
    head = pack(">BBHI", type, code, 0, rest)
    value = checksum(head + payload) if type < 128 else 0
    return _Segment(head[:2] + pack(">H", value) + head[4:] + payload, ICMP)


def tunnelled(packet: bytes) -> bytes:
    """An IP packet as the payload of another (RFC 2003, RFC 4213)."""
    return _Segment(packet, IPV6_IN_IP if _type_of(packet) == IPV6 else IPIP)


def gre(packet: bytes, *, key: int | None = None, protocol: int | None = None) -> bytes:
    """An IP packet in GRE (RFC 2784; with a key, RFC 2890)."""
    kind = _type_of(packet) if protocol is None else protocol
    head = pack(">HH", 0 if key is None else 0x2000, kind)
    return _Segment(head + (b"" if key is None else pack(">I", key)) + packet, GRE)


def vxlan(frame: bytes, vni: int = 1, *, sport: int = 50000) -> bytes:
    """An Ethernet frame in VXLAN (RFC 7348) in UDP."""
    return udp(pack(">II", 0x08 << 24, vni << 8) + frame, sport=sport, dport=VXLAN_PORT)
