"""The entries of rbpf's four machines: nothing, memory, or a metadata buffer that points at it."""

from __future__ import annotations

from dataclasses import dataclass
from struct import pack_into
from typing import TYPE_CHECKING

from drybpf.entry import FieldValue, Shape
from drybpf.hooks.base import Hook
from drybpf.memory import CONTEXT, PACKET, SLOT_SIZE, Region
from drybpf.state import State

if TYPE_CHECKING:
    from typing_extensions import Buffer


class NoData(Hook):
    """A program without input: r1 and r2 are 0."""

    name = "no data"

    def enter(self, state: State, packet: Buffer = b"", /, **fields: FieldValue) -> None:
        """Give the program nothing.  Raises `ValueError` if there is a packet."""
        del state
        _refuse(fields)
        if memoryview(packet).nbytes:
            raise ValueError("this program is run without data")


class Raw(Hook):
    """A program on memory alone: r1 is its address, r2 its length in bytes."""

    name = "raw"
    shape = Shape(PACKET, "packet", "packet")

    def enter(self, state: State, packet: Buffer, /, **fields: FieldValue) -> None:
        """Map the memory."""
        _refuse(fields)
        region = self.map_packet(state, packet)
        state.registers[1:3] = [region.start, region.length]


class Metadata(Hook):
    """A program on a metadata buffer: r1 is its address, r2 its length in bytes."""

    name = "metadata"
    shape = Shape(PACKET, "context", "context")

    def enter(self, state: State, packet: Buffer, /, **fields: FieldValue) -> None:
        """Map the packet alone; the buffer is mapped by `enter_with`."""
        self.enter_with(state, packet, b"", **fields)

    def enter_with(
        self, state: State, packet: Buffer, metadata: Buffer, **fields: FieldValue
    ) -> None:
        """Map the packet and the metadata buffer."""
        _refuse(fields)
        self.map_packet(state, packet)
        view = memoryview(metadata).cast("B")
        if state.code.may_write and view.readonly:
            view = memoryview(bytearray(view))
        region = state.memory.map(Region("metadata", CONTEXT, view))
        state.registers[1:3] = [region.start, region.length]


@dataclass(frozen=True, repr=False)
class FixedMetadata(Metadata):
    """A metadata buffer of the machine's own, zero but for two 8-byte pointers.

    The guest address of the packet's first byte is at `data_offset`, that behind its last byte at
    `data_end_offset`.  Raises `ValueError` where the two are negative or overlap.
    """

    data_offset: int
    data_end_offset: int
    name = "fixed metadata"

    def __post_init__(self) -> None:
        """Check the offsets."""
        low, high = sorted((self.data_offset, self.data_end_offset))
        if low < 0 or high > SLOT_SIZE - 8:
            raise ValueError(f"the offsets {low} and {high} leave the metadata buffer")
        if high - low < 8:
            raise ValueError(f"the pointers at {low} and {high} overlap")

    @property
    def shape(self) -> Shape:  # type: ignore[override]  # it depends on the offsets
        """The entry, with the places of the two pointers."""
        pointers = (self.data_offset, 8), (self.data_end_offset, 8)
        return Shape(PACKET, "context", "context", pointers=pointers)

    def enter(self, state: State, packet: Buffer, /, **fields: FieldValue) -> None:
        """Map the packet and a fresh buffer with its two pointers."""
        buffer = bytearray(max(self.data_offset, self.data_end_offset) + 8)
        length = memoryview(packet).nbytes
        pack_into("<Q", buffer, self.data_offset, PACKET)
        pack_into("<Q", buffer, self.data_end_offset, PACKET + length)
        self.enter_with(state, packet, buffer, **fields)


def _refuse(fields: dict[str, FieldValue]) -> None:
    if fields:
        raise TypeError(f"this program has no {', '.join(sorted(fields))}")
