"""Helpers that call functions of the program, compiled: as interpreted, wherever the run ends."""

from __future__ import annotations

from functools import partial
from unittest.mock import patch

import pytest

import callback_programs
from callback_runs import HOOK, PACKET, Pair, slices
from drybpf import interpreter
from drybpf.errors import ExecutionError
from drybpf.helpers.looping import MAX_LOOPS
from drybpf.jit import drive, layout
from drybpf.maps import MapType
from drybpf.memory import FUNCTION_HANDLES
from drybpf.program import Program
from drybpf.state import Invoke
from metering import metered
from space_programs import ENGINES, Twins

CALL = """
    mov r1, {times}
    lddw r2, code_addr({function})
    mov r3, r10
    add r3, -8
    mov r4, {flags}
    call 181
"""
BEGIN = "mov r6, 6\nmov r7, 7\nmov r8, 8\nmov r9, r1\nstdw [r10-8], 0\n"
END = "add r0, r6\nadd r0, r7\nadd r0, r8\nldxdw r1, [r10-8]\nlsh r1, 32\nadd r0, r1\nexit\n"
SUM = """
    body: ldxdw r3, [r2]
    add r3, r1
    stxdw [r2], r3
    stxdw [r10-16], r3
    mov r6, r3
    mov r0, 0
    exit
"""


def call(times: int | str, function: str = "body", flags: int = 0) -> str:
    return CALL.format(times=times, function=function, flags=flags)


SHAPES = {
    "sum": BEGIN + call(9) + END + SUM,
    "none": BEGIN + call(0) + END + SUM,
    "one": BEGIN + call(1) + END + SUM,
    "flags": BEGIN + call(3, flags=1) + END + SUM,
    "many flags": BEGIN + call(3, flags=-1) + END + SUM,
    "too many": BEGIN + call(MAX_LOOPS + 1) + END + SUM,
    "too many, with flags": BEGIN + call(-1, flags=1) + END + SUM,
    "times of 32 bits": BEGIN
    + "lddw r5, 0x500000003\n"
    + call(5).replace("mov r1, 5", "mov r1, r5")
    + END
    + SUM,
    "stops early": BEGIN + call(9) + END + "body: mov r0, 0\njne r1, 5, +1\nmov r0, 1\nexit",
    "odd value": BEGIN + call(9) + END + "body: mov r0, r1\nlsh r0, 32\nexit",
    "minus": BEGIN + call(9) + END + "body: mov r0, -1\nexit",
    "registers at the beginning": BEGIN
    + call(3)
    + END
    + "body: ldxdw r0, [r2]\nadd r0, r1\nadd r0, r3\nadd r0, r4\nadd r0, r5\nadd r0, r6\nadd r0, r7"
    + "\nadd r0, r9\nstxdw [r2], r0\nldxdw r3, [r10-8]\nstdw [r10-8], 5\nadd r3, r10\n"
    + "stxdw [r2], r3\nmov r0, 0\nexit",
    "fault in a turn": BEGIN
    + call(9)
    + END
    + "body: stxdw [r10-8], r1\nmov r7, r1\njne r1, 4, +1\nldxdw r0, [r1]\nmov r0, 0\nexit",
    "fault beyond the caller's frame": BEGIN
    + call(99)
    + END
    + "body: lsh r1, 3\nsub r2, r1\nstxdw [r2], r1\nmov r0, 0\nexit",
    "loop in the body": BEGIN
    + call(5)
    + END
    + "body: mov r3, r1\nl: add r3, 1\nldxdw r0, [r2]\nadd r0, r3\nstxdw [r2], r0\njlt r3, 6, l\n"
    + "mov r0, 0\nexit",
    "in a loop": BEGIN + "stdw [r10-16], 0\nagain:" + call(4) + "ldxdw r1, [r10-16]\nadd r1, 1\n"
    "stxdw [r10-16], r1\njlt r1, 3, again\n" + END + SUM,
    "in a counted loop": BEGIN
    + "mov r6, 0\nagain:"
    + call(4)
    + "add r6, 1\njlt r6, 3, again\n"
    + END
    + SUM,
    "nested": BEGIN
    + call(4)
    + END
    + "body: mov r6, r2\nmov r7, r1\nstxdw [r10-8], r1\nmov r1, 3\nlddw r2, code_addr(inner)\n"
    + "mov r3, r10\nadd r3, -8\nmov r4, 0\ncall 181\nldxdw r1, [r10-8]\nadd r1, r0\n"
    + "ldxdw r2, [r6]\nadd r2, r1\nstxdw [r6], r2\nmov r0, 0\njne r7, 2, +1\nmov r0, 8\nexit\n"
    + "inner: ldxdw r3, [r2]\nlsh r3, 1\nadd r3, r1\nstxdw [r2], r3\nmov r0, r1\nrsh r0, 1\nexit",
    "in itself": BEGIN
    + call(2)
    + END
    + "body: mov r6, r1\nmov r3, r2\nldxdw r5, [r2]\nadd r5, 1\nstxdw [r2], r5\njeq r1, 1, out\n"
    + "mov r1, 2\nlddw r2, code_addr(body)\nmov r4, 0\ncall 181\nout: mov r0, 0\nexit",
    "called as well": BEGIN
    + call(3)
    + "mov r1, 5\nmov r2, r10\nadd r2, -8\ncall body\n"
    + END
    + SUM,
    "from two places": BEGIN + call(3) + "mov r6, r0\n" + call(4) + END + SUM,
    "calls a function": BEGIN
    + call(3)
    + END
    + "body: mov r6, r2\nmov r7, r1\ncall twice\nldxdw r1, [r6]\nadd r1, r0\nstxdw [r6], r1\n"
    + "mov r0, 0\nexit\ntwice: mov r0, r1\nadd r0, r1\nadd r0, r6\nexit",
    "from a function": BEGIN
    + "mov r1, r10\nadd r1, -8\ncall middle\n"
    + END
    + "middle: mov r3, r1\nmov r6, 3\nmov r1, 3\nlddw r2, code_addr(body)\nmov r4, 0\ncall 181\n"
    + "add r0, r6\nexit\n"
    + SUM,
    "main itself": "mov r6, r1\nmov r0, 1\njeq r1, 0, out\njlt r1, 9, out\nmov r1, 3\n"
    "lddw r2, code_addr(main)\nmov r3, 0\nmov r4, 0\ncall 181\nadd r0, 100\nout: exit".replace(
        "mov r6, r1", "main: mov r6, r1", 1
    ),
    "unknown function": BEGIN
    + "lddw r2, code_addr(other)\njeq r6, 6, here\nmov r6, 1\nhere: lddw r5, code_addr(body)\n"
    + "jeq r6, 1, +1\nmov r2, r5\nmov r1, 3\nmov r3, r10\nadd r3, -8\nmov r4, 0\ncall 181\n"
    + END
    + SUM
    + "other: mov r0, 1\nexit",
    "function by arithmetic": BEGIN
    + f"mov r2, {FUNCTION_HANDLES}\nadd r2, 22\nmov r1, 3\nmov r3, r10\nadd r3, -8\nmov r4, 0\n"
    + "call 181\n"
    + END
    + SUM,
    "no function": BEGIN + "mov r1, 3\nmov r2, 5\nmov r3, 0\nmov r4, 0\ncall 181\n" + END + SUM,
    "first instruction": "body: call 181\nmov r0, 3\nexit",
    "helper in a turn": BEGIN
    + call(4)
    + END
    + "body: mov r6, r2\nmov r7, r1\nmov r1, r6\ncall 500\nldxdw r1, [r6]\nadd r1, r0\n"
    + "stxdw [r6], r1\nmov r0, 0\nexit",
    "helper that fails": BEGIN
    + call(4)
    + END
    + "body: mov r6, r2\nstxdw [r10-8], r1\ncall 501\nmov r0, 0\nexit",
    "helper that calls back": BEGIN
    + call(4)
    + END
    + "body: mov r6, r2\nmov r7, r1\nmov r3, 0\nlddw r2, code_addr(inner)\ncall 502\n"
    + "ldxdw r1, [r6]\nadd r1, r0\nstxdw [r6], r1\nmov r0, 0\nexit\n"
    + "inner: mov r0, r1\nadd r0, 10\nexit",
    "packet that moves": BEGIN
    + "mov r3, r9\n"
    + call(4).replace("mov r3, r10\n    add r3, -8\n", "")
    + END
    + "body: mov r6, r2\nmov r1, r2\nmov r2, 4\ncall 44\nldxw r1, [r6]\nldxw r2, [r6+4]\n"
    + "mov r3, r1\nadd r3, 4\njgt r3, r2, out\nldxw r0, [r1]\nstw [r1], 0\nout: mov r0, 0\nexit",
    "writes the packet": BEGIN
    + "mov r3, r9\n"
    + call(4).replace("mov r3, r10\n    add r3, -8\n", "")
    + END
    + "body: ldxw r3, [r2]\nldxw r4, [r2+4]\nadd r3, r1\nmov r5, r3\nadd r5, 1\njgt r5, r4, out\n"
    + "stb [r3], 9\nout: mov r0, 0\nexit",
    "legacy load": BEGIN + call(9) + END + "body: mov r6, r2\nldindb r1, 60\nmov r0, 0\nexit",
}


def _peek(context: object, address: int, *_: int) -> int:
    memory = context.memory  # type: ignore[attr-defined]  # a helper's context
    return int(memory.load(address, 8)) + 1


def _fail(_: object, index: int, *_rest: int) -> int:
    if index == 2:
        raise ValueError("two")
    return 0


def _back(_: object, index: int, function: int, *_rest: int) -> int | Invoke:
    return Invoke(function - FUNCTION_HANDLES, (index,), _plus) if index % 2 else 7


def _plus(_: object, result: int) -> int:
    return result + 1


HELPERS = {500: _peek, 501: _fail, 502: _back}
PAIRS: dict[str, Pair] = {}


def pair(name: str) -> Pair:
    """The program of a shape, compiled once for all tests."""
    if name not in PAIRS:
        PAIRS[name] = Pair(SHAPES[name], HELPERS)
    return PAIRS[name]


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_on_both_engines(name: str) -> None:
    pair(name).check()


@pytest.mark.parametrize("name", ["sum", "nested", "called as well", "from two places"])
def test_compiled_code_is_not_left(name: str) -> None:
    program = pair(name)
    program.check()
    assert program.exits() == 0


@pytest.mark.parametrize("name", SHAPES)
def test_fuel_that_ends_anywhere(name: str) -> None:
    """Each budget up to what the run needs."""
    program = pair(name)
    whole = 1 << 12
    needed = whole - int(str(program.check(whole)["fuel"]))
    for budget in range(min(needed, 160) + 1):
        program.check(budget)


@pytest.mark.parametrize("more", [0, 19])
@pytest.mark.parametrize("name", SHAPES)
def test_slices(name: str, more: int) -> None:
    """Compiled code goes on in the middle of a turn, and with the turns behind it."""
    fresh = Pair(SHAPES[name], HELPERS)
    with slices(fresh.code, more):
        fresh.check(1 << 12)
        fresh.check(60)
        fresh.check(77)


def test_slices_go_on_in_compiled_code() -> None:
    """A slice that ends in a turn costs no turn in the interpreter, nor one by one in Python."""
    program = Pair(BEGIN + call(3000) + END + SUM)
    with slices(program.code, 500):
        program.check()
        jit = program.jits[False]
        with (
            patch.object(drive, "_go", wraps=drive._go) as go,
            patch.object(interpreter, "run", side_effect=AssertionError),
        ):
            jit.run(program.begin(1 << 20))
    assert 3000 * 6 // 520 < go.call_count < 3000 * 7 // 500 + 3
    assert any(variant.looping for variant in jit._variants.values())


@pytest.mark.parametrize("more", [1 << 20, 19])
@pytest.mark.parametrize("name", SHAPES)
def test_meters(name: str, more: int) -> None:
    """What began, and which jumps were taken, by the edges that compiled code counts."""
    program = Pair(SHAPES[name], HELPERS)
    for budget in (1 << 12, 50, 71):
        counts = []
        for jit in (None, program.jits[False]):
            run = partial(program.end, program.begin(budget), jit, counting=False)
            with slices(program.code, more):
                counts.append(metered(run))
        assert counts[0] == counts[1], (budget, program.text)


@pytest.mark.parametrize("name", [name for name in SHAPES if "helper" not in name])
def test_calls_and_batches(name: str) -> None:
    """Packets alone, without a state: what is left goes on in a fresh one."""
    for budget in (1 << 12, 62, 90):
        reference, compiled = (
            Program.from_asm(SHAPES[name], hook=HOOK, engine=engine, budget=budget)
            for engine in ENGINES
        )
        batches = [p.run_batch([PACKET] * 3, on_fault="record") for p in (reference, compiled)]
        values, faults = (
            [list(batch) for batch in batches],
            [{i: (str(f), f.pc, f.registers) for i, f in b.faults.items()} for b in batches],
        )
        assert values[0] == values[1]
        assert faults[0] == faults[1]
        for _ in range(3):
            outcomes: list[object] = []
            for program in (reference, compiled):
                packet = bytearray(PACKET)
                try:
                    outcomes.append((program(packet), packet))
                except ExecutionError as fault:
                    outcomes.append(((str(fault), fault.pc, fault.registers), packet))
            assert outcomes[0] == outcomes[1]


TAIL = """
    main: mov r6, r1
    stdw [r10-8], 0
    stxdw [r10-16], r1
    mov r1, 5
    lddw r2, code_addr(body)
    mov r3, r10
    add r3, -16
    mov r4, 0
    call 181
    lsh r0, 32
    ldxdw r1, [r10-8]
    add r0, r1
    exit
    body: mov r6, r2
    ldxdw r3, [r2+8]
    add r3, 1
    stxdw [r2+8], r3
    ldxdw r1, [r2]
    lddw r2, {programs}
    mov r3, 0
    call 12
    mov r0, 0
    exit
"""


@pytest.mark.parametrize("result", [0, 1])
@pytest.mark.parametrize("size", [1 << 24, 30, 41])
def test_a_tail_call_in_a_turn_ends_the_turn(
    result: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "SLICE", size)
    twins = Twins(TAIL, programs=(MapType.PROG_ARRAY, 4, 4, 1))
    turns = 1 if result else 5
    assert twins.run().value == 5 << 32 | 5  # no program is there
    for program, maps in zip(twins.programs, twins.maps, strict=True):
        maps["programs"][0] = Program.from_asm(
            f"stdw [r10-8], 3\nldxw r1, [r1]\nmov r0, {result}\nexit",
            hook=program.hook,
            host=program.host,
            space=program.space,
            engine=program._engine,
        )
    for _ in range(4):
        assert twins.run().value == turns << 32 | turns


MAIN = """
    main: jgt r1, 100, outer
    mov r6, r1
    mov r1, r2
    lddw r2, {programs}
    mov r3, 0
    call 12
    mov r0, 0
    exit
    outer: ldxw r3, [r1]
    ldxw r4, [r1+4]
    mov r5, r3
    add r5, 1
    jgt r5, r4, done
    ldxb r4, [r3]
    jgt r4, 5, done
    add r4, 1
    stxb [r3], r4
    mov r3, r1
    mov r1, 4
    lddw r2, code_addr(main)
    mov r4, 0
    call 181
    exit
    done: mov r0, 0
    exit
"""


@pytest.mark.parametrize("which", ["itself", "another"])
@pytest.mark.parametrize("size", [1 << 24, 30, 41])
def test_the_function_is_the_program_itself(
    which: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn begins at the first slot, as programs do that a tail call enters."""
    monkeypatch.setattr(layout, "SLICE", size)
    twins = Twins(MAIN, programs=(MapType.PROG_ARRAY, 4, 4, 1))
    for program, maps in zip(twins.programs, twins.maps, strict=True):
        maps["programs"][0] = program
        if which == "another":
            maps["programs"][0] = Program.from_asm(
                "mov r2, 0\nl: add r2, 1\njlt r2, 30, l\nmov r0, 0\nexit",
                hook=program.hook,
                host=program.host,
                space=program.space,
                engine=program._engine,
            )
    for _ in range(3):
        assert twins.run().value == (1 if which == "itself" else 4)  # what ran within gave one


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int) -> None:
    callback_programs.check(seed)
