"""Operands: how wide each is, and how their values become an instruction.

The assembler and the builder both fill a row here; nobody else lays out fields.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from drybpf.isa.instruction import Instruction
from drybpf.isa.table import OPERAND_FIELDS, Row

_FIELD_BITS = {"dst": 4, "src": 4, "offset": 16, "imm": 32, "next_imm": 32}
_FIELDS = ("dst", "src", "offset", "imm")
_M32 = 0xFFFF_FFFF

BITS: dict[str, int] = {
    operand: sum(_FIELD_BITS[field] for field in fields)
    for operand, fields in OPERAND_FIELDS.items()
}
"""How many bits each operand has."""


def _bounds(bits: int) -> tuple[int, int]:
    """A register, a number of 64 bits, signed or unsigned, or a signed number."""
    if bits == 4:
        return 0, 15
    half = 1 << (bits - 1)
    return -half, 2 * half - 1 if bits == 64 else half - 1


BOUNDS: dict[str, tuple[int, int]] = {name: _bounds(bits) for name, bits in BITS.items()}
"""The smallest and the largest value of each operand."""

RELATIVE = frozenset({"target", "long_target", "function", "code"})
"""The operands that are distances in slots, counted from the slot after the first one."""


def fill(row: Row, values: Mapping[str, int]) -> Instruction:
    """Make the instruction of a row from the values of its operands, which are in their bounds."""
    fields = {"dst": 0, "src": 0, "offset": 0, "imm": 0, "next_imm": 0}
    if row.pick:
        fields[row.pick[0]] = row.pick[1]
    for operand, value in values.items():
        first, *second = OPERAND_FIELDS[operand]
        fields[first] = low_half(value) if second else value
        if second:
            fields[second[0]] = value >> 32
    high = (fields.pop("next_imm") & _M32) << 32
    return Instruction(row.opcode, **fields, second=high if row.wide else None)


def low_half(value: int) -> int:
    """Read the low 32 bits as two's complement."""
    return ((value & _M32) ^ 0x8000_0000) - 0x8000_0000


_PLACES = {"offset": (2, struct.Struct("<h")), "imm": (4, struct.Struct("<i"))}  # in the slot


def set_distance(code: bytearray, slot: int, operand: str, target: int) -> None:
    """Write the distance from the instruction in a slot to a target slot.

    Raises `ValueError` where it is out of the bounds of the operand.
    """
    distance = target - (slot + 1)
    low, high = BOUNDS[operand]
    if not low <= distance <= high:
        message = f"{distance:+} slots do not fit into {BITS[operand]} bits"
        raise ValueError(message)
    at, field = _PLACES[OPERAND_FIELDS[operand][0]]
    field.pack_into(code, slot * 8 + at, distance)


def well_formed(instruction: Instruction) -> bool:
    """Whether it has a row, the row's number of slots, and zero in every reserved field."""
    row = instruction.row
    if row is None or row.wide != (instruction.second is not None):
        return False
    second = instruction.second or 0
    if second & _M32 or (second and "next_imm" not in row.fields):
        return False
    used = row.fields
    return all(field in used or not getattr(instruction, field) for field in _FIELDS)
