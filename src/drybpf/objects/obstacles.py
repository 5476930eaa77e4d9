"""What a program refers to and does not get: named at once, a fault only where it is reached."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.errors import UnknownHelper
from drybpf.helpers import Helpers
from drybpf.state import Context

FIRST = 0xD000_0000  # of the numbers of our own, far from those of helpers and kfuncs


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A place in a program that cannot be run: the instruction's slot, and why."""

    pc: int
    reason: str

    def __str__(self) -> str:
        """`insn 3 refers to ...`."""
        return f"insn {self.pc} {self.reason}"


class Faults:
    """Helpers that do nothing but fault, each for one reason, in a table of helpers."""

    def __init__(self, helpers: Helpers) -> None:
        """Put them into this table."""
        self._helpers = helpers
        self._numbers: dict[str, int] = {}

    def number(self, reason: str) -> int:
        """The number of the helper that faults for a reason."""
        if reason not in self._numbers:
            number = FIRST + len(self._numbers)
            while number in self._helpers:
                number += 1
            self._numbers[reason] = number
            self._helpers.register(number, _Fault(reason))
        return self._numbers[reason]


@dataclass(frozen=True, slots=True)
class _Fault:
    reason: str

    def __call__(self, context: Context, *_: int) -> int:
        raise UnknownHelper(context.number, f"the instruction {self.reason}")
