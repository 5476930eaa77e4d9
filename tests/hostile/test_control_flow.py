"""HOSTILE.md, group C: jumps, calls, loops and budgets."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import pytest

from engines import run_everywhere
from slots import ADD, CALL, EXIT, M64, MOV, accepted, lddw, refused, slot


@pytest.mark.parametrize("offset", [-2, -3, 1, 2, 32767, -32768])
def test_C1_jump_out_of_the_program(offset: int) -> None:
    for opcode in (0x05, 0x15, 0x1D, 0x16, 0xDE):
        refused(slot(opcode, offset=offset) + EXIT, f"jump to {1 + offset}, outside")


def test_C1_jump_exactly_behind_the_end() -> None:
    refused(slot(0x05, offset=1) + EXIT, "jump to 2, outside the program")
    refused(slot(0x06, imm=1) + EXIT, "jump to 2, outside the program")


def test_C2_into_the_second_half_of_lddw() -> None:
    middle = "into the middle of a 64-bit immediate"
    refused(slot(0x05, offset=1) + lddw(0, 1) + EXIT, f"jump to 2, {middle}")
    refused(slot(0x15, offset=1) + lddw(0, 1) + EXIT, f"jump to 2, {middle}")
    refused(slot(0x85, src=1, imm=1) + lddw(0, 1) + EXIT, f"call to 2, {middle}")
    refused(lddw(0, -1 & 0xFFFFFFFF) + lddw(1, 0, src=4) + EXIT, f"address to 3, {middle}", 2)


@pytest.mark.parametrize(
    "last", [MOV, CALL, slot(0x15, offset=-1), slot(0x1E, offset=-1), lddw(0, 1), slot(0x8D)]
)
def test_C3_the_last_instruction_must_leave(last: bytes) -> None:
    refused(EXIT + last, "control can run past the end of the function", 1)


def test_C3_ja_and_exit_may_be_last() -> None:
    accepted(EXIT + slot(0x05, offset=-2))
    accepted(EXIT + slot(0x06, imm=-2))


def test_C4_no_exit_at_all() -> None:
    """Endless programs end by the budget; what runs past the end is refused."""
    assert run_everywhere(slot(0x05, offset=-1), budget=10).error == "BudgetExceeded"
    refused(MOV, "control can run past the end of the function")


def test_C5_largest_distances() -> None:
    forward = slot(0x05, offset=32767) + MOV * 32767 + EXIT
    accepted(forward)
    accepted(MOV * 32766 + EXIT + slot(0x05, offset=-32768))
    for distance in (-(1 << 31), (1 << 31) - 1):
        refused(slot(0x06, imm=distance) + EXIT, f"jump to {1 + distance}, outside the program")


@pytest.mark.parametrize("distance", [-2, -(1 << 31), (1 << 31) - 1, 1])
def test_C6_local_call_out_of_the_program(distance: int) -> None:
    refused(slot(0x85, src=1, imm=distance) + EXIT, f"call to {1 + distance}, outside the program")


def test_C6_a_function_that_calls_itself() -> None:
    itself = slot(0x85, src=1, imm=-1) + EXIT
    accepted(itself)
    assert run_everywhere(itself).error == "CallDepthExceeded"


def test_C7_falling_into_the_next_function() -> None:
    program = slot(0x85, src=1, imm=2) + EXIT + MOV + ADD + EXIT
    refused(program, "control can run past the end of the function", 2)


def test_C8_jump_into_another_function() -> None:
    program = slot(0x85, src=1, imm=2) + slot(0x05, offset=2) + EXIT + MOV + EXIT
    refused(program, "jump to 4, into another function", 1)
    back = slot(0x85, src=1, imm=1) + EXIT + slot(0x05, offset=-2)
    refused(back, "jump to 1, into another function", 2)


LOOPS = {
    "ja -1": "ja -1",
    "ja32 -1": "ja32 -1",
    "two instructions": "add r0, 1\nja -2",
    "conditional": "jeq r3, 0, -1\nexit",
    "through calls": "call local f\nja -2\nf:\nexit",
    "both ways round": "a:\njeq r3, 0, c\nb:\nja a\nc:\nja b",
}


@pytest.mark.parametrize("name", LOOPS)
def test_C9_endless_loops(name: str) -> None:
    outcome = run_everywhere(LOOPS[name], budget=1000)
    assert outcome.error == "BudgetExceeded"
    assert 400 < outcome.instructions <= 1000


def test_C10_endless_recursion() -> None:
    outcome = run_everywhere("call local f\nexit\nf:\ncall local f\nexit")
    assert (outcome.error, outcome.pc, outcome.instructions) == ("CallDepthExceeded", 2, 7)


NESTED = """
mov r1, {depth}
call local f
exit
f:
mov r0, 1
jeq r1, 0, +3
sub r1, 1
call local f
add r0, 1
exit
"""


def test_C11_depth_at_the_limit_and_beyond() -> None:
    assert run_everywhere(NESTED.format(depth=6)).value == 7  # eight frames with the entry's
    outcome = run_everywhere(NESTED.format(depth=7))
    assert (outcome.error, outcome.pc) == ("CallDepthExceeded", 6)


LOOP = "mov r0, 0\nagain:\nadd r0, 1\njlt r0, 5, again\nexit"
"""1 instruction before the loop, 5 rounds of 2, 1 behind it: 12."""


@pytest.mark.parametrize("budget", range(16))
def test_C12_budgets(budget: int) -> None:
    """The entry charges 1, the loop's head 3 each round, of which 2 run before the next one."""
    outcome = run_everywhere(LOOP, budget=budget)
    rounds = (budget - 1) // 3 if budget else 0
    expected = (0, 0) if budget == 0 else (1, 1 + 2 * rounds)
    assert outcome.error == "BudgetExceeded"
    assert (outcome.pc, outcome.instructions) == expected


def test_C12_a_sufficient_budget() -> None:
    outcome = run_everywhere(LOOP, budget=16)
    assert (outcome.value, outcome.instructions) == (5, 12)


def test_C13_jump_to_slot_0() -> None:
    """No second prologue: the frame and the registers stay."""
    program = "ldxdw r3, [r10-8]\nstdw [r10-8], 7\nadd r2, 1\njlt r2, 2, -4\nmov r0, r3\nexit"
    assert run_everywhere(program).value == 7


def test_C14_unreachable_code_is_checked() -> None:
    refused(EXIT + slot(0xFF) + EXIT, "opcode 0xff is no instruction", 1)
    refused(EXIT + slot(0xB7, dst=12) + EXIT, "there is no register r12", 1)
    refused(EXIT + slot(0x05, offset=9) + EXIT, "jump to 11, outside the program", 1)


def test_C15_registers_across_calls() -> None:
    program = """
        mov r6, 1
        mov r7, 2
        mov r8, 4
        mov r9, 8
        mov r1, 16
        mov r5, 16
        mov r0, r10
        stxdw [r10-8], r0
        call local f
        jne r1, 0, wrong
        jne r5, 0, wrong
        mov r0, r6
        or r0, r7
        or r0, r8
        or r0, r9
        ldxdw r1, [r10-8]
        jne r1, r10, wrong
        exit
    wrong:
        mov r0, -1
        exit
    f:
        mov r6, 32
        mov r7, 32
        mov r8, 32
        mov r9, 32
        exit
    """
    assert run_everywhere(program).value == 15


def test_C16_many_blocks() -> None:
    """10^5 blocks, two a round: `jeq r1, 0, +1; add r0, 1`, all taken."""
    program = (slot(0x15, dst=2, offset=1) + ADD) * 50_000 + EXIT
    accepted(program)
    accepted(slot(0xB7) + program, strict=False)
    outcome = run_everywhere(program, budget=300_000)
    assert (outcome.value, outcome.instructions) == (0, 50_001)


def test_C16_long_chains_of_jumps() -> None:
    """Forward to the end by 50,000 jumps, back to the start by as many."""
    size = 50_000
    forward = slot(0x05, offset=1) * (2 * size)
    accepted(forward + EXIT + EXIT)
    backward = slot(0x06, imm=2 * size - 1) + EXIT + slot(0x05, offset=-2) * (2 * size - 1)
    accepted(backward)
    outcome = run_everywhere(backward, budget=1_000_000)
    assert (outcome.value, outcome.instructions) == (0, 2 * size + 1)


def test_C16_deeply_nested_branches() -> None:
    program = MOV + slot(0x15, dst=0, offset=0) * 50_000 + EXIT
    accepted(program, strict=True)
    assert run_everywhere(program, budget=M64 >> 1).instructions == 50_002


def test_C16_many_functions() -> None:
    program = MOV + (slot(0x85, src=1, imm=1) + EXIT) * 50_000 + MOV + EXIT
    accepted(program)
    accepted(program, strict=True)
