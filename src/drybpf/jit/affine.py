"""What a register holds within one run through a loop, in terms of what all held at its head.

A `Value` is constant + Σ coefficient x symbol + d modulo 2^64, with some 0 <= d <= spread.  Symbols
are what the registers (0 to 10) and the 8-byte slots of the frame (11 and on) hold at the head.
Where an operation cuts its result to fewer bits, the value goes on as if it did not, on condition
of a `Fact`: that it lies below 2^bits.  None is a value of which nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from drybpf.isa.semantics import M64, signed
from drybpf.jit.graph import Block

MOST_SPREAD = 1 << 33
MOST_COEFFICIENT = 1 << 40
MOST_TERMS = 6

Symbol = int
Terms = tuple[tuple[Symbol, int], ...]  # (symbol, coefficient), in order of the symbols


@dataclass(frozen=True, slots=True)
class Fact:
    """That a value, in `block`, lies in [0, 2^bits)."""

    value: Value  # assumes nothing
    bits: int
    block: Block
    first: bool = False  # when the loop begins, and no more is said


@dataclass(frozen=True, slots=True)
class Value:
    """constant + Σ coefficient x symbol + d modulo 2^64, with some 0 <= d <= spread."""

    terms: Terms
    constant: int  # in [0, 2^64)
    spread: int = 0
    assumed: frozenset[Fact] = frozenset()

    @property
    def exact(self) -> bool:
        """Whether it is the value itself, not a range."""
        return not self.spread

    @property
    def most(self) -> int | None:
        """The largest number that it can be, where it depends on no symbol and does not wrap."""
        if self.terms or self.constant + self.spread > M64:
            return None
        return self.constant + self.spread

    @property
    def number(self) -> int | None:
        """The number that it is, where it depends on nothing."""
        return self.constant if not self.terms and not self.spread else None

    def bare(self) -> Value:
        """The value without what it assumes."""
        return replace(self, assumed=frozenset()) if self.assumed else self


Known = Value | None
State = dict[Symbol, Value]  # what is not in it is unknown


def constant(number: int) -> Value:
    """A number."""
    return Value((), number & M64)


def symbol(which: Symbol) -> Value:
    """What a register or slot held at the head of the loop."""
    return Value(((which, 1),), 0)


def shifted(which: Symbol, amount: int) -> Symbol:
    """The symbol of another one shifted right, of which no more is known."""
    return _SHIFTED * amount + which


_SHIFTED = 128  # more than there are symbols


def below(bits: int) -> Known:
    """Any number of so many bits."""
    return _value({}, 0, (1 << bits) - 1, frozenset())


def _value(
    terms: Mapping[Symbol, int], number: int, spread: int, assumed: frozenset[Fact]
) -> Known:
    kept = tuple(sorted((s, c) for s, c in terms.items() if c))
    large = any(abs(c) > MOST_COEFFICIENT for _, c in kept)
    if large or spread >= MOST_SPREAD or len(kept) > MOST_TERMS:
        return None
    return Value(kept, number & M64, spread, assumed)


def add(a: Known, b: Known, times: int = 1) -> Known:
    """A + times x b."""
    if a is not None and b is not None and not b.terms and not b.spread and not b.assumed:
        return Value(a.terms, a.constant + times * b.constant & M64, a.spread, a.assumed)
    scaled = scale(b, times)
    if a is None or scaled is None:
        return None
    terms = dict(a.terms)
    for which, coefficient in scaled.terms:
        terms[which] = terms.get(which, 0) + coefficient
    number, spread = a.constant + scaled.constant, a.spread + scaled.spread
    return _value(terms, number, spread, a.assumed | scaled.assumed)


def scale(a: Known, by: int) -> Known:
    """By x a; a negative factor turns the range around."""
    if a is None or by == 1:
        return a
    first = a.constant if by >= 0 else a.constant + a.spread
    terms = {which: by * coefficient for which, coefficient in a.terms}
    return _value(terms, by * first, abs(by) * a.spread, a.assumed)


def join(a: Known, b: Known) -> Known:
    """One of both."""
    if a is None or b is None or a.terms != b.terms:
        return None
    first = min(0, signed(b.constant - a.constant, 64))
    last = max(a.spread, signed(b.constant - a.constant, 64) + b.spread)
    return _value(dict(a.terms), a.constant + first, last - first, a.assumed | b.assumed)


def join_states(states: list[State]) -> State:
    """What holds whichever of the ways was taken."""
    first, *others = states
    joined = dict(first)
    for other in others:
        for which in list(joined):
            value = join(joined[which], other.get(which))
            if value is None:
                del joined[which]
            else:
                joined[which] = value
    return joined


def cut(a: Known, bits: int, block: Block) -> Known:
    """The low bits of a value."""
    if a is None:
        return below(bits)
    most = a.most
    if a.terms and not a.spread >> bits:
        fact = Fact(a.bare(), bits, block)
        return replace(a, assumed=a.assumed | {fact})
    if a.number is not None:
        return replace(a, constant=a.constant & (1 << bits) - 1)
    return a if most is not None and most >> bits == 0 else below(bits)


def substitute(a: Value, values: Mapping[Symbol, Value]) -> Known:
    """A value with others in place of its symbols."""
    result: Known = Value((), a.constant, a.spread, a.assumed)
    for which, coefficient in a.terms:
        result = add(result, values.get(which), coefficient)
    return result


# Operations: (dst, source, block) -> new dst.  Those of 32 bits are made from those of 64.

Operation = Callable[[Known, Known, Block], Known]


def _given(value: Known, *sources: Known) -> Known:
    """A value that also assumes what its sources assume."""
    if value is None:
        return None
    assumed = value.assumed.union(*(source.assumed for source in sources if source))
    return replace(value, assumed=assumed) if assumed else value


def _multiply(a: Known, b: Known, _: Block) -> Known:
    for one, other in ((a, b), (b, a)):
        number = other.number if other else None
        if number is not None:
            by = signed(number, 64)
            return _given(scale(one, by), other) if abs(by) < 1 << 48 else None
    return None


def _shift_left(a: Known, b: Known, _: Block) -> Known:
    amount = b.number if b else None
    return None if amount is None else _given(scale(a, 1 << (amount & 63)), b)


def _shift_right(width: int) -> Operation:
    def apply(a: Known, b: Known, block: Block) -> Known:
        amount = b.number if b else None
        if amount is None:
            return None
        amount &= width - 1
        return _given(_divided(a, amount, width - amount, block), b)

    return apply


def _shift_right_signed(a: Known, b: Known, block: Block) -> Known:
    """Where the value is not negative."""
    amount = b.number if b else None
    if amount is None or a is None or (not a.terms and (a.most is None or a.most >> 63)):
        return None
    amount &= 63
    return _given(_divided(a, amount, 63 - amount, block, exactly=True), b)


def _divided(a: Known, amount: int, bits: int, block: Block, *, exactly: bool = False) -> Known:
    """A value shifted right: below 2^bits, and if it was shifted left before, that value."""
    if a is None:
        return None if exactly else below(bits)
    if not a.terms:
        if a.most is None:
            return below(bits)
        first = a.constant >> amount
        return Value((), first, (a.most >> amount) - first, a.assumed)
    parts = [coefficient for _, coefficient in a.terms] + [signed(a.constant, 64)]
    if any(part % (1 << amount) for part in parts):
        if exactly or a.terms != ((a.terms[0][0], 1),) or amount != 1 or bits != 63:
            return None if exactly else below(bits)
        which = a.terms[0][0]
        known = which < _SHIFTED and not a.constant and a.exact
        return Value(((shifted(which, 1), 1),), 0, 0, a.assumed) if known else None
    terms = {which: coefficient >> amount for which, coefficient in a.terms}
    first = signed(a.constant, 64) >> amount
    return cut(_value(terms, first, a.spread >> amount, a.assumed), bits, block)


def _or(a: Known, b: Known, _: Block) -> Known:
    """A | b is b + (a & ~b), and so between b and a + b."""
    for one, other in ((a, b), (b, a)):
        most = one.most if one else None
        if most is None or one is None or other is None:
            continue
        if one.number is not None and other.number is not None:
            return _given(constant(one.number | other.number), one, other)
        return add(other, Value((), 0, most, one.assumed))
    return None


def _and(a: Known, b: Known, block: Block) -> Known:
    """At most the smaller one; the low bits of one where the other is a mask."""
    for one, mask in ((a, b), (b, a)):
        number = mask.number if mask else None
        if one is None or number is None or number & (number + 1):
            continue
        if one.most is not None and one.most <= number:
            return _given(one, mask)
        if one.terms and number >= _WIDE_MASK:
            return _given(cut(one, number.bit_length(), block), mask)
    bounded = [value for value in (a, b) if value is not None and value.most is not None]
    smallest = min(bounded, key=lambda value: value.most or 0, default=None)
    return smallest and _value({}, 0, smallest.most or 0, smallest.assumed)


_WIDE_MASK = 0xFFFF  # a smaller mask is no change of type, but means to cut


def _xor(a: Known, b: Known, _: Block) -> Known:
    if a is None or b is None or a.most is None or b.most is None:
        return None
    bits = max(a.most.bit_length(), b.most.bit_length())
    return _given(below(bits), a, b)


def _divide(a: Known, b: Known, _: Block) -> Known:
    number = b.number if b else None
    if a is None or a.most is None or not number:
        return None
    first = a.constant // number
    return _given(Value((), first, a.most // number - first), a, b)


def _modulo(a: Known, b: Known, _: Block) -> Known:
    number = b.number if b else None
    if not number:
        return None
    if a is not None and a.most is not None and a.most < number:
        return _given(a, b)
    return _given(_value({}, 0, number - 1, frozenset()), b)


_PLAIN: dict[str, Operation] = {
    "mov": lambda _, b, __: b,
    "add": lambda a, b, _: add(a, b),
    "sub": lambda a, b, _: add(a, b, -1),
    "mul": _multiply,
    "lsh": _shift_left,
}
_OF_LOW_BITS: dict[str, Operation] = {
    "or": _or,
    "and": _and,
    "xor": _xor,
    "div": _divide,
    "mod": _modulo,
}


def _narrow(operation: Operation, *, operands: bool) -> Operation:
    """An operation on 32 bits: its result is cut and, where they count, its operands are."""

    def apply(a: Known, b: Known, block: Block) -> Known:
        if operands:
            a, b = cut(a, 32, block), cut(b, 32, block)
        return cut(operation(a, b, block), 32, block)

    return apply


def _shift_narrow(operation: Operation, *, operands: bool) -> Operation:
    """A shift on 32 bits, by a known amount."""

    def apply(a: Known, b: Known, block: Block) -> Known:
        if b is None or b.number is None:
            return below(32)
        amount = _given(constant(b.number & 31), b)
        return cut(operation(cut(a, 32, block) if operands else a, amount, block), 32, block)

    return apply


def _low_mask(operation: Operation) -> Operation:
    """On 32 bits with a number: the other operand needs no assumption of its own."""

    def apply(a: Known, b: Known, block: Block) -> Known:
        for one, mask in ((a, b), (b, a)):
            if mask is not None and mask.number is not None:
                low = _given(constant(mask.number & 0xFFFF_FFFF), mask)
                return cut(operation(one, low, block), 32, block)
        return cut(operation(cut(a, 32, block), cut(b, 32, block), block), 32, block)

    return apply


def _extended(width: int, bits: int) -> Operation:
    """Sign extension, of values that it does not change."""

    def apply(_: Known, b: Known, block: Block) -> Known:
        if b is not None and b.terms and width == 32:
            return cut(b, 31, block)
        if b is not None and b.most is not None and b.most >> (width - 1) == 0:
            return b
        return below(32) if bits == 32 else None

    return apply


OPERATIONS: dict[str, Operation] = {
    **{f"{name}64": operation for name, operation in (_PLAIN | _OF_LOW_BITS).items()},
    **{f"{name}32": _narrow(operation, operands=False) for name, operation in _PLAIN.items()},
    **{f"{name}32": _narrow(operation, operands=True) for name, operation in _OF_LOW_BITS.items()},
    "and32": _low_mask(_and),
    "lsh32": _shift_narrow(_shift_left, operands=False),
    "rsh64": _shift_right(64),
    "rsh32": _shift_narrow(_shift_right(32), operands=True),
    "arsh64": _shift_right_signed,
    "movsx3264": _extended(32, 64),
    **{f"movsx{w}{b}": _extended(w, b) for w in (8, 16) for b in (32, 64)},
}
"""The operations that keep something known; after any other, of 32 bits or 64, see `operate`."""


def operate(semantics: str, a: Known, b: Known, block: Block) -> Known:
    """What an arithmetic instruction of the table leaves in its destination."""
    operation = OPERATIONS.get(semantics)
    if operation is not None:
        return operation(a, b, block)
    return below(32) if semantics.endswith("32") else None


def convert(semantics: str, a: Known, block: Block) -> Known:
    """The same for the instructions with one operand."""
    if semantics == "neg64":
        return scale(a, -1)
    width = int(semantics.lstrip("abcdefghijklmnopqrstuvwxyz"))
    if width == 64:
        return a if semantics == "le64" else None
    if semantics.startswith("le"):
        return cut(a, width, block)
    return below(width)
