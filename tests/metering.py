"""Counting runs in three ways, to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from drybpf.code import Code
from drybpf.meter import Counts, Meter
from drybpf.state import State

Counted = dict[int, tuple[dict[int, int], dict[int, int]]]


def summed(counts: list[Counts]) -> Counted:
    """By the code's identity, since equal codes may come from different places."""
    total: dict[int, Counts] = {}
    for each in counts:
        total.setdefault(id(each.code), Counts(each.code)).add(each.executed, each.taken)
    return {key: (each.executed, each.taken) for key, each in total.items()}


def metered(run: Callable[[], object]) -> Counted:
    """What a meter counts while something runs."""
    with Meter() as meter:
        run()
    return summed(meter.take())


class Tracer:
    """The independent count: by the interpreter's trace, one call an instruction."""

    def __init__(self) -> None:
        self.executed: dict[int, Counter[int]] = {}
        self.taken: dict[int, Counter[int]] = {}
        self._last: tuple[Code, int, int] | None = None

    def begin(self) -> None:
        """Forget the last instruction of another run."""
        self._last = None

    def __call__(self, state: State) -> None:
        code, pc, depth = state.code, state.pc, len(state.frames)
        if self._last is not None:
            before, last, level = self._last
            if before is code and level == depth and last in code.branches:
                taken = self.taken.setdefault(id(code), Counter())
                taken[last] += pc == code.branches[last]
        self.executed.setdefault(id(code), Counter())[pc] += 1
        self._last = code, pc, depth

    def counted(self) -> Counted:
        return {
            key: (
                dict(executed),
                {pc: count for pc, count in self.taken.get(key, Counter()).items() if count},
            )
            for key, executed in self.executed.items()
        }
