"""The classic format: a header of 24 bytes, then records of 16 bytes and a packet."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

from drybpf.errors import PacketError
from drybpf.packets.packet import Packet
from drybpf.packets.source import MAXIMUM_LENGTH, Reader, Source

MICROSECONDS = 0xA1B2C3D4
NANOSECONDS = 0xA1B23C4D

# after the magic: version, two fields nobody fills, snapshot length, link type
HEADER = "HHiIII"
# seconds, microseconds or nanoseconds, captured length, original length
RECORD = "IIII"

ByteOrder = Literal["<", ">"]

_ORDERS: tuple[ByteOrder, ...] = ("<", ">")

# the first four bytes of a file → its byte order, and how many nanoseconds its fractions count
MAGICS: dict[bytes, tuple[ByteOrder, int]] = {
    struct.pack(order + "I", magic): (order, unit)
    for order in _ORDERS
    for magic, unit in ((MICROSECONDS, 1000), (NANOSECONDS, 1))
}


class PcapReader(Reader):
    """One pass over a pcap file."""

    def __init__(self, source: Source, magic: bytes) -> None:
        """Take byte order and unit of time from the magic, already read."""
        super().__init__(source)
        self._order, self._unit = MAGICS[magic]

    def _records(self) -> Iterator[Packet]:
        link_type = self._read_header()
        record = struct.Struct(self._order + RECORD)
        number = 0
        while head := self.source.read(record.size):
            number += 1
            what = f"packet {number}"
            if len(head) < record.size:
                self.source.take(record.size - len(head), f"the header of {what}", len(head))
            seconds, fraction, captured, original = record.unpack(head)
            if captured > MAXIMUM_LENGTH:
                raise PacketError(
                    f"{what} at offset {self.source.offset - record.size} claims {captured} bytes, "
                    f"the limit is {MAXIMUM_LENGTH}"
                )
            data = self.source.take(captured, what)
            timestamp = seconds * 1_000_000_000 + fraction * self._unit
            yield Packet(data, timestamp, original, 0, link_type)

    def _read_header(self) -> int:
        """The link type, after a look at the version."""
        header = struct.Struct(self._order + HEADER)
        fields = header.unpack(self.source.take(header.size, "the file header", already=4))
        major, minor, *_, link_type = fields
        if major != 2:
            raise PacketError(f"pcap version {major}.{minor} is unknown; drybpf reads version 2")
        link_type &= 0xFFFF  # the upper half tells of frame check sequences
        self._note(link_type)
        return int(link_type)
