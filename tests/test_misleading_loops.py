"""Loops written to have the analysis believe what does not hold: each ends in a fault."""

from __future__ import annotations

import pytest

from drybpf import verifier
from drybpf.code import Code
from drybpf.errors import MemoryFault
from drybpf.hooks import Raw
from drybpf.jit.compiled import Jit
from drybpf.program import Program
from engines import code_of, run_everywhere

LONG = (1 << 40).to_bytes(8, "little")

BOUND_BELOW_ZERO = """
    mov64 r6, r1
    mov64 r2, 0
    l: ldxb r3, [r6]
    add64 r3, -100
    mov64 r4, r6
    add64 r4, r2
    ldxb r5, [r4]
    add64 r2, 1
    jlt r2, r3, l
    exit"""

RESTS_ON_THE_UNKNOWN = """
    mov64 r6, r1
    mov64 r9, 0
    mov64 r5, 0
    outer: mov64 r2, 0
    mov64 r7, 0
    inner: mov64 r4, r6
    add64 r4, r2
    ldxb r3, [r4]
    mov32 r3, r5
    sub64 r2, r5
    add64 r2, r3
    add64 r2, 1
    ldxdw r5, [r6+8]
    add64 r7, 1
    jlt r7, 10, inner
    add64 r9, 1
    jlt r9, 3, outer
    exit"""

NUMBER_ON_CONDITION = """
    mov64 r6, r1
    mov64 r9, 0
    ldxdw r5, [r6+8]
    outer: mov32 r3, r5
    sub64 r3, r5
    add64 r3, 10
    mov64 r2, 0
    inner: mov64 r4, r6
    add64 r4, r2
    ldxb r8, [r4]
    add64 r2, 1
    jlt r2, r3, inner
    add64 r9, 1
    jlt r9, 3, outer
    exit"""

COUNT_ON_CONDITION = """
    mov64 r6, r1
    mov64 r9, 0
    ldxdw r8, [r6]
    outer: lddw r7, 0x100000000
    mov64 r2, r8
    mov64 r4, 0
    inner: mov64 r5, r6
    add64 r5, r4
    ldxb r3, [r5]
    mov32 r3, r2
    sub64 r3, r2
    add64 r4, r3
    add64 r2, 1
    add64 r7, 1
    jlt32 r7, 10, inner
    ldxb r3, [r6+20]
    add64 r9, r3
    jlt r9, 3, outer
    exit"""

CASES = {
    "a bound below zero, which is a large one": (BOUND_BELOW_ZERO, b"\x32" + bytes(199)),
    "a step that rests on what is unknown": (RESTS_ON_THE_UNKNOWN, bytes(8) + LONG + bytes(84)),
    "a bound that is a number on condition": (NUMBER_ON_CONDITION, bytes(8) + LONG + bytes(84)),
    "a count that is a number on condition": (
        COUNT_ON_CONDITION,
        ((1 << 32) - 4).to_bytes(8, "little") + bytes(92),
    ),
}


@pytest.mark.parametrize(("text", "memory"), CASES.values(), ids=CASES)
def test_what_is_believed_is_demanded(text: str, memory: bytes) -> None:
    """First in code that checks its guards: without a fault of its own, it reads anywhere."""
    code: Code = code_of(text)
    verifier.check(code)
    state = Program(code).state(memory)
    with pytest.raises(MemoryFault):
        Jit(code, Raw.shape, paranoid=True).run(state)
    assert run_everywhere(code, memory).error == "MemoryFault"
