"""What the instructions compute, in LLVM IR: the second column beside the table.

The keys are those of `isa.semantics`.  No value is ever poison and nothing is undefined for any
input: shift counts are masked, and a divisor is replaced *before* the division, since a division
by zero is undefined even where its result is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable

from drybpf.jit.ir import Text, Value

Operation = Callable[[Text, Value, Value], Value]  # (text, dst, source) -> new dst, 64 bits
Conversion = Callable[[Text, Value], Value]

_PLAIN = {"add": "add", "sub": "sub", "mul": "mul", "or": "or", "and": "and", "xor": "xor"}
_SHIFTS = {"lsh": "shl", "rsh": "lshr", "arsh": "ashr"}


def _narrow(bits: int, compute: Callable[[Text, str, Value, Value], Value]) -> Operation:
    """Compute on the low `bits` of both operands and zero the rest of the result."""

    def lower(text: Text, dst: Value, source: Value) -> Value:
        result = compute(text, f"i{bits}", text.trunc(dst, bits), text.trunc(source, bits))
        return text.zext(result, bits)

    return lower


def _plain(name: str) -> Callable[[Text, str, Value, Value], Value]:
    return lambda text, kind, a, b: text.value(f"{name} {kind} {a}, {b}")


def _shift(name: str, bits: int) -> Callable[[Text, str, Value, Value], Value]:
    def compute(text: Text, kind: str, a: Value, b: Value) -> Value:
        amount = (
            text.value(f"and {kind} {b}, {bits - 1}")
            if b.startswith("%")
            else str(int(b) & bits - 1)
        )
        return text.value(f"{name} {kind} {a}, {amount}")

    return compute


def _divide(text: Text, kind: str, a: Value, b: Value) -> Value:
    zero = text.value(f"icmp eq {kind} {b}, 0")
    divisor = text.value(f"select i1 {zero}, {kind} 1, {kind} {b}")
    quotient = text.value(f"udiv {kind} {a}, {divisor}")
    return text.value(f"select i1 {zero}, {kind} 0, {kind} {quotient}")


def _modulo(text: Text, kind: str, a: Value, b: Value) -> Value:
    zero = text.value(f"icmp eq {kind} {b}, 0")
    divisor = text.value(f"select i1 {zero}, {kind} 1, {kind} {b}")
    remainder = text.value(f"urem {kind} {a}, {divisor}")
    return text.value(f"select i1 {zero}, {kind} {a}, {kind} {remainder}")


def _signed_divide(text: Text, kind: str, a: Value, b: Value) -> Value:
    zero = text.value(f"icmp eq {kind} {b}, 0")
    minus = text.value(f"icmp eq {kind} {b}, -1")  # the smallest number by -1 would trap
    special = text.value(f"or i1 {zero}, {minus}")
    divisor = text.value(f"select i1 {special}, {kind} 1, {kind} {b}")
    quotient = text.value(f"sdiv {kind} {a}, {divisor}")
    negated = text.value(f"sub {kind} 0, {a}")
    quotient = text.value(f"select i1 {minus}, {kind} {negated}, {kind} {quotient}")
    return text.value(f"select i1 {zero}, {kind} 0, {kind} {quotient}")


def _signed_modulo(text: Text, kind: str, a: Value, b: Value) -> Value:
    zero = text.value(f"icmp eq {kind} {b}, 0")
    minus = text.value(f"icmp eq {kind} {b}, -1")
    special = text.value(f"or i1 {zero}, {minus}")
    divisor = text.value(f"select i1 {special}, {kind} 1, {kind} {b}")
    remainder = text.value(f"srem {kind} {a}, {divisor}")  # by 1 it is 0, as by -1
    return text.value(f"select i1 {zero}, {kind} {a}, {kind} {remainder}")


_DIVISIONS = {
    "div": _divide,
    "mod": _modulo,
    "sdiv": _signed_divide,
    "smod": _signed_modulo,
}


def _extend(width: int, bits: int) -> Operation:
    def lower(text: Text, _: Value, source: Value) -> Value:
        narrow = text.trunc(source, width)
        if bits == 64:
            return text.sext(narrow, width)
        return text.zext(text.value(f"sext i{width} {narrow} to i32"), 32)

    return lower


OPERATIONS: dict[str, Operation] = {
    f"{name}{bits}": _narrow(bits, compute)
    for bits in (32, 64)
    for name, compute in [
        *((name, _plain(opcode)) for name, opcode in _PLAIN.items()),
        *((name, _shift(opcode, bits)) for name, opcode in _SHIFTS.items()),
        *_DIVISIONS.items(),
    ]
}
OPERATIONS["mov64"] = lambda _, __, source: source
OPERATIONS["mov32"] = lambda text, _, source: (
    text.zext(text.trunc(source, 32), 32)
    if source.startswith("%")
    else str(int(source) & 0xFFFF_FFFF)
)
OPERATIONS |= {
    f"movsx{width}{bits}": _extend(width, bits)
    for width, bits in ((8, 32), (16, 32), (8, 64), (16, 64), (32, 64))
}


def _negate(bits: int) -> Conversion:
    def lower(text: Text, dst: Value) -> Value:
        return text.zext(text.value(f"sub i{bits} 0, {text.trunc(dst, bits)}"), bits)

    return lower


def _truncate(width: int) -> Conversion:
    return lambda text, dst: text.zext(text.trunc(dst, width), width) if width < 64 else dst


def swap(text: Text, value: Value, width: int) -> Value:
    """Reverse the bytes of a value of `width` bits."""
    if width == 8:
        return value
    return text.value(f"call i{width} @llvm.bswap.i{width}(i{width} {value})")


def _swap(width: int) -> Conversion:
    return lambda text, dst: text.zext(swap(text, text.trunc(dst, width), width), width)


CONVERSIONS: dict[str, Conversion] = {
    "neg32": _negate(32),
    "neg64": _negate(64),
    **{f"le{width}": _truncate(width) for width in (16, 32, 64)},
    **{f"be{width}": _swap(width) for width in (16, 32, 64)},
    **{f"bswap{width}": _swap(width) for width in (16, 32, 64)},
}

_PREDICATES = {
    "jeq": "eq",
    "jne": "ne",
    "jgt": "ugt",
    "jge": "uge",
    "jlt": "ult",
    "jle": "ule",
    "jsgt": "sgt",
    "jsge": "sge",
    "jslt": "slt",
    "jsle": "sle",
}


def _compare(predicate: str, bits: int) -> Operation:
    def lower(text: Text, dst: Value, source: Value) -> Value:
        a, b = text.trunc(dst, bits), text.trunc(source, bits)
        return text.value(f"icmp {predicate} i{bits} {a}, {b}")

    return lower


def _any_bit(bits: int) -> Operation:
    def lower(text: Text, dst: Value, source: Value) -> Value:
        common = text.value(f"and i{bits} {text.trunc(dst, bits)}, {text.trunc(source, bits)}")
        return text.value(f"icmp ne i{bits} {common}, 0")

    return lower


CONDITIONS: dict[str, Operation] = {
    f"{name}{bits}": compare
    for bits in (32, 64)
    for name, compare in [
        *((name, _compare(predicate, bits)) for name, predicate in _PREDICATES.items()),
        ("jset", _any_bit(bits)),
    ]
}

ATOMICS: dict[str, str] = {
    # the operation of `atomicrmw`; compare-and-exchange is `cmpxchg`
    f"{prefix}{name}{bits}_atomic": name
    for bits in (32, 64)
    for name in ("add", "or", "and", "xor", "xchg")
    for prefix in (("fetch_", "") if name != "xchg" else ("",))
}
