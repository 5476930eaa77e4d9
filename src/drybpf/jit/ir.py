"""Writing LLVM IR as text: a list of lines, fresh names, and the width changes that are needed."""

from __future__ import annotations

Value = str  # the name of an LLVM value, or an integer literal


class Text:
    """Lines of one LLVM function, with fresh names for its values."""

    def __init__(self) -> None:
        """Begin without lines."""
        self.lines: list[str] = []
        self._names = 0

    def line(self, text: str) -> None:
        """Add an instruction without a result."""
        self.lines.append("  " + text)

    def label(self, name: str) -> None:
        """Begin a block."""
        self.lines.append(name + ":")

    def value(self, text: str) -> Value:
        """Add an instruction with a result; gives the result's name."""
        self._names += 1
        name = f"%v{self._names}"
        self.lines.append(f"  {name} = {text}")
        return name

    def trunc(self, value: Value, bits: int) -> Value:
        """The low `bits` of a 64-bit value."""
        if bits == 64:
            return value
        if not value.startswith("%"):
            return str(int(value) & (1 << bits) - 1)
        return self.value(f"trunc i64 {value} to i{bits}")

    def zext(self, value: Value, bits: int) -> Value:
        """A value of `bits` as 64 bits, filled with zeros."""
        return value if bits == 64 else self.value(f"zext i{bits} {value} to i64")

    def sext(self, value: Value, bits: int) -> Value:
        """A value of `bits` as 64 bits, filled with its sign."""
        return value if bits == 64 else self.value(f"sext i{bits} {value} to i64")
