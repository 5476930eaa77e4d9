"""HOSTILE.md, group E: bytes that are no programs."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import pytest

from drybpf.code import Code
from drybpf.errors import DecodeError
from drybpf.isa import ROWS
from drybpf.isa.table import BY_OPCODE
from engines import run_everywhere
from slots import EXIT, M64, MOV, accepted, lddw, reasons, refused, slot


@pytest.mark.parametrize("length", [1, 7, 9, 15, 8_000_001])
def test_E1_length_not_a_multiple_of_8(length: int) -> None:
    with pytest.raises(DecodeError, match=f"{length} bytes, is not a multiple of 8"):
        Code(bytes(length))


def test_E2_empty_program() -> None:
    refused(b"", "the program is empty")


def test_E3_unknown_opcode_byte() -> None:
    unknown = [opcode for opcode in range(256) if opcode not in BY_OPCODE]
    assert len(unknown) == 128  # of RFC 9669's 131, callx and two packet loads are known here
    for opcode in unknown:
        refused(slot(opcode) + EXIT, f"opcode {opcode:#04x} is no instruction")


RESERVED = {  # an instruction with one junk field: what is objected to
    "add64 imm, src": (slot(0x07, src=1), "src is 1"),
    "add64 imm, offset": (slot(0x07, offset=1), "offset is 1"),
    "add64 reg, imm": (slot(0x0F, imm=1), "imm is 1"),
    "add64 reg, offset": (slot(0x0F, offset=-1), "offset is -1"),
    "neg64, src": (slot(0x87, src=1), "src is 1"),
    "neg64, imm": (slot(0x87, imm=1), "imm is 1"),
    "be16, src": (slot(0xDC, src=1, imm=16), "src is 1"),
    "ja, dst": (slot(0x05, dst=1), "dst is 1"),
    "ja, imm": (slot(0x05, imm=1), "imm is 1"),
    "ja32, offset": (slot(0x06, offset=1), "offset is 1"),
    "jeq imm, src": (slot(0x15, src=1), "src is 1"),
    "jeq reg, imm": (slot(0x1D, imm=1), "imm is 1"),
    "call, dst": (slot(0x85, dst=1), "dst is 1"),
    "call, offset": (slot(0x85, offset=1), "offset is 1"),
    "call local, offset": (slot(0x85, src=1, offset=1, imm=-1), "offset is 1"),
    "exit, imm": (slot(0x95, imm=1), "imm is 1"),
    "ldxw, imm": (slot(0x61, src=1, imm=1), "imm is 1"),
    "stw, src": (slot(0x62, dst=1, src=1), "src is 1"),
    "stxw, imm": (slot(0x63, dst=1, imm=1), "imm is 1"),
    "ldabsw, dst": (slot(0x20, dst=1), "dst is 1"),
    "ldabsw, src": (slot(0x20, src=1), "src is 1"),
    "ldindw, offset": (slot(0x40, offset=1), "offset is 1"),
    "lddw, offset": (slot(0x18, offset=1) + bytes(8), "offset is 1"),
}


@pytest.mark.parametrize("name", RESERVED)
def test_E4_reserved_field_not_zero(name: str) -> None:
    instruction, reason = RESERVED[name]
    refused(instruction + EXIT, f"the reserved field {reason}, not 0")


def test_E4_every_reserved_field_of_every_row() -> None:
    for row in ROWS:
        fields = {row.pick[0]: row.pick[1]} if row.pick else {}
        tail = bytes(8) if row.wide else b""
        for field in {"dst", "src", "offset", "imm"} - row.fields:
            junk = slot(row.opcode, **{**fields, field: 5}) + tail
            refused(junk + EXIT, f"the reserved field {field} is 5, not 0")


def test_E5_lddw_as_last_slot() -> None:
    refused(EXIT + lddw(0, 1)[:8], "the second half of the 64-bit immediate is missing", 1)


def test_E6_second_slot_of_lddw_with_an_opcode() -> None:
    refused(lddw(0, 1)[:8] + EXIT + EXIT, "the second half of the 64-bit immediate has an opcode")


@pytest.mark.parametrize(
    "second", [slot(0, dst=1), slot(0, src=1), slot(0, offset=1), slot(0, offset=-1)]
)
def test_E7_second_slot_of_lddw_with_junk(second: bytes) -> None:
    reason = "the second half of the 64-bit immediate has registers or an offset"
    refused(lddw(0, 1)[:8] + second + EXIT, reason)


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 6])
def test_E8_lddw_kinds_without_a_resolver(kind: int) -> None:
    refused(lddw(0, 1, src=kind) + EXIT, "nothing says which map or variable this means")
    resolved = Code(lddw(0, 1, src=kind) + EXIT, references={0: 0x6000_0000})
    assert run_everywhere(resolved).value == 0x6000_0000


def test_E8_lddw_of_a_function_needs_no_resolver() -> None:
    accepted(lddw(0, 2, src=4) + EXIT + MOV + EXIT)
    refused(lddw(0, 1 << 32, src=4) + EXIT + EXIT, "the reserved field next_imm is 1, not 0")
    refused(lddw(0, 7, src=4) + EXIT, "address to 8, outside the program")


@pytest.mark.parametrize("kind", range(7, 16))
def test_E8_lddw_of_other_kinds(kind: int) -> None:
    refused(lddw(0, 1, src=kind) + EXIT, f"does not have the src {kind:#x}")


@pytest.mark.parametrize("register", range(11, 16))
def test_E9_registers_beyond_r10(register: int) -> None:
    for instruction in (
        slot(0xB7, dst=register),
        slot(0xBF, src=register),
        slot(0x79, src=register),
        slot(0x7B, dst=register),
        slot(0x15, dst=register),
        slot(0x50, src=register),
        slot(0x8D, dst=register),
    ):
        refused(instruction + EXIT, f"there is no register r{register}")


def test_E10_both_registers_are_checked() -> None:
    found = reasons(slot(0xBF, dst=11, src=12) + EXIT)
    assert found == [(0, "there is no register r11"), (0, "there is no register r12")]


WRITES_R10 = {
    "mov64 r10, 0": slot(0xB7, dst=10),
    "mov32 r10, r1": slot(0xBC, dst=10, src=1),
    "add64 r10, 8": slot(0x07, dst=10, imm=8),
    "neg64 r10": slot(0x87, dst=10),
    "be16 r10": slot(0xDC, dst=10, imm=16),
    "ldxdw r10, [r1]": slot(0x79, dst=10, src=1),
    "ldxsb r10, [r1]": slot(0x91, dst=10, src=1),
    "lddw r10, 1": lddw(10, 1),
    "lock fetch add [r1], r10": slot(0xDB, dst=1, src=10, imm=1),
    "lock xchg [r1], r10": slot(0xDB, dst=1, src=10, imm=0xE1),
}


@pytest.mark.parametrize("name", WRITES_R10)
def test_E11_write_to_r10(name: str) -> None:
    refused(WRITES_R10[name] + EXIT, "r10 is read-only")


@pytest.mark.parametrize(
    "text",
    [
        "jeq r10, 0, +0",
        "stxdw [r1], r10",
        "lock add [r1], r10",
        "lock cmpxchg [r1], r10",
        "mov r0, r10",
    ],
)
def test_E11_reading_r10_is_no_write(text: str) -> None:
    accepted(f"{text}\nexit")


@pytest.mark.parametrize("opcode", [0x34, 0x3C, 0x37, 0x3F, 0x94, 0x9C, 0x97, 0x9F])
def test_E12_offsets_of_division(opcode: int) -> None:
    accepted(slot(opcode, offset=0) + EXIT)
    accepted(slot(opcode, offset=1) + EXIT)
    for offset in (-1, 2, 8, 32767):
        refused(slot(opcode, offset=offset) + EXIT, f"does not have the offset {offset:#x}")


def test_E12_offset_1_is_signed() -> None:
    signed = slot(0xB7, imm=-8) + slot(0x37, imm=2, offset=1) + EXIT
    assert run_everywhere(signed).value == M64 - 3
    unsigned = slot(0xB7, imm=-8) + slot(0x37, imm=2) + EXIT
    assert run_everywhere(unsigned).value == (1 << 63) - 4


def test_E13_offsets_of_mov() -> None:
    for opcode, widths in ((0xBF, (8, 16, 32)), (0xBC, (8, 16))):
        for offset in range(-40, 41):
            program = slot(opcode, src=1, offset=offset) + EXIT
            if offset in (0, *widths):
                accepted(program)
            else:
                refused(program, f"does not have the offset {offset:#x}")
    for opcode in (0xB7, 0xB4):  # with an immediate
        refused(slot(opcode, offset=8) + EXIT, "the reserved field offset is 8, not 0")


@pytest.mark.parametrize("opcode", [0xD4, 0xDC, 0xD7])
def test_E14_widths_of_byte_swaps(opcode: int) -> None:
    for width in (-1, 0, 8, 15, 24, 48, 128, 1 << 30):
        refused(slot(opcode, imm=width) + EXIT, f"does not have the imm {width:#x}")
    for width in (16, 32, 64):
        accepted(slot(opcode, imm=width) + EXIT)


def test_E15_atomics_that_are_none() -> None:
    known = {0x00, 0x40, 0x50, 0xA0, 0x01, 0x41, 0x51, 0xA1, 0xE1, 0xF1}
    for opcode in (0xC3, 0xDB):
        for operation in range(-1, 0x100):
            program = slot(opcode, dst=1, src=2, imm=operation) + EXIT
            if operation in known:
                accepted(program)
            else:  # exchanges without FETCH (0xe0, 0xf0) among them
                refused(program, f"does not have the imm {operation:#x}")
    for opcode in (0xCB, 0xD3):  # 16 and 8 bits
        refused(slot(opcode, dst=1, src=2) + EXIT, f"opcode {opcode:#04x} is no instruction")


def test_E16_sizes() -> None:
    refused(b"", "the program is empty")
    accepted(EXIT)
    for slots in (65_535, 65_536, 1_000_000):
        accepted(MOV * (slots - 1) + EXIT)
    reason = "the program has 1000001 instructions, more than 1000000"
    refused(MOV * 1_000_000 + EXIT, reason)


def test_E16_a_jump_beyond_65536_runs() -> None:
    """32-bit distances, and a pc that is not cut to 16 bits."""
    far = slot(0x06, imm=65_540) + MOV * 65_540 + slot(0xB7, imm=7) + EXIT
    assert run_everywhere(far, budget=100_000).value == 7
    near = slot(0x05, offset=32_767) + MOV * 32_767 + slot(0xB7, imm=8) + EXIT
    assert run_everywhere(near, budget=100_000).value == 8


@pytest.mark.parametrize("kind", range(3, 16))
def test_E17_call_kinds(kind: int) -> None:
    refused(slot(0x85, src=kind) + EXIT, f"there is no call of kind {kind}")


def test_E18_callx_is_known_and_its_fields_are_reserved() -> None:
    accepted(slot(0x8D, dst=1) + EXIT)
    for field in ("src", "offset", "imm"):  # where other dialects put the register
        refused(slot(0x8D, **{field: 3}) + EXIT, f"the reserved field {field} is 3, not 0")
