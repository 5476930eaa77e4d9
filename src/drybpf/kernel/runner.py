"""Runs of a program in the kernel, on the same states that the other engines take."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, MutableSequence
from time import perf_counter_ns

from drybpf.errors import KernelError
from drybpf.hooks import Hook
from drybpf.kernel import cpus
from drybpf.kernel.contexts import ENTRIES
from drybpf.kernel.programs import XDP_HAS_FRAGS, Outcome
from drybpf.kernel.twin import Kind, Twin
from drybpf.result import Result
from drybpf.state import State

Fresh = Callable[[bytes], State]


class KernelRunner:
    """Runs one program in the kernel; loaded at the first run, released by `close` or with it.

    Budget, registers, replaced helpers and the simulated host are not the kernel's: it has its
    own clock and random numbers, and counts no instructions.
    """

    def __init__(
        self,
        hook: Hook,
        fresh: Fresh,
        *,
        license: str = "GPL",  # noqa: A002 (what the section is called)
        frags: bool = False,
    ) -> None:
        """Prepare for the programs of a hook; `fresh` gives a state on a packet, without fields.

        `license` as in an object, `frags` for XDP programs that take packets of several pages.
        Raises `KernelError` for a hook that the kernel's test run has not.
        """
        entry = ENTRIES.get(hook.program_type)
        if entry is None:
            known = ", ".join(ENTRIES)
            raise KernelError(f"the kernel test-runs programs of {known}, not of {hook.name}")
        self._hook, self._entry, self._fresh = hook, entry, fresh
        self._kind = Kind(entry.program_type, license, XDP_HAS_FRAGS if frags else 0)
        self._twin: Twin | None = None

    def run(self, state: State) -> Result:
        """Run a state that has not begun, once, on its CPU; then our maps equal the kernel's.

        Raises `KernelError` where the kernel refuses program or input.
        """
        twin = self._loaded(state)
        twin.push()
        try:
            return self._once(twin, state)
        finally:
            twin.pull()

    def batch(self, states: Iterable[State], verdicts: MutableSequence[int]) -> None:
        """Run one state after the other, of one space, and put r0 into the verdicts.

        Our maps are brought to the kernel before the first and back after the last.
        """
        twin: Twin | None = None
        try:
            for index, state in enumerate(states):
                if twin is None:
                    twin = self._loaded(state)
                    twin.push()
                try:
                    verdicts[index] = self._once(twin, state).value
                except KernelError as error:
                    error.add_note(f"packet {index} of the batch")
                    raise
        finally:
            if twin is not None:
                twin.pull()

    def time(self, state: State, repeat: int) -> tuple[int, int]:
        """Nanoseconds of loading, and of `repeat` runs in a row on what is then in the packet.

        A run is the mean that the kernel measured, in whole nanoseconds, with about 15 of its own.
        """
        self.close()
        begin = perf_counter_ns()
        twin = self._loaded(state)
        loaded = perf_counter_ns() - begin
        twin.push()
        try:
            return loaded, repeat * self._test_run(twin, state, repeat).duration
        finally:
            twin.pull()

    def _once(self, twin: Twin, state: State) -> Result:
        outcome = self._test_run(twin, state)
        return Result(
            value=outcome.value,
            action=self._hook.action(outcome.value),
            packet=self._entry.packet(outcome),
            printed=(),
            instructions=0,
            context=self._entry.context(outcome, self._hook.layout),
        )

    def _test_run(self, twin: Twin, state: State, repeat: int = 1) -> Outcome:
        begin, end = state.packet
        plain = self._fresh(state.memory.read(begin, end - begin))
        given = self._entry.input(state, plain)
        program = twin.program(state.code, state.space)
        try:
            with cpus.on(state.cpu):
                return program.test_run(
                    given.data,
                    context=given.context,
                    context_room=given.context_room,
                    repeat=repeat,
                )
        except KernelError as error:
            if error.errno == errno.ENODEV:
                raise KernelError("the kernel has no network device of that ifindex") from error
            raise

    def _loaded(self, state: State) -> Twin:
        """The twin of the state's space, with the state's program in it."""
        if self._twin is not None and self._twin.outdated:
            self.close()
        if self._twin is None:
            self._twin = Twin(self._kind)
        self._twin.program(state.code, state.space)
        return self._twin

    def close(self) -> None:
        """Let go of what is in the kernel; the next run loads it anew."""
        if self._twin is not None:
            self._twin.close()
            self._twin = None
