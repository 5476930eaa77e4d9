"""Every mistake in a text is an AssemblyError that names line, column, text and reason."""

from __future__ import annotations

import time

import pytest

from drybpf.asm import assemble
from drybpf.errors import AssemblyError

MISTAKES = [  # text, line, column, part of the reason
    ("/* one\ntwo */ exit", 2, 1, "unknown instruction 'two'"),
    ("/* one */ */ exit", 1, 12, "not '/'"),
    ("0:\n", 1, 1, "'0' cannot name a label"),
    ("0: (b7)", 1, 4, "expected an instruction, not '('"),
    ("0: (b7) frob r1", 1, 9, "unknown instruction 'frob'"),
    ("0: b7 00 00 00 01 00 00", 1, 4, "unknown instruction 'b7'"),
    ("mov r0,\n0: exit", 2, 2, "expected an instruction, not ':'"),
    (
        "exit\n 0000000000000020:  R_BPF_64_64 flows",
        2,
        2,
        "the instruction above refers to 'flows'",
    ),
    ("ldxq r0, r1", 1, 1, "unknown instruction 'ldxq'; did you mean 'ldxw'?"),
    ("exit\n  EXIT", 2, 3, "unknown instruction 'EXIT'; did you mean 'exit'?"),
    ("xyzzy r0", 1, 1, "unknown instruction 'xyzzy'"),
    ("be r0", 1, 1, "unknown instruction 'be'"),
    ("5", 1, 1, "expected an instruction, not '5'"),
    (", r0", 1, 1, "expected an instruction, not ','"),
    ("mov r0 1", 1, 8, "expected ',', not '1'"),
    ("mov r0", 1, 7, "expected ',', not the end of the line"),
    ("mov r0, # 1", 1, 8, "expected a number or a register r0 to r15, not the end"),
    ("add 1, 2", 1, 5, "expected a register r0 to r15, not '1'"),
    ("add r1, 2, 3, 4", 1, 10, "expected an instruction, not ','"),
    ("mov r0, 1 2", 1, 11, "expected an instruction, not '2'"),
    ("mov r0,\n1 2", 2, 3, "expected an instruction, not '2'"),
    ("mov r0,\nexit", 1, 8, "not the end of the line"),
    ("mov r0,\n\n99999999999", 3, 1, "out of the range of 32 bits"),
    ("exit mov r0,\nmov r1,\n1", 1, 13, "not the end of the line"),
    ("mov r0," + "\n" * 100 + "1", 1, 8, "not the end of the line"),
    ("mov r16, 1", 1, 5, "there is no register 'r16'"),
    ("mov %r50, 1", 1, 5, "there is no register '%r50'"),
    ("mov r1, r99999999999999999999", 1, 9, "there is no register"),
    ("mov r0, w1", 1, 9, "expected a number or a register r0 to r15, not 'w1'"),
    ("w0 = r1", 1, 6, "not 'r1'"),
    ("r0 = -r1", 1, 7, "r1 must be the same register as before"),
    ("r1 = cmpxchg_64(r1 + 0, r0, r2)", 1, 1, "this register must be r0, not r1"),
    ("ldxb %r0, %r1", 1, 11, "expected '[', not '%r1'"),
    ("ldxb r0, [r1+0x10000]", 1, 13, "+0x10000 is out of the range of 16 bits"),
    ("ldxb r0, [r1-0x8001]", 1, 13, "-0x8001 is out of the range of 16 bits (-32768 to 32767)"),
    ("ldxb r0, [r1+32768]", 1, 13, "out of the range of 16 bits"),
    ("ldxb r0, [r1 2]", 1, 14, "expected a signed number or ']', not '2'"),
    ("ja 32768", 1, 4, "32768 is out of the range of 16 bits"),
    ("mov32 r0, 2147483648", 1, 11, "2147483648 is out of the range of 32 bits"),
    ("mov r0, -2147483649", 1, 9, "out of the range of 32 bits"),
    ("mov r0, -0x80000001", 1, 9, "out of the range of 32 bits"),
    ("mov r0, 0x100000000", 1, 9, "0x100000000 is out of the range of 32 bits"),
    ("mov r0, 0x11111111111111111", 1, 9, "out of the range of 32 bits"),
    ("lddw r0, 0x10000000000000000", 1, 10, "out of the range of 64 bits"),
    ("lddw r0, 18446744073709551616", 1, 10, "out of the range of 64 bits"),
    ("lddw r0, -9223372036854775809", 1, 10, "out of the range of 64 bits"),
    (f"lddw r0, {'9' * 5000}", 1, 10, "out of the range of 64 bits"),
    ("mov r0, 0x", 1, 9, "'0x' is not a number"),
    ("mov r0, --1", 1, 9, "not '-'"),
    ("mov r0, +", 1, 9, "not '+'"),
    ("mov r0, 0b11", 1, 9, "'0b11' is not a number"),
    ("mov r0, 1e3", 1, 9, "'1e3' is not a number"),
    ("mov r0, 1_000", 1, 9, "'1_000' is not a number"),
    ("mov r0, 0xfg", 1, 9, "'0xfg' is not a number"),
    ("mov r0, ٣", 1, 9, "not '٣'"),
    ("mov r0, ²", 1, 9, "not '²'"),
    ("mov\0r0, 1", 1, 4, "not '\\x00'"),
    ("mov r0,\u00a01", 1, 8, "not '\\xa0'"),
    ("exit\u2028exit", 1, 5, "expected an instruction, not '\\u2028'"),
    ("\ud800", 1, 1, "expected an instruction"),
    ("call local", 1, 11, "expected a number or a label, not the end"),
    ("lock", 1, 5, "not the end of the line"),
    ("lock\nexit", 1, 5, "not the end of the line"),
    ("lock fetch ad [r1], r2", 1, 12, "not 'ad'; did you mean 'and'?"),
    ("lock xchg64 [r1], r2", 1, 6, "did you mean 'xchg'?"),
    ("ja nowhere", 1, 4, "there is no label 'nowhere'"),
    ("loop:\nja lop", 2, 4, "there is no label 'lop'; did you mean 'loop'?"),
    ("ja exit", 1, 4, "there is no label 'exit'"),
    ("ja " + "l" * 100, 1, 4, "there is no label 'lllll"),
    ("a:\nexit\na:", 3, 1, "the label 'a' is defined twice"),
    ("a: a:", 1, 4, "the label 'a' is defined twice"),
    ("r1:", 1, 1, "'r1' cannot name a label"),
    ("pc:", 1, 1, "'pc' cannot name a label"),
    ("5:", 1, 1, "'5' cannot name a label"),
    (":", 1, 1, "expected an instruction, not ':'"),
    ("ja far\n" + "exit\n" * 32768 + "far:", 1, 4, "too far away: +32768 slots"),
    ("far:\n" + "exit\n" * 32768 + "ja far", 32770, 4, "too far away: -32769 slots"),
    (".quad", 1, 6, "expected a number, not the end"),
    (".quad 1,", 1, 9, "expected a number, not the end"),
    (".quad r0", 1, 7, "expected a number, not 'r0'"),
    (".quad 0x10000000000000000", 1, 7, "out of the range of 64 bits"),
    ("x" * 5000, 1, 1, "unknown instruction 'xxxx"),
]


@pytest.mark.parametrize(("text", "line", "column", "reason"), MISTAKES)
def test_mistakes(text: str, line: int, column: int, reason: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(text)
    error = caught.value
    assert (error.line, error.column) == (line, column)
    assert reason in error.reason
    assert len(str(error)) < 1000


def test_the_message_has_everything() -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble("exit\n\tmov r0, 1 oops\nexit")
    expected = "line 2, column 12: unknown instruction 'oops': 'mov r0, 1 oops'"
    assert str(caught.value) == expected


def test_a_far_jump_just_fits() -> None:
    code = assemble("ja far\n" + "exit\n" * 32767 + "far:")
    assert code[:8].hex() == "0500ff7f00000000"


@pytest.mark.parametrize(
    "text",
    [
        "l%d:\n" * 50_000 % tuple(range(50_000)) + "ja lx",
        "x" * 1_000_000,
        "mov r0, " + "9" * 1_000_000,
        "+ " * 500_000,
        "mov r0,\n" * 50_000,
        ("#" * 50_000 + "\n") * 20 + "?",
        "exit " * 100_000 + "?",
        ".quad " + "1," * 200_000,
    ],
    ids=range(8),
)
def test_huge_mistakes_are_found_in_time(text: str) -> None:
    start = time.process_time()
    with pytest.raises(AssemblyError):
        assemble(text)
    assert time.process_time() - start < 10
