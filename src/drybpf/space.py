"""What programs that run together share: maps and data sections, each at its guest address.

Handles of maps count up from `HANDLES + 1` and stores lie from `DATA` on, in the order in which
they are added, so that all addresses are the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakValueDictionary

from drybpf.code import Code
from drybpf.memory import DATA, HANDLES, SLOT_BITS, Region
from drybpf.native.buffer import host_address

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from drybpf.maps.definition import MapDefinition
    from drybpf.native.restricted import Function


class Placed(Protocol):
    """A map as far as a space must know it (`drybpf.maps.Map`)."""

    definition: MapDefinition
    handle: int
    region: Region | None

    @property
    def storage(self) -> memoryview:
        """All its bytes (`maps.layout`)."""

    @property
    def address(self) -> int:
        """The host address of its storage."""

    def attach_native(self) -> bool:
        """Let compiled code call its operations; whether that is possible."""

    def inline_lookup(self) -> Function[...] | None:
        """Its look-up, `(storage, key, cpu)`, for compiled code to inline; None if not worth it."""

    @property
    def store(self) -> Values:
        """What programs may see of it."""

    def enter(self, space: Space) -> None:
        """Be told that it has its place; a map of maps places those that it holds."""


class Values(Protocol):
    """The buffer of a map's values: value i of CPU c is `size` bytes at a multiple of `stride`.

    `stride` is a power of two, or 0 where nothing divides the buffer; an empty buffer is one that
    programs cannot see.
    """

    @property
    def buffer(self) -> Buffer:
        """The bytes."""

    @property
    def stride(self) -> int:
        """The distance between values."""

    @property
    def size(self) -> int:
        """The bytes of one value that may be accessed."""

    @property
    def writable(self) -> bool:
        """Whether programs may write."""


MAX_PROGRAMS = (1 << 16) - 1


class Space:
    """The stores and maps of some programs.  It only grows."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._epoch = bytearray(8)
        self.timers: dict[int, object] = {}  # by guest address, for the helpers of timers
        self._next = DATA
        self._stores: list[Region] = []
        self._slots: dict[int, list[Region]] = {}
        self._maps: dict[int, Placed] = {}
        self._codes: list[Code] = []
        self._numbers: dict[Code, int] = {}
        self.runners: WeakValueDictionary[Code, Any] = WeakValueDictionary()  # who runs a code
        self.compiled: dict[object, Any] = {}  # what the compiler keeps for the space
        self.helpers: set[int] = set()  # numbers of the helpers that compiled programs call

    @property
    def epoch(self) -> int:
        """The number of the run at hand: what is deleted in it is not used again within it."""
        return int.from_bytes(self._epoch, "little")

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self._epoch[:] = epoch.to_bytes(8, "little")

    @property
    def epoch_address(self) -> int:
        """Where compiled code counts the runs: the host address of a 64-bit word."""
        return host_address(memoryview(self._epoch))

    def number(self, code: Code) -> int:
        """The number of a program's code, from 1: what program arrays hold.

        Raises `ValueError` beyond `MAX_PROGRAMS`.
        """
        number = self._numbers.get(code)
        if number is None:
            if len(self._codes) >= MAX_PROGRAMS:
                raise ValueError(f"a space holds at most {MAX_PROGRAMS} programs")
            self._codes.append(code)
            number = self._numbers[code] = len(self._codes)
        return number

    def code(self, number: int) -> Code:
        """The code of a number."""
        return self._codes[number - 1]

    @property
    def slots(self) -> Mapping[int, list[Region]]:
        """The regions by each slot of the address space that they take."""
        return MappingProxyType(self._slots)

    @property
    def stores(self) -> Sequence[Region]:
        """The data sections and the values of maps, in the order of their addresses."""
        return self._stores

    @property
    def maps(self) -> Mapping[int, Placed]:
        """The maps by handle."""
        return MappingProxyType(self._maps)

    def add(
        self, name: str, buffer: Buffer, *, writable: bool = True, stride: int = 0, size: int = 0
    ) -> Region:
        """Place a buffer at the next free slot."""
        region = Region(name, self._next, buffer, writable=writable, stride=stride, size=size)
        return self._place(region)

    def _place(self, region: Region) -> Region:
        first = region.start >> SLOT_BITS
        count = max(1, -(-region.length >> SLOT_BITS))
        for slot in range(first, first + count):
            self._slots[slot] = [region]
        self._next = max(self._next, region.start + (count << SLOT_BITS))
        self._stores.append(region)
        return region

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without who runs or compiled the programs, and without the values of maps."""
        maps = {id(each.region): handle for handle, each in self._maps.items() if each.region}
        stores = [
            (region.start, maps[id(region)]) if id(region) in maps else region
            for region in self._stores
        ]
        own = {name: getattr(self, name) for name in ("_epoch", "_maps", "_codes", "_numbers")}
        # Programs are within, in arrays of them, and are made before this is whole.
        return Space, (), (own, stores, self._next)

    def __setstate__(self, state: tuple[dict[str, Any], list[Any], int]) -> None:
        """Unpickle; nobody has run anything yet.  The values lie where the new maps have them."""
        own, stores, self._next = state
        self.__dict__.update(own)
        for store in stores:
            if isinstance(store, Region):
                self._place(store)
            else:
                start, handle = store
                new = self._maps[handle]
                new.region = self._place(_region_of(new, start))

    def add_map(self, new: Placed) -> int:
        """Give a map its handle and its values their place; a map that is here keeps them.

        Raises `ValueError` for a map of another space.
        """
        if new.handle:
            if self._maps.get(new.handle) is not new:
                raise ValueError(f"map {new.definition.name!r} belongs to another space")
            return new.handle
        new.handle = HANDLES + 1 + len(self._maps)
        self._maps[new.handle] = new
        if memoryview(new.store.buffer).nbytes:
            new.region = self._place(_region_of(new, self._next))
        new.enter(self)
        return new.handle


def _region_of(placed: Placed, start: int) -> Region:
    """The values of a map as a region."""
    values = placed.store
    return Region(
        placed.definition.name,
        start,
        values.buffer,
        writable=values.writable,
        stride=values.stride,
        size=values.size,
    )
