"""Work beside the program's own threads: one job at a time, each in a thread that ends with it.

The threads are no daemons: Python waits at its end for a job that has begun, since LLVM must not be
torn down under it, and leaves out those that have not.  A fork waits for the job that runs; the
child has none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from operator import itemgetter
from typing import Protocol, TypeVar


class _Lock(Protocol):
    def acquire(self) -> bool: ...

    def release(self) -> None: ...


Lock = TypeVar("Lock", bound=_Lock)
_turn = threading.Lock()
_held: list[tuple[int, _Lock]] = []  # in the order in which a fork takes them
_forks = 0


class Job:
    """Something to do; `error` is what it raised."""

    def __init__(self, work: Callable[[], object]) -> None:
        """Prepare; `start` begins."""
        self._work: Callable[[], object] | None = work
        self._forks = _forks
        self._ended = threading.Event()
        self.error: Exception | None = None

    @property
    def is_done(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    @property
    def is_lost(self) -> bool:
        """Whether it will never end: this process was forked from the one that does it."""
        return self._forks != _forks and not self.is_done

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it has ended, or so long; whether it has."""
        return self._ended.wait(seconds)

    def run(self) -> None:
        """Do it now, in this thread, when it is its turn."""
        with _turn:
            work, self._work = self._work, None
            try:
                if work is not None and threading.main_thread().is_alive():
                    work()
            except Exception as error:  # noqa: BLE001 (whoever asked for the job gets it)
                self.error = error
            finally:
                self._ended.set()


def start(work: Callable[[], object]) -> Job:
    """Begin a job; where no thread can be had, it is done at once."""
    job = Job(work)
    try:
        threading.Thread(target=job.run, name="drybpf", daemon=False).start()
    except RuntimeError:
        job.run()
    return job


def hold_at_fork(lock: Lock, rank: int = 0) -> Lock:
    """Have a fork wait for a lock, which else the child would find locked for ever; gives it back.

    A job may take the lock, but nobody who holds it may wait for a job, nor for a lock of the same
    or a lower rank: those that make maps' code have 1, the linker 2, target machines 3, LLVM 4.
    """
    _held.append((rank, lock))
    _held.sort(key=itemgetter(0))
    return lock


def _before_fork() -> None:
    _turn.acquire()  # first: a job may need the others to come to its end
    for _, lock in _held:
        lock.acquire()


def _after_fork() -> None:
    for _, lock in reversed(_held):
        lock.release()
    _turn.release()


def _in_child() -> None:
    global _forks  # noqa: PLW0603 (one count a process)
    _forks += 1
    _after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
