"""What both builders share: the program as it grows, labels, and the checks of operands."""

from __future__ import annotations

import operator
from enum import Enum
from typing import Self

from drybpf.isa.instruction import SLOT_SIZE, Instruction
from drybpf.isa.operands import BITS, BOUNDS, set_distance


class Register(Enum):
    """A register of the machine; `FP`, the frame pointer, is r10 and cannot be written."""

    R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 = range(11)
    FP = R10


class Code:
    """A program that grows by one instruction at a time.

    A label is a name for the place of the next instruction; it may be used before it is defined.
    """

    def __init__(self) -> None:
        """Begin with an empty program."""
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._references: list[tuple[int, str, str]] = []  # slot, operand, label

    def label(self, name: str) -> Self:
        """Name the place of the next instruction.  `ValueError`: the name is taken."""
        if not isinstance(name, str):
            raise TypeError(f"a label is a str, not {name!r}")
        if name in self._labels:
            raise ValueError(f"the label {name!r} is defined twice")
        self._labels[name] = len(self)
        return self

    def raw(self, data: bytes) -> Self:
        """Append slots as they are.  `ValueError`: not a multiple of 8 bytes."""
        if len(data) % SLOT_SIZE:
            raise ValueError(f"{len(data)} bytes are no whole number of slots")
        self._code += data
        return self

    def append(self, instruction: Instruction, operand: str = "", label: str = "") -> Self:
        """Append an instruction whose relative operand, if named, leads to a label."""
        if operand:
            self._references.append((len(self), operand, label))
        self._code += instruction.to_bytes()
        return self

    def to_bytes(self) -> bytes:
        """The program so far.  `ValueError`: a label is undefined or too far away."""
        code = bytearray(self._code)
        for slot, operand, label in self._references:
            if label not in self._labels:
                raise ValueError(f"there is no label {label!r}")
            set_distance(code, slot, operand, self._labels[label])
        return bytes(code)

    into_bytes = to_bytes  # rbpf's name

    def __bytes__(self) -> bytes:
        """The same as `to_bytes`."""
        return self.to_bytes()

    def __len__(self) -> int:
        """The number of slots."""
        return len(self._code) // SLOT_SIZE


def checked(operand: str, value: object) -> int:
    """Check the value of an operand.  `TypeError`: not its type; `ValueError`: out of range."""
    if isinstance(value, Register):
        if BITS[operand] != 4:
            raise TypeError(f"{operand} is a number, not {value}")
        return int(value.value)
    if BITS[operand] == 4:
        raise TypeError(f"{operand} is a Register, not {value!r}")
    return number(operand, value)


def number(operand: str, value: object) -> int:
    """Check a number against the bounds of an operand."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{operand} is a number, not {value!r}")
    result = operator.index(value)
    low, high = BOUNDS[operand]
    if not low <= result <= high:
        raise ValueError(f"{operand} {result} is not in {low} … {high}")
    return result
