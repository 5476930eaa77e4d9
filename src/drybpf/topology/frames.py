"""Ethernet frames and IP packets, as far as hosts must read and change them to send them on."""

from __future__ import annotations

from ipaddress import ip_address

from drybpf.helpers.checksums import csum_fold, sum32

ETHERNET, IPV4, IPV6 = 14, 0x0800, 0x86DD
VLANS = (0x8100, 0x88A8)


def protocol(frame: bytes) -> int:
    """What an Ethernet frame carries."""
    return int.from_bytes(frame[12:14], "big")


def target(packet: bytes) -> str:
    """The address that an IP packet goes to; empty where it is none."""
    version = packet[0] >> 4 if packet else 0
    if version == 4 and len(packet) >= 20:
        return str(ip_address(packet[16:20]))
    return str(ip_address(packet[24:40])) if version == 6 and len(packet) >= 40 else ""


def framed(packet: bytes, to: bytes, source: bytes) -> bytes:
    """An IP packet in an Ethernet frame."""
    kind = IPV4 if packet[0] >> 4 == 4 else IPV6
    return to + source + kind.to_bytes(2, "big") + packet


def aged(packet: bytes) -> bytes | None:
    """An IP packet after a hop; None where its time to live is over."""
    place = 8 if packet[0] >> 4 == 4 else 7
    left = packet[place]
    if left <= 1:
        return None
    changed = bytearray(packet)
    changed[place] = left - 1
    if place == 8:
        size = (packet[0] & 15) * 4
        changed[10:12] = bytes(2)
        changed[10:12] = csum_fold(sum32(bytes(changed[:size]))).to_bytes(2, "little")
    return bytes(changed)


def untagged(frame: bytes) -> tuple[bytes, dict[str, int]]:
    """A frame without its outer VLAN tag, and the fields of `__sk_buff` that tell it."""
    kind = protocol(frame)
    if kind not in VLANS or len(frame) < ETHERNET + 4:
        return frame, {}
    tag = int.from_bytes(frame[14:16], "big")
    return frame[:12] + frame[16:], {"vlan_present": 1, "vlan_proto": kind, "vlan_tci": tag}


def tagged(frame: bytes, kind: int, tag: int) -> bytes:
    """A frame with a VLAN tag in its bytes."""
    return frame[:12] + kind.to_bytes(2, "big") + tag.to_bytes(2, "big") + frame[12:]
