"""Where compiled tail calls lead: the compiled programs of a space, by their numbers."""

from __future__ import annotations

import ctypes
from mmap import mmap
from typing import TYPE_CHECKING

from drybpf.native.buffer import host_address
from drybpf.space import MAX_PROGRAMS, Space

if TYPE_CHECKING:
    from drybpf.jit.variant import Variant


class Tails:
    """A table of addresses, 0 for a program that is not compiled.

    What it ever pointed at is kept as long as the table: a run may be in it.
    """

    def __init__(self) -> None:
        """Reserve the table; memory is used as it fills."""
        self._table = mmap(-1, 8 * (MAX_PROGRAMS + 1))
        self._words = (ctypes.c_uint64 * (MAX_PROGRAMS + 1)).from_buffer(self._table)
        self._kept: list[Variant] = []
        self.address = host_address(memoryview(self._table))

    def point(self, number: int, variant: Variant) -> None:
        """Lead tail calls of a program into compiled code."""
        self._kept.append(variant)
        self._words[number] = variant.library.address("enter")


def tails_of(space: Space, *, counting: bool, covering: bool) -> Tails:
    """The table of a space, for code that counts instructions, or edges, or neither."""
    tails: Tails | None = space.compiled.get((counting, covering))
    if tails is None:
        tails = space.compiled[counting, covering] = Tails()
    return tails
