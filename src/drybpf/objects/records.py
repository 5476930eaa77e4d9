"""What a structure in memory is to Python: a small immutable record with named fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drybpf.objects.codecs import Structure


class Record:
    """The value of a C structure or union: `flow.port`, `flow._asdict()`, `port, peer = flow`.

    A record keeps its bytes, padding included, so that what was read can be written back
    unchanged.  It equals a record, tuple or dictionary of the same values; padding does not count.
    Members of anonymous structures and unions are fields of the record itself.
    """

    __slots__ = ("_bytes", "_layout")

    def __init__(self, layout: Structure, data: bytes) -> None:
        """Show `data`, of the layout's size."""
        object.__setattr__(self, "_layout", layout)
        object.__setattr__(self, "_bytes", data)

    _layout: Structure
    _bytes: bytes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (of the field's type)
        """The value of a field."""
        if name.startswith("__") and name.endswith("__"):
            # copy and pickle ask before there are any fields
            raise AttributeError(name)
        field = self._layout.fields.get(name)
        if field is None:
            known = ", ".join(self._layout.fields)
            raise AttributeError(f"{self._layout} has no field {name!r}; it has {known}")
        return field.read(self._bytes)

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a record is a copy, setting its field would not reach the map."""
        raise AttributeError(f"records are immutable; use _replace({name}=…) and store the result")

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 (as above)
        """The value of a field by its name, which need not be an identifier."""
        if name not in self._layout.fields:
            raise KeyError(name)
        return self._layout.fields[name].read(self._bytes)

    @property
    def _fields(self) -> tuple[str, ...]:
        """The names of the fields, in the order of the declaration."""
        return tuple(self._layout.fields)

    def _asdict(self) -> dict[str, Any]:
        """The fields by name, with nested records as dictionaries, too."""
        return {name: _plain(value) for name, value in zip(self._fields, self, strict=True)}

    def _replace(self, **changes: object) -> Record:
        """A record with some fields changed.  Raises `TypeError` for names that are not there."""
        return Record(self._layout, self._layout.change(self._bytes, changes))

    def __bytes__(self) -> bytes:
        """The bytes in memory."""
        return self._bytes

    def __iter__(self) -> Iterator[Any]:
        """The values of the fields."""
        return (field.read(self._bytes) for field in self._layout.fields.values())

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self._layout.fields)

    def __eq__(self, other: object) -> bool:
        """Compare with a record, by names and values, or with a dictionary or tuple."""
        if isinstance(other, Record):
            return self._fields == other._fields and tuple(self) == tuple(other)
        if isinstance(other, dict):
            return dict(zip(self._fields, self, strict=True)) == other
        if isinstance(other, tuple):
            return tuple(self) == other
        return NotImplemented

    def __lt__(self, other: object) -> bool:
        """Order records by their values, the first field first."""
        if not isinstance(other, Record):
            return NotImplemented
        return tuple(self) < tuple(other)

    def __hash__(self) -> int:
        """Hash the values."""
        return hash(tuple(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle layout and bytes."""
        return Record, (self._layout, self._bytes)

    def __dir__(self) -> list[str]:
        """Let a shell complete the fields."""
        return [*super().__dir__(), *self._layout.fields]

    def __repr__(self) -> str:
        """`flow(port=80, peer=1)`."""
        fields = ", ".join(
            f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)
        )
        return f"{self._layout.name or 'record'}({fields})"


def _plain(value: object) -> object:
    if isinstance(value, Record):
        return value._asdict()
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return value
