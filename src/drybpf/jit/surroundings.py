"""What compiled code takes for granted about the space that its program runs in.

Guest addresses and geometry are constants of the code.  Host addresses are not: a run brings a
table of them, in which the store with number k has entry 2k and the map with number k entry 2k + 1.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap

from drybpf.errors import CompileError
from drybpf.maps import layout as header
from drybpf.maps.definition import MapType
from drybpf.memory import DATA, HANDLES, SLOT_BITS
from drybpf.native.buffer import host_address
from drybpf.native.restricted import Function
from drybpf.space import Placed, Space


@dataclass(frozen=True, slots=True)
class StoreShape:
    """A data section, or the values of a map; the fields are those of `memory.Region`."""

    number: int
    start: int
    length: int
    mask: int
    room: int
    writable: bool

    @property
    def entry(self) -> int:
        """Its place in the table."""
        return 2 * self.number


@dataclass(frozen=True, slots=True)
class MapShape:
    """A map whose operations compiled code can call, by its header or inlined."""

    number: int
    type: MapType
    key_size: int
    value_size: int
    max_entries: int
    values: StoreShape | None
    programs: int | None  # where in the storage a program array has its programs' numbers
    lookup: Function[...] | None  # (storage, key, cpu) -> offset of the value, or 2^64 - 1

    @property
    def handle(self) -> int:
        """What a program passes for it."""
        return HANDLES + 1 + self.number

    @property
    def entry(self) -> int:
        """Its place in the table."""
        return 2 * self.number + 1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The stores and maps that one program names."""

    stores: tuple[StoreShape, ...] = ()
    maps: tuple[MapShape, ...] = ()

    def store_at(self, address: int) -> StoreShape | None:
        """The store that an address lies in."""
        slot = address >> SLOT_BITS
        for store in self.stores:
            first = store.start >> SLOT_BITS
            last = (store.start + max(store.length, 1) - 1) >> SLOT_BITS
            if first <= slot <= last:
                return store
        return None

    @property
    def is_free_of_structure(self) -> bool:
        """Whether no map has a structure that threads could break for each other."""
        return all(each.type in (MapType.ARRAY, MapType.PERCPU_ARRAY) for each in self.maps)

    def map_of(self, handle: object) -> MapShape | None:
        """The map of a handle."""
        return next((each for each in self.maps if each.handle == handle), None)


NOWHERE = Surroundings()


def surroundings(space: Space, constants: Iterable[int]) -> Surroundings:
    """What a program finds in a space that has these constants in its code.

    Maps become callable by it.
    """
    named = set(constants)
    slots = {constant >> SLOT_BITS for constant in named if constant >= DATA}
    numbers = {id(region): number for number, region in enumerate(space.stores)}
    shapes: dict[int, StoreShape] = {}
    for number, region in enumerate(space.stores):
        shapes[number] = StoreShape(
            number, region.start, region.length, region.mask, region.room, region.writable
        )
    maps = []
    wanted = {numbers[id(space.slots[slot][0])] for slot in slots if slot in space.slots}
    for number, (handle, each) in enumerate(space.maps.items()):
        if handle not in named or not each.attach_native():
            continue
        values = None
        if each.region is not None:
            wanted.add(numbers[id(each.region)])
            values = shapes[numbers[id(each.region)]]
        definition = each.definition
        maps.append(
            MapShape(
                number,
                definition.type,
                definition.key_size,
                definition.value_size,
                definition.max_entries,
                values,
                _values_offset(each) if definition.type == MapType.PROG_ARRAY else None,
                each.inline_lookup(),
            )
        )
    return Surroundings(tuple(shapes[number] for number in sorted(wanted)), tuple(maps))


def _values_offset(each: Placed) -> int:
    """Where the values lie in a map's storage."""
    place = header.VALUES
    return int.from_bytes(each.storage[place : place + 8], "little")


MOST_ENTRIES = 1 << 20  # of the table of a space


class _Hosts:
    """The table of one space: filled in place, for code that was compiled later is run by older."""

    def __init__(self) -> None:
        """Reserve the table; memory is used as it fills."""
        self._table = mmap(-1, 8 * MOST_ENTRIES)
        self._words = (ctypes.c_uint64 * MOST_ENTRIES).from_buffer(self._table)
        self._stores = self._maps = 0  # how many are in it
        self.address = host_address(memoryview(self._table))

    def update(self, space: Space) -> None:
        """Put what is new into the table."""
        if 2 * max(len(space.stores), len(space.maps)) > MOST_ENTRIES:
            raise CompileError(f"more than {MOST_ENTRIES // 2} maps and sections in one space")
        if (len(space.stores), len(space.maps)) == (self._stores, self._maps):
            return
        # Several threads may be at it: each writes what is right, wherever the others are.
        stores, maps = list(space.stores), list(space.maps.values())
        for number in range(self._stores, len(stores)):
            region = stores[number]
            self._words[2 * number] = host_address(region.data) if region.length else 0
        for number in range(self._maps, len(maps)):
            self._words[2 * number + 1] = maps[number].address
        self._stores, self._maps = len(stores), len(maps)


def host_table(space: Space) -> int:
    """The address of the table of the host addresses of all stores and maps of a space."""
    hosts = space.compiled.get("hosts") or space.compiled.setdefault("hosts", _Hosts())
    hosts.update(space)
    address: int = hosts.address
    return address
