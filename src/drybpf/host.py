"""The host around a program, as far as programs can ask about it: simulated and deterministic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random


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


@dataclass
class Host:
    """Time, randomness and identity as a program sees them.

    `clock` is any callable that gives nanoseconds, `random` any `random.Random`.
    """

    clock: Callable[[], int] = field(default_factory=Clock)
    random: Random = field(default_factory=lambda: Random(0))  # noqa: S311 (repeatable by design)
    cpu: int = 0
    pid: int = 1
    uid: int = 0
