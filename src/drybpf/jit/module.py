"""A whole compiled module: the functions that are reached, the runtime, and the entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.flow import function_bounds
from drybpf.jit.counting import DECLARATION
from drybpf.jit.function import FunctionText, Options
from drybpf.jit.instructions import EMITTERS
from drybpf.jit.plan import Plan
from drybpf.jit.provenance import (
    Analysis,
    EntryGuess,
    Guess,
    Guesses,
    Pointer,
    analyse,
    frame_entry,
)
from drybpf.jit.runtime import prelude
from drybpf.memory import CONTEXT, PACKET
from drybpf.native.restricted import Function, lower

POINTERS = ("data", "data_end", "data_meta")  # what a context can say of the packet


@dataclass(frozen=True)
class Module:
    """The text of a module, and what its user must provide for a run."""

    ir: str
    helpers: tuple[int, ...]  # numbers, in the order of the run's table
    lookups: bool  # whether the table of regions is read
    plans: tuple[Plan, ...] = ()  # where the functions count, in the covering variant
    counters: int = 0

    def facts(self) -> bytes:
        """All but the text, as a line for the cache of compiled code."""
        plans = [plan.to_json() for plan in self.plans]
        return json.dumps([self.helpers, self.lookups, plans, self.counters]).encode()

    @classmethod
    def from_facts(cls, facts: bytes) -> Module:
        """The inverse of `facts`."""
        helpers, lookups, plans, counters = json.loads(facts)
        return cls("", tuple(helpers), lookups, tuple(map(Plan.from_json, plans)), counters)


def emit_module(
    code: Code,
    shape: Shape,
    lookups: frozenset[int] = frozenset(),
    *,
    counting: bool = False,
    covering: bool = False,
    start: int | None = None,
    natives: Mapping[int, Function[...]] = MappingProxyType({}),
) -> Module:
    """Emit the module of a verified program.

    `lookups` are the accesses whose region is looked up; `counting` counts instructions,
    `covering` edges of the flow graph; with a `start` the module goes on from that slot instead of
    beginning the program; `natives` are the helpers in restricted Python, by number.
    """
    ends = tuple(
        (offset, size, value == "data_end")
        for offset, size, value in shape.context or ()
        if value in POINTERS and not shape.context_writable
    )
    pointers = frozenset(
        (offset, size) for offset, size, value in shape.context or () if value in POINTERS
    ) | set(shape.pointers)
    options = Options(
        shape.packet_address,
        shape.context_writable,
        shape.context_length,
        ends,
        lookups,
        counting,
        covering,
    )
    analyses = analyse(code, EntryGuess(_entry(shape), pointers))
    helpers: dict[int, int] = {}
    functions: list[FunctionText] = []

    def add(entry: int, begin: tuple[str, str] | int | None = None) -> FunctionText:
        analysis = analyses.get(entry) or Analysis(code, entry, frame_entry([None] * 5), pointers)
        first = functions[-1].counting.following if functions else 0
        text = FunctionText(
            code, entry, analysis.before, options, helpers, EMITTERS, natives, begin, first
        )
        functions.append(text)
        return text

    lines: list[str] = []
    bounds = function_bounds(code.entries, len(code), start or 0)
    work, emitted = [add(bounds[0], _begin(shape) if start is None else start)], set[int]()
    while work:
        function = work.pop()
        lines += function.emit()
        fresh = function.callees - emitted
        emitted |= fresh
        work.extend(add(callee) for callee in sorted(fresh))
    looks = any(function.uses_lookup for function in functions)
    used = dict.fromkeys(natives[number] for number in helpers if number in natives)
    inlined = lower(used, inline=True) if used else ""
    declared = DECLARATION if covering else ""
    text = "\n".join([prelude(counting=counting), declared, inlined, *lines])
    plans = tuple(function.counting.plan for function in functions if function.counting.plan)
    return Module(text, tuple(helpers), looks, plans, functions[-1].counting.following)


def _begin(shape: Shape) -> tuple[str, str]:
    """What r1 and r2 hold when a program begins."""
    first = {"packet": shape.packet_address, "context": CONTEXT, "zero": 0}[shape.r1]
    return str(first), {"packet": "%plen", "context": "%clen", "zero": "0"}[shape.r2]


def _entry(shape: Shape) -> Guesses:
    kinds: dict[str, Guess] = {
        "packet": Pointer(PACKET, 0),
        "context": Pointer(CONTEXT, 0),
        "zero": 0,
    }
    state = list(frame_entry())
    state[1] = kinds[shape.r1]
    state[2] = None if shape.r2 != "zero" else 0
    return tuple(state)
