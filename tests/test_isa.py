"""The instruction table checks itself, and the pages made from it are fresh."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drybpf.errors import DecodeError
from drybpf.isa import ROWS, Instruction, Row, decode, encode, lookup
from drybpf.isa.formulas import formula
from drybpf.isa.operands import BITS, BOUNDS, fill, set_distance, well_formed
from drybpf.isa.table import OPERAND_FIELDS, _index
from support import ROOT

RFC = [row for row in ROWS if row.group not in ("callx", "extension")]


def test_rfc_9669_has_170_instructions_and_125_opcode_bytes() -> None:
    assert len(RFC) == 170
    assert len({row.opcode for row in RFC}) == 125
    assert len(ROWS) == 173


def test_groups_have_the_sizes_of_rfc_9669() -> None:
    expected = {
        "base32": 64,
        "base64": 60,
        "divmul32": 10,
        "divmul64": 10,
        "atomic32": 10,
        "atomic64": 10,
        "packet": 6,
    }
    assert Counter(row.group for row in RFC) == expected


def test_one_field_tells_instructions_with_the_same_opcode_apart() -> None:
    by_opcode = defaultdict(list)
    for row in ROWS:
        by_opcode[row.opcode].append(row)
    shared = [rows for rows in by_opcode.values() if len(rows) > 1]
    assert len(shared) == 17
    for rows in shared:
        picks = [row.pick for row in rows]
        assert None not in picks
        assert len({pick[0] for pick in picks if pick}) == 1
        assert len(set(picks)) == len(rows)


def test_a_table_with_an_opcode_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="opcode 0x04 is described twice"):
        _index((ROWS[0], ROWS[0]))
    other = Row(4, "add", "", "", "", "", pick=("imm", 5))
    with pytest.raises(ValueError, match="described twice"):
        _index((ROWS[0], other))


def test_both_texts_name_the_same_fields() -> None:
    for row in ROWS:
        llvm = {
            field
            for operand, fields in OPERAND_FIELDS.items()
            if f"{{{operand}}}" in row.llvm
            for field in fields
        }
        picked = {row.pick[0]} if row.pick else set()
        assert llvm | picked == row.fields, row


def test_every_operand_has_bounds() -> None:
    assert BITS.keys() == BOUNDS.keys() == OPERAND_FIELDS.keys()
    assert BOUNDS["dst"] == (0, 15)
    assert BOUNDS["offset"] == (-32768, 32767)
    assert BOUNDS["imm"] == (-(2**31), 2**31 - 1)
    assert BOUNDS["imm64"] == (-(2**63), 2**64 - 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ubpf)
@pytest.mark.parametrize("end", [0, 1], ids=["lowest", "highest"])
def test_every_row_survives_its_encoding(row: Row, end: int) -> None:
    instruction = fill(row, {operand: BOUNDS[operand][end] for operand in row.operands})
    assert well_formed(instruction)
    (decoded,) = decode(encode([instruction]))
    assert decoded == instruction
    assert decoded.row is row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ubpf)
def test_reserved_fields_must_be_zero(row: Row) -> None:
    instruction = fill(row, dict.fromkeys(row.operands, 0))
    reserved = {"dst", "src", "offset", "imm"} - row.fields
    for field in reserved:
        assert not well_formed(replace(instruction, **{field: 1}))


@pytest.mark.parametrize(
    ("second", "good"),
    [(0, True), (None, False), (1, False), (1 << 31, False), (1 << 32, False)],
)
def test_the_second_slot_of_a_map_reference_is_zero(second: int | None, good: bool) -> None:
    assert well_formed(Instruction(0x18, src=1, imm=5, second=second)) is good


def test_a_second_slot_without_lddw_is_not_well_formed() -> None:
    assert not well_formed(Instruction(0x95, second=0))
    assert not well_formed(Instruction(0xFF))


def test_unknown_bytes_have_no_row() -> None:
    assert lookup(0x00, 0, 0, 0) is None
    assert lookup(0xDC, 0, 0, 17) is None
    assert sum(lookup(opcode, 0, 0, 0) is None for opcode in range(256)) > 120


@pytest.mark.parametrize("length", [1, 7, 9, 15])
def test_half_slots_are_no_program(length: int) -> None:
    with pytest.raises(DecodeError, match="not a multiple of 8"):
        decode(bytes(length))


@given(st.binary(max_size=64).map(lambda data: data[: len(data) // 8 * 8]))
def test_any_slots_survive_decoding(data: bytes) -> None:
    assert encode(decode(data)) == data


def test_the_distance_counts_from_the_next_slot() -> None:
    code = bytearray(24)
    set_distance(code, 1, "target", 0)
    set_distance(code, 2, "function", 0)
    assert code[8:] == bytes.fromhex("0000feff00000000 00000000fdffffff")
    with pytest.raises(ValueError, match="do not fit into 16 bits"):
        set_distance(code, 0, "target", 32769)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ubpf)
def test_every_row_has_a_formula_of_its_operands(row: Row) -> None:
    text = formula(row)
    assert "{" not in text
    for operand in row.operands:
        assert operand in text


@pytest.mark.parametrize("tool", ["make_isa_page.py", "make_builder.py"])
def test_generated_files_are_fresh(tool: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / tool), "--check"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_reference_page_has_every_instruction() -> None:
    page = (ROOT / "docs" / "isa.md").read_text()
    for row in ROWS:
        assert f"`{row.mnemonic}" in page
