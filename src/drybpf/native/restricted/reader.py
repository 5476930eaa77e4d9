"""From the source of a function to its tree; refuses what is not restricted Python."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping, Sequence
from textwrap import dedent
from tokenize import TokenError
from types import FunctionType

from drybpf.native.restricted.function import Function
from drybpf.native.restricted.intrinsics import INTRINSICS, LOADS, STORES
from drybpf.native.restricted.tree import (
    COMPARISONS,
    MASK,
    OPERATORS,
    Assign,
    Binary,
    Break,
    Call,
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
    RestrictedError,
    Return,
    Statement,
    Store,
    While,
)


def read(source: FunctionType, constants: Mapping[str, int]) -> Definition:
    """The tree of a function with its constants bound.  Raises `RestrictedError`."""
    return _Reader(source, constants).definition()


class _Reader:
    def __init__(self, source: FunctionType, constants: Mapping[str, int]) -> None:
        self._source, self._constants = source, constants
        self._callees: dict[Function[...], None] = {}
        self._parameters: tuple[str, ...] = ()
        self._names: dict[str, None] = {}

    def definition(self) -> Definition:
        node = self._parsed()
        self._parameters = self._signature(node)
        # What a function assigns is local everywhere in it, as in Python.
        for child in ast.walk(node):
            if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                self._check_name(child, child.id)
                self._names[child.id] = None
        body = node.body
        if ast.get_docstring(node, clean=False) is not None:
            body = body[1:]
        statements = self._block(body)
        names = tuple(name for name in self._names if name not in self._parameters)
        return Definition(self._parameters, names, statements, tuple(self._callees))

    def _parsed(self) -> ast.FunctionDef:
        name = self._source.__qualname__
        try:
            lines, first = inspect.getsourcelines(self._source)
            node = ast.parse(dedent("".join(lines))).body[0]
        except OSError as error:
            raise RestrictedError(f"the source of {name} cannot be found: {error}") from error
        except (SyntaxError, TokenError) as error:  # a lambda in the middle of something
            raise RestrictedError(f"{name} is no function of its own") from error
        ast.increment_lineno(node, first - 1)
        if not isinstance(node, ast.FunctionDef):
            raise self._error(node, "only a plain `def`")
        return node

    def _signature(self, node: ast.FunctionDef) -> tuple[str, ...]:
        arguments = node.args
        if arguments.vararg or arguments.kwarg or arguments.defaults or any(arguments.kw_defaults):
            raise self._error(node, "only parameters without defaults, no * or ** ones")
        constants = {argument.arg for argument in arguments.kwonlyargs}
        if constants != set(self._constants):
            wanted = ", ".join(sorted(constants)) or "none"
            given = ", ".join(self._constants) or "none"
            raise self._error(node, f"the constants are {wanted}; bound are {given}")
        parameters = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        for name in parameters:
            self._check_name(node, name)
        return tuple(parameters)

    def _check_name(self, node: ast.AST, name: str) -> None:
        if not name.isascii():
            raise self._error(node, f"only ASCII names, not {name}")
        if name in self._constants:
            raise self._error(node, f"{name} is a constant")

    def _error(self, node: ast.AST, reason: str) -> RestrictedError:
        code = self._source.__code__
        line = getattr(node, "lineno", code.co_firstlineno)
        return RestrictedError(f"{code.co_filename}:{line}: {self._source.__qualname__}: {reason}")

    def _block(self, nodes: Sequence[ast.stmt]) -> tuple[Statement, ...]:
        statements = (self._statement(node) for node in nodes if not isinstance(node, ast.Pass))
        return tuple(statements)

    def _statement(self, node: ast.stmt) -> Statement:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                return Assign(name, self._value(value))
            case ast.AugAssign(target=ast.Name(id=name) as target, op=operator, value=value):
                return Assign(name, self._binary(operator, target, Local(name), value))
            case ast.Expr(value=ast.Call() as call):
                return self._effect(call)
            case ast.If(test=test, body=body, orelse=otherwise):
                return If(self._value(test), self._block(body), self._block(otherwise))
            case ast.While(test=test, body=body, orelse=[]):
                return While(self._value(test), self._block(body))
            case ast.Break():
                return Break()
            case ast.Continue():
                return Continue()
            case ast.Return(value=None):
                return Return(Number(0))
            case ast.Return(value=ast.expr() as value):
                return Return(self._value(value))
        raise self._error(node, f"no {type(node).__name__} of this form: {ast.unparse(node)}")

    def _effect(self, node: ast.Call) -> Statement:
        size = STORES.get(self._callee(node))
        if size is None:
            return Evaluate(self._value(node))
        address, value = self._arguments(node, 2)
        return Store(size, address, value)

    def _value(self, node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=int(value)):
                return self._number(node, value)
            case ast.Name(id=name):
                return self._name(node, name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(self._value(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Binary("Sub", Number(0), self._value(operand))
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                return Binary("BitXor", self._value(operand), Number(MASK))
            case ast.BinOp(left=left, op=operator, right=right):
                return self._binary(operator, node, self._value(left), right)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                name = type(operator).__name__
                if name in COMPARISONS:
                    return Compare(name, self._value(left), self._value(right))
            case ast.BoolOp(op=operator, values=[first, *others]):
                return self._either(isinstance(operator, ast.And), first, others)
            case ast.Call():
                return self._call(node)
        raise self._error(node, f"no {type(node).__name__} of this form: {ast.unparse(node)}")

    def _either(self, conjunction: bool, first: ast.expr, others: list[ast.expr]) -> Expression:
        value = self._value(first)
        for other in others:
            value = Either(conjunction, value, self._value(other))
        return value

    def _binary(
        self, operator: ast.operator, node: ast.expr, left: Expression, right: ast.expr
    ) -> Expression:
        name = type(operator).__name__
        if name not in OPERATORS:
            raise self._error(node, f"no operator {name}")
        return Binary(name, left, self._value(right))

    def _number(self, node: ast.AST, value: int) -> Number:
        if not 0 <= value <= MASK:
            raise self._error(node, f"{value} is no unsigned 64-bit number")
        return Number(int(value))

    def _is_local(self, name: str) -> bool:
        return name in self._parameters or name in self._names

    def _name(self, node: ast.AST, name: str) -> Expression:
        if self._is_local(name):
            return Local(name)
        value = self._constants[name] if name in self._constants else self._outer(node, name)
        if not isinstance(value, int):
            raise self._error(node, f"{name} is no integer")
        return self._number(node, value)

    def _outer(self, node: ast.AST, name: str) -> object:
        """What a name means outside of the function."""
        cells = dict(
            zip(self._source.__code__.co_freevars, self._source.__closure__ or (), strict=True)
        )
        try:
            return cells[name].cell_contents if name in cells else self._source.__globals__[name]
        except (KeyError, ValueError) as error:
            raise self._error(node, f"{name} is not defined") from error

    def _callee(self, node: ast.Call) -> object:
        match node.func:
            case ast.Name(id=name) if not self._is_local(name) and name not in self._constants:
                callee = self._outer(node, name)
                if isinstance(callee, Function) or any(callee is each for each in INTRINSICS):
                    return callee
        raise self._error(node, f"{ast.unparse(node.func)} is no restricted function")

    def _arguments(self, node: ast.Call, count: int) -> tuple[Expression, ...]:
        if len(node.args) != count or node.keywords:
            raise self._error(node, f"{ast.unparse(node.func)} has {count} arguments")
        return tuple(self._value(argument) for argument in node.args)

    def _call(self, node: ast.Call) -> Expression:
        callee = self._callee(node)
        if callee in LOADS:
            return Load(LOADS[callee], *self._arguments(node, 1))
        if not isinstance(callee, Function):
            raise self._error(node, f"{ast.unparse(node)} has no value")
        function = callee.bind(**self._bindings(node))
        self._callees[function] = None
        count = function.source.__code__.co_argcount
        if len(node.args) != count:
            raise self._error(node, f"{ast.unparse(node.func)} has {count} arguments")
        return Call(function, tuple(self._value(argument) for argument in node.args))

    def _bindings(self, node: ast.Call) -> dict[str, int]:
        """The constants of a call, `KEY=KEY`, `SIZE=8`."""
        bindings = {}
        for keyword in node.keywords:
            match keyword.arg, self._value(keyword.value):
                case str(name), Number(value):
                    bindings[name] = value
                case _:
                    raise self._error(node, f"{ast.unparse(keyword)} is no constant")
        return bindings
