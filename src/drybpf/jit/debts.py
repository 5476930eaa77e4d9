"""What counted loops owe: fuel that is paid when a loop ends, as a product, not in each iteration.

Where a guard has fuel for all iterations, nothing looks at it meanwhile.  LLVM makes a product of
the subtractions by itself, unless loops within pay from the same sum, as often as data tells.  So a
loop with others in it pays nothing, and whoever leaves it pays for as many turns as the program's
own counter tells (sieve: 166 ns against 155).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from drybpf.jit.affine import Symbol
from drybpf.jit.graph import Block, Graph
from drybpf.jit.ir import Text, Value
from drybpf.jit.loops import Plan


@dataclass(frozen=True)
class Debt:
    """What the iterations of one copy of a loop have not paid."""

    name: str
    counter: Symbol  # a register that moves
    step: int  # by so much in each iteration
    costs: Mapping[Block, int]  # of the fuel points that every iteration passes

    @property
    def variables(self) -> tuple[Value, Value]:
        """What the counter was when the loop began, and when this iteration did."""
        return f"%first{self.name}", f"%now{self.name}"

    def begin(self, text: Text) -> None:
        """Before the header is reached for the first time."""
        self._note(text, self.variables[0])

    def turn(self, text: Text) -> None:
        """At the header."""
        self._note(text, self.variables[1])

    def _note(self, text: Text, variable: Value) -> None:
        text.line(f"store i64 {text.value(f'load i64, ptr %r{self.counter}')}, ptr {variable}")

    def due(self, text: Text, graph: Graph, block: Block, *, rarely: bool) -> Value:
        """What is owed at the end of a block: all iterations that have ended, and part of this.

        LLVM would keep the product at hand for a place that is reached `rarely`.
        """
        first, now = (text.value(f"load i64, ptr {name}") for name in self.variables)
        if rarely:
            now = text.value(f'call i64 asm "", "=r,0"(i64 {now})')
        turns = text.value(f"sdiv exact i64 {text.value(f'sub i64 {now}, {first}')}, {self.step}")
        ended = text.value(f"mul i64 {turns}, {sum(self.costs.values())}")
        passed = sum(c for point, c in self.costs.items() if graph.dominates(point, block))
        return text.value(f"add i64 {ended}, {passed}")


def left(
    text: Text, graph: Graph, debts: Iterable[Debt], block: Block, *, rarely: bool = True
) -> Value:
    """The fuel that is left at the end of a block, when loops around it have paid."""
    fuel = text.value("load i64, ptr %fuel")
    for debt in debts:
        fuel = text.value(f"sub i64 {fuel}, {debt.due(text, graph, block, rarely=rarely)}")
    return fuel


def debt(
    graph: Graph, plan: Plan, within: frozenset[Block], fuel: Mapping[Block, int], name: str
) -> Debt | None:
    """The debt of a loop with others `within`: if it counts, and pays the same each time."""
    points = plan.points - within
    if not within or not points or len(plan.tests) != 1:
        return None
    latches = product(points, plan.loop.latches)
    if not all(graph.dominates(point, latch) for point, latch in latches):
        return None
    for which, _ in plan.tests[0].left.terms:
        move = plan.moves[which]
        if which < 10 and move.register is None and move.by:
            return Debt(name, which, move.by, {point: fuel[point] for point in points})
    return None
