"""The restricted function as an object: its constants, its IR, and its run in CPython."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from operator import index
from types import FunctionType
from typing import Generic, ParamSpec

from drybpf.native.restricted.memory import Block, Memory
from drybpf.native.restricted.tree import MASK, Definition, RestrictedError

P = ParamSpec("P")
_NO_MEMORY = Block(b"")


def restricted(function: Callable[P, int]) -> Function[P]:
    """Make a restricted function of a Python function: `@restricted`.

    Its source is read when it is first used, its module's constants with it; what is not restricted
    Python is a `RestrictedError` then.
    """
    if not isinstance(function, FunctionType):
        raise RestrictedError(f"{function!r} is no plain function")
    return Function(function)


@dataclass(frozen=True)
class Function(Generic[P]):
    """A restricted function; equal where it is the same function with the same constants."""

    source: FunctionType
    constants: tuple[tuple[str, int], ...] = ()

    def __repr__(self) -> str:
        """`<restricted drybpf.maps.look_up.KEY4>`."""
        return f"<restricted {self.symbol}>"

    def bind(self, **constants: int) -> Function[...]:
        """Give values to parameters that stand behind `*`; below 2^64, else `ValueError`."""
        for name, value in constants.items():
            if not 0 <= index(value) <= MASK:
                raise ValueError(f"{name}={value} is no unsigned 64-bit number")
        return replace(self, constants=tuple(sorted({**dict(self.constants), **constants}.items())))

    @property
    def symbol(self) -> str:
        """The name in the IR, behind the `@`: module, name, and constants."""
        name = f"{self.source.__module__}.{self.source.__qualname__}"
        values = "".join(f".{name}{value}" for name, value in self.constants)
        return re.sub(r"[^A-Za-z0-9_.]", "_", name + values)

    @property
    def definition(self) -> Definition:
        """The function as a tree."""
        return _definition(self.source, self.constants)

    def ir(self, *, inline: bool = False, external: bool = False) -> str:
        """LLVM IR of this function and of all that it calls; see `lower`."""
        return lower([self], inline=inline, external=external)

    def python(self, memory: Memory, *arguments: int) -> int:
        """Run in CPython over a memory; arguments are taken modulo 2^64."""
        from drybpf.native.restricted.python import compiled  # noqa: PLC0415 (it builds on this)

        values = [index(argument) & MASK for argument in arguments]
        if len(values) != len(self.definition.parameters):
            raise TypeError(f"{self.symbol} has {len(self.definition.parameters)} arguments")
        return compiled(self)(memory.load, memory.store, *values)

    def __call__(self, *arguments: P.args, **constants: P.kwargs) -> int:
        """Run in CPython without any memory."""
        bound = self.bind(**constants)  # type: ignore[arg-type]  # all of them are integers
        return bound.python(_NO_MEMORY, *arguments)  # type: ignore[arg-type]  # as above


def lower(
    functions: Iterable[Function[...]], *, inline: bool = False, external: bool = False
) -> str:
    """LLVM IR of some functions and of all that they call, each once, those called first.

    `inline` makes LLVM inline them wherever they are called; `external` lets the named ones be
    exported, where all others are `internal`.  Raises `RestrictedError` where a function is not
    restricted Python or calls itself, in a few steps too.
    """
    from drybpf.native.restricted.native import define  # noqa: PLC0415 (it builds on this)

    named = tuple(functions)
    return "\n".join(
        define(function, inline=inline, external=external and function in named)
        for function in closure(named)
    )


def closure(functions: Iterable[Function[...]]) -> list[Function[...]]:
    """Some functions and all that they call, those called first."""
    done: dict[str, Function[...]] = {}

    def visit(function: Function[...], path: tuple[Function[...], ...]) -> None:
        if function in path:
            raise RestrictedError(f"{function.symbol} calls itself; recursion is not allowed")
        if done.get(function.symbol, function) != function:
            raise RestrictedError(f"two functions are called {function.symbol}")
        if function.symbol not in done:
            for callee in function.definition.callees:
                visit(callee, (*path, function))
            done[function.symbol] = function

    for function in functions:
        visit(function, ())
    return list(done.values())


@lru_cache(maxsize=512)
def _definition(source: FunctionType, constants: tuple[tuple[str, int], ...]) -> Definition:
    from drybpf.native.restricted.reader import read  # noqa: PLC0415 (it builds on this)

    return read(source, dict(constants))
