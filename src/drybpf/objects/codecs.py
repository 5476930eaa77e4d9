"""Between the bytes of C values and Python's.

C                                    Python
integers, pointers                   int
bool                                 bool
enum                                 EnumValue: an int that knows its name; names are packed, too
float, double                        float
char[n]                              str without the NULs at its end; bytes are packed, too
unsigned char[n]                     bytes
other arrays                         tuple
struct, union                        Record
what has no better form              bytes

Each packs also a buffer of just its size.  Bytes of a char[n] that are no UTF-8 are kept as
surrogates (Python's `surrogateescape`), so that what was read can be written back.
"""

from __future__ import annotations

import operator
import struct
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Self

from drybpf.cached import cached_property
from drybpf.maps.codec import Codec
from drybpf.objects.records import Record

_FLOATS = {2: struct.Struct("<e"), 4: struct.Struct("<f"), 8: struct.Struct("<d")}
FLOAT_SIZES = tuple(_FLOATS)
_BUFFERS = (bytes, bytearray, memoryview)


def as_bytes(value: object, size: int) -> bytes | None:
    """The bytes of a buffer, which must have that size; None for what is no buffer."""
    if not isinstance(value, _BUFFERS):
        return None
    data = bytes(value)
    if len(data) != size:
        raise ValueError(f"{size} bytes are wanted, not {len(data)}")
    return data


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer of `size` bytes, little-endian."""

    size: int
    signed: bool = False

    def __str__(self) -> str:
        """`u32`, `s8`."""
        return f"{'s' if self.signed else 'u'}{8 * self.size}"

    def unpack(self, data: bytes) -> int:
        """The number."""
        return int.from_bytes(data, "little", signed=self.signed)

    def pack(self, value: object) -> bytes:
        """The bytes of a number within the range."""
        data = as_bytes(value, self.size)
        if data is not None:
            return data
        number = operator.index(value)  # type: ignore[arg-type]  # a TypeError says so
        try:
            return number.to_bytes(self.size, "little", signed=self.signed)
        except OverflowError as error:
            kind = "signed" if self.signed else "unsigned"
            raise ValueError(f"{number} does not fit into {8 * self.size} bits, {kind}") from error


@dataclass(frozen=True, slots=True)
class Boolean:
    """A `bool`: any byte but zeros is true."""

    size: int = 1

    def __str__(self) -> str:
        """`bool`."""
        return "bool"

    def unpack(self, data: bytes) -> bool:
        """Whether it is true."""
        return any(data)

    def pack(self, value: object) -> bytes:
        """One for what is true, of bool, 0 or 1."""
        data = as_bytes(value, self.size)
        if data is not None:
            return data
        number = operator.index(value)  # type: ignore[arg-type]  # a TypeError says so
        if number not in (0, 1):
            raise ValueError(f"a bool is true or false, not {number}")
        return number.to_bytes(self.size, "little")


class EnumValue(int):
    """A value of an enumeration: an integer with the name that the enumeration gives it."""

    name: str

    def __new__(cls, value: int, name: str = "") -> Self:
        """Take the value and its name, empty where it has none."""
        made = super().__new__(cls, value)
        made.name = name
        return made

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle value and name."""
        return EnumValue, (int(self), self.name)

    def __repr__(self) -> str:
        """`XDP_PASS (2)`, or the number alone."""
        return f"{self.name} ({int(self)})" if self.name else str(int(self))

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Enumeration:
    """An enumeration; packs numbers and the names of values."""

    name: str
    size: int
    signed: bool
    values: Mapping[str, int]
    names: Mapping[int, str]

    def __str__(self) -> str:
        """`enum colour`."""
        return f"enum {self.name}".strip()

    def unpack(self, data: bytes) -> EnumValue:
        """The value, with its name where it has one."""
        value = int.from_bytes(data, "little", signed=self.signed)
        return EnumValue(value, self.names.get(value, ""))

    def pack(self, value: object) -> bytes:
        """The bytes of a number, or of a name."""
        if isinstance(value, str):
            if value not in self.values:
                known = ", ".join(self.values)
                raise ValueError(f"no value is called {value!r}; there are {known}")
            value = self.values[value]
        return Integer(self.size, self.signed).pack(value)


@dataclass(frozen=True, slots=True)
class Floating:
    """A floating-point number of 2, 4 or 8 bytes."""

    size: int

    def __str__(self) -> str:
        """`f64`."""
        return f"f{8 * self.size}"

    def unpack(self, data: bytes) -> float:
        """The number."""
        value: float = _FLOATS[self.size].unpack(data)[0]
        return value

    def pack(self, value: object) -> bytes:
        """The bytes of a number."""
        data = as_bytes(value, self.size)
        if data is not None:
            return data
        try:
            return _FLOATS[self.size].pack(value)
        except struct.error as error:
            raise TypeError(f"a number is wanted, not {type(value).__name__}") from error
        except OverflowError as error:
            raise ValueError(f"{value!r} does not fit into {self.size} bytes") from error


@dataclass(frozen=True, slots=True)
class Text:
    """A `char[n]`: text, filled up with NULs."""

    size: int

    def __str__(self) -> str:
        """`char[16]`."""
        return f"char[{self.size}]"

    def unpack(self, data: bytes) -> str:
        """The text without the NULs at its end."""
        return data.rstrip(b"\0").decode(errors="surrogateescape")

    def pack(self, value: object) -> bytes:
        """The bytes of text, or of a buffer, that is not too long."""
        if isinstance(value, str):
            data = value.encode(errors="surrogateescape")
        elif isinstance(value, _BUFFERS):
            data = bytes(value)
        else:
            data = bytes(_elements(value))
        if len(data) > self.size:
            raise ValueError(f"{len(data)} bytes do not fit into char[{self.size}]")
        return data.ljust(self.size, b"\0")


@dataclass(frozen=True, slots=True)
class Octets:
    """An `unsigned char[n]`, or bytes without a type."""

    size: int

    def __str__(self) -> str:
        """`u8[6]`."""
        return f"u8[{self.size}]"

    def unpack(self, data: bytes) -> bytes:
        """The bytes."""
        return bytes(data)

    def pack(self, value: object) -> bytes:
        """The bytes of a buffer or a sequence of numbers of just that size."""
        data = as_bytes(value, self.size)
        if data is None:
            data = as_bytes(bytes(_elements(value)), self.size)
        return data or b""


@dataclass(frozen=True, slots=True)
class Repeated:
    """An array of `count` elements."""

    element: Codec
    count: int

    def __str__(self) -> str:
        """`u16[2][3]`: the outer dimension first, as in C."""
        base, bracket, dimensions = str(self.element).partition("[")
        return f"{base}[{self.count}]{bracket}{dimensions}"

    @property
    def size(self) -> int:
        """The bytes of all elements."""
        return self.element.size * self.count

    def unpack(self, data: bytes) -> tuple[Any, ...]:
        """The elements."""
        size, unpack = self.element.size, self.element.unpack
        return tuple(unpack(data[size * i : size * (i + 1)]) for i in range(self.count))

    def pack(self, value: object) -> bytes:
        """The bytes of a sequence of just that many elements."""
        data = as_bytes(value, self.size)
        if data is not None:
            return data
        elements = _elements(value)
        if len(elements) != self.count:
            raise ValueError(f"{self.count} elements are wanted, not {len(elements)}")
        return b"".join(map(self.element.pack, elements))


@dataclass(frozen=True, slots=True)
class Field:
    """A member at a byte offset; with `bits`, a bit field at bit `offset` of the structure."""

    codec: Codec
    offset: int
    bits: int = 0
    signed: bool = False

    def read(self, data: bytes) -> Any:  # noqa: ANN401 (of the field's type)
        """The value within the bytes of the structure."""
        if not self.bits:
            return self.codec.unpack(data[self.offset : self.offset + self.codec.size])
        begin, shift, end = self._span()
        value = int.from_bytes(data[begin:end], "little") >> shift & (1 << self.bits) - 1
        if self.signed:
            value -= (value >> self.bits - 1) << self.bits
        return self.codec.unpack(value.to_bytes(self.codec.size, "little", signed=self.signed))

    def write(self, data: bytearray, value: object) -> None:
        """Put a value into the bytes of the structure."""
        packed = self.codec.pack(value)
        if not self.bits:
            data[self.offset : self.offset + len(packed)] = packed
            return
        number = int.from_bytes(packed, "little", signed=self.signed)
        low = -1 << self.bits - 1 if self.signed else 0
        if not low <= number < low + (1 << self.bits):
            raise ValueError(f"{number} does not fit into a bit field of {self.bits} bits")
        begin, shift, end = self._span()
        mask = (1 << self.bits) - 1
        old = int.from_bytes(data[begin:end], "little")
        new = old & ~(mask << shift) | (number & mask) << shift
        data[begin:end] = new.to_bytes(end - begin, "little")

    def _span(self) -> tuple[int, int, int]:
        """The bytes that hold the bits, and how far the bits are from their beginning."""
        begin, shift = divmod(self.offset, 8)
        return begin, shift, begin + (shift + self.bits + 7) // 8


@dataclass(frozen=True, eq=False)
class Structure:
    """A structure or union as a `Record`."""

    name: str
    size: int
    fields: Mapping[str, Field] = field(repr=False)
    union: bool = False

    @cached_property
    def pieces(self) -> int:
        """How many values there are within it, itself and those that overlap included."""
        return 1 + sum(pieces(known.codec) for known in self.fields.values())

    def __str__(self) -> str:
        """`struct flow`."""
        return f"{'union' if self.union else 'struct'} {self.name}".strip()

    def unpack(self, data: bytes) -> Record:
        """The record."""
        return Record(self, bytes(data))

    def pack(self, value: object) -> bytes:
        """The bytes of a record, of a mapping by names, or of a sequence of all fields.

        What a mapping does not name is zero.  Of a union one field is enough.
        """
        data = as_bytes(value, self.size)
        if data is not None:
            return data
        if isinstance(value, Record):
            if value._layout is self:  # noqa: SLF001 (ours)
                return bytes(value)
            value = {name: value[name] for name in value._fields}
        if isinstance(value, Mapping):
            return self.change(bytes(self.size), value)
        elements = _elements(value)
        if len(elements) != len(self.fields):
            raise ValueError(f"{self} has {len(self.fields)} fields, not {len(elements)}")
        return self.change(bytes(self.size), dict(zip(self.fields, elements, strict=True)))

    def change(self, data: bytes, changes: Mapping[str, object]) -> bytes:
        """The bytes with some fields changed; raises `TypeError` for names that are not there."""
        changed = bytearray(data)
        for name, value in changes.items():
            known = self.fields.get(name)
            if known is None:
                there = ", ".join(self.fields)
                raise TypeError(f"{self} has no field {name!r}; it has {there}")
            try:
                known.write(changed, value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
        return bytes(changed)


def pieces(codec: Codec) -> int:
    """How many values a value is made of: what it takes to show or to compare it."""
    if isinstance(codec, Repeated):
        return 1 + codec.count * pieces(codec.element)
    return codec.pieces if isinstance(codec, Structure) else 1


def _elements(value: object) -> Sequence[Any]:
    """What a sequence holds, or anything of a known length that can be walked over in order."""
    if isinstance(value, str | Mapping | AbstractSet) or not isinstance(value, Collection):
        raise TypeError(f"a sequence is wanted, not {type(value).__name__}")
    return value if isinstance(value, Sequence) else list(value)
