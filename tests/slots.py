"""Programs slot by slot, for what no assembler would write; and how they are refused."""

from __future__ import annotations

from struct import pack

import pytest

from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import VerifierError

MIN64, M64 = 1 << 63, (1 << 64) - 1


def slot(opcode: int, dst: int = 0, src: int = 0, offset: int = 0, imm: int = 0) -> bytes:
    """One slot; every field may have any value that fits."""
    return pack("<BBhi", opcode, src << 4 | dst, offset, imm)


def lddw(dst: int, value: int, src: int = 0) -> bytes:
    """A 64-bit immediate load, two slots."""
    low, high = value & 0xFFFF_FFFF, value >> 32
    return pack("<BBhI", 0x18, src << 4 | dst, 0, low) + pack("<BBhI", 0, 0, 0, high)


MOV, ADD, CALL, EXIT = (
    slot(0xB7),  # mov r0, 0
    slot(0x07, imm=1),  # add r0, 1
    slot(0x85),  # call 0
    slot(0x95),
)


def reasons(program: bytes | str, *, strict: bool = False) -> list[tuple[int, str]]:
    """What the verifier objects to: slots and reasons; [] where it accepts."""
    bytecode = assemble(program) if isinstance(program, str) else program
    found = verifier.verify(Code(bytecode), strict=strict)
    return [(finding.pc, finding.reason) for finding in found]


def refused(program: bytes | str, reason: str, pc: int = 0, *, strict: bool = False) -> None:
    """Assert that the verifier refuses a program, at a slot, for a reason with the text in it."""
    found = reasons(program, strict=strict)
    assert any(at == pc and reason in text for at, text in found), found
    bytecode = assemble(program) if isinstance(program, str) else program
    with pytest.raises(VerifierError, match=r"insn|program"):
        verifier.check(Code(bytecode), strict=strict)


def accepted(program: bytes | str, *, strict: bool = False) -> None:
    """Assert that the verifier has no objection."""
    assert reasons(program, strict=strict) == []
