"""A program compiled while others run finds its helpers and maps; it once read beyond tables."""

from __future__ import annotations

from typing import Any

import pytest

from drybpf.errors import CompileError
from drybpf.helpers import Helpers
from drybpf.helpers.native import NativeHelper
from drybpf.hooks import Xdp
from drybpf.host import Clock, Host
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.native.restricted import load64, restricted
from drybpf.program import Program
from drybpf.space import Space

PACKETS = [bytes(64)] * 5


def chain(engine: str) -> tuple[Program, Map]:
    """One that calls another, which asks a helper of a higher number and a later map."""
    space = Space()
    programs = Map.create(MapDefinition("programs", MapType.PROG_ARRAY, 4, 4, 2))
    handle = space.add_map(programs)
    first = Program.from_asm(
        f"lddw r2, {handle}\nmov r3, 0\ncall 12\nmov r0, 1\nexit",
        space=space,
        hook=Xdp(),
        engine=engine,
    )
    assert first(PACKETS[0]) == 1  # compiled, with an empty slot
    counts = Map.create(MapDefinition("counts", MapType.ARRAY, 4, 8, 1))
    later = space.add_map(counts)
    programs[0] = Program.from_asm(
        f"call 125\nmov r6, r0\nstw [r10-4], 0\nmov r2, r10\nadd r2, -4\nlddw r1, {later}\ncall 1\n"
        "jeq r0, 0, out\nmov r1, 1\nlock add [r0], r1\nout:\nmov r0, r6\nexit",
        space=space,
        hook=Xdp(),
        engine=engine,
    )
    return first, counts


@pytest.mark.parametrize("batch", [False, True])
def test_a_target_compiled_in_the_middle(batch: bool) -> None:
    seen = []
    for engine in ("interpreter", "jit"):
        first, counts = chain(engine)
        verdicts = (
            list(first.run_batch(PACKETS)) if batch else [first(packet) for packet in PACKETS]
        )
        seen.append((verdicts, counts.snapshot()))
    assert seen[0] == seen[1]
    assert seen[0][0] == [0, 1000, 2000, 3000, 4000]


CALL_THEN_ASK = "lddw r2, {handle}\nmov r3, {index}\ncall 12\ncall 5\nexit"


def _space() -> tuple[Space, Any]:
    space = Space()
    programs = Map.create(MapDefinition("programs", MapType.PROG_ARRAY, 4, 4, 4))
    space.add_map(programs)
    return space, programs


def test_a_helper_is_replaced_that_only_the_target_calls() -> None:
    """Code with the old one inlined took the new one's context for its storage, and wrote to it."""
    seen = []
    for engine in ("interpreter", "jit"):
        space, programs = _space()
        text = CALL_THEN_ASK.format(handle=programs.handle, index=0).replace("call 5", "mov r0, 9")
        helpers = Helpers()
        first = Program.from_asm(text, space=space, hook=Xdp(), helpers=helpers, engine=engine)
        programs[0] = Program.from_asm("call 5\nexit", space=space, hook=Xdp(), engine=engine)
        answers: list[object] = []
        for _ in range(2):
            answers += [first(PACKETS[0]), first(PACKETS[0]), first.run(PACKETS[0]).value]
            answers.append(list(first.run_batch(PACKETS)))
            helpers.register(5, lambda *_: 777)
        seen.append(answers)
    assert seen[0] == seen[1]
    assert seen[0][4:] == [777, 777, 777, [777] * 5]


@restricted
def _far(words: int) -> int:
    """Looks at the end of its own storage, which is large."""
    return load64(words + 4000)


@pytest.mark.parametrize("batch", [False, True])
def test_each_run_has_the_helpers_and_the_host_of_its_program(batch: bool) -> None:
    """Programs of one space with clocks of their own, and with another helper in their place."""
    seen = []
    for engine in ("interpreter", "jit"):
        space, programs = _space()
        storage = bytearray(4096)
        storage[4000] = 42
        tables: list[dict[int, NativeHelper]] = [{}, {}, {5: NativeHelper(_far, storage)}]
        callers = [
            Program.from_asm(
                CALL_THEN_ASK.format(handle=programs.handle, index=index),
                space=space,
                hook=Xdp(),
                host=Host(),
                helpers=table,
                engine=engine,
            )
            for index, table in enumerate(tables)
        ]
        programs[0] = Program.from_asm(
            "mov r9, 1\ncall 5\nexit", space=space, hook=Xdp(), engine=engine
        )
        answers = []
        for _ in range(3):
            for caller in callers:
                answers += list(caller.run_batch(PACKETS)) if batch else [caller(PACKETS[0])]
        seen.append(answers)
    assert seen[0] == seen[1]
    assert {42, 1000} < set(seen[0])


# By its arithmetic r4 points into the packet; by its number, into the stack.
WRONG_GUESS = """
    ldxw r6, [r1]
    mov64 r3, r10
    sub64 r3, r6
    mov64 r4, r6
    add64 r4, r3
    stdw [r4-8], 7
    ldxdw r0, [r10-8]
    exit
"""


@pytest.mark.parametrize("way", ["run", "call", "batch"])
def test_a_tail_call_leads_into_the_code_that_has_learnt(way: str) -> None:
    """It led into the code whose guess was wrong, and each run left there again."""
    for engine in ("interpreter", "jit"):
        space, programs = _space()
        text = CALL_THEN_ASK.format(handle=programs.handle, index=0)
        first, second = (
            Program.from_asm(text, space=space, hook=Xdp(), engine=engine),
            Program.from_asm(text, space=space, hook=Xdp(), engine=engine),
        )
        target = Program.from_asm(WRONG_GUESS, space=space, hook=Xdp(), engine=engine)
        programs[0] = target
        seen = []
        for caller in (first, second):
            for _ in range(5):
                if way == "run":
                    seen.append(caller.run(PACKETS[0]).value)
                elif way == "call":
                    seen.append(caller(PACKETS[0]))
                else:
                    seen += caller.run_batch(PACKETS[:1])
        assert seen == [7] * 10
        if engine == "jit":
            assert target.jit_stats.exits == {(5, "check"): 1}
            assert first.jit_stats.exits == {(3, "tail call"): 2}
            assert second.jit_stats.exits == {(3, "tail call"): 1}


def test_a_tail_call_is_timed() -> None:
    """Each of the runs may make as many as any run; what they lead to is compiled before."""
    space, programs = _space()
    call = "lddw r2, {handle}\nmov r3, {index}\nldxw r6, [r1]\ncall 12\ncall 5\nexit"
    texts = (
        CALL_THEN_ASK.format(handle=programs.handle, index=1),
        call.format(handle=programs.handle, index=2),
        WRONG_GUESS.replace("ldxdw r0, [r10-8]", "mov r0, 5"),
    )
    host = Host(clock=(clock := Clock()))
    first, *others = (
        Program.from_asm(text, space=space, hook=Xdp(), host=host, engine="jit") for text in texts
    )
    programs[1], programs[2] = others
    with pytest.raises(CompileError, match="leaves"):  # by a guess that is wrong
        first.compiler.repeat(first.state(PACKETS[0]), 1)
    assert first.compiler.repeat(first.state(PACKETS[0]), 100) > 0
    programs[2] = Program.from_asm("mov r0, 5\nexit", space=space, hook=Xdp(), engine="jit")
    assert first.compiler.repeat(first.state(PACKETS[0]), 100) > 0  # the first time
    assert clock.now == 0  # which the programs would ask, if they were not left


def test_a_tail_call_of_itself_is_timed() -> None:
    space, programs = _space()
    text = CALL_THEN_ASK.format(handle=programs.handle, index=0)
    first = Program.from_asm(text, space=space, hook=Xdp(), engine="jit")
    programs[0] = first
    assert first.compiler.repeat(first.state(PACKETS[0]), 10) > 0
    assert first.jit_stats.exits == {}
