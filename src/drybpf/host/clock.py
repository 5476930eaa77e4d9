"""A clock that programs can read and tests can set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Clock:
    """A clock that starts at `now` nanoseconds and moves on by `step` at every read."""

    now: int = 0
    step: int = 1000

    def __call__(self) -> int:
        """Read the clock, then move it on."""
        now = self.now
        self.now += self.step
        return now
