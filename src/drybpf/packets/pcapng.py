"""The block format: sections, each with a byte order and interfaces of its own, then packets.

Every block is `type, total length, body, total length`; blocks of other types are passed over.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drybpf.errors import PacketError
from drybpf.packets.packet import Packet
from drybpf.packets.pcap import ByteOrder
from drybpf.packets.source import MAXIMUM_LENGTH, Reader, Source

MAGIC = b"\x0a\x0d\x0d\x0a"  # the type of a section header, a palindrome
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_FRAME = 12  # type and both lengths
_ORDER_MAGICS: dict[bytes, ByteOrder] = {
    b"\x4d\x3c\x2b\x1a": "<",
    b"\x1a\x2b\x3c\x4d": ">",
}
_OPTION_TSRESOL, _OPTION_TSOFFSET = 9, 14


@dataclass(frozen=True, slots=True)
class _Interface:
    """What the packets of an interface need to know of it.

    A timestamp counts `1 / resolution` seconds from `offset` seconds after 1970; `snap_length` is
    0 where packets were not cut.
    """

    number: int
    link_type: int
    snap_length: int
    resolution: int
    offset: int

    def nanoseconds(self, high: int, low: int) -> int:
        """The two words of a timestamp as nanoseconds since 1970."""
        units = high << 32 | low
        return self.offset * 1_000_000_000 + units * 1_000_000_000 // self.resolution


class PcapngReader(Reader):
    """One pass over a pcapng file."""

    def __init__(self, source: Source) -> None:
        """Begin with the section header, whose type is already read."""
        super().__init__(source)
        self._order: ByteOrder = "<"
        self._interfaces: list[_Interface] = []  # of this section
        self._passed = 0  # interfaces of earlier sections
        self._packet_blocks: dict[int, Callable[[bytes], Packet]] = {
            _ENHANCED_PACKET: self._enhanced_packet,
            _SIMPLE_PACKET: self._simple_packet,
            _OLD_PACKET: self._old_packet,
        }

    def _records(self) -> Iterator[Packet]:
        block_type = MAGIC
        while block_type:
            start = self.source.offset - 4
            packet = self._block(block_type, start)
            if packet is not None:
                yield packet
            block_type = self.source.read(4)
            if 0 < len(block_type) < 4:
                self.source.take(4 - len(block_type), "the type of a block", len(block_type))

    def _block(self, type_bytes: bytes, start: int) -> Packet | None:
        """Read the rest of one block; the packet in it, if there is one."""
        try:
            if type_bytes == MAGIC:
                self._section()
                return None
            (block_type,) = self._unpack("I", type_bytes)
            total = self.source.take(4, "a block", already=4)
            make_packet = self._packet_blocks.get(block_type)
            if make_packet is not None:
                return make_packet(self._body(total, 8))
            if block_type == _INTERFACE:
                self._interface(self._body(total, 8))
            else:  # it says nothing about packets
                self.source.skip(self._total_length(total) - 8, "a block", already=8)
        except struct.error:
            raise PacketError(f"block at offset {start}: too short for its type") from None
        except PacketError as error:
            raise PacketError(f"block at offset {start}: {error}") from error
        return None

    def _unpack(self, layout: str, data: bytes, offset: int = 0) -> tuple[int, ...]:
        """Unpack in the byte order of the section; `struct.error` if `data` is too short."""
        return struct.unpack_from(self._order + layout, data, offset)

    def _total_length(self, total: bytes) -> int:
        """The total length of a block; `PacketError` if it cannot be one."""
        (length,) = self._unpack("I", total)
        if length < _FRAME or length % 4:
            raise PacketError(
                f"a block of {length} bytes; there must be at least {_FRAME}, a multiple of 4"
            )
        return length

    def _body(self, total: bytes, already: int) -> bytes:
        """The body of a block of which `already` bytes were read, the length among them."""
        length = self._total_length(total)
        if length > MAXIMUM_LENGTH:
            raise PacketError(f"a block of {length} bytes, the limit is {MAXIMUM_LENGTH}")
        if length < already + 4:
            raise PacketError("too short for its type")
        data = self.source.take(length - already, "a block", already)
        if data[-4:] != total:
            raise PacketError(
                f"the lengths at its ends differ: {length} and {self._unpack('I', data[-4:])[0]}"
            )
        return data[:-4]

    def _section(self) -> None:
        """A section header: a new byte order, and no interfaces."""
        head = self.source.take(8, "a section header", already=4)
        order = _ORDER_MAGICS.get(head[4:])
        if order is None:
            raise PacketError(f"{head[4:].hex(' ')} is no byte-order magic of a section")
        self._order = order
        major, minor = self._unpack("HH", self._body(head[:4], 12))
        if major != 1:
            raise PacketError(f"pcapng version {major}.{minor} is unknown; drybpf reads version 1")
        self._passed += len(self._interfaces)
        self._interfaces = []

    def _interface(self, body: bytes) -> None:
        """An interface description: link type, snapshot length, and the unit of its clock."""
        link_type, _, snap_length = self._unpack("HHI", body)
        resolution, offset = 1_000_000, 0
        for code, value in self._options(body, 8):
            if code == _OPTION_TSRESOL and len(value) == 1:
                base = 2 if value[0] & 0x80 else 10
                resolution = base ** (value[0] & 0x7F)
            elif code == _OPTION_TSOFFSET and len(value) == 8:
                (offset,) = self._unpack("q", value)
        number = self._passed + len(self._interfaces)
        self._interfaces.append(_Interface(number, link_type, snap_length, resolution, offset))
        self._note(link_type)

    def _options(self, body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option from `start` to the end or the end mark."""
        while start < len(body):
            code, length = self._unpack("HH", body, start)
            if code == 0:
                return
            value = body[start + 4 : start + 4 + length]
            if len(value) < length:
                raise PacketError(f"option {code} runs past the end of its block")
            yield code, value
            start += 4 + length + -length % 4

    def _enhanced_packet(self, body: bytes) -> Packet:
        interface, high, low, captured, original = self._unpack("IIIII", body)
        return self._packet(interface, (high, low), body[20:], captured, original)

    def _old_packet(self, body: bytes) -> Packet:
        """The obsolete Packet Block: half as wide an interface, then a count of drops."""
        interface, _, high, low, captured, original = self._unpack("HHIIII", body)
        return self._packet(interface, (high, low), body[20:], captured, original)

    def _simple_packet(self, body: bytes) -> Packet:
        """No time and no captured length: that is the original, if need be cut to the snapshot."""
        (original,) = self._unpack("I", body)
        snap_length = self._find_interface(0).snap_length or original
        return self._packet(0, None, body[4:], min(original, snap_length), original)

    def _packet(
        self,
        interface_id: int,
        stamp: tuple[int, int] | None,
        data: bytes,
        captured: int,
        original: int,
    ) -> Packet:
        """Cut the padding and the options off `data`."""
        interface = self._find_interface(interface_id)
        if captured > len(data):
            raise PacketError(f"a packet of {captured} bytes in a block with room for {len(data)}")
        return Packet(
            data[:captured],
            interface.nanoseconds(*stamp) if stamp else 0,
            original,
            interface.number,
            interface.link_type,
        )

    def _find_interface(self, interface_id: int) -> _Interface:
        if interface_id >= len(self._interfaces):
            raise PacketError(
                f"a packet of interface {interface_id}, "
                f"but the section has described {len(self._interfaces)}"
            )
        return self._interfaces[interface_id]
