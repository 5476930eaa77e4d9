"""Running a state in compiled code, as long as it can, and in the interpreter where it cannot.

What compiled code leaves comes back here: a spent slice of fuel, a tail call into a program that is
not compiled, a helper's result that only the interpreter can take, a failed check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf import interpreter
from drybpf.errors import ExecutionError
from drybpf.flow import function_bounds
from drybpf.helpers.looping import Looping
from drybpf.isa.semantics import M32, M64
from drybpf.jit import layout
from drybpf.jit.exchange import Exchange, are_inlined
from drybpf.memory import CONTEXT, frame_top
from drybpf.state import FINISHED, Frame, State, helper_error

if TYPE_CHECKING:
    from drybpf.code import Code
    from drybpf.jit.compiled import Jit
    from drybpf.jit.ledger import Ledger
    from drybpf.jit.variant import Variant


def run(engine: Jit, state: State, *, counting: bool = False) -> int:
    """Run a state until the program has returned; the result is r0.

    `state.instructions` is exact with `counting`, and else only what was interpreted.
    """
    if not _is_fresh(engine, state):
        return interpreter.run(state)
    engine.use(state.helpers, state.host)
    return _drive(engine, state, _Place(engine, None), counting=counting)


@dataclass(frozen=True)
class _Place:
    """Where compiled code goes on: in which program, and from which slot or from its beginning."""

    engine: Jit
    start: int | None
    tail: bool = False
    looping: bool = False  # whether that is in the function of a loop, with the turns that follow


def _drive(owner: Jit, state: State, place: _Place | None, *, counting: bool) -> int:
    """Run slice after slice, and program after program, in compiled code as long as it can.

    The run began in the program of `owner`.
    """
    while place is not None:
        engine = place.engine
        variant = engine.variant(
            counting=counting, start=place.start, tail=place.tail, looping=place.looping
        )
        exchange = Exchange(state, variant.helper_numbers(engine.space), moving=variant.moving)
        if not are_inlined(variant.natives, exchange.helpers):
            exchange.end()
            break
        if variant.numbered:
            tails = owner.tables.tails(variant, exchange.helpers, counting=counting)
            exchange.words[layout.PROGRAMS] = tails.address
            if place.tail:
                tails.point(engine.space.number(engine.code), variant)
        if _go(engine, variant, state, exchange):
            if not state.frames:
                state.pc = FINISHED
                return state.registers[0]
            state.leave()
            place = _place_of(engine, state, begins=False)
        elif exchange.words[layout.REASON] == layout.PENDING_RESULT:
            in_callback = any(not isinstance(f.then, Looping | None) for f in state.frames)
            place = None if in_callback else _place_of(engine, state)
        else:
            place = _behind_exit(engine, state, exchange.words[layout.FUEL], owner)
    return interpreter.run(state)


def _behind_exit(engine: Jit, state: State, left: int, owner: Jit) -> _Place | None:
    """Where compiled code goes on that left by itself, with an amount of fuel of its own.

    The run began in the program of `owner`.  None says that the interpreter must; a guess that
    failed is remembered.
    """
    engine = engine.engine_of(state.code) or engine
    if engine.makes_tail_call(state.pc):
        engine.stats.left(state.pc, "tail call")
        interpreter.step(state)
    elif not _slice_ended(state, left):
        try:
            resume(engine, state)
        finally:
            if engine.stats.lookups:  # the code that was left may be older than they are
                owner.tables.take_out(engine.code, engine.stats.lookups)
        return None
    return _place_of(engine, state)


def _place_of(engine: Jit, state: State, *, begins: bool = True) -> _Place | None:
    """Where a state goes on in compiled code; None where it cannot.

    `begins` says that at the first slot of another program the run has come by a tail call.
    """
    found = engine.engine_of(state.code)
    if found is None or state.finished or found.is_full:
        return None
    found.use(state.helpers, state.host)
    if begins and state.code is not engine.code and state.pc == 0:
        return _Place(found, None, tail=True)
    return _Place(found, state.pc, looping=_is_looping(state))


def _is_looping(state: State) -> bool:
    """Whether the innermost function is called in turns, and is the one at the state's pc."""
    frame = state.frames[-1] if state.frames else None
    if frame is None or not isinstance(frame.then, Looping) or frame.code is not state.code:
        return False
    first, _ = function_bounds(state.code.entries, len(state.code), state.pc)
    return first == frame.then.function


def _go(engine: Jit, variant: Variant, state: State, exchange: Exchange) -> bool:
    """Run compiled code once; whether the function that it began in has returned."""
    given = min(state.fuel, layout.SLICE)
    exchange.put(given)
    state.fuel -= given
    failure: BaseException | None = None
    try:
        state.registers[0] = variant.run(exchange.address)
    except BaseException as error:  # noqa: BLE001 (it is raised again, with its place)
        failure = error
    exchange.end()
    words = exchange.words
    level = int(variant.looping and exchange.take_turn())  # of the function that runs: see ledgers
    state.fuel += words[layout.FUEL]
    state.instructions += words[layout.COUNT]
    state.tail_calls = words[layout.TAIL_CALLS]
    if words[layout.PC] == FINISHED & M64:
        exchange.take_packet()
        return True
    exchange.take_back()
    begun = words[layout.REASON] != layout.CHECK
    tell_ledgers(engine, variant, state, exchange.outer, begun=begun, level=level)
    if failure is not None:
        _raise(engine, state, failure)
    if words[layout.REASON] == layout.PENDING_RESULT:
        _finish_call(engine, state, exchange.pending())
    return False


def tell_ledgers(
    engine: Jit,
    variant: Variant,
    state: State,
    outer: Sequence[Frame] = (),
    *,
    begun: bool = False,
    level: int = 0,
) -> None:
    """Tell those who count where a run left compiled code: every function that had not returned.

    `begun` says that the instruction at the state's pc was begun, `outer` are older frames, and
    `level` is 1 where the function above them is a turn later than the one that the code began in.
    """
    if variant.ledger is None:
        return
    inner = state.frames[len(outer) :]
    for depth, frame in enumerate(inner, level):
        ledger = _ledger_of(engine, variant, frame.code)
        ledger.left(frame.return_pc - 1, depth, begun=True)
    _ledger_of(engine, variant, state.code).left(state.pc, level + len(inner), begun=begun)


def _ledger_of(engine: Jit, variant: Variant, code: Code) -> Ledger:
    """The ledger of a program that takes part in a run, by tail calls."""
    other = None if code is engine.code else engine.engine_of(code)
    ledger = variant.ledger if other is None else other.ledgers.get(None)
    if ledger is None:
        raise RuntimeError(f"nobody counts for {code!r}, which was running")
    return ledger


def _slice_ended(state: State, left: int) -> bool:
    """Whether compiled code left, with `left` fuel, since its slice was spent but not all."""
    return left < state.code.fuel.get(state.pc, 0) <= state.fuel


def _is_fresh(engine: Jit, state: State) -> bool:
    """Whether the state is as the hook makes it: compiled code takes that for granted."""
    begin, end = state.packet
    r1 = {"packet": begin, "context": CONTEXT, "zero": 0}[engine.shape.r1]
    expected = [0, r1, *[0] * 8, frame_top(0)]
    registers = list(state.registers)
    if engine.shape.r2 == "packet":
        expected[2] = end - begin
    elif engine.shape.r2 == "context":
        regions = state.memory.regions()
        expected[2] = next((r.length for r in regions if r.start == CONTEXT), 0)
    return (
        registers == expected
        and not state.frames
        and state.pc == 0
        and state.code is engine.code
        and begin in (engine.shape.packet_address, end)
    )


def _raise(engine: Jit, state: State, error: BaseException) -> None:
    """Raise what came out of compiled code, with its place."""
    pc = state.pc
    engine.stats.left(pc, "helper")
    if isinstance(error, Exception):
        number = _helper_number(state)
        raised = helper_error(number, error)
        if isinstance(raised, ExecutionError):
            interpreter.locate(raised, state, state.code, pc)
        if raised is not error:
            raise raised from error
    raise error


def _helper_number(state: State) -> int:
    instruction = state.code.slots[state.pc]
    return instruction.imm & M32 if instruction else 0


def _finish_call(engine: Jit, state: State, result: object) -> None:
    pc = state.pc
    engine.stats.left(pc, "result")
    code = state.code
    cost = code.fuel.get(pc, 0)  # given back as if the call had not begun
    state.fuel -= cost
    try:
        state.finish_call(_helper_number(state), result, pc + 1)  # type: ignore[arg-type]  # it checks
    except ExecutionError as error:
        state.fuel += cost
        interpreter.locate(error, state, code, pc)
        raise
    state.instructions += 1


def resume(engine: Jit, state: State) -> int:
    """Go on in the interpreter, which finds a fault or shows that a guess was wrong."""
    pc, before = state.pc, state.instructions
    engine.stats.left(pc, "check")
    try:
        result = interpreter.run(state)
    except ExecutionError as error:
        if error.pc != pc or state.instructions != before:
            engine.learn(pc)
        raise
    engine.learn(pc)
    return result


def finish(engine: Jit, state: State, left: int) -> int:
    """Finish a run that compiled code left with an amount of fuel of its own."""
    return _drive(engine, state, _behind_exit(engine, state, left, engine), counting=False)
