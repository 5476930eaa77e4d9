"""The reader of test vectors: what a file may say, and what is no vector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drybpf.errors import BpfError
from drybpf.vectors import Vector, VectorError, parse_vector, read_vector
from support import shared

WHOLE = """before the first directive nothing counts
-- asm
mov r0, 1   # a comment
exit\r
-- mem
aa 0xBB
1
-- c
int main;
-- no register offset
-- result
7
0x2
-- after
01 02 03
-- budget
9
"""


def test_every_section() -> None:
    expected = Vector(
        name="whole",
        assembly="mov r0, 1\nexit",
        bytecode=None,
        memory=b"\xaa\xbb\x01",
        result=2,  # the last line counts
        after=b"\1\2\3",
        budget=9,
    )
    assert parse_vector(WHOLE, "whole") == expected


def test_raw_words_are_slots_and_win_over_assembly() -> None:
    vector = parse_vector("-- asm\nexit\n-- raw\n0x95 149\n-- result\n0")
    assert vector.program() == (b"\x95" + bytes(7)) * 2


def test_assembly_becomes_bytecode() -> None:
    assert parse_vector("-- asm\nexit\n-- result\n0").program() == b"\x95" + bytes(7)


def test_no_memory_is_not_empty_memory() -> None:
    assert parse_vector("-- asm\nexit\n-- result\n0").memory is None
    assert parse_vector("-- asm\nexit\n-- mem\n-- result\n0").memory == b""


def test_sections_may_repeat() -> None:
    assert parse_vector("-- asm\na\n-- result\n0\n-- asm\nb").assembly == "a\nb"


def test_memory_is_cut_to_bytes() -> None:
    assert parse_vector("-- asm\nexit\n-- mem\n1ff\n-- result\n0").memory == b"\xff"


def test_an_empty_error_is_any_error() -> None:
    vector = parse_vector("-- asm\nexit\n-- error\n-- strict")
    assert (vector.result, vector.error, vector.strict) == (None, "", True)


def test_the_largest_number() -> None:
    assert parse_vector(f"-- asm\nexit\n-- result\n{2**64 - 1}").result == 2**64 - 1


BAD = {
    "no instructions": "-- result\n0",
    "neither a result nor an error": "-- asm\nexit",
    "line 1: unknown directive '-- Unknown'": "-- Unknown\n",
    "'-1' is no number": "-- asm\nexit\n-- result\n-1",
    "'0x' is no number": "-- asm\nexit\n-- result\n0x",
    "'18446744073709551616' is no number": f"-- asm\nexit\n-- result\n{2**64}",
    "'99999999999999999999' is no number": f"-- asm\nexit\n-- result\n{'9' * 20}",
    "'0x11112222333344445' is no number": "-- raw\n0x11112222333344445\n-- result\n0",
    "'x' is no number": "-- asm\nexit\n-- budget\nx\n-- result\n0",
    "'many' is no number": "-- raw\nmany\n-- result\n0",
    "no list of bytes": "-- asm\nexit\n-- mem\n0g\n-- result\n0",
}


@pytest.mark.parametrize("message", BAD)
def test_what_is_no_vector(message: str) -> None:
    with pytest.raises(VectorError, match=message):
        parse_vector(BAD[message])


def test_digits_of_other_scripts_are_no_numbers() -> None:
    with pytest.raises(VectorError, match="is no number"):
        parse_vector("-- asm\nexit\n-- result\n\u0663")


def test_a_file_has_its_name(tmp_path: Path) -> None:
    path = tmp_path / "some.data"
    path.write_text("-- asm\nexit\n-- result\n0", encoding="utf-8")
    assert read_vector(path).name == "some"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match="absent"):
        read_vector(tmp_path / "absent.data")
    path = tmp_path / "binary.data"
    path.write_bytes(b"-- asm\xff")
    with pytest.raises(VectorError, match="binary"):
        read_vector(path)


def test_file_format_rows_of_the_conformance_suite() -> None:
    lines = shared("conformance/negative_open.jsonl").read_text("utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["kind"] == "file-format"]
    assert rows
    for row in rows:
        with pytest.raises(VectorError):
            parse_vector(row["asm"], row["name"])
    assert issubclass(VectorError, BpfError)
