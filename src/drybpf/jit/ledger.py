"""What one piece of compiled code has executed: its counters, and where runs left it."""

from __future__ import annotations

import ctypes
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from drybpf.code import Code
from drybpf.jit.plan import Plan, solve
from drybpf.meter import Counts


@dataclass
class _Exits:
    """Where runs left a function, by slot: before the instruction there, or behind it."""

    before: Counter[int] = field(default_factory=Counter)
    behind: Counter[int] = field(default_factory=Counter)


class Ledger:
    """A source for meters; compiled code finds its counters at `address`."""

    def __init__(self, code: Code, plans: Sequence[Plan], counters: int) -> None:
        """All counters are 0."""
        self._code, self._plans = code, plans
        self._counters = (ctypes.c_uint64 * max(counters, 1))()
        self._starts = any(plan.starts for plan in plans)
        self._entries = sorted(plan.entry for plan in plans if not plan.starts)
        self._exits: dict[int | None, _Exits] = {}
        self.address = ctypes.addressof(self._counters)

    def fits(self, plans: Sequence[Plan], counters: int) -> bool:
        """Whether code with these plans can count here, too."""
        same = [plan.to_json() for plan in plans] == [plan.to_json() for plan in self._plans]
        return same and counters == len(self._counters)

    def left(self, pc: int, depth: int, *, begun: bool) -> None:
        """Tell that a run left in a function, at an instruction, or behind it where it was begun.

        `depth` is that of the function's frame, counted from the way in.
        """
        exits = self._of(pc, depth)
        (exits.behind if begun else exits.before)[pc] += 1

    def _of(self, pc: int, depth: int) -> _Exits:
        """The exits of a function, by its plan: the way in has one of its own in the middle."""
        key = None
        if depth or not self._starts:
            key = self._entries[bisect_right(self._entries, pc) - 1]
        return self._exits.setdefault(key, _Exits())

    def take(self) -> Iterator[Counts]:
        """Give what was executed since the last time; the counters begin anew."""
        values, exits = list(self._counters), self._exits
        if not any(values) and not exits:
            return
        ctypes.memset(self._counters, 0, ctypes.sizeof(self._counters))
        self._exits = {}
        for plan in self._plans:
            here = exits.get(None if plan.starts else plan.entry, _Exits())
            yield solve(self._code, plan, values, here.before, here.behind)
