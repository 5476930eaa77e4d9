"""The counters of one function in LLVM IR: see `plan` for where they stand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from drybpf.jit.plan import OUTSIDE, Plan, make_plan

if TYPE_CHECKING:
    from drybpf.jit.function import FunctionText

DECLARATION = "@counters = external global i64\n"


class Counting:
    """Emits the counters of a function, where its options ask for them."""

    def __init__(self, function: FunctionText, first: int) -> None:
        """Prepare; the counters are numbered from `first`."""
        self._f, self._first = function, first
        self._ways: list[tuple[str, tuple[int, int], int]] = []

    @cached_property
    def _planned(self) -> tuple[Plan, int] | None:
        f = self._f
        if not f.options.covering:
            return None
        entry = f.entry if f.start is None else f.start
        begins = f.begin is not None
        return make_plan(f.code, entry, begins, f.leaders, f.reached, self._first)

    @property
    def plan(self) -> Plan | None:
        """Where the counters stand; None where nothing is counted."""
        return self._planned[0] if self._planned else None

    @property
    def following(self) -> int:
        """The number of the first counter behind those of the function."""
        return self._planned[1] if self._planned else self._first

    def begin(self) -> None:
        """Begin the function: its entry is counted, counters in registers begin at 0."""
        if self.plan is not None:
            for number in self.plan.local:
                self._f.line(f"%c{number} = alloca i64")
                self._f.line(f"store i64 0, ptr %c{number}")
            self.edge(OUTSIDE, self.plan.entry)

    def edge(self, source: int, target: int | None) -> None:
        """Count an edge, if it has a counter."""
        number = -1 if self.plan is None or target is None else self.plan.edges[source, target]
        if number >= 0:
            self._add(number, "1")

    def end(self, pc: int) -> None:
        """Count an end of the program in the middle of a block."""
        if self.plan is not None:
            self._add(self.plan.ends[pc], "1")

    def ways(self, source: int, target: int | None, behind: int) -> tuple[str, str]:
        """The labels that a conditional jump has for its two ways; `emit_ways` follows it."""
        if target == behind:
            self.edge(source, target)
            return f"b{target}", f"b{target}"
        return self._way(source, target), self._way(source, behind)

    def _way(self, source: int, target: int | None) -> str:
        if self.plan is None or target is None or self.plan.edges[source, target] < 0:
            return f"b{target}"
        label = f"way{source}.{target}.{len(self._f.lines)}"
        self._ways.append((label, (source, target), target))
        return label

    def emit_ways(self) -> None:
        """Emit the counters that lie between a conditional jump and where it leads."""
        for label, edge, target in self._ways:
            self._f.label(label)
            self.edge(*edge)
            self._f.line(f"br label %b{target}")
        self._ways = []

    def write(self) -> None:
        """Write the counters that are kept in registers, before the function ends."""
        if self.plan is not None:
            for number in self.plan.local:
                value = self._f.value(f"load i64, ptr %c{number}")
                self._add_to_memory(number, value)

    def _add(self, number: int, amount: str) -> None:
        if self.plan is not None and number in self.plan.local:
            old = self._f.value(f"load i64, ptr %c{number}")
            self._f.line(f"store i64 {self._f.value(f'add i64 {old}, {amount}')}, ptr %c{number}")
        else:
            self._add_to_memory(number, amount)

    def _add_to_memory(self, number: int, amount: str) -> None:
        place = self._f.value(f"getelementptr i64, ptr @counters, i64 {number}")
        old = self._f.value(f"load i64, ptr {place}")
        self._f.line(f"store i64 {self._f.value(f'add i64 {old}, {amount}')}, ptr {place}")
