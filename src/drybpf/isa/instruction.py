"""One instruction as a value, and the way between it and its bytes.

    byte   0        1            2–3              4–7
           opcode   src << 4|dst offset (signed)  imm (signed)      little-endian

A 64-bit immediate load takes a second slot, whose last four bytes are the upper half.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from drybpf.cached import cached_property
from drybpf.errors import DecodeError
from drybpf.isa.table import LDDW, Row, lookup

SLOT_SIZE = 8
_SLOT = struct.Struct("<BBhi")
_WORD = struct.Struct("<Q")


@dataclass(frozen=True)
class Instruction:
    """An instruction of one slot, or of two for `lddw`.

    `second` is the whole second slot as an unsigned 64-bit number, junk included, so that
    `encode(decode(data)) == data` holds for any bytes; None where there is none.
    """

    opcode: int
    dst: int = 0
    src: int = 0
    offset: int = 0
    imm: int = 0
    second: int | None = None

    @cached_property
    def row(self) -> Row | None:
        """The row that describes the instruction; None if there is none."""
        return lookup(self.opcode, self.src, self.offset, self.imm)

    @property
    def slots(self) -> int:
        """How many slots the instruction takes: 1 or 2."""
        return 1 if self.second is None else 2

    @property
    def next_imm(self) -> int:
        """The upper half of a 64-bit immediate, signed 32 bits."""
        high = (self.second or 0) >> 32
        return high - (1 << 32) if high >> 31 else high

    @property
    def imm64(self) -> int:
        """The 64-bit immediate of `lddw`, unsigned."""
        return (self.second or 0) >> 32 << 32 | self.imm & 0xFFFF_FFFF

    def to_bytes(self) -> bytes:
        """Encode as 8 or 16 bytes."""
        slot = _SLOT.pack(self.opcode, self.src << 4 | self.dst, self.offset, self.imm)
        return slot if self.second is None else slot + _WORD.pack(self.second)


def decode(data: bytes | bytearray | memoryview) -> tuple[Instruction, ...]:
    """Decode bytecode; bytes that are no instruction decode as an instruction without a row.

    Raises `DecodeError` where the length is no multiple of 8.
    """
    if len(data) % SLOT_SIZE:
        message = f"the length of the program, {len(data)} bytes, is not a multiple of {SLOT_SIZE}"
        raise DecodeError(message)
    return tuple(_instructions(bytes(data)))


def _instructions(data: bytes) -> Iterable[Instruction]:
    seen: dict[int, Instruction] = {}  # equal slots share one value
    words = iter(memoryview(data).cast("Q") if _LITTLE else [w for (w,) in _WORD.iter_unpack(data)])
    for word in words:
        instruction = seen.get(word)
        if instruction is None:
            instruction = _from_words(word, next(words, None) if word & 0xFF == LDDW else None)
            if instruction.opcode != LDDW:
                seen[word] = instruction
        yield instruction


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _from_words(word: int, second: int | None) -> Instruction:
    opcode, registers, offset, imm = _SLOT.unpack(_WORD.pack(word))
    dst, src = registers & 0xF, registers >> 4
    # What the dataclass and the cached property would set one by one, at a third of the price.
    instruction = Instruction.__new__(Instruction)
    instruction.__dict__.update(
        opcode=opcode,
        dst=dst,
        src=src,
        offset=offset,
        imm=imm,
        second=second,
        row=lookup(opcode, src, offset, imm),
    )
    return instruction


def encode(instructions: Iterable[Instruction]) -> bytes:
    """Encode instructions, one after the other."""
    return b"".join(instruction.to_bytes() for instruction in instructions)
