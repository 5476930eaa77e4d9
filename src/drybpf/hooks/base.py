"""What a hook is to the rest of drybpf."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

from drybpf.entry import NO_LAYOUT, FieldValue, Layout, Shape
from drybpf.helpers import Helpers
from drybpf.helpers.kernel import kernel_helpers, missing
from drybpf.memory import CONTEXT, PACKET, PacketFrame, Region
from drybpf.state import State

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Hook(ABC):
    """Where programs of one kind are attached.

    A hook is immutable; what belongs to a run is in the run's state.  `shape` says the same as
    `enter` does, as data for the compiler.
    """

    name = ""
    program_type = ""  # the kernel's, such as `xdp`; empty for what is no hook of the kernel's
    layout: Layout = NO_LAYOUT  # of the context
    shape = Shape(PACKET, "zero", "zero")
    packet_address = PACKET  # of the packet's first byte
    private_packet = False  # whether programs get a copy even of a writable buffer

    @abstractmethod
    def enter(self, state: State, packet: Buffer, /, **fields: FieldValue) -> None:
        """Map what the program is given and set its registers.

        `fields` are the hook's own, such as `ifindex`.  Raises `TypeError` for unknown ones.
        """

    def action(self, value: int) -> IntEnum | None:
        """What r0 means to the hook; None where it has no verdicts."""
        del value
        return None

    def helpers(self, own: Helpers) -> Helpers:
        """The helpers of a program here: its own, then those that the kernel has for the hook."""
        if not self.program_type:
            return own
        return own.over(kernel_helpers(self.program_type), missing)

    def fields(self, state: State) -> dict[str, int | tuple[int, ...]]:
        """The context's fields by name, as a run has left them."""
        region = state.memory.at(CONTEXT)
        if region is None:
            return {}
        return {
            name: field.unpack(region.data)
            for name, field in self.layout.items()
            if field.end <= region.length
        }

    def map_packet(self, state: State, packet: Buffer, address: int = PACKET) -> Region:
        """Map the packet and tell the state where it is.

        A program that may write gets a copy where the buffer is read-only, or where the hook
        gives every program its own.
        """
        view = memoryview(packet).cast("B")
        state.shape = self.shape
        if state.code.may_write and self.private_packet:
            region: Region = self._private(view)
        else:
            if state.code.may_write and view.readonly:
                view = memoryview(bytearray(view))
            region = Region("packet", address, view)
        state.memory.map(region)
        state.packet = (address, address + region.length)
        return region

    def _private(self, packet: memoryview) -> PacketFrame:
        """A copy of the packet in a buffer of its own, with room before and behind it."""
        headroom = self.shape.headroom
        buffer = bytearray(max(self.shape.buffer_size, headroom + len(packet)))
        buffer[headroom : headroom + len(packet)] = packet
        address = self.packet_address
        return PacketFrame(address - headroom, buffer, address, address + len(packet))

    def __repr__(self) -> str:
        """`<Hook xdp>`."""
        return f"<Hook {self.name}>"
