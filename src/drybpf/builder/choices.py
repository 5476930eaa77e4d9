"""The choices in rbpf's builder, each with the part of the mnemonic that it stands for."""

from __future__ import annotations

from enum import Enum


class Source(Enum):
    """Where the second operand comes from."""

    IMM = False
    REG = True


class Arch(Enum):
    """How many bits take part."""

    X64 = "64"
    X32 = "32"


class Endian(Enum):
    """The byte order to convert to or from; `SWAP` swaps on every machine."""

    LITTLE = "le"
    BIG = "be"
    SWAP = "bswap"


class MemSize(Enum):
    """The width of an access: 1, 2, 4 or 8 bytes."""

    BYTE = "b"
    HALF_WORD = "h"
    WORD = "w"
    DOUBLE_WORD = "dw"


class Cond(Enum):
    """When to jump."""

    ABS = "ja"
    EQUALS = "jeq"
    GREATER = "jgt"
    GREATER_EQUALS = "jge"
    LOWER = "jlt"
    LOWER_EQUALS = "jle"
    BIT_AND = "jset"
    NOT_EQUALS = "jne"
    GREATER_SIGNED = "jsgt"
    GREATER_EQUALS_SIGNED = "jsge"
    LOWER_SIGNED = "jslt"
    LOWER_EQUALS_SIGNED = "jsle"


class AtomicOp(Enum):
    """What an atomic instruction does to the memory."""

    ADD = "add"
    OR = "or"
    AND = "and"
    XOR = "xor"
    XCHG = "xchg"
    CMPXCHG = "cmpxchg"
