"""The memory that a restricted function sees when it runs in CPython."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Memory(Protocol):
    """Whatever loads and stores little-endian numbers of 1, 2, 4 or 8 bytes at an address."""

    def load(self, address: int, size: int, /) -> int:
        """The number at an address."""

    def store(self, address: int, size: int, value: int, /) -> None:
        """Put a number, which fits into `size` bytes, at an address."""


class Block:
    """One buffer as memory, its first byte at address `base`.  Outside of it is `IndexError`."""

    __slots__ = ("_base", "_data")

    def __init__(self, buffer: Buffer, base: int = 0) -> None:
        """Show a buffer; `base` may be its host address, so that native code agrees on it."""
        self._data, self._base = memoryview(buffer).cast("B"), base

    def load(self, address: int, size: int, /) -> int:
        """The number at an address."""
        at = self._offset(address, size)
        return int.from_bytes(self._data[at : at + size], "little")

    def store(self, address: int, size: int, value: int, /) -> None:
        """Put a number at an address."""
        at = self._offset(address, size)
        self._data[at : at + size] = value.to_bytes(size, "little")

    def _offset(self, address: int, size: int) -> int:
        offset = address - self._base
        if not 0 <= offset <= len(self._data) - size:
            raise IndexError(f"{size} bytes at {address:#x} are outside the memory")
        return offset
