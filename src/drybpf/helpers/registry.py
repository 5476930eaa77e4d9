"""Which helper a number means, and how to put another in its place for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakSet

from drybpf.state import Context, Enter, Helper, Invoke


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a replaced helper: its arguments and what it returned."""

    arguments: tuple[int, ...]
    result: int | Invoke | Enter


class Watcher(Protocol):
    """What is told of changes."""

    def helpers_changed(self) -> None:
        """Called after a helper was registered or replaced."""


class Helpers(Mapping[int, Helper]):
    """Helpers by number; `default` serves the numbers that have none of their own.

    A helper is called with a `Context` and r1 to r5 and returns an integer, which is put into r0
    modulo 2^64.
    """

    def __init__(
        self, functions: Mapping[int, Helper] | None = None, *, default: Helper | None = None
    ) -> None:
        """Register functions by number."""
        self._functions: dict[int, Helper] = {}
        self._watchers: WeakSet[Watcher] = WeakSet()
        self.default = default
        for number, function in (functions or {}).items():
            self.register(number, function)

    def register(self, number: int, function: Helper) -> None:
        """Register a helper, in place of an earlier one.  Numbers are unsigned 32 bits."""
        if not 0 <= number < 1 << 32:
            raise ValueError(f"a helper's number is 0 to {(1 << 32) - 1}, not {number}")
        if not callable(function):
            raise TypeError(f"a helper must be callable, not {type(function).__name__}")
        self._functions[number] = function
        self._tell()

    def watch(self, watcher: Watcher) -> None:
        """Tell an object of every change, as long as it lives: compiled code holds helpers."""
        self._watchers.add(watcher)

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher.helpers_changed()

    @contextmanager
    def replace(self, number: int, function: Helper) -> Iterator[list[Call]]:
        """Put another helper in place of one, within a `with` block; gives the list of calls."""
        calls: list[Call] = []

        def recording(context: Context, *arguments: int) -> int | Invoke | Enter:
            result = function(context, *arguments)
            calls.append(Call(arguments, result))
            return result

        before = self._functions.get(number)
        self.register(number, recording)
        try:
            yield calls
        finally:
            if before is None:
                del self._functions[number]
            else:
                self._functions[number] = before
            self._tell()

    def copy(self) -> Helpers:
        """Copy the table; the helpers are shared."""
        return Helpers(self._functions, default=self.default)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the table without those who watch it."""
        return {**self.__dict__, "_watchers": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; nobody watches the new table yet."""
        self.__dict__.update(state, _watchers=WeakSet())

    def __getitem__(self, number: int) -> Helper:
        """The helper of a number, or the one that serves all; `KeyError` where there is none."""
        function = self._functions.get(number, self.default)
        if function is None:
            raise KeyError(number)
        return function

    def __iter__(self) -> Iterator[int]:
        """The registered numbers."""
        return iter(self._functions)

    def __len__(self) -> int:
        """How many numbers are registered."""
        return len(self._functions)

    def __repr__(self) -> str:
        """`<Helpers 5, 6>`."""
        numbers = ", ".join(map(str, sorted(self._functions)))
        return f"<Helpers {numbers}{' and a default' if self.default else ''}>"
