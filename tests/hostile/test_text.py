"""HOSTILE.md, group T: text that is no program."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import random
from collections.abc import Callable
from time import process_time

import pytest

from drybpf.asm import assemble, disassemble
from drybpf.errors import AssemblyError
from drybpf.isa import ROWS
from slots import EXIT, slot

BAD_NUMBERS = {  # text: column
    "ldxb r0, [r1+0x10000]": 13,
    "ldxb r0, [r1-32769]": 13,
    "ja +32768": 4,
    "ja -32769": 4,
    "mov r0, 2147483648": 9,
    "mov r0, -2147483649": 9,
    "mov r0, 0x100000000": 9,
    "mov r0, 9223372036854775808": 9,
    "lddw r0, 18446744073709551616": 10,
    "lddw r0, 0x10000000000000000": 10,
    "mov r0, 0x": 9,
    "mov r0, 0xg": 9,
    "mov r0, --1": 9,
    "mov r0, +-1": 9,
    "mov r0, 1_000": 9,
    "mov r0, " + "9" * 5000: 9,
    "call 4294967296": 6,
}


@pytest.mark.parametrize("text", BAD_NUMBERS, ids=lambda text: text[:40])
def test_T1_numbers_out_of_range(text: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(f"exit\n{text}\nexit")
    assert (caught.value.line, caught.value.column) == (2, BAD_NUMBERS[text])


def test_T1_the_largest_numbers_there_are() -> None:
    assert assemble("ldxb r0, [r1-0x8000]") == slot(0x71, 0, 1, -32768)
    assert assemble("ldxb r0, [r1+0x7fff]") == slot(0x71, 0, 1, 32767)
    assert assemble("ja -32768") == slot(0x05, offset=-32768)
    assert assemble("mov r0, -2147483648") == slot(0xB7, imm=-(1 << 31))
    assert assemble("mov r0, 0xffffffff") == slot(0xB7, imm=-1)
    assert assemble("lddw r0, 18446744073709551615") == assemble("lddw r0, -1")


BAD_TEXT = {
    "unknown label": "ja nowhere\nexit",
    "label twice": "a:\nexit\na:\nexit",
    "NUL": "mov r0, 1\0",
    "digits of another script": "mov r0, \u0661",
    "full-width digits": "mov r0, \uff11",
    "letters of another script": "m\u043ev r0, 1",
    "register of another script": "mov r\u0660, 1",
    "superscript": "mov r0, \u00b2",
    "half an instruction": "mov r0,",
    "nothing but a comma": ",",
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_T2_text_that_is_no_program(name: str) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(BAD_TEXT[name])
    assert caught.value.line >= 1
    assert caught.value.column >= 1


LONG: dict[str, Callable[[int], str]] = {
    "labels": lambda size: "".join(f"l{n}:\n" for n in range(size)) + "exit",
    "unknown labels": lambda size: "".join(f"l{n}:\n" for n in range(size)) + "ja unknown",
    "references": lambda size: "a:\n" + "ja a\n" * min(size, 30_000),
    "one line": lambda size: "exit " * size,
    "one word": lambda size: "x" * size,
    "one number": lambda size: "mov r0, " + "1" * size,
    "blanks": lambda size: " " * size + "exit",
    "commas": lambda size: "," * size,
    "brackets": lambda size: "[" * size,
    "unfinished lines": lambda size: "mov\n" * size,
    "empty lines": lambda size: "\n" * size + "exit",
    "comment": lambda size: "#" * size,
    "signs": lambda size: "mov r0, " + "-" * size,
}


@pytest.mark.parametrize("name", LONG)
def test_T2_T4_linear_time(name: str) -> None:
    begin = process_time()
    message = ""
    try:
        assemble(LONG[name](100_000))
    except AssemblyError as error:
        message = str(error)
    assert len(message) < 2000  # it does not repeat the text
    assert process_time() - begin < 5


def test_T3_what_decodes_can_be_written_and_read_again() -> None:
    rng = random.Random(3)  # noqa: S311
    for _ in range(3000):
        row = rng.choice(ROWS)
        fields = {"dst": rng.randrange(16), "src": rng.randrange(16), "offset": 0, "imm": 0}
        fields["offset"] = rng.choice([0, 1, 8, -32768, 32767, rng.randint(-99, 99)])
        fields["imm"] = rng.choice([0, 16, -(1 << 31), (1 << 31) - 1, rng.randint(-99, 99)])
        if row.pick:
            fields[row.pick[0]] = row.pick[1]
        program = slot(row.opcode, **fields) + rng.randbytes(8) + EXIT
        for dialect in ("ubpf", "llvm"):
            assert assemble(disassemble(program, dialect=dialect)) == program


def test_T3_any_bytes() -> None:
    rng = random.Random(4)  # noqa: S311
    for size in range(200):
        program = rng.randbytes(8 * size)
        assert assemble(disassemble(program)) == program
        assert assemble(disassemble(program, dialect="llvm")) == program


def test_T5_messages_have_no_control_characters() -> None:
    for text in ("ja \x1b[31mred", "\x1b]0;title\x07", "mov r0, \x00", "exit\rmov", "a\u202eb"):
        with pytest.raises(AssemblyError) as caught:
            assemble(text)
        assert str(caught.value).isprintable() or "\n" in str(caught.value)
        assert not set("\x1b\x07\x00\r\u202e") & set(str(caught.value))
