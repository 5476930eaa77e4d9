"""A whole compiled module: the functions that are reached, the runtime, and the entries."""

from __future__ import annotations

from dataclasses import replace

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.flow import function_bounds
from drybpf.jit import batches, callbacks
from drybpf.jit.choices import Choices, Module
from drybpf.jit.counting import DECLARATION, Counters
from drybpf.jit.function import FunctionText, Options
from drybpf.jit.helpers import LOWERINGS
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
from drybpf.memory import CONTEXT, PACKET, SLOT_BITS
from drybpf.native.restricted import lower

POINTERS = ("data", "data_end", "data_meta")  # what a context can say of the packet


def emit_module(code: Code, shape: Shape, choices: Choices | None = None) -> Module:
    """Emit the module of a verified program."""
    choices = choices or Choices()
    options, facts = _options(shape, choices), _facts(shape, choices)
    analyses = analyse(code, facts)
    helpers: dict[int, int] = {}
    functions: list[FunctionText] = []
    counters = Counters() if choices.covering else None

    def add(entry: int, begin: tuple[str, str] | int | None = None) -> FunctionText:
        analysis = analyses.get(entry) or Analysis(code, entry, frame_entry([None] * 5), facts)
        text = FunctionText(
            code,
            entry,
            analysis.before,
            options,
            helpers,
            EMITTERS,
            choices.natives,
            begin,
            counters,
        )
        functions.append(text)
        return text

    lines: list[str] = []
    bounds = function_bounds(code.entries, len(code), choices.start or 0)
    begin = _begin(shape) if choices.start is None else choices.start
    work, emitted = [add(bounds[0], begin)], set[int]()
    if choices.looping:
        work[0].callees.add(bounds[0])
        lines.append(callbacks.resuming(bounds[0], numbered=choices.numbered))
    while work:
        function = work.pop()
        lines += function.emit()
        fresh = function.callees - emitted
        emitted |= fresh
        work.extend(add(callee) for callee in sorted(fresh))
    looks = any(function.uses_lookup for function in functions)
    used = dict.fromkeys(choices.natives[n] for n in helpers if n in choices.natives)
    for function in functions:
        used.update(function.inlined)
    inlined = lower(used, inline=True) if used else ""
    straight = not any(function.has_loops or function.has_turns for function in functions)
    straight = straight and not choices.looping
    if choices.batch:
        setting = choices.setting(code, shape, lookups=looks)
        short = straight and len(functions) == 1 and not choices.numbered
        lines.append(batches.loop(setting, choices.batch, short=short))
    declared = DECLARATION if choices.covering else ""
    text = "\n".join([prelude(counting=choices.counting), declared, inlined, *lines])
    straight = straight and not choices.batch
    alone = straight and text.count("\ndefine ") == 1
    module = Module(text, tuple(helpers), looks, straight=straight, alone=alone)
    if counters is None:
        return module
    return replace(module, plans=tuple(counters.plans.values()), counters=counters.number)


def _options(shape: Shape, choices: Choices) -> Options:
    fixed = tuple(
        (offset, size, value)
        for offset, size, value in shape.context or ()
        if isinstance(value, str) and value in POINTERS and _is_fixed(shape, offset, size)
    )
    return Options(
        shape.packet_address,
        shape.context_writable,
        shape.context_length,
        fixed,
        choices.lookups,
        choices.counting,
        choices.around,
        choices.moving,
        shape.headroom,
        shape.protected,
        choices.tail,
        choices.numbered,
        choices.sealed,
        {number: LOWERINGS[name] for number, name in choices.kernel.items()},
        choices.paranoid,
        choices.batch > 0,
        shape.program_type,
        choices.looping,
    )


def _is_fixed(shape: Shape, offset: int, size: int) -> bool:
    """Whether the program cannot write a field of its context."""
    return not shape.context_writable or any(
        begin <= offset and offset + size <= end for begin, end in shape.protected
    )


def _facts(shape: Shape, choices: Choices) -> EntryGuess:
    pointers = frozenset(
        (offset, size) for offset, size, value in shape.context or () if value in POINTERS
    ) | set(shape.pointers)
    stores = {
        slot: store.start
        for store in choices.around.stores
        for slot in range(store.start >> SLOT_BITS, (store.start + store.length >> SLOT_BITS) + 1)
    }
    lookups = frozenset(n for n, name in choices.kernel.items() if name == "map_lookup_elem")
    values = {each.handle: each.values.start for each in choices.around.maps if each.values}
    loops = frozenset(n for n, name in choices.kernel.items() if name == "loop")
    return EntryGuess(_entry(shape), pointers, stores, lookups, values, loops)


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
