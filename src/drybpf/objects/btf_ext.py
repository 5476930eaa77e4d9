"""The section .BTF.ext: which function, source line and CO-RE access belongs to which instruction.

magic 0xEB9F | version | flags | header length | offset, length of each of the three parts
a part:  record size, then for each section: its name | number of records | the records
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from drybpf.code import SourceLine
from drybpf.errors import ObjectError
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.objects.btf import MAGIC, Btf

_HEADER = struct.Struct("<HBBI")
_PLACE = struct.Struct("<II")
_RECORD_SIZE = struct.Struct("<I")
_GROUP = struct.Struct("<II")
_FUNCTION = struct.Struct("<II")
_LINE = struct.Struct("<IIII")
_ACCESS = struct.Struct("<IIII")
_PARTS = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Access:
    """A CO-RE relocation: the `access` string walks from the type; `kind` asks for what.

    `kind` is the kernel's `enum bpf_core_relo_kind`: 0 is the byte offset of a field.
    """

    type: int
    access: str
    kind: int


@dataclass(frozen=True)
class BtfExt:
    """Each fact by the section's name and the slot within it, in the order of the slots."""

    functions: Mapping[str, Mapping[int, int]]  # the id of the function's type
    lines: Mapping[str, Mapping[int, SourceLine]]
    accesses: Mapping[str, Mapping[int, Access]]


_NOTHING: Mapping[str, Mapping[int, Any]] = MappingProxyType({})
NO_BTF_EXT = BtfExt(_NOTHING, _NOTHING, _NOTHING)


def read_btf_ext(data: bytes | memoryview, btf: Btf) -> BtfExt:
    """Read a .BTF.ext section; raises `ObjectError` where it is malformed."""
    functions, lines, accesses = _parts(bytes(data))
    string = btf.strings.at

    def line(file: int, text: int, place: int) -> SourceLine:
        return SourceLine(string(file), place >> 10, place & 0x3FF, string(text))

    def access(type_id: int, path: int, kind: int) -> Access:
        if type_id >= len(btf.types):
            raise ObjectError(f".BTF.ext: no type {type_id} in .BTF")
        return Access(type_id, string(path), kind)

    return BtfExt(
        functions=_by_section(functions, _FUNCTION, btf, int),
        lines=_by_section(lines, _LINE, btf, line),
        accesses=_by_section(accesses, _ACCESS, btf, access),
    )


def _parts(data: bytes) -> Iterator[bytes]:
    """The bytes of the three parts; older compilers write no third."""
    if len(data) < _HEADER.size:
        raise ObjectError(".BTF.ext: the header is truncated")
    magic, version, _, header = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ObjectError(f".BTF.ext: magic {magic:#x} is not {MAGIC:#x}")
    if version != 1:
        raise ObjectError(f".BTF.ext: version {version} is unknown")
    for position in range(_HEADER.size, _HEADER.size + _PARTS * _PLACE.size, _PLACE.size):
        if position + _PLACE.size > min(header, len(data)):
            yield b""
            continue
        offset, length = _PLACE.unpack_from(data, position)
        start = header + offset
        if start + length > len(data):
            raise ObjectError(".BTF.ext: a part ends beyond the section")
        yield data[start : start + length]


def _by_section(
    part: bytes, layout: struct.Struct, btf: Btf, make: Callable[..., T]
) -> Mapping[str, Mapping[int, T]]:
    found: dict[str, dict[int, T]] = {}
    for section, offset, *fields in _records(part, layout, btf):
        if offset % SLOT_SIZE:
            raise ObjectError(f".BTF.ext: offset {offset} in section {section!r} is no instruction")
        found.setdefault(section, {})[offset // SLOT_SIZE] = make(*fields)
    return MappingProxyType(
        {section: MappingProxyType(dict(sorted(facts.items()))) for section, facts in found.items()}
    )


def _records(part: bytes, layout: struct.Struct, btf: Btf) -> Iterator[tuple[Any, ...]]:
    """The section's name and the fields of each record; a record may be longer than we know."""
    if not part:
        return
    if len(part) < _RECORD_SIZE.size:
        raise ObjectError(".BTF.ext: a part is truncated")
    (size,) = _RECORD_SIZE.unpack_from(part)
    if size < layout.size:
        raise ObjectError(f".BTF.ext: records of {size} bytes, not {layout.size}")
    position = _RECORD_SIZE.size
    while position < len(part):
        start = position + _GROUP.size
        if start > len(part):
            raise ObjectError(".BTF.ext: a section's records are truncated")
        name, count = _GROUP.unpack_from(part, position)
        section = btf.strings.at(name)
        position = start + count * size
        if position > len(part):
            raise ObjectError(f".BTF.ext: the records of section {section!r} are truncated")
        for record in range(start, position, size):
            yield section, *layout.unpack_from(part, record)
