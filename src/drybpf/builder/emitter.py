"""From a call of a method to the instruction that it stands for."""

from __future__ import annotations

from typing import Self

from drybpf.builder.code import Code, Register, checked
from drybpf.isa import Row
from drybpf.isa.methods import METHODS
from drybpf.isa.operands import RELATIVE, fill


class Emitter(Code):
    """Appends the instruction that a method's name and operands stand for."""

    def _emit(self, name: str, *operands: Register | int | str) -> Self:
        row = self._choose(name, operands)
        values: dict[str, int] = {}
        operand = label = ""
        for kind, value in zip(row.operands, operands, strict=True):
            if kind in RELATIVE and isinstance(value, str):
                operand, label = kind, value
            else:
                values[kind] = checked(kind, value)
        return self.append(fill(row, values), operand, label)

    def _choose(self, name: str, operands: tuple[Register | int | str, ...]) -> Row:
        """Of two rows that differ in the second operand take the one for a register."""
        rows = METHODS[name]
        register = len(rows) == 2 and isinstance(operands[1], Register)
        chosen = [row for row in rows if register == ("src" in row.operands)]
        return chosen[0] if len(rows) == 2 else rows[0]
