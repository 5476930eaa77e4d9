"""A clock that programs can read and tests can set."""

from __future__ import annotations

from operator import index as as_index
from struct import pack_into, unpack_from
from typing import Any

MOST = (1 << 64) - 1


class Clock:
    """A clock that starts at `now` nanoseconds and moves on by `step` at every read.

    Both lie in `words`, 64 bits each, where compiled code reads and sets them as well.
    """

    def __init__(self, now: int = 0, step: int = 1000) -> None:
        """Set the clock; both numbers are unsigned and of 64 bits."""
        self.words = bytearray(16)
        self.now, self.step = now, step

    @property
    def now(self) -> int:
        """What the next read gives, in nanoseconds."""
        return self._get(0)

    @now.setter
    def now(self, now: int) -> None:
        self._set(0, now)

    @property
    def step(self) -> int:
        """By how much a read moves the clock on, in nanoseconds."""
        return self._get(8)

    @step.setter
    def step(self, step: int) -> None:
        self._set(8, step)

    def _get(self, place: int) -> int:
        value: int = unpack_from("<Q", self.words, place)[0]
        return value

    def _set(self, place: int, value: int) -> None:
        value = as_index(value)  # a `TypeError` for what is no whole number
        if not 0 <= value <= MOST:
            raise ValueError(f"{value} nanoseconds are not 0 to 2^64 - 1")
        pack_into("<Q", self.words, place, value)

    def __call__(self) -> int:
        """Read the clock, then move it on."""
        now = self.now
        self.now = now + self.step & MOST
        return now

    def __eq__(self, other: object) -> bool:
        """Compare time and step."""
        return isinstance(other, Clock) and self.words == other.words

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle time and step."""
        return type(self), (self.now, self.step)

    def __repr__(self) -> str:
        """`Clock(now=0, step=1000)`."""
        return f"Clock(now={self.now}, step={self.step})"
