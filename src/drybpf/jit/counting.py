"""The counters of one function in LLVM IR: see `plan` for where they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drybpf.cached import cached_property
from drybpf.jit.plan import OUTSIDE, Plan, make_plan

if TYPE_CHECKING:
    from drybpf.jit.function import FunctionText

DECLARATION = "@counters = external global i64\n"


class Counters:
    """The plans of a module's functions, and how many counters they have together.

    A function that is both the way in and called has one plan for both.
    """

    def __init__(self) -> None:
        """No function yet."""
        self.plans: dict[tuple[int, int | None], Plan] = {}
        self.number = 0

    def plan(self, f: FunctionText) -> Plan:
        """The plan of a function, made when it is first asked for."""
        key = f.entry, f.start
        if key not in self.plans:
            entry = f.entry if f.start is None else f.start
            starts = f.start is not None
            made = make_plan(f.code, entry, starts, f.leaders, f.reached, self.number)
            self.plans[key], self.number = made
        return self.plans[key]


class Counting:
    """Emits the counters of a function; nothing without `counters`."""

    def __init__(self, function: FunctionText, counters: Counters | None) -> None:
        """Prepare."""
        self._f, self._counters = function, counters
        self._ways = 0  # labels given so far

    @cached_property
    def plan(self) -> Plan | None:
        """Where the counters stand; None where nothing is counted."""
        return None if self._counters is None else self._counters.plan(self._f)

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

    def block(self, first: int) -> None:
        """Count a block itself, if it has a counter, where it begins."""
        number = -1 if self.plan is None else self.plan.points.get(first, -1)
        if number >= 0:
            self._add(number, "1")

    def end(self, pc: int) -> None:
        """Count an end of the program in the middle of a block."""
        if self.plan is not None:
            self._add(self.plan.ends[pc], "1")

    def way(self, source: int, target: int, label: str) -> str:
        """The label that counts an edge and leads on to a label; that itself without a counter."""
        if self.plan is None or self.plan.edges[source, target] < 0:
            return label
        f = self._f
        name = f"way{source}.{target}.{self._ways}"
        self._ways += 1

        def emit() -> None:
            f.label(name)
            self.edge(source, target)
            f.line(f"br label %{label}")

        f.exits.append(emit)
        return name

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
