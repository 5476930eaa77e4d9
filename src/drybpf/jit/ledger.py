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
from drybpf.state import State


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
        self._entries = sorted(plan.entry for plan in plans if not plan.begins)
        self._exits: dict[int | None, _Exits] = {}
        self.address = ctypes.addressof(self._counters)

    def left(self, state: State, outer: int = 0, begun: bool = False) -> None:
        """Tell that a run left: the state is as it was taken over, `outer` frames are older.

        `begun` tells that the instruction at the state's pc was begun.
        """
        inner = state.frames[outer:]
        exits = self._of(state.pc, len(inner))
        (exits.behind if begun else exits.before)[state.pc] += 1
        for depth, frame in enumerate(inner):
            call = frame.return_pc - 1
            self._of(call, depth).behind[call] += 1

    def _of(self, pc: int, depth: int) -> _Exits:
        """The exits of the function that runs at a depth: the way in, or one by its entry."""
        key = self._entries[bisect_right(self._entries, pc) - 1] if depth else None
        return self._exits.setdefault(key, _Exits())

    def take(self) -> Iterator[Counts]:
        """Give what was executed since the last time; the counters begin anew."""
        values, exits = list(self._counters), self._exits
        if not any(values) and not exits:
            return
        ctypes.memset(self._counters, 0, ctypes.sizeof(self._counters))
        self._exits = {}
        for plan in self._plans:
            here = exits.get(None if plan.begins else plan.entry, _Exits())
            yield solve(self._code, plan, values, here.before, here.behind)
