"""Helpers that compiled code does over the words of the host: its clock and its random numbers."""

from __future__ import annotations

from collections.abc import Callable

from drybpf.helpers.kernel import KernelHelper
from drybpf.helpers.native import NativeHelper
from drybpf.host import Clock, Host, Randomness
from drybpf.host.randomness import FIRST, GOLDEN, SECOND
from drybpf.native.restricted import Function, load64, restricted, store64
from drybpf.state import Helper, HelperTable

SECOND_NS = 1_000_000_000


@restricted
def read_clock(words: int) -> int:
    """Read the clock, then move it on."""
    now = load64(words)
    store64(words, now + load64(words + 8))
    return now


@restricted
def read_later(words: int, *, LATER: int) -> int:  # noqa: N803 (a constant)
    """A clock that is ahead of the host's."""
    return read_clock(words) + LATER


@restricted
def read_coarse(words: int, *, TICK: int) -> int:  # noqa: N803 (a constant)
    """The time of the last tick."""
    return read_clock(words) // TICK * TICK


@restricted
def count_ticks(words: int, *, TICK: int) -> int:  # noqa: N803 (a constant)
    """The number of ticks until now."""
    return read_clock(words) // TICK


@restricted
def draw(words: int) -> int:
    """32 random bits."""
    state = load64(words) + GOLDEN
    store64(words, state)
    mixed = (state ^ state >> 30) * FIRST
    mixed = (mixed ^ mixed >> 27) * SECOND
    return (mixed ^ mixed >> 31) >> 32


_TIMES: dict[str, Callable[[Host], Function[...]]] = {
    "ktime_get_ns": lambda _: read_clock.bind(),
    "ktime_get_boot_ns": lambda host: read_later.bind(LATER=host.asleep),
    "ktime_get_tai_ns": lambda host: read_later.bind(LATER=host.tai_at_boot),
    "ktime_get_coarse_ns": lambda host: read_coarse.bind(TICK=SECOND_NS // host.hz),
}


def for_compiled(helpers: HelperTable, number: int, host: Host) -> Helper | None:
    """The helper of a number as compiled code takes it: over the host's words where it has some."""
    helper = helpers.get(number)
    if not isinstance(helper, KernelHelper):
        return helper
    name, clock = helper.native, host.clock
    if type(clock) is Clock:
        if name in _TIMES:
            return NativeHelper(_TIMES[name](host), clock.words)
        if name == "jiffies64" and not SECOND_NS % host.hz:
            return NativeHelper(count_ticks.bind(TICK=SECOND_NS // host.hz), clock.words)
    if name == "get_prandom_u32" and type(host.random) is Randomness:
        return NativeHelper(draw, host.random.words)
    return helper
