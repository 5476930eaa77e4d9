"""What programs that run together share: maps and data sections, each at its guest address.

Handles of maps count up from `HANDLES + 1` and stores lie from `DATA` on, in the order in which
they are added, so that all addresses are the same in every process.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from drybpf.memory import DATA, HANDLES, SLOT_BITS, Region

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from drybpf.maps.definition import MapDefinition


class Placed(Protocol):
    """A map as far as a space must know it (`drybpf.maps.Map`)."""

    definition: MapDefinition
    handle: int
    region: Region | None

    @property
    def values(self) -> Values:
        """What programs may see of it."""


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


class Space:
    """The stores and maps of some programs.  It only grows."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.epoch = (
            0  # of the run at hand: what was deleted in it is not used again before the next
        )
        self._next = DATA
        self._slots: dict[int, list[Region]] = {}
        self._maps: dict[int, Placed] = {}

    @property
    def slots(self) -> Mapping[int, list[Region]]:
        """The regions by each slot of the address space that they take."""
        return MappingProxyType(self._slots)

    @property
    def maps(self) -> Mapping[int, Placed]:
        """The maps by handle."""
        return MappingProxyType(self._maps)

    def add(
        self, name: str, buffer: Buffer, *, writable: bool = True, stride: int = 0, size: int = 0
    ) -> Region:
        """Place a buffer at the next free slot."""
        region = Region(name, self._next, buffer, writable=writable, stride=stride, size=size)
        first = self._next >> SLOT_BITS
        count = max(1, -(-region.length >> SLOT_BITS))
        for slot in range(first, first + count):
            self._slots[slot] = [region]
        self._next += count << SLOT_BITS
        return region

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
        values = new.values
        if memoryview(values.buffer).nbytes:
            new.region = self.add(
                new.definition.name,
                values.buffer,
                writable=values.writable,
                stride=values.stride,
                size=values.size,
            )
        return new.handle
