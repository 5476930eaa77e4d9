"""A whole compiled module: the functions that are reached, the runtime, and the entries."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.jit.entries import enter
from drybpf.jit.function import FunctionText, Options
from drybpf.jit.instructions import EMITTERS
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


@dataclass(frozen=True)
class Module:
    """The text of a module, and what its user must provide for a run."""

    ir: str
    helpers: tuple[int, ...]  # numbers, in the order of the run's table
    lookups: bool  # whether the table of regions is read


def emit_module(
    code: Code, shape: Shape, lookups: frozenset[int] = frozenset(), *, counting: bool = False
) -> Module:
    """Emit the module of a verified program."""
    ends = tuple(
        (offset, size, value == "data_end")
        for offset, size, value in shape.context or ()
        if value in ("data", "data_end") and not shape.context_writable
    )
    pointers = frozenset(
        (offset, size)
        for offset, size, value in shape.context or ()
        if value in ("data", "data_end")
    ) | set(shape.pointers)
    options = Options(shape.packet_address, shape.context_writable, ends, lookups, counting)
    analyses = analyse(code, EntryGuess(_entry(shape), pointers))
    helpers: dict[int, int] = {}
    functions: dict[int, FunctionText] = {}
    lines: list[str] = []
    work = [0]
    while work:
        entry = work.pop()
        if entry in functions:
            continue
        analysis = analyses.get(entry) or Analysis(code, entry, frame_entry([None] * 5), pointers)
        function = FunctionText(code, entry, analysis.before, options, helpers, EMITTERS)
        functions[entry] = function
        lines += function.emit()
        work.extend(function.callees)
    looks = any(function.uses_lookup for function in functions.values())
    text = [prelude(counting=counting), *lines, enter(shape)]
    return Module("\n".join(text), tuple(helpers), looks)


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
