"""Hypothesis strategies for frames, valid ones and broken ones.

`frames()` gives whatever a network may bring, `broken()` what an attacker may send; the others are
their parts.  All give bytes and shrink to short and plain packets.  They need the package
`hypothesis` (`pip install drybpf[testing]`).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from drybpf.testing import build

Bytes = SearchStrategy[bytes]

_PORTS = (53, 80, 443, 7, 22, 23, 123, 445, build.VXLAN_PORT)
_VERSION_4 = ("10.0.0.1", "10.0.0.2", "127.0.0.1", "192.168.0.1", "224.0.0.1", "255.255.255.255")
_VERSION_6 = ("fd00::1", "fd00::2", "::1", "fe80::1", "ff02::1", "2001:db8::1")


def one_object(**options: Any) -> settings:  # noqa: ANN401 (those of Hypothesis)
    """Settings for a test that runs the object of its fixture on all packets: `@one_object()`.

    Hypothesis would object that the fixture is not made anew for each packet, and that the run
    in which the program is compiled takes longer than others.
    """
    return settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], **options
    )


def ports() -> SearchStrategy[int]:
    """Port numbers, well-known ones often."""
    return st.sampled_from(_PORTS) | st.integers(0, 0xFFFF)


def macs() -> Bytes:
    """MAC addresses: common ones, multicast, broadcast, any."""
    common = [
        build.mac(build.MAC_A),
        build.mac(build.MAC_B),
        b"\xff" * 6,
        bytes.fromhex("01005e000001"),
    ]
    return st.sampled_from(common) | st.binary(min_size=6, max_size=6)


def ipv4_addresses() -> Bytes:
    """IPv4 addresses."""
    return st.sampled_from(_VERSION_4).map(build.ip) | st.binary(min_size=4, max_size=4)


def ipv6_addresses() -> Bytes:
    """IPv6 addresses."""
    return st.sampled_from(_VERSION_6).map(build.ip) | st.binary(min_size=16, max_size=16)


def payloads(max_size: int = 64) -> Bytes:
    """What comes behind the headers."""
    return st.binary(max_size=max_size)


def ipv4_options() -> Bytes:
    """Options of IPv4 (RFC 791): up to 40 bytes, well formed."""
    single = st.sampled_from([b"\x01", b"\x01\x01", bytes.fromhex("94040000")])
    route = st.integers(1, 9).map(lambda n: bytes([7, 3 + 4 * n, 4]) + bytes(4 * n))
    stamp = st.integers(1, 9).map(lambda n: bytes([68, 4 + 4 * n, 5, 0]) + bytes(4 * n))
    return st.lists(single | route | stamp, max_size=4).map(lambda many: _fit(many, 40))


def tcp_options() -> Bytes:
    """Options of TCP (RFC 9293): up to 40 bytes, well formed."""
    known = ["020405b4", "01", "030307", "0402", "080a0000000100000000"]
    return st.lists(st.sampled_from([bytes.fromhex(option) for option in known]), max_size=5).map(
        lambda many: _fit(many, 40)
    )


def _fit(parts: list[bytes], most: int) -> bytes:
    """As many of the parts as have room."""
    joined = b""
    for part in parts:
        if len(joined) + len(part) <= most:
            joined += part
    return joined


def tcp(
    payload: Bytes | None = None,
    *,
    sport: SearchStrategy[int] | None = None,
    dport: SearchStrategy[int] | None = None,
) -> Bytes:
    """TCP segments, with options now and then."""
    return st.builds(
        build.tcp,
        payloads() if payload is None else payload,
        sport=ports() if sport is None else sport,
        dport=ports() if dport is None else dport,
        seq=st.integers(0, 0xFFFFFFFF),
        flags=st.sampled_from([0x02, 0x12, 0x10, 0x18, 0x04, 0x11]) | st.integers(0, 255),
        options=st.just(b"") | tcp_options(),
    )


def udp(
    payload: Bytes | None = None,
    *,
    sport: SearchStrategy[int] | None = None,
    dport: SearchStrategy[int] | None = None,
) -> Bytes:
    """UDP datagrams."""
    return st.builds(
        build.udp,
        payloads() if payload is None else payload,
        sport=ports() if sport is None else sport,
        dport=ports() if dport is None else dport,
    )


def icmp() -> Bytes:
    """ICMP messages: echo, unreachable, time exceeded, redirect."""
    kinds = st.sampled_from([8, 0, 3, 11, 5])
    return st.builds(
        build.icmp, payloads(), type=kinds, code=st.integers(0, 3), rest=st.integers(0, 0xFFFFFFFF)
    )


def icmpv6() -> Bytes:
    """ICMPv6 messages: echo and neighbour discovery."""
    kinds = st.sampled_from([128, 129, 133, 134, 135, 136])
    return st.builds(build.icmp, payloads(), type=kinds, rest=st.integers(0, 0xFFFFFFFF))


def ipv4(payload: Bytes | None = None, *, fragments: bool = True) -> Bytes:
    """IPv4 packets, with options, and unless told otherwise with fragments among them."""
    pieces = st.sampled_from([0, 0, 0x4000, 0x2000, 0x00B9]) if fragments else st.just(0)
    return st.builds(
        build.ipv4,
        tcp() | udp() | icmp() if payload is None else payload,
        src=ipv4_addresses(),
        dst=ipv4_addresses(),
        options=st.just(b"") | ipv4_options(),
        ttl=st.sampled_from([64, 1, 0, 255]),
        tos=st.integers(0, 255),
        id=st.integers(0, 0xFFFF),
        fragment=pieces,
    )


def ipv6_extensions() -> SearchStrategy[tuple[tuple[int, bytes], ...]]:
    """Extension headers of IPv6, in the order of RFC 8200 section 4.1, each at most once."""
    content = st.integers(0, 3).map(lambda n: bytes(6 + 8 * n))
    piece = st.sampled_from(
        [bytes(6), bytes.fromhex("000100000001"), bytes.fromhex("00b800000001")]
    )

    def maybe(kind: int, what: Bytes) -> SearchStrategy[list[tuple[int, bytes]]]:
        return st.just([]) | what.map(lambda data: [(kind, data)])

    parts = (
        maybe(build.HOP_BY_HOP, content),
        maybe(build.ROUTING, content),
        maybe(build.FRAGMENT, piece),
        maybe(build.DESTINATION, content),
    )
    return st.tuples(*parts).map(lambda found: tuple(chain(*found)))


def ipv6(payload: Bytes | None = None) -> Bytes:
    """IPv6 packets, with extension headers now and then."""
    return st.builds(
        build.ipv6,
        tcp() | udp() | icmpv6() if payload is None else payload,
        src=ipv6_addresses(),
        dst=ipv6_addresses(),
        extensions=st.just(()) | ipv6_extensions(),
        hop_limit=st.sampled_from([64, 1, 0, 255]),
        flow=st.integers(0, (1 << 28) - 1),
    )


def tunnels() -> Bytes:
    """IP packets with IP packets in them: IP in IP, GRE, VXLAN."""
    inner = ipv4() | ipv6()
    carried = (
        inner.map(build.tunnelled)
        | st.builds(build.gre, inner, key=st.none() | st.integers(0, 0xFFFFFFFF))
        | st.builds(build.vxlan, ethernet(inner), st.integers(0, (1 << 24) - 1))
    )
    return ipv4(carried, fragments=False) | ipv6(carried)


def arp() -> Bytes:
    """ARP requests and answers."""
    return st.builds(
        build.arp,
        operation=st.sampled_from([1, 2]),
        sha=macs(),
        spa=ipv4_addresses(),
        tpa=ipv4_addresses(),
    )


def ethernet(payload: Bytes | None = None) -> Bytes:
    """Ethernet frames around IP packets, without tags."""
    return st.builds(
        build.ethernet, ipv4() | ipv6() if payload is None else payload, src=macs(), dst=macs()
    )


def tagged(frame: Bytes | None = None) -> Bytes:
    """Ethernet frames with one tag (802.1Q) or two (802.1ad)."""
    one = st.builds(
        build.vlan,
        ethernet() if frame is None else frame,
        st.integers(0, 4095),
        pcp=st.integers(0, 7),
    )
    return one | st.builds(build.vlan, one, st.integers(0, 4095), type=st.just(build.QINQ))


def frames() -> Bytes:
    """Valid frames of every kind: ARP, IP, with tags, in tunnels, and of unknown types."""
    other = st.builds(
        build.ethernet, payloads(), src=macs(), dst=macs(), type=st.integers(0x600, 0xFFFF)
    )
    request = st.builds(build.ethernet, arp(), type=st.just(build.ARP))
    return ethernet() | tagged() | ethernet(tunnels()) | request | other


def broken(frame: Bytes | None = None) -> Bytes:
    """Frames with something wrong: cut off, bytes changed, lengths that lie, nonsense behind."""
    whole = frames() if frame is None else frame
    return st.one_of(
        whole.flatmap(_cut),
        whole.flatmap(_changed),
        _lying(),
        st.builds(lambda data, more: data + more, whole, st.binary(min_size=1, max_size=32)),
        st.binary(max_size=80),
    )


def _cut(frame: bytes) -> Bytes:
    return st.integers(0, max(len(frame) - 1, 0)).map(lambda length: frame[:length])


def _changed(frame: bytes) -> Bytes:
    if not frame:
        return st.just(frame)
    change = st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255))

    def apply(changes: list[tuple[int, int]]) -> bytes:
        data = bytearray(frame)
        for place, value in changes:
            data[place] = value
        return bytes(data)

    return st.lists(change, min_size=1, max_size=4).map(apply)


def _lying() -> Bytes:
    """Headers whose lengths are not those of what follows."""
    number, nibble = st.integers(0, 0xFFFF), st.integers(0, 15)
    segment = (
        tcp()
        | st.builds(build.tcp, payloads(), dport=ports(), data_offset=nibble)
        | st.builds(build.udp, payloads(), dport=ports(), length=number)
    )
    old: Callable[..., Any] = build.ipv4
    packet = (
        st.builds(old, segment, ihl=nibble)
        | st.builds(old, segment, total_length=number)
        | st.builds(build.ipv6, segment, payload_length=number)
        | st.builds(old, segment)
    )
    return st.builds(build.ethernet, packet)


def packets() -> Bytes:
    """Valid frames and broken ones."""
    return frames() | broken()
