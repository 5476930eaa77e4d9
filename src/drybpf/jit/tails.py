"""Where compiled tail calls lead: compiled programs of a space, by their numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from mmap import mmap
from typing import TYPE_CHECKING

from drybpf.helpers.kernel import KernelHelper
from drybpf.helpers.native import NativeHelper
from drybpf.jit import layout
from drybpf.native.buffer import host_address
from drybpf.space import MAX_PROGRAMS
from drybpf.state import Helper

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
        self._led: dict[int, Variant] = {}  # where it points at present
        self.address = host_address(memoryview(self._table))

    def point(self, number: int, variant: Variant) -> None:
        """Lead tail calls of a program into compiled code."""
        address = variant.library.address("enter")
        if self._words[number] != address:
            self._kept.append(variant)
            self._led[number] = variant
            self._words[number] = address

    def take_out(self, number: int, lookups: frozenset[int]) -> None:
        """Lead no tail call into code of a program that has other look-ups than these."""
        variant = self._led.get(number)
        if variant is not None and variant.lookups != lookups:
            self._words[number] = 0


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


class Targets:
    """What the tail calls of one program's runs lead to, as these runs have their helpers.

    Code has helpers in restricted Python inlined, and finds their storage by number: programs that
    were compiled for other helpers, or for another host, are none of these targets.
    """

    def __init__(self) -> None:
        """Begin with no program."""
        self.helpers = SharedHelpers()
        self._known: dict[int, object] = {}
        self._tails: dict[tuple[bool, bool], Tails] = {}

    def agree(self, helpers: Mapping[int, Helper | None]) -> bool:
        """Take in helpers, as `for_compiled` gives them; False where one is not what it was."""
        facts = {number: _compiled_as(helper) for number, helper in helpers.items()}
        if any(self._known.setdefault(number, fact) != fact for number, fact in facts.items()):
            return False
        for number, helper in helpers.items():
            if isinstance(helper, NativeHelper):
                self.helpers.provide(number, helper)
        return True

    def tails(self, *, counting: bool, covering: bool) -> Tails:
        """The programs, for code that counts instructions, or edges, or neither."""
        key = counting, covering
        return self._tails.get(key) or self._tails.setdefault(key, Tails())

    def take_out(self, number: int, lookups: frozenset[int]) -> None:
        """The same for all of these tables."""
        for tails in list(self._tails.values()):
            tails.take_out(number, lookups)


def _compiled_as(helper: Helper | None) -> object:
    """What compiled code has of a helper; whatever is called in Python is the same to it."""
    if isinstance(helper, NativeHelper):
        return helper.function, helper.address
    return helper.native if isinstance(helper, KernelHelper) else None
