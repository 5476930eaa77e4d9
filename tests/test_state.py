"""The state of a run: callbacks, tail calls, interrupts; it can be resumed from anywhere."""

from __future__ import annotations

import pickle

import pytest

from drybpf import interpreter
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import BudgetExceeded, ExecutionError, HelperError, MemoryFault
from drybpf.memory import FUNCTION_HANDLES, frame_top
from drybpf.state import Context, Enter, Helper, Invoke, State
from engines import Outcome, run_everywhere


def loop(_: Context, function: int, times: int, argument: int, *_rest: int) -> int | Invoke:
    """Call a function with (index, argument) that many times, or until it returns other than 0.

    This is the shape of the kernel's `bpf_loop`; the result is the number of calls.
    """
    entry = function - FUNCTION_HANDLES

    def call(index: int) -> int | Invoke:
        def then(_context: Context, result: int) -> int | Invoke:
            return index + 1 if result else call(index + 1)

        return Invoke(entry, (index, argument), then) if index < times else index

    return call(0)


LOOP = """
    mov r6, 5
    stdw [r10-8], 0
    lddw r1, code_addr(body)
    mov r2, {times}
    mov r3, r10
    call 1
    mov r7, r0
    ldxdw r0, [r10-8]
    lsh r7, 8
    or r0, r7
    exit
body:
    {body}
"""
ADD_INDEX = """
    ldxdw r3, [r2-8]
    add r3, r1
    stxdw [r2-8], r3
    mov r6, 77
    mov r0, 0
    exit
"""


def run_loop(times: int, body: str, budget: int = 10_000) -> Outcome:
    return run_everywhere(LOOP.format(times=times, body=body), helpers={1: loop}, budget=budget)


@pytest.mark.parametrize("times", [0, 1, 2, 10, 100])
def test_a_helper_calls_a_function(times: int) -> None:
    outcome = run_loop(times, ADD_INDEX)
    assert outcome.value == times << 8 | times * (times - 1) // 2
    assert outcome.instructions == 11 + 6 * times


def test_a_callback_can_end_the_loop() -> None:
    outcome = run_loop(10, "mov r0, 0\njne r1, 3, +1\nmov r0, 1\nexit")
    assert outcome.value == 4 << 8


def test_the_callers_registers_come_back() -> None:
    text = LOOP.format(times=3, body=ADD_INDEX).replace("or r0, r7", "mov r0, r6")
    assert run_everywhere(text, helpers={1: loop}).value == 5


def test_callbacks_in_callbacks() -> None:
    """3 × 4 calls of the inner function."""
    outer = """
        stxdw [r10-8], r2
        lddw r1, code_addr(inner)
        mov r3, r2
        mov r2, 4
        call 1
        mov r0, 0
        exit
    inner:
        ldxdw r3, [r2-8]
        add r3, 1
        stxdw [r2-8], r3
        mov r0, 0
        exit
    """
    assert run_loop(3, outer).value == 3 << 8 | 12


def test_a_fault_in_a_callback() -> None:
    outcome = run_loop(5, "jne r1, 2, +1\nldxdw r0, [r1]\nmov r0, 0\nexit")
    assert outcome.error == "MemoryFault"
    assert (outcome.pc, outcome.access) == (13, (2, 8, "read", ""))
    assert outcome.registers[10] == frame_top(1)


def test_callbacks_have_fuel_and_depth() -> None:
    assert run_loop(10_000, ADD_INDEX, budget=200).error == "BudgetExceeded"
    deep = run_loop(1, "lddw r1, code_addr(body)\nmov r2, 1\ncall 1\nmov r0, 0\nexit")
    assert deep.error == "CallDepthExceeded"


def test_a_callback_for_ever_ends_by_the_budget() -> None:
    program = "lddw r1, code_addr(f)\ncall 1\nexit\nf:\nexit"
    outcome = run_everywhere(program, helpers={1: _at(4)}, budget=50)
    assert outcome.error == "BudgetExceeded"


def _at(slot: int) -> Helper:
    """Calls what is at a slot, again and again."""

    def then(_context: Context, _result: int) -> Invoke:
        return Invoke(slot, (), then)

    return lambda *_: Invoke(slot, (), then)


@pytest.mark.parametrize("slot", [-1, 1, 99, 1 << 40])
def test_a_callback_must_be_a_function(slot: int) -> None:
    outcome = run_everywhere("call 1\nexit", helpers={1: _at(slot)})
    assert outcome.error == "HelperError"
    assert outcome.message == f"helper 1 called {slot}, no function's entry at insn 0"


def test_a_helper_that_fails_after_its_callback() -> None:
    def broken(_: Context, function: int, *_arguments: int) -> Invoke:
        def then(context: Context, _result: int) -> int:
            return context.read(5, 1)[0]

        return Invoke(function - FUNCTION_HANDLES, (), then)

    text = "lddw r1, code_addr(f)\ncall 1\nexit\nf:\nmov r7, 7\nexit"
    outcome = run_everywhere(text, helpers={1: broken})
    assert (outcome.error, outcome.pc, outcome.registers[7]) == ("MemoryFault", 5, 7)


def test_a_callbacks_state_can_be_resumed_after_its_helpers_fault() -> None:
    faults = 1

    def flaky(_: Context, function: int, *_arguments: int) -> Invoke:
        def then(context: Context, result: int) -> int:
            nonlocal faults
            faults -= 1
            return context.read(5, 1)[0] if faults >= 0 else result + 1

        return Invoke(function - FUNCTION_HANDLES, (), then)

    state = _state(
        "mov r6, 6\nlddw r1, code_addr(f)\ncall 1\nadd r0, r6\nexit\nf:\nmov r0, 1\nexit", h1=flaky
    )
    with pytest.raises(MemoryFault):
        interpreter.run(state)
    assert (state.pc, len(state.frames)) == (7, 1)
    assert interpreter.run(state) == 8


SECOND = Code(assemble("mov r0, r1\nadd r0, 100\nexit"), name="second")


def enter(_: Context, *_arguments: int) -> Enter:
    return Enter(SECOND)


def test_a_tail_call_gives_the_second_programs_result() -> None:
    outcome = run_everywhere("mov r1, 7\ncall 1\nmov r0, 1\nexit", helpers={1: enter})
    assert outcome.value == 107
    assert outcome.instructions == 5


def test_a_tail_call_from_a_function_returns_to_its_caller() -> None:
    text = "mov r1, 7\nmov r6, 1000\ncall local f\nadd r0, r6\nexit\nf:\ncall 1\nmov r0, 1\nexit"
    outcome = run_everywhere(text, helpers={1: enter})
    assert outcome.value == 1107
    assert outcome.instructions == 9


def test_a_fault_after_a_tail_call_has_the_second_programs_place() -> None:
    def enter_bad(_: Context, *_arguments: int) -> Enter:
        return Enter(Code(assemble("mov r0, 0\nmov r1, 0\nldxb r0, [r1]\nexit")))

    outcome = run_everywhere("call 1\nexit", helpers={1: enter_bad})
    assert (outcome.error, outcome.pc) == ("MemoryFault", 2)


def test_tail_calls_without_end() -> None:
    def again(context: Context, *_arguments: int) -> Enter:
        return Enter(context.state.code)

    outcome = run_everywhere("call 1\nexit", helpers={1: again}, budget=100)
    assert (outcome.error, outcome.instructions) == ("BudgetExceeded", 50)


def _state(text: str, **helpers: object) -> State:
    table = {int(name[1:]): function for name, function in helpers.items()}
    return State(Code(assemble(text)), helpers=table)  # type: ignore[arg-type]  # by position


def test_an_interrupt_leaves_the_state_at_its_instruction() -> None:
    interrupted = False

    def once(_: Context, *_arguments: int) -> int:
        nonlocal interrupted
        if not interrupted:
            interrupted = True
            raise KeyboardInterrupt
        return 5

    state = _state("mov r6, 1\ncall 1\nadd r0, r6\nexit", h1=once)
    with pytest.raises(KeyboardInterrupt):
        interpreter.run(state)
    assert (state.pc, state.instructions) == (1, 1)
    assert interpreter.run(state) == 6
    assert state.instructions == 4


def test_a_run_goes_on_after_its_fault_is_mended() -> None:
    """Fuel, memory and helpers are in the state: with them it runs on as if nothing had been."""
    state = _state("mov r0, 0\nadd r0, 1\njlt r0, 50, -2\nmov r1, 8\nldxb r2, [r1]\nexit")
    state.fuel = 20
    with pytest.raises(BudgetExceeded):
        interpreter.run(state)
    state.fuel = 1000
    with pytest.raises(MemoryFault):
        interpreter.run(state)
    state.registers[1] = frame_top(0) - 1
    assert interpreter.run(state) == 50
    assert state.instructions == 104
    assert interpreter.run(state) == 50  # of a finished run


def test_faults_give_back_their_fuel() -> None:
    """A fault at a fuel point: nothing is charged twice when the run goes on."""
    state = _state("ldxb r0, [r1]\nexit")
    state.fuel = 2
    with pytest.raises(MemoryFault):
        interpreter.run(state)
    assert state.fuel == 2
    state.registers[1] = frame_top(0) - 1
    assert interpreter.run(state) == 0
    assert state.fuel == 0


def test_the_trace_sees_every_step() -> None:
    seen: list[tuple[int, int]] = []
    state = _state("mov r0, 7\ncall local f\nexit\nf:\nmov r0, 9\nexit")
    interpreter.run(state, lambda now: seen.append((now.pc, now.registers[0])))
    assert seen == [(0, 0), (1, 7), (3, 0), (4, 9), (2, 9)]


def test_a_cause_is_no_cause_of_itself() -> None:
    def touch(context: Context, *_: int) -> int:
        return context.read(0, 1)[0]

    def fail(_context: Context, *_: int) -> int:
        raise OSError("full")

    with pytest.raises(MemoryFault) as fault:
        interpreter.run(_state("call 1\nexit", h1=touch))
    assert fault.value.__cause__ is None
    with pytest.raises(HelperError) as error:
        interpreter.run(_state("call 1\nexit", h1=fail))
    assert isinstance(error.value.__cause__, OSError)


def test_copies_are_apart() -> None:
    state = _state("mov r0, 1\nexit")
    state.printed.append("one")
    twin = state.copy()
    interpreter.run(state)
    assert (twin.pc, twin.registers[0], twin.instructions) == (0, 0, 0)
    twin.printed.append("two")
    twin.registers[3] = 3
    assert state.printed == ["one"]
    assert state.registers[3] == 0
    assert twin.code is state.code


def test_printed_text_is_collected() -> None:
    def say(context: Context, number: int, *_: int) -> int:
        context.print(f"{context.number}: {number}")
        return context.host.cpu

    outcome = run_everywhere("mov r1, 5\ncall 9\nmov r1, 6\ncall 9\nexit", helpers={9: say})
    assert outcome.printed == ("9: 5", "9: 6")


def test_helpers_read_strings() -> None:
    def length(context: Context, address: int, *_: int) -> int:
        return len(context.read_string(address))

    assert run_everywhere("call 1\nexit", b"four\0", helpers={1: length}).value == 4
    cut = run_everywhere("call 1\nexit", b"a" * 100_000, helpers={1: length})
    assert cut.value == 1 << 16


FAULTS = {
    "a fault of memory": "mov r1, 5\nldxb r0, [r1]\nexit",
    "an unknown helper": "call 77\nexit",
    "no fuel": "ja -1",
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_can_be_pickled(name: str) -> None:
    state = _state(FAULTS[name])
    state.fuel = 10
    with pytest.raises(ExecutionError) as caught:
        interpreter.run(state)
    error = caught.value
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert (type(twin), str(twin), twin.__dict__) == (type(error), str(error), error.__dict__)
