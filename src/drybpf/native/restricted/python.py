"""A restricted function as a Python function: the same tree with every result masked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from textwrap import indent

from drybpf.native.restricted.function import Function, closure
from drybpf.native.restricted.tree import (
    COMPARISONS,
    MASK,
    OPERATORS,
    Assign,
    Binary,
    Break,
    Compare,
    Continue,
    Definition,
    Either,
    Evaluate,
    Expression,
    If,
    Load,
    Local,
    Not,
    Number,
    Statement,
    Store,
    While,
)


@lru_cache(maxsize=512)
def compiled(function: Function[...]) -> Callable[..., int]:
    """A Python function of (load, store, *arguments)."""
    functions = closure([function])
    names = {function: f"function{number}" for number, function in enumerate(functions)}
    namespace: dict[str, Callable[..., int]] = {"divide": _divide, "modulo": _modulo}
    for each in functions:
        text = _Writer(names).function(names[each], each.definition)
        code = compile(text, f"<restricted {each.symbol}>", "exec")
        exec(code, namespace)  # noqa: S102 (made here from a tree, with no text from outside)
    return namespace[names[function]]


def _divide(left: int, right: int) -> int:
    return left // right if right else 0


def _modulo(left: int, right: int) -> int:
    return left % right if right else left


class _Writer:
    def __init__(self, names: dict[Function[...], str]) -> None:
        self._names = names

    def function(self, name: str, definition: Definition) -> str:
        parameters = "".join(f", v_{each}" for each in definition.parameters)
        begin = [f"v_{each} = 0" for each in definition.names]
        body = "\n".join([*begin, *self._lines(definition.body), "return 0"])
        return f"def {name}(load, store{parameters}):\n{indent(body, ' ')}"

    def _lines(self, statements: tuple[Statement, ...]) -> Iterator[str]:
        for statement in statements:
            yield self._statement(statement)

    def _block(self, statements: tuple[Statement, ...]) -> str:
        return indent("\n".join([*self._lines(statements), "pass"]), " ")

    def _statement(self, statement: Statement) -> str:
        match statement:
            case Assign(name, value):
                return f"v_{name} = {self._value(value)}"
            case Store(size, address, value):
                kept = f"{self._value(value)} & {(1 << 8 * size) - 1}"
                return f"store({self._value(address)}, {size}, {kept})"
            case Evaluate(value):
                return self._value(value)
            case If(test, then, otherwise):
                parts = (
                    f"if {self._value(test)}:",
                    self._block(then),
                    "else:",
                    self._block(otherwise),
                )
                return "\n".join(parts)
            case While(test, body):
                return f"while {self._value(test)}:\n{self._block(body)}"
            case Break():
                return "break"
            case Continue():
                return "continue"
            case _:
                return f"return {self._value(statement.value)}"

    def _value(self, expression: Expression) -> str:
        match expression:
            case Number(value):
                return str(value)
            case Local(name):
                return f"v_{name}"
            case Binary(operator, left, right):
                text = OPERATORS[operator].python.replace("MASK", str(MASK))
                return text.format(a=self._value(left), b=self._value(right))
            case Compare(operator, left, right):
                sign = COMPARISONS[operator][0]
                return f"(1 if {self._value(left)} {sign} {self._value(right)} else 0)"
            case Not(operand):
                return f"(0 if {self._value(operand)} else 1)"
            case Either(conjunction, left, right):
                word = "and" if conjunction else "or"
                return f"({self._value(left)} {word} {self._value(right)})"
            case Load(size, address):
                return f"load({self._value(address)}, {size})"
            case _:
                values = "".join(f", {self._value(each)}" for each in expression.arguments)
                return f"{self._names[expression.function]}(load, store{values})"
