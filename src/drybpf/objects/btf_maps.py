"""Map definitions in BTF: variables of the section `.maps`, whose types say what they are.

struct {
    __uint(type, BPF_MAP_TYPE_HASH);    a pointer to an array of so many elements
    __ulong(map_extra, 1 << 40);        an enumeration of one value
    __type(key, struct flow);           a pointer to the type
    __array(values, struct inner);      an array of pointers: to maps, or to functions
} flows SEC(".maps");
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from drybpf.errors import ObjectError
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.maps.codec import Codec
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.objects import btf_types as t
from drybpf.objects.btf import POINTER_SIZE, Btf
from drybpf.objects.elf import STB_LOCAL, ElfFile, Relocation, Section
from drybpf.objects.functions import Function
from drybpf.objects.legacy_maps import MAPS_OF_MAPS
from drybpf.objects.map_sources import MapSource
from drybpf.objects.typed import Types

SECTION = ".maps"
_PIN_BY_NAME = 1  # libbpf's; Cilium's own 16 replaces what is pinned, so that nothing is shared
_ID_SIZE = 4  # bytes of a map's or program's number, which user space puts in
_NUMBERS = ("type", "max_entries", "map_flags", "map_extra", "key_size", "value_size", "pinning")
_WITHOUT_VALUES = (MapType.RINGBUF, MapType.USER_RINGBUF, MapType.ARENA)


def btf_maps(
    elf: ElfFile, btf: Btf | None, types: Types | None, functions: Sequence[Function]
) -> tuple[MapSource, ...]:
    """The maps of the section; raises `ObjectError` for what is no definition."""
    section = elf.section(SECTION)
    if section is None or not section.size:
        return ()
    if btf is None or types is None:
        raise ObjectError("section '.maps' needs BTF to say what its maps are; there is none")
    return _Reader(elf, btf, types, section, functions).sources()


@dataclass
class _Facts:
    """What the members of a definition say."""

    numbers: dict[str, int] = field(default_factory=dict)
    key: int | None = None
    value: int | None = None
    values: t.Member | None = None
    inner: t.Struct | None = None


class _Reader:
    def __init__(
        self, elf: ElfFile, btf: Btf, types: Types, section: Section, functions: Sequence[Function]
    ) -> None:
        self._elf, self._btf, self._types, self._section = elf, btf, types, section
        self._functions = {
            (function.section.index, function.start * SLOT_SIZE): function.names[0]
            for function in functions
        }
        self._places = sorted(self._find_places())
        self._names = {offset: name for offset, name, _ in self._places}

    def sources(self) -> tuple[MapSource, ...]:
        """Each map of the section."""
        ends = [*(offset for offset, _, _ in self._places[1:]), self._section.size]
        return tuple(
            self._source(offset, end, name, type_id)
            for (offset, name, type_id), end in zip(self._places, ends, strict=False)
        )

    def _find_places(self) -> Iterator[tuple[int, str, int]]:
        """Offset, name and type of each map.

        A global variable's place is that of its symbol: only a linker puts it into BTF.
        """
        symbols = {
            symbol.name: symbol.value
            for symbol in self._elf.symbols_of(self._section.index)
            if symbol.binding != STB_LOCAL
        }
        for type_id in self._btf.named(SECTION):
            data = self._btf.types[type_id]
            for placed in data.variables if isinstance(data, t.DataSection) else ():
                variable = self._btf.types[placed.variable]
                if not isinstance(variable, t.Variable):
                    raise ObjectError(f".BTF: {SECTION} holds {variable.name!r}, no variable")
                yield symbols.get(variable.name, placed.offset), variable.name, variable.type

    def _source(self, offset: int, end: int, name: str, type_id: int) -> MapSource:
        found = self._btf.resolve(type_id)
        if not isinstance(found, t.Struct):
            raise ObjectError(f"map {name!r}: its definition is no structure")
        facts = self._facts(name, found)
        maps: dict[int, str] = {}
        programs: dict[int, str] = {}
        if facts.values is not None:
            begin = offset + facts.values.offset // 8
            for index, relocation in self._initialisers(name, begin, end):
                code, target = self._target(name, relocation)
                (programs if code else maps)[index] = target
        return MapSource(
            self._definition(name, facts),
            self._section.index,
            offset,
            MappingProxyType(maps),
            MappingProxyType(programs),
        )

    def _facts(self, name: str, found: t.Struct) -> _Facts:
        facts = _Facts()
        for member in found.members:
            if member.name in _NUMBERS:
                facts.numbers[member.name] = self._number(name, member)
            elif member.name == "key":
                facts.key = self._pointed(name, member)
            elif member.name == "value":
                facts.value = self._pointed(name, member)
            elif member.name == "values":
                facts.values, facts.inner = member, self._held(name, member)
        return facts

    def _number(self, name: str, member: t.Member) -> int:
        found = self._btf.resolve(member.type)
        if isinstance(found, t.Pointer):
            array = self._btf.resolve(found.target)
            if isinstance(array, t.Array):
                return array.count
        if isinstance(found, t.Enum) and len(found.values) == 1:
            return found.values[0][1]
        raise ObjectError(f"map {name!r}: {member.name} is no number")

    def _pointed(self, name: str, member: t.Member) -> int:
        found = self._btf.resolve(member.type)
        if not isinstance(found, t.Pointer):
            raise ObjectError(f"map {name!r}: {member.name} is no pointer to a type")
        return found.target

    def _held(self, name: str, member: t.Member) -> t.Struct | None:
        """The definition of the maps inside; None where programs are."""
        array = self._btf.resolve(member.type)
        if isinstance(array, t.Array):
            pointer = self._btf.resolve(array.element)
            if isinstance(pointer, t.Pointer):
                target = self._btf.resolve(pointer.target)
                if isinstance(target, t.Struct):
                    return target
                if isinstance(target, t.Prototype):
                    return None
        raise ObjectError(f"map {name!r}: values are neither maps nor functions")

    def _definition(self, name: str, facts: _Facts, *, outermost: bool = True) -> MapDefinition:
        numbers = facts.numbers
        try:
            kind = MapType(numbers.get("type", 0))
        except ValueError:
            raise ObjectError(f"map {name!r}: there is no map type {numbers['type']}") from None
        key, key_size = self._side(name, "key", facts.key, numbers)
        value, value_size = self._side(name, "value", facts.value, numbers)
        if facts.values is not None:
            value, value_size = None, _ID_SIZE
        if kind in _WITHOUT_VALUES:
            key, key_size, value_size = None, 0, 0
        inner = None
        if facts.inner is not None:
            if not outermost or kind not in MAPS_OF_MAPS:
                raise ObjectError(f"map {name!r}: maps within maps may be one deep")
            inside = f"{name}.inner"
            held = self._facts(inside, facts.inner)
            inner = self._definition(inside, held, outermost=False)
        return MapDefinition(
            name,
            kind,
            key_size,
            value_size,
            numbers.get("max_entries", 0),
            numbers.get("map_flags", 0),
            inner,
            key,
            value,
            pinned=numbers.get("pinning") == _PIN_BY_NAME,
            extra=numbers.get("map_extra", 0),
        )

    def _side(
        self, name: str, side: str, type_id: int | None, numbers: Mapping[str, int]
    ) -> tuple[Codec | None, int]:
        """How keys or values are shown, and their size, which may be given twice but not differ."""
        given = numbers.get(f"{side}_size")
        if type_id is None:
            return None, given or 0
        codec = self._types.codec(type_id)
        if given is not None and given != codec.size:
            raise ObjectError(f"map {name!r}: a {side} has {codec.size} bytes, and also {given}")
        return codec, codec.size

    def _initialisers(self, name: str, begin: int, end: int) -> Iterator[tuple[int, Relocation]]:
        """The relocations within the values of a map, by index.

        The array's type has no length, so that it ends where the next map begins.
        """
        for relocation in self._elf.relocations.get(self._section.index, ()):
            if begin <= relocation.offset < end:
                index, rest = divmod(relocation.offset - begin, POINTER_SIZE)
                if rest or relocation.offset + POINTER_SIZE > end:
                    raise ObjectError(f"map {name!r}: an initialiser is at no value")
                yield index, relocation

    def _target(self, name: str, relocation: Relocation) -> tuple[bool, str]:
        """Whether an initialiser names a program, and the name of that or of the map."""
        symbol, addend = relocation.symbol, relocation.addend
        if addend is None:
            place = self._section.data[relocation.offset : relocation.offset + POINTER_SIZE]
            addend = int.from_bytes(place, "little")
        offset = symbol.value + addend
        if symbol.section == self._section.index and offset in self._names:
            return False, self._names[offset]
        function = self._functions.get((symbol.section, offset))
        if function is None:
            raise ObjectError(
                f"map {name!r}: its initialiser {symbol.name!r} is neither a map nor a program"
            )
        return True, function
