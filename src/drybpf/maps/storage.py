"""The memory of one map: pages that cost nothing until they are touched."""

from __future__ import annotations

import mmap
import platform
import sys
from errno import ENOMEM
from typing import TYPE_CHECKING

from drybpf.errors import MapError
from drybpf.maps.layout import HEADER, VTABLE
from drybpf.native.buffer import host_address

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 1 << 34  # bytes of one map; the kernel would not find them either

_PAGE, _CHUNK = 4096, 1 << 20
# Python 3.11 and 3.12 have no name for it.
_NO_RESERVE = 0x4000 if platform.machine() in ("x86_64", "aarch64") else 0


class Areas:
    """Finds a place for each area of a storage."""

    def __init__(self) -> None:
        """Begin behind the header."""
        self.size = HEADER

    def add(self, size: int) -> int:
        """The offset of an area of some bytes.  Raises `ValueError` where it becomes too much."""
        offset = self.size
        if size < 0 or offset + size > LIMIT:
            raise ValueError(f"a map of more than {LIMIT >> 30} GiB")
        # An area begins a page, so that a map that uses little of each touches little.
        align = _PAGE if size >= _PAGE else 64
        offset = -(-offset // align) * align
        self.size = offset + size
        return offset


class Storage:
    """The bytes of a map: zeros at first, at an address that does not change."""

    def __init__(self, size: int) -> None:
        """Map memory.  Raises `MapError` where the system does not give it."""
        size = -(-size // _PAGE) * _PAGE
        try:
            self._pages = _mapping(size)
        except (OSError, MemoryError) as error:
            raise MapError(ENOMEM, f"no memory for a map of {size} bytes") from error
        self.view = memoryview(self._pages)
        self.address = host_address(self.view)

    def word(self, offset: int) -> int:
        """The 64-bit word at an offset."""
        return int.from_bytes(self.view[offset : offset + 8], "little")

    def set_word(self, offset: int, value: int) -> None:
        """Put a 64-bit word at an offset."""
        self.view[offset : offset + 8] = value.to_bytes(8, "little")

    def set_words(self, words: Mapping[int, int]) -> None:
        """Put words by offset."""
        for offset, value in words.items():
            self.set_word(offset, value)

    def clear(self, kept: Mapping[int, int]) -> None:
        """Make all zeros, but for some words of the header and the table of native operations.

        The pages go back to the system.  Words that are kept never read as zero meanwhile: native
        code may be at work on another thread.
        """
        header = bytearray(VTABLE)
        for offset, value in kept.items():
            header[offset : offset + 8] = value.to_bytes(8, "little")
        self.view[:VTABLE] = header
        begin = min(-(-HEADER // mmap.PAGESIZE) * mmap.PAGESIZE, len(self.view))
        if sys.platform != "linux":  # pragma: no cover (the advice does not promise zeros there)
            begin = len(self.view)
        for at in range(HEADER, begin, _CHUNK):
            end = min(at + _CHUNK, begin)
            self.view[at:end] = bytes(end - at)
        if begin < len(self.view):
            self._pages.madvise(mmap.MADV_DONTNEED, begin, len(self.view) - begin)


def _mapping(size: int) -> mmap.mmap:
    if sys.platform == "win32":  # pragma: no cover (not a platform of the tests)
        return mmap.mmap(-1, size)
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    if sys.platform == "linux":
        flags |= _NO_RESERVE
    return mmap.mmap(-1, size, flags=flags)
