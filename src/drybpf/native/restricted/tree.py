"""A restricted function after reading: a tree with nothing left in it that is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drybpf.native.restricted.function import Function

MASK = 0xFFFF_FFFF_FFFF_FFFF


class RestrictedError(TypeError):
    """A function that is not written in the restricted Python; says file, line and what."""


@dataclass(frozen=True, slots=True)
class Number:
    """A constant, below 2^64."""

    value: int


@dataclass(frozen=True, slots=True)
class Local:
    """The value of a parameter or local name."""

    name: str


@dataclass(frozen=True, slots=True)
class Binary:
    """An arithmetic operation; `operator` is a key of OPERATORS."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Compare:
    """An unsigned comparison; `operator` is a key of COMPARISONS."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Not:
    """1 where the operand is 0, else 0."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Either:
    """`left and right` or `left or right`: the value of that which decides, as in Python."""

    conjunction: bool
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Load:
    """`size` bytes at an address."""

    size: int
    address: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """The result of another restricted function, its constants bound."""

    function: Function[...]
    arguments: tuple[Expression, ...]


Expression = Number | Local | Binary | Compare | Not | Either | Load | Call


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = value`."""

    name: str
    value: Expression


@dataclass(frozen=True, slots=True)
class Store:
    """The low `size` bytes of a value to an address."""

    size: int
    address: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Evaluate:
    """A call for its effect."""

    value: Expression


@dataclass(frozen=True, slots=True)
class If:
    """`if test: then else: otherwise`."""

    test: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class While:
    """`while test: body`."""

    test: Expression
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """Leave the innermost loop."""


@dataclass(frozen=True, slots=True)
class Continue:
    """To the test of the innermost loop."""


@dataclass(frozen=True, slots=True)
class Return:
    """Leave the function with a value."""

    value: Expression


Statement = Assign | Store | Evaluate | If | While | Break | Continue | Return


@dataclass(frozen=True, slots=True)
class Definition:
    """A function: parameters, the other names it assigns, what it does, and whom it calls."""

    parameters: tuple[str, ...]
    names: tuple[str, ...]
    body: tuple[Statement, ...]
    callees: tuple[Function[...], ...]


@dataclass(frozen=True, slots=True)
class Operator:
    """An operation in two columns: Python of {a} and {b}, and LLVM instructions.

    In the instructions {0}, {1}, … are the results of those before; the last result is the value.
    """

    python: str
    native: tuple[str, ...]


# Shift counts are masked and a divisor is replaced before the division, never after: the
# instructions themselves must be defined for every operand.
# fmt: off
OPERATORS: Mapping[str, Operator] = MappingProxyType({
    "Add":      Operator("({a} + {b} & MASK)",         ("add i64 {a}, {b}",)),
    "Sub":      Operator("({a} - {b} & MASK)",         ("sub i64 {a}, {b}",)),
    "Mult":     Operator("({a} * {b} & MASK)",         ("mul i64 {a}, {b}",)),
    "BitAnd":   Operator("({a} & {b})",                ("and i64 {a}, {b}",)),
    "BitOr":    Operator("({a} | {b})",                ("or i64 {a}, {b}",)),
    "BitXor":   Operator("({a} ^ {b})",                ("xor i64 {a}, {b}",)),
    "LShift":   Operator("({a} << ({b} & 63) & MASK)", ("and i64 {b}, 63", "shl i64 {a}, {0}")),
    "RShift":   Operator("({a} >> ({b} & 63))",        ("and i64 {b}, 63", "lshr i64 {a}, {0}")),
    "FloorDiv": Operator("divide({a}, {b})",           ("icmp eq i64 {b}, 0",
                                                        "select i1 {0}, i64 1, i64 {b}",
                                                        "udiv i64 {a}, {1}",
                                                        "select i1 {0}, i64 0, i64 {2}")),
    "Mod":      Operator("modulo({a}, {b})",           ("icmp eq i64 {b}, 0",
                                                        "select i1 {0}, i64 1, i64 {b}",
                                                        "urem i64 {a}, {1}",
                                                        "select i1 {0}, i64 {a}, i64 {2}")),
})
COMPARISONS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "Eq": ("==", "eq"),   "Lt": ("<", "ult"),   "LtE": ("<=", "ule"),
    "NotEq": ("!=", "ne"), "Gt": (">", "ugt"),  "GtE": (">=", "uge"),
})
# fmt: on
