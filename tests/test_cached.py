"""Values that are computed once."""

from __future__ import annotations

import threading

from drybpf.cached import cached_property


class Sum:
    def __init__(self, barrier: threading.Barrier) -> None:
        self.barrier, self.times = barrier, 0

    @cached_property
    def value(self) -> int:
        """Computed in two threads at once: each waits for the other."""
        self.times += 1
        self.barrier.wait(10)
        return 42


def test_threads_do_not_wait_for_each_other() -> None:
    """A lock of all objects, as Python 3.11 has, stays locked in a child forked meanwhile."""
    barrier = threading.Barrier(2)
    mine, other = Sum(barrier), Sum(barrier)
    thread = threading.Thread(target=lambda: other.value)
    thread.start()
    assert mine.value == 42
    thread.join()
    assert (mine.value, other.value, mine.times, other.times) == (42, 42, 1, 1)
    assert isinstance(Sum.__dict__["value"], cached_property)
    assert Sum.value.__doc__ == "Computed in two threads at once: each waits for the other."
