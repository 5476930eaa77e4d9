"""Compiled code that is left while it is replaced, in slices, for callbacks, and for refusals."""

from __future__ import annotations

import gc
import resource
import weakref

import pytest

from drybpf import interpreter
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.engine import Engine
from drybpf.errors import BudgetExceeded, HelperError, MemoryFault
from drybpf.helpers import Helpers
from drybpf.helpers.native import NativeHelper
from drybpf.hooks import NoData, Raw, Xdp
from drybpf.host import Host
from drybpf.jit import drive, layout
from drybpf.jit.compiled import Jit
from drybpf.jit.variant import Variant
from drybpf.native.restricted import restricted
from drybpf.program import Program, new_state
from drybpf.state import Context, Enter, Invoke, State

# By its arithmetic r4 points into the packet; by its number, into the stack.
WRONG_GUESS = """
    mov64 r3, r10
    sub64 r3, r1
    mov64 r4, r1
    add64 r4, r3
    stdw [r4-8], 7
    ldxdw r0, [r10-8]
    exit
"""


@restricted
def one(storage: int) -> int:
    return storage - storage + 1


@restricted
def two(storage: int) -> int:
    return storage - storage + 2


def test_code_that_a_call_returns_into_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """While Python finishes what a call left, the program is compiled anew; the call goes on."""
    program = Program.from_asm(WRONG_GUESS, engine="jit")
    assert program(bytes(8)) == 7  # from the next on, calls go into compiled code
    jit = program._runner.jit
    jit.stats.lookups = frozenset()  # and leave it once more, since what was learnt is forgotten
    seen: list[bool] = []
    resume = drive.resume

    def resume_and_replace(engine: Jit, state: State) -> int:
        old = weakref.ref(engine.variant().library)
        result = resume(engine, state)
        program.helpers_changed()  # nothing but the engine holds the code from now on
        engine.variant()
        gc.collect()
        seen.append(old() is not None)
        return result

    monkeypatch.setattr(drive, "resume", resume_and_replace)
    assert program(bytes(8)) == 7
    assert seen == [True]
    assert program(bytes(8)) == 7  # now it looks the region up, and does not leave
    assert seen == [True]


def test_a_call_sees_replaced_helpers() -> None:
    helpers = Helpers({1: NativeHelper(one, bytearray(8))})
    program = Program.from_asm("call 1\nexit", engine="jit", helpers=helpers)
    assert program(b"") == 1
    with program.helpers.replace(1, NativeHelper(two, bytearray(8))):
        assert program(b"") == 2
    assert program(b"") == 1
    with program.helpers.replace(1, lambda *_: 5) as calls:
        assert program(b"") == 5
    assert len(calls) == 1
    program.helpers.register(1, NativeHelper(two, bytearray(8)))
    assert program(b"") == 2


CALLBACK = """
    mov64 r6, 0
    l: mov64 r1, r6
    call 1
    add64 r6, 1
    jlt r6, 40, l
    mov64 r0, r7
    exit
    f: mov64 r3, 0
    g: add64 r3, 1
    jlt r3, 20, g
    mov64 r0, r3
    exit
"""


def _after(_: Context, result: int) -> int:
    return result + 1


@pytest.mark.parametrize("slice_", [30, 64, 100, 1000])
def test_callbacks_and_tail_calls_within_slices(
    slice_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that gets little fuel at once calls back, and ends in another program."""
    monkeypatch.setattr(layout, "SLICE", slice_)
    elsewhere = Code(assemble("mov r0, 77\nl: add r1, 1\njlt r1, 50, l\nexit"))

    def helper(context: Context, r1: int, *_: int) -> int | Invoke | Enter:
        if r1 == 30:
            return Enter(elsewhere)
        entry = context.state.code.entries[-1]
        return Invoke(entry, (r1,), _after) if r1 % 3 == 0 else r1

    code = Code(assemble(CALLBACK), functions={0: "main", 7: "f"})
    for budget in (120, 700, 5000):
        ends = []
        for run in (interpreter.run, Jit(code, Raw.shape).run):
            state = new_state(code, Helpers({1: helper}), Host(), budget)
            Raw().enter(state, b"")
            try:
                ends.append((run(state), state.fuel))
            except BudgetExceeded as error:
                ends.append((error.pc, state.fuel))
        assert ends[0] == ends[1], budget


@pytest.mark.parametrize("place", ["first", "later"])
def test_fuel_of_a_refused_result_is_given_back(place: str) -> None:
    """Where the call stands at a fuel point, the fault is as if it had not been charged."""
    text = "call 1\nexit" if place == "first" else "mov64 r1, 0\nl: call 1\njeq r0, 3, l\nexit"
    code = Code(assemble(text))
    fuels = []
    for run in (interpreter.run, Jit(code, Raw.shape).run):
        state = new_state(code, Helpers({1: lambda *_: 1 << 70}), Host(), 100)
        Raw().enter(state, b"")
        with pytest.raises(HelperError):
            run(state)
        fuels.append(state.fuel)
    assert fuels[0] == fuels[1]


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_a_packet_for_a_program_without_data(engine: Engine) -> None:
    program = Program.from_asm("mov r0, 1\nexit", hook=NoData(), engine=engine)
    assert program(b"") == 1
    for call in (program, program.function):
        with pytest.raises(ValueError, match="without data"):
            call(b"x")
    with pytest.raises(ValueError, match="without data"):
        program.run_batch([b"", b"x"])


# Memory stays flat


def _kilobytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_faulting_calls_keep_memory_flat() -> None:
    """By the compiled function, whose faults Python raises: 20,000 of them, after a warm-up."""
    call = Program.from_asm("ldxb r0, [r1+8]\nexit", engine="jit").function
    before = 0
    for number in range(25_000):
        if number == 5_000:
            before = _kilobytes()
        with pytest.raises(MemoryFault):
            call(bytes(number % 8))
    assert _kilobytes() - before < 4096


def _variants() -> list[Variant]:
    return [found for found in gc.get_objects() if isinstance(found, Variant)]


def test_compiles_keep_memory_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred variants of a program after a warm-up; each took 70 KiB when passes leaked."""
    monkeypatch.setenv("DRYBPF_CACHE", "0")
    before, others = 0, list[Variant]()
    for number in range(140):
        if number == 40:
            gc.collect()
            before = _kilobytes()
            others = _variants()
        program = Program.from_asm(f"mov r0, {number}\nexit", engine="jit")
        assert program(b"") == number
    gc.collect()
    assert _kilobytes() - before < 100 * 40
    assert len([found for found in _variants() if not any(found is one for one in others)]) <= 3


def test_an_array_in_the_frame_leaves_spilled_pointers_alone() -> None:
    """What lies beside an array that is written at a variable place is still guessed."""
    text = """
        ldxw r6, [r1]
        ldxw r7, [r1+4]
        mov r0, r6
        add r0, 2
        jgt r0, r7, exit
        stxdw [r10-8], r6
        ldxb r4, [r6]
        mov r5, r10
        add r5, -64
        add r5, r4
        stb [r5], 255
        ldxdw r6, [r10-8]
        ldxb r0, [r6+1]
        exit
    """
    within, over = bytes([0, 7] * 4), bytes([63, 7] * 4)
    programs = [Program.from_asm(text, hook=Xdp(), engine=e) for e in ("interpreter", "jit")]
    for packet in (within, within):
        assert [program.run(packet).value for program in programs] == [7, 7]
    stats = programs[1].jit_stats
    assert (stats.compiles, stats.lookups) == (1, frozenset())
    faults = []
    for program in programs:
        with pytest.raises(MemoryFault) as caught:
            program.run(over)  # it hits the spilled pointer after all
        faults.append((caught.value.pc, str(caught.value)))
    assert faults[0] == faults[1]
