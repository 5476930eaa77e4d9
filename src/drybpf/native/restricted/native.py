"""A restricted function as LLVM IR, defined for every input: no flag, no poison, no trap."""

from __future__ import annotations

from drybpf.native.restricted.function import Function
from drybpf.native.restricted.tree import (
    COMPARISONS,
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


def define(function: Function[...], *, inline: bool, external: bool) -> str:
    """The `define` of one function; `inline` and `external` as for `lower`."""
    return _Writer().function(function.symbol, function.definition, inline, external)


class _Writer:
    """Names live in stack slots, from which LLVM makes registers."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._slots: list[str] = []
        self._count = 0
        self._loops: list[tuple[str, str]] = []

    def function(self, symbol: str, definition: Definition, inline: bool, external: bool) -> str:
        linkage = "" if external else "internal "
        attributes = "alwaysinline nounwind" if inline else "nounwind"
        parameters = ", ".join(f"i64 %p.{name}" for name in definition.parameters)
        for name in definition.parameters:
            self._slot(f"%v.{name}", f"%p.{name}")
        for name in definition.names:
            self._slot(f"%v.{name}", "0")
        self._block(definition.body)
        lines = [
            f"define {linkage}i64 @{symbol}({parameters}) {attributes} {{",
            *self._slots,
            *self._lines,
            "  ret i64 0",
            "}\n",
        ]
        return "\n".join(lines)

    def _slot(self, name: str, value: str) -> str:
        self._slots += f"  {name} = alloca i64", f"  store i64 {value}, ptr {name}"
        return name

    def _emit(self, instruction: str) -> str:
        name = self._fresh("t")
        self._lines.append(f"  %{name} = {instruction}")
        return f"%{name}"

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}{self._count}"

    def _begin(self, label: str) -> None:
        self._lines.append(f"{label}:")

    def _leave(self, instruction: str) -> None:
        """End the block; what follows in the source cannot be reached."""
        self._lines.append(f"  {instruction}")
        self._begin(self._fresh("dead"))

    def _go(self, label: str) -> None:
        self._lines.append(f"  br label %{label}")

    def _block(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            self._statement(statement)

    def _statement(self, statement: Statement) -> None:
        match statement:
            case Assign(name, value):
                self._lines.append(f"  store i64 {self._value(value)}, ptr %v.{name}")
            case Store(size, address, value):
                self._store(size, address, value)
            case Evaluate(value):
                self._value(value)
            case If(test, then, otherwise):
                self._if(test, then, otherwise)
            case While(test, body):
                self._while(test, body)
            case Break():
                self._leave(f"br label %{self._loops[-1][1]}")
            case Continue():
                self._leave(f"br label %{self._loops[-1][0]}")
            case _:
                self._leave(f"ret i64 {self._value(statement.value)}")

    def _store(self, size: int, address: Expression, value: Expression) -> None:
        place, number = self._pointer(address), self._value(value)
        if size < 8:
            number = self._emit(f"trunc i64 {number} to i{8 * size}")
        self._lines.append(f"  store i{8 * size} {number}, ptr {place}, align 1")

    def _if(
        self, test: Expression, then: tuple[Statement, ...], otherwise: tuple[Statement, ...]
    ) -> None:
        yes, no, end = self._fresh("then"), self._fresh("else"), self._fresh("end")
        self._branch(test, yes, no)
        self._begin(yes)
        self._block(then)
        self._go(end)
        self._begin(no)
        self._block(otherwise)
        self._go(end)
        self._begin(end)

    def _while(self, test: Expression, body: tuple[Statement, ...]) -> None:
        head, inside, end = self._fresh("head"), self._fresh("body"), self._fresh("done")
        self._go(head)
        self._begin(head)
        self._branch(test, inside, end)
        self._begin(inside)
        self._loops.append((head, end))
        self._block(body)
        self._loops.pop()
        self._go(head)
        self._begin(end)

    def _branch(self, test: Expression, yes: str, no: str) -> None:
        match test:
            case Not(operand):
                self._branch(operand, no, yes)
            case Either(conjunction, left, right):
                middle = self._fresh("and" if conjunction else "or")
                self._branch(left, *((middle, no) if conjunction else (yes, middle)))
                self._begin(middle)
                self._branch(right, yes, no)
            case _:
                self._lines.append(f"  br i1 {self._bit(test)}, label %{yes}, label %{no}")

    def _bit(self, test: Expression) -> str:
        match test:
            case Compare(operator, left, right):
                condition = COMPARISONS[operator][1]
                values = f"{self._value(left)}, {self._value(right)}"
                return self._emit(f"icmp {condition} i64 {values}")
            case Not(operand):
                return self._emit(f"icmp eq i64 {self._value(operand)}, 0")
            case _:
                return self._emit(f"icmp ne i64 {self._value(test)}, 0")

    def _pointer(self, address: Expression) -> str:
        return self._emit(f"inttoptr i64 {self._value(address)} to ptr")

    def _value(self, expression: Expression) -> str:
        match expression:
            case Number(value):
                return str(value)
            case Local(name):
                return self._emit(f"load i64, ptr %v.{name}")
            case Binary(operator, left, right):
                return self._binary(operator, left, right)
            case Compare() | Not():
                return self._emit(f"zext i1 {self._bit(expression)} to i64")
            case Either(conjunction, left, right):
                return self._either(conjunction, left, right)
            case Load(size, address):
                number = self._emit(f"load i{8 * size}, ptr {self._pointer(address)}, align 1")
                return number if size == 8 else self._emit(f"zext i{8 * size} {number} to i64")
            case _:
                values = ", ".join(f"i64 {self._value(each)}" for each in expression.arguments)
                return self._emit(f"call i64 @{expression.function.symbol}({values})")

    def _binary(self, operator: str, left: Expression, right: Expression) -> str:
        a, b = self._value(left), self._value(right)
        results: list[str] = []
        for instruction in OPERATORS[operator].native:
            results.append(self._emit(instruction.format(*results, a=a, b=b)))
        return results[-1]

    def _either(self, conjunction: bool, left: Expression, right: Expression) -> str:
        slot = self._slot(f"%{self._fresh('either')}", "0")
        more, end = self._fresh("more"), self._fresh("end")
        first = self._value(left)
        self._lines.append(f"  store i64 {first}, ptr {slot}")
        decided = self._emit(f"icmp {'eq' if conjunction else 'ne'} i64 {first}, 0")
        self._lines.append(f"  br i1 {decided}, label %{end}, label %{more}")
        self._begin(more)
        self._lines.append(f"  store i64 {self._value(right)}, ptr {slot}")
        self._go(end)
        self._begin(end)
        return self._emit(f"load i64, ptr {slot}")
