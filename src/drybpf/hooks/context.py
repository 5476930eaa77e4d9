"""Hooks whose programs get a context of the kernel's: a structure with named fields."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf.entry import PACKET_FIELDS, FieldValue, Layout, Shape
from drybpf.hooks.base import Hook
from drybpf.memory import CONTEXT, PACKET, Region
from drybpf.state import HookState, State

if TYPE_CHECKING:
    from typing_extensions import Buffer


class ContextHook(Hook):
    """A hook described by data: the layout of its context, and what a verdict means.

    r1 is the context's address.  Fields can be given by name when a program is run, except those
    that follow from the packet; `aliases` are other names for some.
    """

    aliases: Mapping[str, str] = MappingProxyType({})
    packet_size = 0  # the least bytes of a packet's own buffer; 0 for a hook without packets
    headroom = 0
    verdicts: type[IntEnum] | None = None

    def __init__(
        self,
        name: str,
        program_type: str,
        layout: Layout,
        *,
        derived: bool = False,
        fixed: bool = True,
    ) -> None:
        """Describe the hook of a program type.

        `derived` says that the context depends on the bytes of the packet, `fixed` that it always
        has the layout's size.
        """
        self.name, self.program_type, self.layout = name, program_type, layout
        self._names = {name: name for name in layout} | dict(self.aliases)
        self.private_packet = bool(self.packet_size)
        self.packet_address = PACKET + self.headroom
        self.shape = Shape(
            self.packet_address,
            "context",
            "zero",
            context=layout.shape if fixed else None,
            context_length=layout.size if fixed else 0,
            context_writable=layout.writable,
            protected=layout.protected if layout.writable else (),
            private_packet=self.private_packet,
            headroom=self.headroom,
            buffer_size=self.packet_size,
            program_type=program_type,
            derived=derived,
        )
        self._template = bytearray(layout.size)
        for field in layout.values():
            if isinstance(field.source, int) and field.source:
                self._template[field.offset : field.end] = field.pack(field.source)
        self._moving = tuple(
            (field.offset, field.end, field.size, field.source)
            for field in layout.values()
            if isinstance(field.source, str)
        )

    def enter(self, state: State, packet: Buffer = b"", /, **fields: FieldValue) -> None:
        """Map the packet and the context."""
        region = self.map_packet(state, packet, self.packet_address)
        begin, end = region.start, region.start + region.length
        context = bytearray(self._template)
        values = {"data": begin, "data_end": end, "data_meta": begin, "length": end - begin}
        for low, high, size, source in self._moving:
            context[low:high] = values[source].to_bytes(size, "little")
        self.check_fields(fields)
        for name, value in fields.items():
            self._set(context, name, value)
        self.finish(state, context)
        layout = self.layout
        state.memory.map(
            Region(
                layout.name,
                CONTEXT,
                context,
                writable=layout.writable,
                protected=self.shape.protected,
            )
        )
        state.registers[1] = CONTEXT
        state.hook = self.hook_state(state)

    def check_fields(self, fields: Mapping[str, FieldValue]) -> None:
        """Raise `TypeError` for fields that the context does not have."""
        unknown = sorted(name for name in fields if name not in self._names)
        if unknown:
            raise TypeError(f"{self.name} has no {', '.join(unknown)}")

    def finish(self, state: State, context: bytearray) -> None:
        """Complete a context, after the caller's fields have been set; nothing by default."""

    def hook_state(self, state: State) -> HookState:
        """What a run keeps beside its context."""
        del state
        return HookState(self.program_type, self.layout)

    def _set(self, context: bytearray, name: str, value: FieldValue) -> None:
        field = self.layout[self._names[name]]
        if field.source in PACKET_FIELDS:
            raise TypeError(f"{name} follows from the packet")
        context[field.offset : field.end] = field.pack(value)

    def action(self, value: int) -> IntEnum | None:
        """What the low 32 bits of r0 mean; None where the hook has no such verdict."""
        if self.verdicts is None:
            return None
        try:
            return self.verdicts(_signed(value))
        except ValueError:
            return None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the hook was made of."""
        return type(self), (self.name, self.program_type, self.layout)


def _signed(value: int) -> int:
    value &= 0xFFFF_FFFF
    return value - ((value & 1 << 31) << 1)
