"""Recording a profile, run by run, with the calls that led to each line."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from drybpf.errors import ExecutionError
from drybpf.meter import Counts, Meter
from drybpf.profile.data import Profile, Stack, line_name

if TYPE_CHECKING:
    from drybpf.code import Code
    from drybpf.program import Program
    from drybpf.state import State


class Recorder:
    """Runs programs and counts what they execute.

    With `stacks` the interpreter runs them, and the calls that lead to a line are kept, for a flame
    graph; without, the program's own engine does, at its speed.
    """

    def __init__(self, *, stacks: bool = True) -> None:
        """Nothing was run yet."""
        self.faults = 0  # runs that ended with one; their instructions count
        self._with_stacks = stacks
        self._meter = Meter()
        self._counts: list[Counts] = []
        self._runs: list[int] = []
        self._stacks: Counter[Stack] = Counter()
        self._names: dict[tuple[int, int], str] = {}
        self._codes: dict[int, Code] = {}  # kept alive: they are known by identity

    def run(self, program: Program, packet: Any = b"", **fields: Any) -> None:  # noqa: ANN401
        """Run a program on a packet; a fault is counted, not raised."""
        places: Counter[tuple[tuple[int, int], ...]] = Counter()

        def trace(state: State) -> None:
            self._codes[id(state.code)] = state.code
            frames = [(id(frame.code), frame.return_pc - 1) for frame in state.frames]
            places[(*frames, (id(state.code), state.pc))] += 1

        with self._meter:
            try:
                if self._with_stacks:
                    program.run(packet, trace=trace, **fields)
                else:
                    program.run(packet, **fields)
            except ExecutionError:
                self.faults += 1
        counts = self._meter.take()
        self._counts += counts
        self._runs.append(sum(sum(each.executed.values()) for each in counts))
        for place, count in places.items():
            self._stacks[self._stack(place)] += count
        if len(self._counts) > 1000:  # a long capture must not pile them up
            self._fold()

    def _stack(self, place: tuple[tuple[int, int], ...]) -> Stack:
        functions = [self._codes[code].function_name(pc) for code, pc in place]
        last = place[-1]
        if last not in self._names:
            self._names[last] = line_name(self._codes[last[0]], last[1])
        return (*functions, self._names[last])

    def _fold(self) -> None:
        totals: dict[int, Counts] = {}
        for each in self._counts:
            total = totals.setdefault(id(each.code), Counts(each.code))
            total.add(each.executed, each.taken)
        self._counts = list(totals.values())

    def counts(self) -> tuple[Counts, ...]:
        """The counts of all runs, an element a code."""
        self._fold()
        return tuple(self._counts)

    def profile(self) -> Profile:
        """What was recorded so far."""
        return Profile.of(self._counts, self._runs, dict(self._stacks.most_common()))
