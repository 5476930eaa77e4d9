"""Programs as structured values: an instruction with its name, its fields and its text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from drybpf.asm.parser import QUAD
from drybpf.asm.printer import as_instructions, format_instruction
from drybpf.isa import Instruction


@dataclass(frozen=True, slots=True)
class HighLevelInsn:
    """One instruction; `lddw` is one with the whole immediate, signed 64 bits."""

    opc: int
    name: str  # the mnemonic, `.quad` for what is no instruction
    desc: str  # the text in the ubpf dialect
    dst: int
    src: int
    off: int
    imm: int

    def to_dict(self) -> dict[str, int | str]:
        """The fields by name."""
        return asdict(self)


def to_insn_vec(program: bytes | Sequence[Instruction]) -> list[HighLevelInsn]:
    """Describe each instruction of a program; raises `DecodeError` as `decode` does."""
    return [_describe(instruction) for instruction in as_instructions(program)]


def to_json(program: bytes | Sequence[Instruction], *, indent: int | None = None) -> str:
    """Describe a program as JSON: `{"size": slots, "insns": [{"opc": …}, …]}`."""
    instructions = as_instructions(program)
    size = sum(instruction.slots for instruction in instructions)
    insns = [_describe(instruction).to_dict() for instruction in instructions]
    return json.dumps({"size": size, "insns": insns}, indent=indent)


def _describe(instruction: Instruction) -> HighLevelInsn:
    desc = format_instruction(instruction)
    row = instruction.row
    imm = instruction.next_imm << 32 | instruction.imm & 0xFFFF_FFFF
    return HighLevelInsn(
        opc=instruction.opcode,
        name=row.mnemonic if row else QUAD,
        desc=desc,
        dst=instruction.dst,
        src=instruction.src,
        off=instruction.offset,
        imm=instruction.imm if instruction.second is None else imm,
    )
