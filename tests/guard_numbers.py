"""The guards of a program as conditions in numbers: what LLVM gets, worked out step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from drybpf.isa.semantics import M64
from drybpf.jit.affine import Symbol
from drybpf.jit.bounds import bounds
from drybpf.jit.function import FunctionText
from drybpf.jit.guard import Guard
from drybpf.jit.loops import Plan
from drybpf.jit.provenance import SLOTS
from drybpf.jit.trips import Truth
from drybpf.memory import CONTEXT, PACKET, STACK
from drybpf.state import State

Numbers = Mapping[str, int]  # by the names that they have in LLVM IR

_TYPES = {"i1", "i64", "ptr"}
_MEANING: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b & M64,
    "sub": lambda a, b: a - b & M64,
    "mul": lambda a, b: a * b & M64,
    "udiv": lambda a, b: a // b,
    "urem": lambda a, b: a % b,
    "and": lambda a, b: a & b,
    "icmp ult": lambda a, b: a < b,
    "icmp eq": lambda a, b: a == b,
    "select": lambda which, a, b: a if which else b,
    "load": lambda a: a,
}


@dataclass(frozen=True)
class Step:
    """One instruction of LLVM IR."""

    name: str
    meaning: Callable[..., int]
    operands: tuple[str | int, ...]

    @classmethod
    def of(cls, line: str) -> Step:
        name, _, *words = (word for word in line.replace(",", "").split() if word not in _TYPES)
        count = 2 if words[0] == "icmp" else 1
        operands = (word if word.startswith("%") else int(word) & M64 for word in words[count:])
        return cls(name, _MEANING[" ".join(words[:count])], tuple(operands))


@dataclass(frozen=True)
class Condition:
    """What a guard asks, step by step."""

    steps: tuple[Step, ...]
    holds: Truth

    def __call__(self, given: Numbers) -> bool:
        if isinstance(self.holds, bool):
            return self.holds
        known = dict(given)
        for step in self.steps:
            operands = (known[each] if isinstance(each, str) else each for each in step.operands)
            known[step.name] = step.meaning(*operands)
        return bool(known[self.holds])


@dataclass(frozen=True)
class Guarded:
    """A loop with its guard: without and with what is asked of fuel."""

    plan: Plan
    symbols: frozenset[Symbol]  # that the guard reads
    checks: Condition
    fuel: Condition


def guarded(text: FunctionText, plan: Plan) -> Guarded:
    """The guard of a plan, as `Copies` emits it."""
    graph, symbols = text.copies._graph, set[Symbol]()
    assert graph is not None

    def load(which: Symbol) -> str:
        symbols.add(which)
        return f"%s{which}"

    def condition(fuel: str | None) -> Condition:
        begin = len(text.lines)
        holds = Guard(text, graph, plan, load, lambda region: bounds(text, region)).condition(fuel)
        return Condition(tuple(map(Step.of, text.lines[begin:])), holds)

    checks, fuel = condition(None), condition("%fuel")
    return Guarded(plan, frozenset(symbols), checks, fuel)


def numbers_of(state: State, symbols: frozenset[Symbol]) -> dict[str, int]:
    """What a guard can read, by its name in compiled code."""
    memory = state.memory
    regions = {"p": memory.at(PACKET), "c": memory.at(CONTEXT), "f": memory.at(STACK)}
    frame, packet = regions["f"], regions["p"]
    assert frame is not None
    assert packet is not None
    numbers = {f"%{name}len": region.length for name, region in regions.items() if region}
    numbers |= {"%fuel": state.fuel, "%low": frame.start, "%p.low": packet.start}
    numbers["%p.high"] = packet.start + packet.length
    for which in symbols:
        if which in SLOTS:
            place = 8 * (which - SLOTS.start)
            numbers[f"%s{which}"] = int.from_bytes(frame.data[place : place + 8], "little")
        else:
            numbers[f"%s{which}"] = state.registers[which]
    return numbers
