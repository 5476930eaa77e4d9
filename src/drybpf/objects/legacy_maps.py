"""Map definitions as they were before BTF: structures of 32-bit words in sections called `maps`.

    word   0     1         2           3            4      5, 6 …
           type  key size  value size  max entries  flags  the rest, by the structure's length

    36 bytes, iproute2   id, pinning, inner id, inner index
    28 bytes, ambiguous  inner map's index and NUMA node (kernel samples), or id and pinning

The length is the distance between symbols.  In 28 bytes, word 5 is an inner map's index for maps
of maps and else an id.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

from drybpf.errors import ObjectError
from drybpf.maps.codec import Codec
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf
from drybpf.objects.elf import STT_FUNC, STT_SECTION, ElfFile, Section
from drybpf.objects.map_sources import MapSource
from drybpf.objects.typed import Types

MAPS_OF_MAPS = (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS)
_WORDS = 9
_SHORTEST = 16  # bytes: without flags
_IPROUTE2, _AMBIGUOUS = 36, 28
_ID_SIZE = 4  # of a map, in a map of maps
_NUMA_NODE = 1 << 2  # the flag that makes word 6 a NUMA node
_PIN_GLOBAL = 2  # iproute2's PIN_GLOBAL_NS; 1 pins for the same object only
_NOWHERE = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class _Words:
    """A definition as it stands in the file."""

    name: str
    section: int
    offset: int
    size: int
    words: tuple[int, ...]

    @property
    def type(self) -> MapType:
        try:
            return MapType(self.words[0])
        except ValueError:
            message = f"map {self.name!r}: there is no map type {self.words[0]}"
            raise ObjectError(message) from None

    @property
    def of_maps(self) -> bool:
        return self.type in MAPS_OF_MAPS

    @property
    def id(self) -> int | None:
        """The number by which iproute2 knows it."""
        return None if self.of_maps and self.size != _IPROUTE2 else self.words[5]


def legacy_maps(elf: ElfFile, btf: Btf | None, types: Types | None) -> tuple[MapSource, ...]:
    """All maps of such sections; raises `ObjectError` for what is no definition."""
    found = [words for section in elf.sections for words in _in_section(elf, section)]
    plain = {id(words): _definition(words, btf, types) for words in found}
    return tuple(_source(words, found, plain) for words in found)


def is_legacy(section: Section) -> bool:
    """Whether a section holds such definitions."""
    return section.name == "maps" or section.name.startswith("maps/")


def _in_section(elf: ElfFile, section: Section) -> Iterator[_Words]:
    if not is_legacy(section) or not section.data:
        return
    names: dict[int, str] = {}
    for symbol in elf.symbols_of(section.index):
        if symbol.type not in (STT_SECTION, STT_FUNC) and symbol.name:
            names.setdefault(symbol.value, symbol.name)
    if not names and section.name != "maps":
        names[0] = section.name.partition("/")[2]
    places = sorted(names)
    for offset, end in pairwise([*places, section.size]):
        size = end - offset
        if offset % 4 or size < _SHORTEST or end > section.size:
            raise ObjectError(
                f"section {section.name!r}: map {names[offset]!r} at offset {offset} "
                f"has {size} bytes, which are no definition"
            )
        count = min(size // 4, _WORDS)
        words = struct.unpack_from(f"<{count}I", section.data, offset)
        words += (0,) * (_WORDS - count)
        yield _Words(names[offset], section.index, offset, size, words)


def _definition(words: _Words, btf: Btf | None, types: Types | None) -> MapDefinition:
    """The map alone, without what is in it."""
    _, key_size, value_size, max_entries, flags = words.words[:5]
    if words.of_maps:
        value_size = _ID_SIZE  # the kernel's samples leave it to their loader
    key, value = _annotated(words.name, btf, types)
    return MapDefinition(
        words.name,
        words.type,
        key_size,
        value_size,
        max_entries,
        flags,
        key=key if key and key.size == key_size else None,
        value=value if value and value.size == value_size else None,
        pinned=_pinned(words),
    )


def _pinned(words: _Words) -> bool:
    if words.size == _AMBIGUOUS:
        return words.words[6] == _PIN_GLOBAL and not words.words[4] & _NUMA_NODE
    return words.size == _IPROUTE2 and words.words[6] >= _PIN_GLOBAL


def _annotated(
    name: str, btf: Btf | None, types: Types | None
) -> tuple[Codec | None, Codec | None]:
    """The types that the kernel's macro BPF_ANNOTATE_KV_PAIR left for a map."""
    for type_id in btf.named(f"____btf_map_{name}") if btf else ():
        found = btf.types[type_id] if btf else None
        if types and isinstance(found, t.Struct):
            members = {member.name: types.codec(member.type) for member in found.members}
            return members.get("key"), members.get("value")
    return None, None


def _source(words: _Words, all_: Sequence[_Words], plain: Mapping[int, MapDefinition]) -> MapSource:
    definition = plain[id(words)]
    if not words.of_maps:
        return MapSource(definition, words.section, words.offset, id=words.id)
    inner, inside = _inner(words, all_)
    if inner is not None:
        definition = replace(definition, inner=plain[id(inner)])
    return MapSource(definition, words.section, words.offset, MappingProxyType(inside), id=words.id)


def _inner(words: _Words, all_: Sequence[_Words]) -> tuple[_Words | None, dict[int, str]]:
    """The map that stands for the maps inside, and those that are inside from the beginning."""
    if words.size != _IPROUTE2:
        index = words.words[5]
        within = [other for other in all_ if other.section == words.section]
        fits = index < len(within) and within[index] is not words
        return (within[index] if fits else None), {}
    wanted = words.words[7]
    same = [other for other in all_ if other.id == wanted and other is not words and wanted]
    inside = {other.words[8]: other.name for other in same if other.words[8] != _NOWHERE}
    return (same[0] if same else None), inside
