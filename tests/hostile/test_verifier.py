"""HOSTILE.md, group V: the verifier ends, and what it accepts runs to a typed end."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import random
from time import process_time

import pytest

from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import DecodeError
from engines import run_everywhere
from slots import ADD, EXIT, MOV, accepted, slot


def test_V1_a_worklist_that_never_empties() -> None:
    """Small, all jumps lead to and fro; each of 8 slots is looked at a bounded number of times."""
    rng = random.Random(1)  # noqa: S311 (repeatable)
    for _ in range(300):
        jumps = [slot(0x1D, n % 11, 2, rng.randint(-n - 1, 5 - n)) for n in range(6)]
        code = Code(b"".join(jumps) + MOV + EXIT)
        begin = process_time()
        verifier.verify(code, strict=True)
        assert process_time() - begin < 1


def test_V1_many_joins_with_different_registers() -> None:
    """Every block writes another register: the slowest way to the fixed point."""
    size = 20_000
    block = [slot(0xB7, n % 10) + slot(0x15, 1, 0, -2 if n else 0) for n in range(size)]
    accepted(b"".join(block) + MOV + EXIT)
    code = Code(b"".join(block) + MOV + EXIT)
    begin = process_time()
    verifier.verify(code, strict=True)
    assert process_time() - begin < 5


LOOPS = {
    "irreducible": "mov r0, 0\njeq r1, 0, b\na:\nadd r0, 1\nb:\nadd r0, 1\njlt r0, 9, a\nexit",
    "self loop": "mov r0, 0\njne r0, 0, -1\nexit",
    "dead code": "mov r0, 0\nexit\na:\nja b\nb:\nja a",
    "two entries": """
        mov r0, 0
        jeq r1, 0, b
    a:
        ja c
    b:
        ja d
    c:
        add r0, 1
    d:
        jlt r0, 5, a
        exit
    """,
}


@pytest.mark.parametrize("name", LOOPS)
def test_V2_loops_of_all_kinds(name: str) -> None:
    accepted(LOOPS[name])
    verifier.verify(Code(assemble(LOOPS[name])), strict=True)
    assert run_everywhere(LOOPS[name], budget=10_000).error in ("", "BudgetExceeded")


def _soup(rng: random.Random) -> bytes:
    """Valid opcodes with small fields, jumps that stay inside."""
    opcodes = [0x07, 0x0F, 0xB7, 0xBF, 0x79, 0x7B, 0x72, 0x15, 0x05, 0x37, 0x6F, 0xDB, 0x30, 0x8D]
    slots = [
        slot(rng.choice(opcodes), rng.randrange(10), rng.randrange(11), rng.randint(-6, 6), 0)
        for _ in range(rng.randrange(12))
    ]
    return b"".join(slots) + EXIT


def test_V3_what_is_accepted_ends_with_a_result_or_a_typed_error() -> None:
    rng = random.Random(3)  # noqa: S311
    runs = 0
    for _ in range(4000):
        code = Code(_soup(rng))
        if not verifier.verify(code):
            run_everywhere(code, bytes(16), budget=200)
            runs += 1
    assert runs > 100


def test_V4_random_words_and_mutated_programs() -> None:
    rng = random.Random(4)  # noqa: S311
    original = assemble(LOOPS["irreducible"])
    for _ in range(3000):
        mutant = bytearray(original)
        for _ in range(rng.randint(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        code = Code(rng.choice([bytes(mutant), rng.randbytes(8 * rng.randrange(6))]))
        if not verifier.verify(code):
            run_everywhere(code, bytes(8), budget=200)
    with pytest.raises(DecodeError):
        Code(ADD[:5])
