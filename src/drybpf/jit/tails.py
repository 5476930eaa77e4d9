"""Where compiled tail calls lead: the compiled programs of a space, by their numbers."""

from __future__ import annotations

import ctypes
from mmap import mmap
from typing import TYPE_CHECKING

from drybpf.helpers.native import NativeHelper
from drybpf.jit import layout
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


class SharedHelpers:
    """The table of helpers of programs that call each other, where Python cannot be asked.

    It is filled in place: a program that is compiled later is entered from older ones.
    """

    def __init__(self) -> None:
        """Begin without helpers: a call of one leaves."""
        self._words = (ctypes.c_uint64 * (2 * (layout.LAST_SHARED_HELPER + 1)))()
        self._kept: list[NativeHelper] = []  # a run may be in one that was replaced
        self.address = ctypes.addressof(self._words)

    def provide(self, number: int, helper: NativeHelper) -> None:
        """Let compiled code find the storage of a helper."""
        if self._words[2 * number + 1] != helper.address:
            self._words[2 * number + 1] = helper.address
            self._kept.append(helper)


def shared_helpers(space: Space) -> SharedHelpers:
    """The table of a space."""
    known: SharedHelpers | None = space.compiled.get("helpers")
    shared: SharedHelpers = known or space.compiled.setdefault("helpers", SharedHelpers())
    return shared


def tails_of(space: Space, *, counting: bool, covering: bool) -> Tails:
    """The table of a space, for code that counts instructions, or edges, or neither."""
    known: Tails | None = space.compiled.get((counting, covering))
    tails: Tails = known or space.compiled.setdefault((counting, covering), Tails())
    return tails
