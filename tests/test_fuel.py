"""Fuel: charged at fixed points for the longest way to the next; never more runs than was given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import BudgetExceeded, ExecutionError
from drybpf.program import Program
from drybpf.state import State
from engines import run_everywhere
from slots import EXIT, MOV, slot

FAST = settings(max_examples=400, deadline=None, derandomize=True, database=None)

TABLES = {  # a program and its points: slot and charge
    "mov r0, 1\nexit": {0: 2},
    "lddw r0, 1\nexit": {0: 2},
    "jeq r0, 0, +2\nmov r0, 1\nmov r0, 2\nexit": {0: 4},
    "ja +1\nmov r0, 1\nexit": {0: 2},
    "mov r0, 0\nadd r0, 1\njlt r0, 5, -2\nexit": {0: 1, 1: 3},
    "ja -1": {0: 1},
    "call local f\nexit\nf:\nmov r0, 1\nexit": {0: 2, 2: 2},
    "lddw r1, code_addr(f)\nexit\nf:\nexit": {0: 2, 3: 1},
    "a:\njeq r1, 0, b\nja a\nb:\njeq r1, 1, a\nexit": {0: 3},
}


@pytest.mark.parametrize("text", TABLES)
def test_tables(text: str) -> None:
    assert dict(Code(assemble(text)).fuel) == TABLES[text]


def test_the_default_ends_an_endless_loop() -> None:
    program = Program.from_asm("ja -1", budget=1234)
    with pytest.raises(BudgetExceeded, match="at insn 0"):
        program()


@pytest.mark.parametrize("budget", [12, 13])
def test_exactly_enough(budget: int) -> None:
    text = "\n".join(["mov r0, 1"] * 11) + "\nexit"
    assert run_everywhere(text, budget=budget).value == 1


def test_one_too_few() -> None:
    outcome = run_everywhere("\n".join(["mov r0, 1"] * 11) + "\nexit", budget=11)
    assert (outcome.error, outcome.pc, outcome.instructions) == ("BudgetExceeded", 0, 0)


# Small programs of jumps, exits, calls and wide loads.  Whatever they hold, the verifier need not
# accept: the table is asked for all the same.
KINDS = st.sampled_from(["mov", "ja", "ja32", "branch", "exit", "call", "lddw"])
ROWS = st.lists(st.tuples(KINDS, st.integers(-8, 8)), max_size=10)


def build(rows: list[tuple[str, int]]) -> Code:
    parts: dict[str, Callable[[int], bytes]] = {
        "mov": lambda _: MOV,
        "ja": lambda n: slot(0x05, offset=n),
        "ja32": lambda n: slot(0x06, imm=n),
        "branch": lambda n: slot(0x1D, dst=abs(n) % 10, src=2, offset=n),
        "exit": lambda _: EXIT,
        "call": lambda n: slot(0x85, src=1, imm=n),
        "lddw": lambda n: slot(0x18, imm=n) + bytes(8),
    }
    return Code(b"".join(parts[kind](n) for kind, n in rows) + EXIT)


def steps_from(code: Code, pc: int) -> list[int]:
    """Where one step can lead within the function, written down anew from the bytes."""
    instruction = code.slots[pc]
    assert instruction is not None
    opcode, behind = instruction.opcode, pc + instruction.slots
    if opcode == 0x95:
        return []
    if opcode in (0x05, 0x06):
        return [pc + 1 + (instruction.offset if opcode == 0x05 else instruction.imm)]
    return [behind, pc + 1 + instruction.offset] if opcode == 0x1D else [behind]


def longest_path(code: Code, points: frozenset[int], start: int) -> int:
    """By trying every way from a point to the next ones."""

    @cache
    def walk(pc: int) -> int:
        ahead = [n for n in steps_from(code, pc) if 0 <= n < len(code) and code.slots[n]]
        return 1 + max((walk(n) for n in ahead if n not in points), default=0)

    return walk(start)


@FAST
@given(ROWS)
def test_the_table_against_all_ways(rows: list[tuple[str, int]]) -> None:
    code = build(rows)
    starts = [pc for pc in range(len(code)) if code.slots[pc]]
    points = {0}
    for pc in starts:
        instruction = code.slots[pc]
        if instruction and instruction.opcode == 0x85:
            points.add(pc + 1 + instruction.imm)
        points.update(n for n in steps_from(code, pc) if n <= pc)
    points &= set(starts)
    verified = not verifier.verify(code)
    assume(verified)
    assert set(code.fuel) == points
    for point, charge in code.fuel.items():
        assert charge == longest_path(code, frozenset(points), point)


@FAST
@given(ROWS, st.integers(0, 60), st.lists(st.integers(0, 1), min_size=10, max_size=10))
def test_a_budget_of_n_runs_n_at_most(
    rows: list[tuple[str, int]], budget: int, values: list[int]
) -> None:
    """With any program: verified or not, whichever way its branches go."""
    code = build(rows)
    state = State(code, fuel=budget)
    state.registers[:10] = values
    run_to_its_end(state)
    assert state.instructions <= budget
    assert state.fuel >= 0


@FAST
@given(ROWS, st.integers(0, 40), st.lists(st.integers(0, 1), min_size=10, max_size=10))
def test_a_run_goes_on_where_the_budget_ended(
    rows: list[tuple[str, int]], budget: int, values: list[int]
) -> None:
    """Fuel in two slices leads to the same place as fuel in one piece."""
    code = build(rows)
    assume(not verifier.verify(code))
    whole, sliced = State(code, fuel=100), State(code, fuel=budget)
    for state in (whole, sliced):
        state.registers[:10] = values
    run_to_its_end(sliced)
    sliced.fuel += 100 - budget
    assert run_to_its_end(whole) == run_to_its_end(sliced)
    assert (whole.instructions, whole.fuel) == (sliced.instructions, sliced.fuel)


def run_to_its_end(state: State) -> tuple[str, int]:
    try:
        return "", interpreter.run(state)
    except ExecutionError as error:
        return type(error).__name__, error.pc
