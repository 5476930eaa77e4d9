"""Writing LLVM IR as text: a list of lines, fresh names, and the width changes that are needed."""

from __future__ import annotations

Value = str  # the name of an LLVM value, or an integer literal


class Text:
    """Lines of one LLVM function, with fresh names for its values."""

    def __init__(self) -> None:
        """Begin without lines."""
        self.lines: list[str] = []
        self._names = 0
        self._narrow: dict[tuple[Value, int], Value] = {}  # what a wide value was made from
        self._sums: dict[Value, tuple[Value, int]] = {}

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
        known = self._narrow.get((value, bits))
        return known or self.value(f"trunc i64 {value} to i{bits}")

    def zext(self, value: Value, bits: int) -> Value:
        """A value of `bits` as 64 bits, filled with zeros."""
        return value if bits == 64 else self._widened("zext", value, bits)

    def sext(self, value: Value, bits: int) -> Value:
        """A value of `bits` as 64 bits, filled with its sign."""
        return value if bits == 64 else self._widened("sext", value, bits)

    def _widened(self, how: str, value: Value, bits: int) -> Value:
        wide = self.value(f"{how} i{bits} {value} to i64")
        self._narrow[wide, bits] = value
        return wide

    def plus(self, value: Value, number: int) -> Value:
        """A 64-bit value plus a number, with the numbers of nested sums put together."""
        value, before = self._sums.get(value, (value, 0))
        total = (before + number + (1 << 63)) % (1 << 64) - (1 << 63)
        if not value.startswith("%"):
            return str(int(value) + total)
        if not total:
            return value
        result = self.value(f"add i64 {value}, {total}")
        self._sums[result] = value, total
        return result
