"""The tables that calls need: a program's helpers, and where its tail calls lead."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from drybpf.code import Code
from drybpf.helpers.host_natives import for_compiled
from drybpf.helpers.native import NativeHelper
from drybpf.host import Host
from drybpf.jit.exchange import are_inlined, helper_table
from drybpf.jit.tails import Tails, Targets
from drybpf.space import Space
from drybpf.state import Helper, HelperTable

if TYPE_CHECKING:
    from drybpf.jit.variant import Variant

Addresses = tuple[int, int, object]
"""Where the helpers and the compiled programs are, and what must live as long."""

_NOTHING: Addresses = 0, 0, None


class Tables:
    """Those of the runs that begin in one program."""

    def __init__(self, space: Space) -> None:
        """Begin with no program that is called."""
        self._space = space
        self._targets = Targets()
        self._latest: tuple[Sequence[int | None], Addresses] = (), _NOTHING

    def targets(self, found: Mapping[int, Helper | None]) -> Targets:
        """What the tail calls of runs with these helpers find, in which others go on."""
        targets = self._targets
        if not targets.agree(found):
            targets = self._targets = Targets()
            targets.agree(found)
        return targets

    def tails(
        self, variant: Variant, found: Mapping[int, Helper | None], *, counting: bool = False
    ) -> Tails:
        """The table for the tail calls of a variant, in runs with these helpers."""
        return self.targets(found).tails(counting=counting, covering=variant.ledger is not None)

    def take_out(self, code: Code, lookups: frozenset[int]) -> None:
        """Lead no tail call into code of a program that has other look-ups than these."""
        self._targets.take_out(self._space.number(code), lookups)

    def find(self, variant: Variant, helpers: HelperTable, host: Host) -> Addresses | None:
        """The tables of code that runs where Python cannot be asked: a helper in Python leaves.

        None where a helper is no longer what was inlined.
        """
        numbers = variant.module.helpers
        if variant.numbered:
            numbers = tuple(sorted(self._space.helpers))
        elif not numbers:
            return _NOTHING
        found = {number: for_compiled(helpers, number, host) for number in numbers}
        if not are_inlined(variant.natives, found):
            return None
        if variant.numbered:
            targets = self.targets(found)
            tails = self.tails(variant, found)
            return targets.helpers.address, tails.address, targets
        return self._of_helpers(list(found.values()))

    def _of_helpers(self, found: Sequence[Helper | None]) -> Addresses:
        """A table of helpers alone; the latest serves as long as their storages are the same."""
        native = [helper if isinstance(helper, NativeHelper) else None for helper in found]
        storages = [None if helper is None else helper.address for helper in native]
        known, addresses = self._latest
        if storages != known:
            table = helper_table(native, [])
            addresses = ctypes.addressof(table[0]), 0, table
            self._latest = storages, addresses
        return addresses
