"""What a run leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

from drybpf import markup
from drybpf.records import Clone, Event, Record, Redirect
from drybpf.state import State

_R = TypeVar("_R", bound=Record)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one run.

    `value` is r0, `action` the verdict where the hook has verdicts, `packet` the packet as it is
    afterwards, `printed` the texts that helpers printed, `instructions` the number of executed
    instructions, `records` what the program did to the world, in order; `context` are the fields
    of the hook's context by name, as the program has left them.
    """

    value: int
    action: IntEnum | None
    packet: bytes
    printed: tuple[str, ...]
    instructions: int
    records: tuple[object, ...] = ()
    context: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        state: State,
        action: IntEnum | None,
        context: Mapping[str, int | tuple[int, ...]] | None = None,
    ) -> Result:
        """Read the result off a finished run."""
        begin, end = state.packet
        return cls(
            state.registers[0],
            action,
            state.memory.read(begin, end - begin),
            tuple(state.printed),
            state.instructions,
            tuple(state.records),
            context or {},
        )

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        name = self.action.name if self.action is not None else ""
        rows: list[tuple[str, object]] = [
            ("verdict", f"{name} ({self.value})" if name else f"{self.value:#x}"),
            ("instructions", self.instructions),
            ("packet", f"{len(self.packet)} bytes: {self.packet[:32].hex(' ')}"),
            *(("printed", text) for text in self.printed),
            *((type(record).__name__, record) for record in self.records),
        ]
        return markup.table(("result", ""), rows)

    def recorded(self, kind: type[_R]) -> tuple[_R, ...]:
        """The records of one kind, in order."""
        return tuple(record for record in self.records if isinstance(record, kind))

    @property
    def events(self) -> tuple[Event, ...]:
        """The samples sent through perf buffers and ring buffers."""
        return self.recorded(Event)

    @property
    def redirects(self) -> tuple[Redirect, ...]:
        """The redirects that the program asked for; the verdict says whether the last is done."""
        return self.recorded(Redirect)

    @property
    def cloned(self) -> tuple[Clone, ...]:
        """The copies of the packet that were sent off."""
        return self.recorded(Clone)
