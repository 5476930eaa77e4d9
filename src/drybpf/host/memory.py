"""Memory of the kernel and of processes, as tracing programs read it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator


class HostMemory:
    r"""Pieces of memory at 64-bit addresses; nothing else is mapped.

    `memory[0x7f00_0000_0000] = b"text\0"` puts a piece there.
    """

    def __init__(self, pieces: dict[int, bytes] | None = None) -> None:
        """Begin with some pieces."""
        self._starts: list[int] = []
        self._pieces: list[bytearray] = []
        for address, data in (pieces or {}).items():
            self[address] = data

    def __setitem__(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Map a piece.  Raises `ValueError` where it overlaps another or leaves 64 bits."""
        data = bytearray(data)
        if not 0 <= address <= (1 << 64) - max(len(data), 1):
            raise ValueError(f"{len(data)} bytes at {address:#x} leave 64 bits")
        place = bisect_right(self._starts, address)
        before = place and self._starts[place - 1] + len(self._pieces[place - 1]) > address
        behind = place < len(self._starts) and address + len(data) > self._starts[place]
        if before or behind:
            raise ValueError(f"{len(data)} bytes at {address:#x} overlap what is mapped")
        self._starts.insert(place, address)
        self._pieces.insert(place, data)

    def __delitem__(self, address: int) -> None:
        """Unmap the piece that begins at an address; `KeyError` where none does."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or self._starts[place] != address:
            raise KeyError(address)
        del self._starts[place], self._pieces[place]

    def pieces(self) -> Iterator[tuple[int, bytearray]]:
        """The pieces with their addresses, upwards."""
        return zip(self._starts, self._pieces, strict=True)

    def read(self, address: int, length: int) -> bytes | None:
        """Bytes, out of pieces that may adjoin; None where some are not mapped."""
        found = bytearray()
        while len(found) < length:
            piece, offset = self._at(address + len(found))
            if piece is None:
                return None
            found += piece[offset : offset + length - len(found)]
        return bytes(found)

    def write(self, address: int, data: bytes) -> bool:
        """Change bytes; False, and nothing is changed, where some are not mapped."""
        if self.read(address, len(data)) is None:
            return False
        done = 0
        while done < len(data):
            piece, offset = self._at(address + done)
            if piece is None:
                return False
            part = data[done : done + len(piece) - offset]
            piece[offset : offset + len(part)] = part
            done += len(part)
        return True

    def _at(self, address: int) -> tuple[bytearray | None, int]:
        """The piece that an address lies in, and its offset there."""
        place = bisect_right(self._starts, address) - 1
        if place < 0 or address - self._starts[place] >= len(self._pieces[place]):
            return None, 0
        return self._pieces[place], address - self._starts[place]

    def __repr__(self) -> str:
        """`<HostMemory of 2 pieces>`."""
        return f"<HostMemory of {len(self._pieces)} pieces>"
