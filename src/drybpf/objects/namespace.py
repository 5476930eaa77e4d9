"""A mapping from names to values that are made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


class Namespace(Mapping[str, T]):
    """Read as a mapping (`programs["parser"]`) or by attribute (`programs.parser`)."""

    def __init__(self, names: Iterable[str], make: Callable[[str], T], kind: str) -> None:
        """Take the names in order and what makes a value; `kind` is for messages."""
        self._names = dict.fromkeys(names)
        self._make = make
        self._kind = kind
        self._made: dict[str, T] = {}

    def __getitem__(self, name: str) -> T:
        """Make the value or give the one made before; the `KeyError` lists what there is."""
        if name not in self._names:
            raise KeyError(f"no {self._kind} {name!r}; there is {self._listing()}")
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def __getattr__(self, name: str) -> T:
        """The same for names that are identifiers."""
        if name.startswith("__") and name.endswith("__"):
            # pickle and copy ask before there are any names
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(*error.args) from None

    def __iter__(self) -> Iterator[str]:
        """The names in the order of the object file."""
        return iter(self._names)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def __dir__(self) -> Iterable[str]:
        """Let a shell complete the names."""
        return [*super().__dir__(), *self._names]

    def __repr__(self) -> str:
        """`<2 programs: parser, filter>`."""
        plural = self._kind if len(self) == 1 else f"{self._kind}s"
        return f"<{len(self)} {plural}: {self._listing()}>"

    def _listing(self) -> str:
        return ", ".join(self._names) or "none"
