"""Writing packets as a pcap file."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from drybpf.errors import PacketError
from drybpf.packets.link_types import ETHERNET, link_type_name
from drybpf.packets.packet import Packet
from drybpf.packets.pcap import HEADER, MICROSECONDS, NANOSECONDS, RECORD
from drybpf.packets.source import MAXIMUM_LENGTH

_SNAP_LENGTH = 1 << 18  # what capture tools write when they cut nothing


def write_capture(
    target: str | Path | BinaryIO,
    packets: Iterable[Packet],
    link_type: int = ETHERNET,
    *,
    nanoseconds: bool | None = None,
) -> None:
    """Write `packets` as little-endian pcap to a path or a binary stream.

    The file counts nanoseconds if `nanoseconds` is true, microseconds (rounded down) if it is
    false; None looks at all the packets first, and so keeps them in memory, to choose
    microseconds where that loses nothing. `PacketError` for a packet that the format cannot hold
    (a time before 1970 or after 2106, a length beyond the limit, a link type other than that of
    the file) and for a path that cannot be written; `ValueError` for a link type beyond 16 bits.
    """
    if not 0 <= link_type < 1 << 16:
        raise ValueError(f"a link type is 0 to {(1 << 16) - 1}, not {link_type}")
    if nanoseconds is None:
        packets = tuple(packets)
        nanoseconds = any(packet.timestamp_ns % 1000 for packet in packets)
    records = _records(packets, link_type, nanoseconds)
    if not isinstance(target, str | Path):
        target.writelines(records)
        return
    try:
        with Path(target).open("wb") as stream:
            stream.writelines(records)
    except OSError as error:
        raise PacketError(f"{target}: {error.strerror}") from error


def _records(packets: Iterable[Packet], link_type: int, nanoseconds: bool) -> Iterator[bytes]:
    """The header of the file, then each packet with its header."""
    magic, unit = (NANOSECONDS, 1) if nanoseconds else (MICROSECONDS, 1000)
    yield struct.pack("<I" + HEADER, magic, 2, 4, 0, 0, _SNAP_LENGTH, link_type)
    for number, packet in enumerate(packets, 1):
        seconds, fraction = divmod(packet.timestamp_ns, 1_000_000_000)
        reason = _objection(packet, seconds, link_type)
        if reason:
            raise PacketError(f"packet {number}: {reason}")
        lengths = len(packet.data), packet.original_length
        yield struct.pack("<" + RECORD, seconds, fraction // unit, *lengths) + packet.data


def _objection(packet: Packet, seconds: int, link_type: int) -> str | None:
    """Why the format cannot hold a packet, None if it can."""
    if not 0 <= seconds < 1 << 32:
        return f"time {packet.timestamp_ns} ns does not fit the 32-bit seconds of pcap"
    if len(packet.data) > MAXIMUM_LENGTH:
        return f"{len(packet.data)} bytes, the limit is {MAXIMUM_LENGTH}"
    if not 0 <= packet.original_length < 1 << 32:
        return f"original length {packet.original_length} does not fit 32 bits"
    if packet.link_type != link_type:
        ours, theirs = link_type_name(packet.link_type), link_type_name(link_type)
        return f"link type {ours} in a file of {theirs}"
    return None
