"""Maps whose values are programs or other maps.

Programs never see the values.  One is the 64-bit word `handle << 32 | number`: the number, from 1,
of the Python object in `objects`, and the handle of a map in the space that both are in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from drybpf.maps import layout
from drybpf.maps.base import Map
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.maps.keyed import KeyedMap
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas
from drybpf.maps.things import Things

if TYPE_CHECKING:
    from drybpf.space import Space

WORD = 8  # bytes of a value
INNER_MAP = 1 << 12  # BPF_F_INNER_MAP: inner arrays may differ in size


class Holder(PerCpu):
    """Keeps the Python objects that the words of a map mean."""

    objects: list[Any]

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        # Numbers of objects are kept for ever, so that compiled code may know them.
        self.objects = [None]
        self._numbers: dict[int, int] = {}
        return super()._lay_out(areas) | {layout.VALUE_SIZE: WORD}

    def _place_values(self, areas: Areas, entries: int) -> dict[int, int]:
        return {layout.STRIDE: WORD, layout.VALUES: areas.add(entries * WORD)}

    def _visible(self) -> int:
        return 0

    def _number(self, thing: object) -> int:
        """The number of an object, a new one where it has none."""
        number = self._numbers.get(id(thing))
        if number is None:
            number = self._numbers[id(thing)] = len(self.objects)
            self.objects.append(thing)
        return number

    def _word(self, offset: int) -> int:
        return self._storage.word(self._words[layout.VALUES] + offset)

    def held(self, key: bytes) -> Any:  # noqa: ANN401 (a program or a map)
        """The object of a key as programs find it, or None."""
        offset = self.lookup_element(key)
        return None if offset < 0 else self._object(offset)

    def _object(self, offset: int) -> Any:  # noqa: ANN401 (as above)
        number = self._word(offset) & 0xFFFF_FFFF
        return self.objects[number] if number < len(self.objects) else None


class ProgramArray(Holder, Things):
    """Programs by index, for tail calls: `map[3] = program`."""

    TYPES = (MapType.PROG_ARRAY,)

    def _show(self, offset: int) -> Any:  # noqa: ANN401 (a program)
        return self._object(offset)

    def _take_in(self, value: Any) -> bytes:  # noqa: ANN401 (a program)
        if isinstance(value, (int, str, bytes, Map)) or value is None:
            raise TypeError(f"{self.name} holds programs, not {type(value).__name__}")
        return self._word_of(value).to_bytes(WORD, "little")

    def _word_of(self, program: Any) -> int:  # noqa: ANN401 (as above)
        """The program's number here and, above it, that of its code in the space."""
        number = self._number(program)
        if self.space is None:
            return number
        if getattr(program, "space", self.space) is not self.space:
            raise ValueError(
                f"{program!r} belongs to another space than {self.name}: load it with `space=`"
            )
        return self.space.number(program.code) << 32 | number

    def enter(self, space: Space) -> None:
        """Give the programs that it holds their numbers in the space."""
        super().enter(space)
        for index in range(self.definition.max_entries if len(self.objects) > 1 else 0):
            program = self._object(index * WORD)
            if program is not None:
                place = self._words[layout.VALUES] + index * WORD
                self._storage.set_word(place, self._word_of(program))

    def program(self, index: int) -> Any:  # noqa: ANN401 (a program)
        """The program of an index, or None where there is none."""
        return self.get(index) if 0 <= index < self.definition.max_entries else None


class MapHolder(Holder):
    """What the two maps of maps share: which maps they take, and their handles."""

    def handle_of(self, key: bytes) -> int:
        """The handle of the map that a program finds under a key, 0 where there is none."""
        offset = self.lookup_element(key)
        return 0 if offset < 0 else self._word(offset) >> 32

    def inner(self) -> Iterable[Map]:
        """The maps that it holds or has held, each once."""
        return iter(self.objects[1:])

    def enter(self, space: Space) -> None:
        """Bring the maps into the space as well."""
        super().enter(space)
        for held in self.inner():
            space.add_map(held)
        for offset in self._offsets():
            number = self._word(offset) & 0xFFFF_FFFF
            self._set_word(offset, self.objects[number].handle << 32 | number)

    def _set_word(self, offset: int, word: int) -> None:
        self._storage.set_word(self._words[layout.VALUES] + offset, word)

    def _offsets(self) -> Iterable[int]:
        """The offsets of the words in use."""
        raise NotImplementedError

    def _word_for(self, value: object) -> bytes:
        if not isinstance(value, Map):
            raise TypeError(f"{self.name} holds maps, not {type(value).__name__}")
        wanted = self.definition.inner
        if wanted is not None and (reason := mismatch(wanted, value.definition)):
            raise ValueError(f"{value.name} does not fit into {self.name}: {reason}")
        if isinstance(value, MapHolder):
            raise ValueError(  # noqa: TRY004 (a map, but not one for here)
                f"{value.name} holds maps itself, and cannot be held by {self.name}"
            )
        if self.space is not None:
            self.space.add_map(value)
        return (value.handle << 32 | self._number(value)).to_bytes(WORD, "little")


class ArrayOfMaps(MapHolder, Things):
    """Maps by index: `map[3] = inner`."""

    TYPES = (MapType.ARRAY_OF_MAPS,)

    def _show(self, offset: int) -> Map:
        held: Map = self._object(offset)
        return held

    def _take_in(self, value: Any) -> bytes:  # noqa: ANN401 (it checks)
        return self._word_for(value)

    def _offsets(self) -> Iterable[int]:
        return [index * WORD for index in self]


class HashOfMaps(MapHolder, KeyedMap):
    """Maps by key."""

    TYPES = (MapType.HASH_OF_MAPS,)

    def _get(self, offset: int) -> Map:
        held: Map = self._object(offset)
        return held

    def _packed(self, value: Any) -> list[bytes]:  # noqa: ANN401 (it checks)
        return [self._word_for(value)]

    def _raw(self, offset: int) -> list[Any]:
        return [self._object(offset)]

    def _fill(self, contents: list[tuple[bytes, list[Any]]]) -> None:
        for key, values in contents:
            self._set(key, self._packed(values[0]))

    def _offsets(self) -> Iterable[int]:
        return [entry * WORD for entry in self._entries()]


def mismatch(wanted: MapDefinition, given: MapDefinition) -> str:
    """Why a map does not fit where another one is wanted, in the kernel's view; empty if it does.

    The number of entries counts for plain arrays, unless made to be held in any size.
    """
    for what in ("type", "key_size", "value_size", "flags"):
        if getattr(wanted, what) != getattr(given, what):
            return f"{what} is {getattr(given, what)}, not {getattr(wanted, what)}"
    fixed = wanted.type == MapType.ARRAY and not wanted.flags & INNER_MAP
    if fixed and wanted.max_entries != given.max_entries:
        return f"max_entries is {given.max_entries}, not {wanted.max_entries}"
    return ""
