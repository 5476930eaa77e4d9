"""The time that a program takes: its runs are repeated in compiled code, without Python between."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from drybpf.errors import CompileError
from drybpf.jit import layout
from drybpf.jit.exchange import Exchange, are_inlined
from drybpf.space import Space
from drybpf.state import State

if TYPE_CHECKING:
    from drybpf.jit.compiled import Jit
    from drybpf.jit.tails import Tails


def repeat(engine: Jit, state: State, times: int) -> int:
    """The time, in nanoseconds, of running a fresh state a number of times.

    What it may tail call is compiled before.  Raises the run's fault, or `CompileError`, where
    compiled code cannot finish it.
    """
    engine.use(state.helpers, state.host)
    variant = engine.variant()
    targets = _targets(engine) if variant.numbered else []
    exchange = Exchange(state, variant.helper_numbers(engine.space), moving=variant.moving)
    exchange.put(min(state.fuel, layout.SLICE))
    exchange.words[layout.END] = times
    if not are_inlined(variant.natives, exchange.helpers):
        raise CompileError("a helper was replaced meanwhile")
    if variant.numbered:
        tails = engine.tables.tails(variant, exchange.helpers)
        for target in targets:
            _point(tails, target, state, exchange)
        exchange.words[layout.PROGRAMS] = tails.address
    run = variant.function("repeat")
    begin = perf_counter_ns()
    done = run(exchange.address)
    elapsed = perf_counter_ns() - begin
    if done != times:
        engine.run(state)
        raise CompileError("the program leaves compiled code; time it in the interpreter")
    return elapsed


def _targets(engine: Jit) -> list[Jit]:
    """The engines of all programs that a run may come to, by the arrays that they name."""
    found: list[Jit] = []
    following = [engine]
    while following:
        for number in _named(following.pop(), engine.space):
            target = engine.engine_of(engine.space.code(number))
            if target is not None and target not in found:
                found.append(target)
                following.append(target)
    return found


def _named(engine: Jit, space: Space) -> set[int]:
    """The numbers of the programs in the arrays that a program names."""
    numbers: set[int] = set()
    for shape in engine.choices.around.maps:
        if shape.programs is not None:
            end = shape.programs + 8 * shape.max_entries
            numbers.update(space.maps[shape.handle].storage[shape.programs : end].cast("Q"))
    return numbers - {0}


def _point(tails: Tails, target: Jit, state: State, exchange: Exchange) -> None:
    """Lead the tail calls of a program into its code, compiled for the helpers of this run."""
    target.use(state.helpers, state.host)
    variant = target.variant(tail=True)
    if are_inlined(variant.natives, exchange.helpers):
        tails.point(target.space.number(target.code), variant)
