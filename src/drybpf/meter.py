"""Counting what programs execute: how often each instruction began, each jump was taken.

A `Meter` that is active sees every run of this process, in the interpreter and in compiled code,
on all threads.  Coverage and profiles are made of its counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import RLock
from typing import Protocol, Self
from weakref import WeakSet, ref

from drybpf.background import hold_at_fork
from drybpf.code import Code


class Counts:
    """What was executed of one code; both mappings are by slot.

    `executed` counts how often an instruction was begun, one that faulted included; `taken` how
    often a conditional jump went to its target.  A jump to the very next slot has no `taken`.
    """

    __slots__ = ("code", "executed", "taken")

    def __init__(self, code: Code) -> None:
        """Nothing was executed yet."""
        self.code = code
        self.executed: dict[int, int] = {}
        self.taken: dict[int, int] = {}

    def add(self, executed: Mapping[int, int], taken: Mapping[int, int]) -> None:
        """Add counts, leaving out those that are 0."""
        _add(self.executed, executed)
        _add(self.taken, taken)

    def __repr__(self) -> str:
        """`<Counts parser: 1200 instructions>`."""
        return f"<Counts {self.code.name or 'main'}: {sum(self.executed.values())} instructions>"


def _add(total: dict[int, int], more: Mapping[int, int]) -> None:
    for pc, count in more.items():
        if count:
            total[pc] = total.get(pc, 0) + count


class Source(Protocol):
    """What counts by itself, such as compiled code, and is asked for its counts now and then."""

    def take(self) -> Iterable[Counts]:
        """Give the counts since the last time, and begin anew."""


class Watcher(Protocol):
    """What is told when counting begins and when it ends."""

    def meters_changed(self) -> None:
        """Called when the first meter was started or the last one stopped."""


class Meter:
    """Counts all that runs between `start` and `stop`; also a context manager.

    Meters may overlap: each sees all runs while it is active.
    """

    def __init__(self) -> None:
        """Prepare; nothing is counted yet."""
        self._counts: dict[int, Counts] = {}  # by the identity of the code, which they keep alive

    def start(self) -> None:
        """Begin to count."""
        with _LOCK:
            if self in _active:
                raise ValueError("this meter is counting already")
            _drain()
            _active.append(self)
            if len(_active) == 1:
                _tell()

    def stop(self) -> None:
        """Count no longer."""
        with _LOCK:
            if self not in _active:
                raise ValueError("this meter is not counting")
            _drain()
            _active.remove(self)
            if not _active:
                _tell()

    @property
    def active(self) -> bool:
        """Whether it counts at this moment."""
        return self in _active

    def take(self) -> list[Counts]:
        """The counts since the last time, an element a code; it begins anew with nothing."""
        with _LOCK:
            if self in _active:
                _drain()
            taken = list(self._counts.values())
            self._counts = {}
            return taken

    def collect(self, counts: Counts) -> None:
        """Add to what has been counted."""
        mine = self._counts.get(id(counts.code))
        if mine is None:
            mine = self._counts[id(counts.code)] = Counts(counts.code)
        mine.add(counts.executed, counts.taken)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()


_LOCK = hold_at_fork(RLock())
_active: list[Meter] = []
_sources: list[Source] = []
_watchers: WeakSet[Watcher] = WeakSet()


def is_active() -> bool:
    """Whether anybody counts: asked at the begin of every run."""
    return bool(_active)


def record(code: Code, executed: Mapping[int, int], taken: Mapping[int, int]) -> None:
    """Add what a run executed to all active meters."""
    counts = Counts(code)
    counts.add(executed, taken)
    with _LOCK:
        for meter in _active:
            meter.collect(counts)


def add_source(source: Source) -> None:
    """Ask a source whenever counts are wanted, as long as anybody else holds it.

    It is kept until its counts were taken, and let go of when all meters have stopped.
    """
    with _LOCK:
        if source not in _sources:
            _sources.append(source)


def watch(watcher: Watcher) -> None:
    """Tell an object, as long as it lives, when counting begins and ends."""
    _watchers.add(watcher)


def _drain() -> None:
    for place in range(len(_sources)):
        for counts in _sources[place].take():
            for meter in _active:
                meter.collect(counts)
    # What nobody else holds will never count again: a long measurement must not keep it.
    known = [ref(source) for source in _sources]
    _sources.clear()
    _sources.extend(source for each in known if (source := each()) is not None)


def _tell() -> None:
    if not _active:
        _sources.clear()
    for watcher in list(_watchers):
        watcher.meters_changed()
