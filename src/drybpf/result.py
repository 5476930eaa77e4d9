"""What a run leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from drybpf.state import State


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one run.

    `value` is r0, `action` the verdict where the hook has verdicts, `packet` the packet as it is
    afterwards, `printed` the texts that helpers printed, `instructions` the number of executed
    instructions, `records` what the program did to the world, in order.
    """

    value: int
    action: IntEnum | None
    packet: bytes
    printed: tuple[str, ...]
    instructions: int
    records: tuple[object, ...] = ()

    @classmethod
    def of(cls, state: State, action: IntEnum | None) -> Result:
        """Read the result off a finished run."""
        begin, end = state.packet
        return cls(
            state.registers[0],
            action,
            state.memory.read(begin, end - begin),
            tuple(state.printed),
            state.instructions,
            tuple(state.records),
        )
