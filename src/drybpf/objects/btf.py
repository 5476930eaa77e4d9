"""The section .BTF: types of a program's functions, maps and variables.

magic 0xEB9F | version | flags | header length | type offset, length | string offset, length
a type:  name | kind flag:1 kind:5 count:16 | size or type id | what the kind adds
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from drybpf.cached import cached_property
from drybpf.errors import ObjectError
from drybpf.objects import btf_types as t
from drybpf.objects.strings import StringTable

MAGIC = 0xEB9F
POINTER_SIZE = 8
DEEPEST = 32  # types behind each other; the kernel's MAX_RESOLVE_DEPTH
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_INT = struct.Struct("<I")
_ARRAY = struct.Struct("<III")
_MEMBER = struct.Struct("<III")
_PAIR = struct.Struct("<II")
_SIGNED_VALUE = struct.Struct("<Ii")
_SIGNED = struct.Struct("<i")
_UNION = 5
_MODIFIERS = {9: "volatile", 10: "const", 11: "restrict", 18: "type_tag"}


@dataclass(frozen=True, eq=False)
class Btf:
    """All types of an object, and the strings that BTF.ext uses too."""

    types: tuple[t.BtfType, ...]
    strings: StringTable

    @cached_property
    def _by_name(self) -> Mapping[str, tuple[int, ...]]:
        names: dict[str, list[int]] = {}
        for type_id, kind in enumerate(self.types):
            names.setdefault(kind.name, []).append(type_id)
        return MappingProxyType({name: tuple(ids) for name, ids in names.items()})

    def named(self, name: str) -> tuple[int, ...]:
        """The ids of the types of that name, of any kind."""
        return self._by_name.get(name, ())

    def essentially_named(self, name: str) -> tuple[int, ...]:
        """The ids of the types of that name but for a flavour (`name___old`)."""
        return self._by_essential_name.get(name, ())

    @cached_property
    def _by_essential_name(self) -> Mapping[str, tuple[int, ...]]:
        names: dict[str, list[int]] = {}
        for name, ids in self._by_name.items():
            names.setdefault(without_flavour(name), []).extend(ids)
        return MappingProxyType({name: tuple(ids) for name, ids in names.items()})

    def resolve(self, type_id: int) -> t.BtfType:
        """The type behind typedefs and modifiers.

        Raises `ObjectError` where they form a ring, or are more than the kernel follows.
        """
        for _ in range(DEEPEST):
            found = self.types[type_id]
            if not isinstance(found, t.Typedef | t.Modifier):
                return found
            type_id = found.target
        raise ObjectError(f".BTF: type {type_id} stands for itself, or behind {DEEPEST} others")

    def size_of(self, type_id: int) -> int:
        """The size of a value of the type, in bytes.

        Raises `ObjectError` for a type without a size, such as a function or `void`.
        """
        count = 1
        for _ in range(DEEPEST):
            found = self.resolve(type_id)
            match found:
                case t.Array():
                    count *= found.count
                    type_id = found.element
                case t.Pointer():
                    return count * POINTER_SIZE
                case t.Variable():
                    type_id = found.type
                case t.Int() | t.Struct() | t.Enum() | t.DataSection() | t.Float():
                    return count * found.size
                case _:
                    break
        raise ObjectError(f".BTF: type {type_id} ({found.name or 'unnamed'}) has no size")


def without_flavour(name: str) -> str:
    """A name without what CO-RE does not compare: `task_struct___old` is `task_struct`."""
    head, flavour, tail = name.rpartition("___")
    return head if flavour and head and tail else name


def read_btf(data: bytes | memoryview) -> Btf:
    """Read a .BTF section; raises `ObjectError` where it is malformed."""
    data = bytes(data)
    if len(data) < _HEADER.size:
        raise ObjectError(".BTF: the header is truncated")
    magic, version, _, header, *places = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ObjectError(f".BTF: magic {magic:#x} is not {MAGIC:#x}")
    if version != 1 or header < _HEADER.size:
        raise ObjectError(f".BTF: version {version} with a header of {header} bytes is unknown")
    type_offset, type_length, string_offset, string_length = places
    strings = StringTable(_part(data, header + string_offset, string_length), ".BTF")
    reader = _Reader(_part(data, header + type_offset, type_length), strings)
    types = (t.Void(), *reader.types())
    for type_id, used in reader.uses:
        if used >= len(types):
            raise ObjectError(f".BTF: type {type_id} names type {used} of {len(types)}")
    return Btf(types, strings)


def _part(data: bytes, start: int, length: int) -> bytes:
    if start + length > len(data):
        raise ObjectError(".BTF: a part ends beyond the section")
    return data[start : start + length]


@dataclass(frozen=True, slots=True)
class _Header:
    """The three words that begin a type."""

    kind: int
    name: str
    flag: bool  # its meaning depends on the kind
    count: int
    word: int  # a size or a type id


class _Reader:
    """Walks over the types in order; `uses` notes each type id met, with its user's."""

    def __init__(self, data: bytes, strings: StringTable) -> None:
        self._data, self._strings = data, strings
        self._position = 0
        self._current = 0
        self.uses: list[tuple[int, int]] = []

    def types(self) -> Iterator[t.BtfType]:
        while self._position < len(self._data):
            self._current += 1
            name, info, word = self._take(_TYPE)
            kind = info >> 24 & 0x1F
            read = _KINDS.get(kind)
            if read is None:
                raise ObjectError(f".BTF: type {self._current} is of unknown kind {kind}")
            header = _Header(kind, self._strings.at(name), bool(info >> 31), info & 0xFFFF, word)
            yield read(self, header)

    def _take(self, layout: struct.Struct) -> tuple[Any, ...]:
        return next(self._take_many(layout, 1))

    def _take_many(self, layout: struct.Struct, count: int) -> Iterator[tuple[Any, ...]]:
        start = self._position
        self._position += layout.size * count
        if self._position > len(self._data):
            raise ObjectError(f".BTF: type {self._current} is truncated")
        return layout.iter_unpack(self._data[start : self._position])

    def _use(self, type_id: int) -> int:
        self.uses.append((self._current, type_id))
        return type_id

    def integer(self, header: _Header) -> t.Int:
        (word,) = self._take(_INT)
        encoding = word >> 24
        return t.Int(
            name=header.name,
            size=header.word,
            bits=word & 0xFF,
            offset=word >> 16 & 0xFF,
            signed=bool(encoding & 1),
            char=bool(encoding & 2),
            boolean=bool(encoding & 4),
        )

    def pointer(self, header: _Header) -> t.Pointer:
        return t.Pointer(header.name, self._use(header.word))

    def array(self, header: _Header) -> t.Array:
        element, index, count = self._take(_ARRAY)
        return t.Array(header.name, self._use(element), self._use(index), count)

    def composite(self, header: _Header) -> t.Struct:
        members = []
        for name, type_id, place in self._take_many(_MEMBER, header.count):
            offset, bits = (place & 0xFF_FFFF, place >> 24) if header.flag else (place, 0)
            members.append(t.Member(self._strings.at(name), self._use(type_id), offset, bits))
        return t.Struct(header.name, header.word, tuple(members), union=header.kind == _UNION)

    def enum(self, header: _Header) -> t.Enum:
        layout = _SIGNED_VALUE if header.flag else _PAIR
        values = tuple(
            (self._strings.at(name), value) for name, value in self._take_many(layout, header.count)
        )
        return t.Enum(header.name, header.word, header.flag, values)

    def enum64(self, header: _Header) -> t.Enum:
        values = tuple(
            (self._strings.at(name), (high - (header.flag and high >> 31) * 2**32) << 32 | low)
            for name, low, high in self._take_many(_MEMBER, header.count)
        )
        return t.Enum(header.name, header.word, header.flag, values)

    def forward(self, header: _Header) -> t.Forward:
        return t.Forward(header.name, header.flag)

    def typedef(self, header: _Header) -> t.Typedef:
        return t.Typedef(header.name, self._use(header.word))

    def modifier(self, header: _Header) -> t.Modifier:
        return t.Modifier(header.name, _MODIFIERS[header.kind], self._use(header.word))

    def function(self, header: _Header) -> t.Function:
        return t.Function(header.name, self._use(header.word), header.count)

    def prototype(self, header: _Header) -> t.Prototype:
        parameters = tuple(
            (self._strings.at(name), self._use(type_id))
            for name, type_id in self._take_many(_PAIR, header.count)
        )
        return t.Prototype(header.name, self._use(header.word), parameters)

    def variable(self, header: _Header) -> t.Variable:
        (linkage,) = self._take(_INT)
        return t.Variable(header.name, self._use(header.word), linkage)

    def data_section(self, header: _Header) -> t.DataSection:
        variables = tuple(
            t.Placed(self._use(variable), offset, size)
            for variable, offset, size in self._take_many(_MEMBER, header.count)
        )
        return t.DataSection(header.name, header.word, variables)

    def float(self, header: _Header) -> t.Float:
        return t.Float(header.name, header.word)

    def declaration_tag(self, header: _Header) -> t.DeclarationTag:
        (component,) = self._take(_SIGNED)
        return t.DeclarationTag(header.name, self._use(header.word), component)


_KINDS: dict[int, Callable[[_Reader, _Header], t.BtfType]] = {
    1: _Reader.integer,
    2: _Reader.pointer,
    3: _Reader.array,
    4: _Reader.composite,
    _UNION: _Reader.composite,
    6: _Reader.enum,
    7: _Reader.forward,
    8: _Reader.typedef,
    12: _Reader.function,
    13: _Reader.prototype,
    14: _Reader.variable,
    15: _Reader.data_section,
    16: _Reader.float,
    17: _Reader.declaration_tag,
    19: _Reader.enum64,
    **dict.fromkeys(_MODIFIERS, _Reader.modifier),
}
