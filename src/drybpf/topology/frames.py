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


def length(packet: bytes) -> int:
    """How long an IP packet says it is: what lies behind has been put there to fill a frame."""
    if packet[0] >> 4 == 4:
        return int.from_bytes(packet[2:4], "big")
    return 40 + int.from_bytes(packet[4:6], "big")


def objection(packet: bytes) -> str:
    """Why a host drops an IP packet at once, as Linux' `ip_rcv` does; empty where it does not."""
    is_old = packet[0] >> 4 == 4
    size = (packet[0] & 15) * 4 if is_old else 40
    if size < 20 or not size <= length(packet) <= len(packet):
        return "the lengths in its header are wrong"
    if is_old and csum_fold(sum32(packet[:size])):
        return "its header's checksum is wrong"
    return ""


def framed(packet: bytes, to: bytes, source: bytes) -> bytes:
    """An IP packet in an Ethernet frame."""
    kind = IPV4 if packet[0] >> 4 == 4 else IPV6
    return to + source + kind.to_bytes(2, "big") + packet


def summed(packet: bytes) -> bytes:
    """An IP packet with the checksum in its header that the host which sends it puts there."""
    size = (packet[0] & 15) * 4 if packet else 0
    if size < 20 or len(packet) < size or packet[0] >> 4 != 4:
        return packet
    header = packet[:10] + bytes(2) + packet[12:size]
    return packet[:10] + csum_fold(sum32(header)).to_bytes(2, "little") + packet[12:]


def aged(packet: bytes) -> bytes | None:
    """An IP packet after a hop; None where its time to live is over."""
    place = 8 if packet[0] >> 4 == 4 else 7
    left = packet[place]
    if left <= 1:
        return None
    return summed(packet[:place] + bytes([left - 1]) + packet[place + 1 :])


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
