"""How often a loop's test passes, in numbers that are known or in LLVM values."""

from __future__ import annotations

from drybpf.isa.semantics import M64, signed
from drybpf.jit.ir import Text, Value

Number = int | Value  # in [0, 2^64), or an i64
Truth = bool | Value  # or an i1

MOST_PASSES = 1 << 32
MOST_COMPARED = 1 << 62  # of what an ordering test compares
MOST_DISTANCE = 1 << 40  # between the two sides of a test for difference


class Numbers:
    """Unsigned arithmetic modulo 2^64; what is known is computed, the rest is emitted."""

    def __init__(self, text: Text | None = None) -> None:
        """Emit into `text`; without one, all must be known."""
        self._text = text

    def _emit(self, instruction: str) -> Value:
        if self._text is None:
            raise TypeError("a value that is not known, and nowhere to compute it")
        return self._text.value(instruction)

    def add(self, a: Number, b: Number) -> Number:
        """A + b."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b & M64
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._emit(f"add i64 {literal(a)}, {literal(b)}")

    def sub(self, a: Number, b: Number) -> Number:
        """A - b."""
        if isinstance(a, int) and isinstance(b, int):
            return a - b & M64
        return a if b == 0 else self._emit(f"sub i64 {literal(a)}, {literal(b)}")

    def mul(self, a: Number, b: Number) -> Number:
        """A times b."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b & M64
        if a in (0, 1) or b in (0, 1):
            return (b if a else 0) if a in (0, 1) else (a if b else 0)
        return self._emit(f"mul i64 {literal(a)}, {literal(b)}")

    def div(self, a: Number, by: int) -> Number:
        """A over a number that is not 0."""
        if isinstance(a, int) or by == 1:
            return a // by if isinstance(a, int) else a
        return self._emit(f"udiv i64 {a}, {by}")

    def multiple(self, a: Number, of: int) -> Truth:
        """Whether a is a multiple of a number that is not 0."""
        if isinstance(a, int) or of == 1:
            return a % of == 0 if isinstance(a, int) else True
        return self._emit(f"icmp eq i64 {self._emit(f'urem i64 {a}, {of}')}, 0")

    def low_bits(self, a: Number, mask: int) -> Number:
        """The bits of a that are in a mask."""
        return a & mask if isinstance(a, int) else self._emit(f"and i64 {a}, {mask}")

    def less(self, a: Number, b: Number) -> Truth:
        """A < b."""
        if isinstance(a, int) and isinstance(b, int):
            return a < b
        return self._emit(f"icmp ult i64 {literal(a)}, {literal(b)}")

    def choose(self, which: Truth, a: Number, b: Number) -> Number:
        """A if true, else b."""
        if isinstance(which, bool) or a == b:
            return a if which is not False else b
        return self._emit(f"select i1 {which}, i64 {literal(a)}, i64 {literal(b)}")

    def least(self, a: Number, b: Number) -> Number:
        """The smaller one."""
        return self.choose(self.less(a, b), a, b)

    def both(self, a: Truth, b: Truth) -> Truth:
        """Whether both are true."""
        if isinstance(a, bool) or isinstance(b, bool):
            return (b if a else False) if isinstance(a, bool) else (a if b else False)
        return self._emit(f"and i1 {a}, {b}")


def literal(number: Number) -> Value:
    """A number as LLVM reads it."""
    return str(signed(number, 64)) if isinstance(number, int) else number


def passes(
    n: Numbers, relation: str, step: int, first: Number, bound: Number, *, is_signed: bool
) -> tuple[Number, Truth]:
    """How often `first`, `first + step`, … passes the test against `bound` before it fails.

    The second result tells whether the first is right: then no value up to the one that fails has
    wrapped, and the number is below `MOST_PASSES`.  Both sides of an ordering test must be below
    `MOST_COMPARED`, where signed and unsigned orders are the same; a step is smaller than that.
    """
    size = abs(step)
    if relation == "ne":
        distance = n.sub(bound, first) if step > 0 else n.sub(first, bound)
        # The first multiple of the step that is the distance, modulo 2^64, is the distance itself.
        right = n.both(n.less(distance, MOST_DISTANCE), n.multiple(distance, size))
        count = n.div(distance, size)
        return count, n.both(right, n.less(count, MOST_PASSES))
    right = n.both(n.less(first, MOST_COMPARED), n.less(bound, MOST_COMPARED))
    if relation in ("le", "gt"):
        bound = n.add(bound, 1)
    if relation in ("lt", "le"):  # first < bound: up to bound - 1
        starts, span = n.less(first, bound), n.sub(n.sub(bound, 1), first)
    else:  # first >= bound: down to bound; one step below must not wrap where that matters
        starts, span = n.less(bound, n.add(first, 1)), n.sub(first, bound)
        if not is_signed:
            right = n.both(right, n.less(size - 1, bound))
    count = n.choose(starts, n.add(n.div(span, size), 1), 0)
    return count, n.both(right, n.less(count, MOST_PASSES))
