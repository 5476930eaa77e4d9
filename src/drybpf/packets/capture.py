"""Opening a capture, whatever it comes from, and iterating over its packets."""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO

from drybpf.errors import PacketError
from drybpf.packets.link_types import ETHERNET
from drybpf.packets.packet import Packet
from drybpf.packets.pcap import MAGICS, PcapReader
from drybpf.packets.pcapng import MAGIC, PcapngReader
from drybpf.packets.source import Reader, Source


class Capture:
    """The packets of a capture, read while one iterates; see `read_capture`.

    A capture of a path or of bytes can be iterated again, each time from the start. One of a
    stream can be read once, as the stream itself.
    """

    def __init__(self, source: Path | bytes | BinaryIO) -> None:
        """Read up to the first packet, so that a file that is no capture is known at once."""
        self._source = source
        self._stream_packets: Iterator[Packet] | None = None
        if isinstance(source, Path | bytes):
            with _open(source) as stream:
                self._reader = _reader(stream)
                next(self._reader.packets(), None)
        else:
            self._reader = _reader(source)
            packets = self._reader.packets()
            first = tuple(islice(packets, 1))
            self._stream_packets = chain(first, packets)

    def __iter__(self) -> Iterator[Packet]:
        """Each packet; `PacketError` where the file turns out to be broken."""
        if isinstance(self._source, Path | bytes):
            return self._from_start(self._source)
        if self._stream_packets is None:
            raise ValueError("the stream has been read; a path or bytes can be read again")
        packets, self._stream_packets = self._stream_packets, None
        return packets

    def _from_start(self, source: Path | bytes) -> Iterator[Packet]:
        with _open(source) as stream:
            self._reader = _reader(stream)
            yield from self._reader.packets()

    @property
    def link_type(self) -> int:
        """The link type of the first interface: 1, Ethernet, where the file ends before it."""
        return ETHERNET if self._reader.link_type is None else self._reader.link_type

    @property
    def truncated(self) -> str | None:
        """Where the file ends too early; None if it is whole, and until that place is reached."""
        return self._reader.truncated

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know, as far as the file has been read: link types but Ethernet."""
        return self._reader.warnings


def read_capture(source: str | Path | BinaryIO | bytes | bytearray | memoryview) -> Capture:
    """Open a pcap or pcapng file: its path, its bytes, or a binary stream that stands at its start.

    Both byte orders, microseconds and nanoseconds. The packets are read lazily, in memory that
    follows what the file contains, not what it claims. A file that is cut off gives the packets
    before the cut, and `Capture.truncated`. `PacketError` if it cannot be opened, is not a regular
    file, or is no capture; while iterating, if a length or a block in it makes no sense.
    """
    if isinstance(source, str):
        return Capture(Path(source))
    if isinstance(source, bytearray | memoryview):
        return Capture(bytes(source))
    if isinstance(source, Path | bytes) or hasattr(source, "read"):
        return Capture(source)
    raise TypeError(f"a capture is a path, bytes or a binary stream, not {type(source).__name__}")


def _open(source: Path | bytes) -> BinaryIO:
    """A stream over the file or the bytes, for the caller to close."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        # Looked at first: to open a FIFO would wait for somebody to write to it.
        if not stat.S_ISREG(source.stat().st_mode):
            raise PacketError(f"{source}: not a regular file")
        return source.open("rb")
    except OSError as error:
        raise PacketError(f"{source}: {error.strerror}") from error


def _reader(stream: BinaryIO) -> Reader:
    """The reader that the first four bytes ask for."""
    source = Source(stream)
    magic = source.read(4)
    if magic in MAGICS:
        return PcapReader(source, magic)
    if magic == MAGIC:
        return PcapngReader(source)
    if len(magic) < 4:
        raise PacketError(f"no capture file: only {len(magic)} bytes")
    raise PacketError(f"no capture file: it begins with {magic.hex(' ')}, not as pcap or pcapng do")
