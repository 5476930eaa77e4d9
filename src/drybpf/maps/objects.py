"""Maps whose values are programs or other maps.

Programs never see the values, which are 64-bit words, 0 where there is nothing yet that they mean:

    program array   the number of the program's code in the space (`Space.number`)
    maps of maps    handle << 32 | number: the map's handle in the space, and that of the Python
                    object in `objects`, from 1
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import index as as_index
from typing import TYPE_CHECKING, Any

from drybpf.code import Code
from drybpf.maps import layout
from drybpf.maps.base import Map
from drybpf.maps.definition import MapDefinition, MapFlag, MapType
from drybpf.maps.keyed import KeyedMap
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas
from drybpf.maps.things import Things

if TYPE_CHECKING:
    from drybpf.space import Space

WORD = 8  # bytes of a value


class Holder(PerCpu):
    """A map of words that stand for Python objects."""

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        return super()._lay_out(areas) | {layout.VALUE_SIZE: WORD}

    def _place_values(self, areas: Areas, entries: int) -> dict[int, int]:
        return {layout.STRIDE: WORD, layout.VALUES: areas.add(entries * WORD)}

    def _visible(self) -> int:
        return 0

    def _word(self, offset: int) -> int:
        return self._storage.word(self._words[layout.VALUES] + offset)

    def _set_word(self, offset: int, word: int) -> None:
        self._storage.set_word(self._words[layout.VALUES] + offset, word)

    def _words_by_key(self) -> dict[bytes, int]:
        found = ((key, self._operate["find"](key, 0)) for key in self.keys_in_order())
        return {key: self._word(offset) for key, offset in found}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the words, too: they come from a space that may not be whole yet."""
        make, arguments, state = super().__reduce__()
        return make, arguments, (state, self._words_by_key())

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Fill in what was pickled."""
        own, words = state
        super().__setstate__(own)
        for key, word in words.items():
            self._set_pickled(self._operate["find"](key, 0), word)

    def _set_pickled(self, offset: int, word: int) -> None:
        self._set_word(offset, word)


class ProgramArray(Holder, Things):
    """Programs by index, for tail calls: `map[3] = program`.

    Programs that have a space are of the map's own.
    """

    TYPES = (MapType.PROG_ARRAY,)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        self._held: dict[int, Any] = {}
        return super()._lay_out(areas)

    def __setitem__(self, index: int, value: Any) -> None:  # noqa: ANN401 (a program)
        """Put a program at an index, instead of another one if there is one."""
        super().__setitem__(index, value)
        self._held[as_index(index)] = value

    def __delitem__(self, index: int) -> None:
        """Take the program at an index out; `KeyError` where there is none."""
        super().__delitem__(index)
        del self._held[as_index(index)]

    def clear(self) -> None:
        """Take all programs out."""
        super().clear()
        self._held.clear()

    def enter(self, space: Space) -> None:
        """Number the programs as the space does."""
        super().enter(space)
        for index, program in self._held.items():
            self._set_word(index * WORD, self._number(program))

    def _number(self, program: Any) -> int:  # noqa: ANN401 (as above)
        code = getattr(program, "code", None)
        if not isinstance(code, Code):
            raise TypeError(f"{self.name} holds programs, not {type(program).__name__}")
        if self.space is None:
            return 0
        other = getattr(program, "space", None)
        if other is not None and other is not self.space:
            raise ValueError(f"{program!r} belongs to another space than {self.name}")
        return self.space.number(code)

    def _take_in(self, value: Any) -> bytes:  # noqa: ANN401 (as above)
        return self._number(value).to_bytes(WORD, "little")

    def _fill(self, contents: dict[int, Any]) -> None:
        super()._fill(contents)
        self._held |= contents

    def _show(self, offset: int) -> Any:  # noqa: ANN401 (as above)
        return self._held[offset // WORD]

    def _clear(self) -> None:
        super()._clear()
        self._held.clear()


class MapHolder(Holder):
    """What the two maps of maps share: which maps they take, and their handles.

    A map that is put in joins the space of this one, or is in it already.
    """

    objects: list[Any]

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        self.objects = [None]
        self._numbers: dict[int, int] = {}
        return super()._lay_out(areas)

    def _number(self, held: Map) -> int:
        """The number of a map, a new one where it has none."""
        number = self._numbers.get(id(held))
        if number is None:
            number = self._numbers[id(held)] = len(self.objects)
            self.objects.append(held)
        return number

    def _set_pickled(self, offset: int, word: int) -> None:
        """The handle is the space's; the number is that of the object in the new `objects`."""
        self._set_word(offset, word >> 32 << 32 | self._word(offset) & 0xFFFF_FFFF)

    def _object(self, offset: int) -> Map:
        number = self._word(offset) & 0xFFFF_FFFF
        held: Map = self.objects[number]
        return held

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

    def _offsets(self) -> Iterable[int]:
        """The offsets of the words in use."""
        raise NotImplementedError

    def _word_for(self, value: object) -> bytes:
        if not isinstance(value, Map):
            raise TypeError(f"{self.name} holds maps, not {type(value).__name__}")
        wanted = self.definition.inner
        if wanted is not None:
            wanted = value._completed(wanted, value.cpus)  # noqa: SLF001 (as its own was)
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
        return self._object(offset)

    def _take_in(self, value: Any) -> bytes:  # noqa: ANN401 (it checks)
        return self._word_for(value)

    def _offsets(self) -> Iterable[int]:
        return [index * WORD for index in self]


class HashOfMaps(MapHolder, KeyedMap):
    """Maps by key."""

    TYPES = (MapType.HASH_OF_MAPS,)

    def _get(self, offset: int) -> Map:
        return self._object(offset)

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
    fixed = wanted.type == MapType.ARRAY and not wanted.flags & MapFlag.INNER_MAP
    if fixed and wanted.max_entries != given.max_entries:
        return f"max_entries is {given.max_entries}, not {wanted.max_entries}"
    return ""
