"""Every test that runs a program runs it here: on every engine, and all must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pytest

from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import CompileError, ExecutionError, HelperError, MemoryFault
from drybpf.helpers import Helpers
from drybpf.hooks import Hook, Raw
from drybpf.host import Host
from drybpf.jit.compiled import MAX_INSTRUCTIONS, Jit
from drybpf.memory import STACK, Region
from drybpf.program import new_state, set_registers
from drybpf.state import DEFAULT_BUDGET, Helper, State

Runnable = Code | bytes | str
Drive = Callable[[State], Iterator[State]]

_COPIED, _SOMETIMES, _STEPS = 300, 97, 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run leaves behind, for a result and for a fault."""

    value: int | None  # r0; None after a fault
    error: str  # the class of the fault, "" without one
    message: str
    pc: int  # of the fault; -1 without one
    access: tuple[int, int, str, str] | None  # of a memory fault: address, size, kind, region
    registers: tuple[int, ...]  # at the fault
    regions: tuple[tuple[str, bytes], ...]  # of all that is mapped but the stack
    packet: bytes
    printed: tuple[str, ...]
    instructions: int
    fuel: int  # that is left
    records: tuple[object, ...] = ()

    def region(self, name: str) -> bytes:
        """The bytes of the one region of a name."""
        (data,) = (data for known, data in self.regions if known == name)
        return data


def run_everywhere(
    program: Runnable,
    memory: bytes = b"",
    *,
    helpers: Mapping[int, Helper] | None = None,
    budget: int = DEFAULT_BUDGET,
    registers: Mapping[int, int] | None = None,
    hook: Hook | None = None,
    mapped: Sequence[tuple[str, int, bytes | bytearray]] = (),
    verify: bool = True,
    fields: Mapping[str, int] | None = None,
) -> Outcome:
    """Run on all engines, each time on fresh copies, and give the outcome on which they agree.

    `mapped` are more regions: name, guest address, and `bytes` for a read-only one.  What the
    assembler or the verifier refuses is raised.
    """
    code = code_of(program)
    if verify:
        verifier.check(code)

    def begin() -> State:
        state = new_state(code, Helpers(helpers), Host(), budget)
        for name, start, data in mapped:
            state.memory.map(Region(name, start, data[:]))
        (hook or Raw()).enter(state, bytearray(memory), **(fields or {}))
        set_registers(state, registers)
        return state

    first = _interpret(begin)
    if _is_compilable(code):
        jit = Jit(code, (hook or Raw()).shape)
        assert observe(begin(), lambda state: _compiled(jit, state)) == first
    return first


def code_of(program: Runnable) -> Code:
    """Code from assembly text, from bytecode, or as it is."""
    if isinstance(program, Code):
        return program
    return Code(assemble(program) if isinstance(program, str) else program)


def _interpret(begin: Callable[[], State]) -> Outcome:
    whole, *others = (observe(begin(), drive) for drive in (_whole, _stepped, _traced))
    for other in others:
        assert other == whole
    return whole


def _is_compilable(code: Code) -> bool:
    """Whether the compiler takes it: what is larger or was never verified it refuses."""
    if len(code) <= MAX_INSTRUCTIONS and not verifier.verify(code):
        return True
    with pytest.raises(CompileError):
        Jit(code, Raw.shape)
    return False


def _compiled(jit: Jit, state: State) -> Iterator[State]:
    yield state
    jit.run(state, counting=True)


def observe(state: State, drive: Drive) -> Outcome:
    """Drive a state to its end; the drive gives each state before it goes on with it."""
    try:
        for latest in drive(state):
            state = latest
    except ExecutionError as error:
        fault = error
    else:
        assert state.finished
        return _outcome(state, None)
    if not isinstance(fault, HelperError):
        assert state.pc == fault.pc, "a fault leaves the state at its instruction"
    return _outcome(state, fault)


def _whole(state: State) -> Iterator[State]:
    yield state
    interpreter.run(state)


def _stepped(state: State) -> Iterator[State]:
    """Single steps, each on a copy of the state that the step before left behind."""
    for number in range(_STEPS):
        yield state
        if not interpreter.step(state):
            return
        if number < _COPIED or number % _SOMETIMES == 0:
            state = state.copy()
    yield from _whole(state)


def _traced(state: State) -> Iterator[State]:
    seen = 0

    def trace(now: State) -> None:
        nonlocal seen
        assert now.instructions == seen
        seen += 1

    yield state
    interpreter.run(state, trace)
    assert state.instructions == seen


def _outcome(state: State, error: ExecutionError | None) -> Outcome:
    begin, end = state.packet
    fault = error if isinstance(error, MemoryFault) else None
    return Outcome(
        value=None if error else state.registers[0],
        error=type(error).__name__ if error else "",
        message=str(error) if error else "",
        pc=error.pc if error else -1,
        access=(fault.address, fault.size, fault.kind, fault.region) if fault else None,
        registers=error.registers if error else (),
        regions=tuple(
            (region.name, bytes(region.data))
            for region in state.memory.regions()
            if region.start >> 28 != STACK >> 28
        ),
        packet=state.memory.read(begin, end - begin),
        printed=tuple(state.printed),
        instructions=state.instructions,
        fuel=state.fuel,
        records=tuple(state.records),
    )
