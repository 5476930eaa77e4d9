"""Which helper a number means, and how to put another in its place for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import index
from typing import Any, Protocol
from weakref import WeakSet, ref

from drybpf.helpers.kfuncs import helper_number
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


class _Relay:
    """Tells those who watch a table that its parent has changed."""

    def __init__(self, child: Helpers) -> None:
        self._child = ref(child)

    def helpers_changed(self) -> None:
        child = self._child()
        if child is not None:
            child._tell()  # noqa: SLF001 (a part of that class)


class Helpers(Mapping[int, Helper]):
    """Helpers by number; `default` serves the numbers that have none of their own.

    A helper is called with a `Context` and r1 to r5 and returns an integer, which is put into r0
    modulo 2^64.  The kernel's helpers and kfuncs can be named instead: `"bpf_redirect"`.
    """

    def __init__(
        self,
        functions: Mapping[int, Helper] | None = None,
        *,
        default: Helper | None = None,
        parent: Helpers | None = None,
        base: Mapping[int, Helper] | None = None,
        missing: Helper | None = None,
    ) -> None:
        """Register functions by number.

        What is not registered here is looked for in the `parent`, another table that may change,
        then in `base`, which does not.  `missing` is called for what is nowhere, to say so.
        """
        self._functions: dict[int, Helper] = {}
        self._parent: Helpers | None = parent
        self._base: Mapping[int, Helper] = {} if base is None else base
        self._missing = missing
        self._relay = _Relay(self)
        if parent is not None:
            parent.watch(self._relay)
        self._watchers: WeakSet[Watcher] = WeakSet()
        self.default = default
        for number, function in (functions or {}).items():
            self.register(number, function)

    def register(self, number: int | str, function: Helper) -> None:
        """Register a helper, in place of an earlier one.  Numbers are unsigned 32 bits.

        The next run has it.  A run that is under way, if a helper of its own does this or another
        thread, has it from its next call on where it is interpreted; compiled code goes on with
        those that it began with.
        """
        number = _number(number)
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
    def replace(self, number: int | str, function: Helper) -> Iterator[list[Call]]:
        """Put another helper in place of one, within a `with` block; gives the list of calls."""
        number = _number(number)
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
        return Helpers(self._functions, default=self.default, parent=self._parent, base=self._base)

    def over(self, base: Mapping[int, Helper], missing: Helper | None = None) -> Helpers:
        """A table that sees what is registered here, now and later, and else has `base`."""
        if self._base is base:
            return self
        return Helpers(parent=self, base=base, missing=missing)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the table without those who watch it."""
        return {**self.__dict__, "_watchers": None, "_relay": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickle; nobody watches the new table yet."""
        self.__dict__.update(state, _watchers=WeakSet(), _relay=_Relay(self))
        if self._parent is not None:
            self._parent.watch(self._relay)

    def __getitem__(self, number: int) -> Helper:
        """The helper of a number, or the one that serves all; `KeyError` where there is none."""
        function = self.find(number) or self._missing
        if function is None:
            raise KeyError(number)
        return function

    def find(self, number: int) -> Helper | None:
        """The helper of a number, the one that serves all, or None."""
        own = self._functions.get(number)
        if own is None and self._parent is not None:
            own = self._parent.find(number)
        return own or self._base.get(number) or self.default

    def __contains__(self, number: object) -> bool:
        """Whether there is a helper of a number, or one that serves all."""
        return isinstance(number, int) and self.find(number) is not None

    def __iter__(self) -> Iterator[int]:
        """The registered numbers."""
        return iter(self._known())

    def _known(self) -> dict[int, None]:
        """All numbers that have a helper of their own, the first table's first."""
        parent = dict.fromkeys(self._parent or ())
        return dict.fromkeys(self._functions) | parent | dict.fromkeys(self._base)

    def __len__(self) -> int:
        """How many numbers are registered."""
        return len(self._known())

    def __repr__(self) -> str:
        """`<Helpers 5, 6>`."""
        numbers = ", ".join(map(str, sorted(self._functions)))
        return f"<Helpers {numbers}{' and a default' if self.default else ''}>"


def _number(number: int | str) -> int:
    """The number of a helper that is named, or as it is."""
    return helper_number(number) if isinstance(number, str) else index(number)
