"""The rules of examples/firewall/xdp_firewall.c once more, in Python: what a frame should get."""

from __future__ import annotations

ABORTED, DROP, PASS, TX = 0, 1, 2, 3


def expected(frame: bytes) -> tuple[int, bytes]:
    """Verdict, and the frame as it is afterwards."""
    if len(frame) < 14:
        return ABORTED, frame
    ether_type, packet = int.from_bytes(frame[12:14]), frame[14:]
    if ether_type == 0x0806:
        return PASS, frame
    if ether_type == 0x0800:
        return _ipv4(frame, packet)
    if ether_type == 0x86DD:
        return _ipv6(frame, packet)
    return DROP, frame


def _ipv4(frame: bytes, packet: bytes) -> tuple[int, bytes]:
    if len(packet) < 20:
        return ABORTED, frame
    length = packet[0] % 16 * 4
    if packet[0] // 16 != 4 or length < 20 or length > len(packet):
        return ABORTED, frame
    if int.from_bytes(packet[6:8]) & 0x3FFF:
        return DROP, frame
    blocked = packet[16:18] == bytes([127, 66])
    action, payload = _transport(packet[9], 1, packet[length:], blocked=blocked)
    if action == TX:
        header = packet[:12] + packet[16:20] + packet[12:16] + packet[20:length]
        frame = _swapped_macs(frame) + header + payload
    return action, frame


def _ipv6(frame: bytes, packet: bytes) -> tuple[int, bytes]:
    if len(packet) < 40 or packet[0] // 16 != 6:
        return ABORTED, frame
    action, payload = _transport(packet[6], 58, packet[40:], blocked=False)
    if action == TX:
        frame = _swapped_macs(frame) + packet[:8] + packet[24:40] + packet[8:24] + payload
    return action, frame


def _transport(protocol: int, icmp: int, data: bytes, *, blocked: bool) -> tuple[int, bytes]:
    source, destination = int.from_bytes(data[:2]), int.from_bytes(data[2:4])
    if protocol == icmp:
        return PASS, data
    if protocol == 6:
        if len(data) < 20:
            return ABORTED, data
        return (DROP if destination in (23, 445) else PASS), data
    if protocol == 17:
        if len(data) < 8:
            return ABORTED, data
        if 53 in (source, destination):
            return PASS, data
        if blocked:
            return DROP, data
        if destination == 7:
            return TX, data[2:4] + data[:2] + data[4:]
        return PASS, data
    return DROP, data


def _swapped_macs(frame: bytes) -> bytes:
    return frame[6:12] + frame[:6] + frame[12:14]
