"""Reading bytes from files that may be shorter than they claim, and both readers' common base."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import BinaryIO

from drybpf.errors import PacketError
from drybpf.packets.link_types import ETHERNET, link_type_name
from drybpf.packets.packet import Packet

MAXIMUM_LENGTH = 1 << 24  # of a packet or block, in bytes; more than any capture tool writes
_CHUNK = 1 << 16  # a length is only a claim: read in pieces, so that memory follows the file


class Cut(Exception):
    """The file ends in the middle of something; never leaves this package."""


class Source:
    """A binary stream and the offset in it, counted from where it stood at first."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read from where the stream stands."""
        self._stream = stream
        self.offset = 0

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only where the file ends."""
        chunks: list[bytes] = []
        while size:
            try:
                chunk = self._stream.read(min(size, _CHUNK))
            except (OSError, EOFError, zlib.error) as error:  # the last two: of a GzipFile
                reason = getattr(error, "strerror", None) or error
                raise PacketError(f"offset {self.offset}: {reason}") from error
            if not chunk:
                break
            if not isinstance(chunk, bytes | bytearray | memoryview):
                kind = type(chunk).__name__
                raise TypeError(f"a capture is read from a binary stream; this one gives {kind}")
            chunks.append(chunk)
            size -= len(chunk)
            self.offset += len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def take(self, size: int, what: str, already: int = 0) -> bytes:
        """Exactly `size` bytes of `what`, of which `already` bytes were read before; else `Cut`."""
        data = self.read(size)
        if len(data) < size:
            raise self._cut(what, len(data) + already, size + already)
        return data

    def skip(self, size: int, what: str, already: int = 0) -> None:
        """Pass over what `take` would give, without keeping it."""
        rest = size
        while rest:
            done = len(self.read(min(rest, _CHUNK)))
            if not done:
                raise self._cut(what, size - rest + already, size + already)
            rest -= done

    def _cut(self, what: str, have: int, want: int) -> Cut:
        start = self.offset - have
        return Cut(f"the file ends inside {what} at offset {start}: {have} of {want} bytes")


class Reader(ABC):
    """One pass over one capture; what it has learnt so far stands in its attributes."""

    def __init__(self, source: Source) -> None:
        """Stand behind the first four bytes, which chose the format."""
        self.source = source
        self.truncated: str | None = None
        self.link_type: int | None = None
        self._foreign: dict[int, None] = {}

    @property
    def warnings(self) -> tuple[str, ...]:
        """A line for each link type met so far that is not Ethernet."""
        return tuple(
            f"link type {link_type_name(number)} is not Ethernet: its packets run as raw bytes"
            for number in self._foreign
        )

    def packets(self) -> Iterator[Packet]:
        """Each packet; a file that ends early sets `truncated`, a broken one is a `PacketError`."""
        try:
            yield from self._records()
        except Cut as cut:
            self.truncated = str(cut)

    @abstractmethod
    def _records(self) -> Iterator[Packet]:
        """Read until the end of the file or a `Cut`."""

    def _note(self, link_type: int) -> None:
        """Remember the first link type, and each that is not Ethernet."""
        if self.link_type is None:
            self.link_type = link_type
        if link_type != ETHERNET:
            self._foreign[link_type] = None
