"""Runs of a program in the kernel, on the same states that the other engines take."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator, MutableMapping, MutableSequence
from contextlib import contextmanager
from itertools import chain
from time import perf_counter_ns

from drybpf.errors import ExecutionError, KernelError
from drybpf.hooks import Hook
from drybpf.kernel import cpus
from drybpf.kernel.contexts import ENTRIES
from drybpf.kernel.programs import XDP_HAS_FRAGS, Outcome
from drybpf.kernel.twin import Kind, Twin
from drybpf.result import Result
from drybpf.state import State


class KernelRunner:
    """Runs one program in the kernel; loaded at the first run, released by `close` or with it.

    Budget, registers, replaced helpers and the simulated host are not the kernel's: it has its
    own clock and random numbers, and counts no instructions.
    """

    def __init__(
        self,
        hook: Hook,
        *,
        license: str = "GPL",  # noqa: A002 (what the section is called)
        frags: bool = False,
    ) -> None:
        """Prepare for the programs of a hook.

        `license` as in an object, `frags` for XDP programs that take packets of several pages.
        Raises `KernelError` for a hook that the kernel's test run has not.
        """
        entry = ENTRIES.get(hook.program_type)
        if entry is None:
            known = ", ".join(ENTRIES)
            raise KernelError(f"the kernel test-runs programs of {known}, not of {hook.name}")
        self._hook, self._entry = hook, entry
        self._kind = Kind(entry.program_type, license, XDP_HAS_FRAGS if frags else 0)
        self._twin: Twin | None = None

    def run(self, state: State) -> Result:
        """Run a state that has not begun, once, on its CPU; then our maps equal the kernel's.

        Raises `KernelError` where the kernel refuses program or input.
        """
        with self._mirrored(state) as twin:
            return self._once(twin, state)

    def batch(
        self,
        states: Iterable[State],
        verdicts: MutableSequence[int],
        faults: MutableMapping[int, ExecutionError] | None = None,
    ) -> None:
        """Run one state after the other, of one space, and put r0 into the verdicts.

        Our maps are brought to the kernel before the first and back after the last.  What the
        kernel does not take is in `faults` as an `ExecutionError`, and raised where there are none.
        """
        waiting = iter(states)
        first = next(waiting, None)
        if first is None:
            return
        with self._mirrored(first) as twin:
            for index, state in enumerate(chain([first], waiting)):
                try:
                    verdicts[index] = self._once(twin, state).value
                except KernelError as error:
                    if faults is None:
                        error.add_note(f"packet {index} of the batch")
                        raise
                    faults[index] = ExecutionError(error.reason)

    @contextmanager
    def measuring(self, state: State) -> Iterator[Callable[[int], int]]:
        """Give a function that runs a state many times, to nanoseconds a run, in a `with` block.

        The runs follow each other on what is then in the packet.  A time is the mean that the
        kernel measured, in whole nanoseconds, with about 15 of its own.
        """
        with self._mirrored(state) as twin:
            yield lambda repeat: self._test_run(twin, state, repeat).duration

    def time(self, state: State, repeat: int) -> tuple[int, int]:
        """Nanoseconds of loading, and of `repeat` runs in a row."""
        self.close()
        begin = perf_counter_ns()
        self._loaded(state)
        loaded = perf_counter_ns() - begin
        with self.measuring(state) as measure:
            return loaded, repeat * measure(repeat)

    @contextmanager
    def _mirrored(self, state: State) -> Iterator[Twin]:
        """The twin with what our maps hold; at the end of the block they hold what it does."""
        twin = self._loaded(state)
        twin.push()
        try:
            yield twin
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
        given = self._entry.input(state, self._hook.layout)
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
                reason = "the kernel has no network device of that ifindex"
            elif error.errno == errno.EINVAL:
                reason = f"the kernel's test run refuses this packet ({len(given.data)} bytes), "
                reason += "or a field of its context"
            else:
                raise
            raise KernelError(reason, error.errno) from error

    def load(self, state: State) -> None:
        """Load the state's program and all that it needs, where that has not been done.

        Raises `KernelError` with the end of the verifier's log where the kernel refuses it.
        """
        self._loaded(state)

    def _loaded(self, state: State) -> Twin:
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
