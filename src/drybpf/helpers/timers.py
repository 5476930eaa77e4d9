"""Timers in the values of maps, and who lets them fire.

A timer fires when `fire` is called and the host's clock has passed its time; never by itself, so
that a test decides when.  Its callback is a run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

from drybpf.code import Code
from drybpf.helpers.arguments import callback, map_of
from drybpf.helpers.errno import EBUSY, EDEADLK, EINVAL
from drybpf.host import Host
from drybpf.memory import Memory
from drybpf.space import Space
from drybpf.state import DEFAULT_BUDGET, Context, HelperTable, HookState, State

_CLOCKS = (0, 1, 7)  # CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME
_ABSOLUTE, _PINNED = 1, 2  # BPF_F_TIMER_ABS, BPF_F_TIMER_CPU_PIN
_SIZE = 16  # bytes of a `struct bpf_timer`


@dataclass(slots=True)
class Timer:
    """One timer: whose callback it calls, and when, in nanoseconds on the host's clock."""

    map: int  # its handle
    code: Code | None = None
    function: int = 0
    helpers: HelperTable | None = None
    hook: HookState | None = None
    expires: int | None = None  # None while it does not run
    firing: bool = False


def _timer(context: Context, address: int) -> Timer | None:
    context.memory.check(address, _SIZE, write=True)
    space = context.state.space
    timer = cast("Timer | None", space.timers.get(address))
    if timer is not None and not _mark(space, timer.map, address):
        del space.timers[address]  # its element was deleted, this is another one
        return None
    return timer


def _mark(space: Space, handle: int, address: int, *, begin: bool = False) -> bool:
    """Whether the element at an address is still the one whose timer began.

    The last byte of the gap behind a value, which no program sees, tells it: a new element has 0
    there, and so has a map that was cleared.
    """
    region = space.maps[handle].region
    if region is None or region.mask == -1 or not 0 <= address - region.start < region.length:
        return True  # no map's value, of which nothing is known
    place = address - region.start | region.mask
    if begin:
        region.data[place] = 1
    return bool(region.data[place])


def timer_init(context: Context, address: int, handle: int, flags: int, *_: int) -> int:
    """Make a timer of 16 bytes in a map's value; 0 or a negative error."""
    map_of(context, handle)
    if flags not in _CLOCKS:
        return -EINVAL
    if _timer(context, address) is not None:
        return -EBUSY
    context.state.space.timers[address] = Timer(handle)
    _mark(context.state.space, handle, address, begin=True)
    return 0


def timer_set_callback(context: Context, address: int, function: int, *_: int) -> int:
    """Say which function the timer calls, with map, key and value; 0 or a negative error."""
    timer, entry = _timer(context, address), callback(context, function)
    if timer is None:
        return -EINVAL
    state = context.state
    timer.code, timer.function = state.code, entry
    timer.helpers, timer.hook = state.helpers, HookState(state.hook.program_type)
    return 0


def timer_start(context: Context, address: int, after: int, flags: int, *_: int) -> int:
    """Let a timer run for so many nanoseconds, or until that time; 0 or a negative error."""
    timer = _timer(context, address)
    if flags & ~(_ABSOLUTE | _PINNED) or timer is None or timer.code is None:
        return -EINVAL
    timer.expires = after if flags & _ABSOLUTE else context.host.clock() + after
    return 0


def timer_cancel(context: Context, address: int, *_: int) -> int:
    """Stop a timer; 1 where it was running, 0 where not, or a negative error."""
    timer = _timer(context, address)
    if timer is None:
        return -EINVAL
    if timer.firing:
        return -EDEADLK
    running = timer.expires is not None
    timer.expires = timer.code = None
    return int(running)


def fire(space: Space, host: Host, run: Callable[[State], object]) -> Iterator[State]:
    """Run the callbacks that are due by the host's clock, the earliest first, each once.

    Gives the state of each run when it has ended.  `run` is the engine.
    """
    now = host.clock()
    due = sorted(
        (timer.expires, address)
        for address, timer in cast("dict[int, Timer]", space.timers).items()
        if timer.expires is not None and timer.expires <= now
    )
    for expires, address in due:
        timer = cast("Timer | None", space.timers.get(address))
        if timer is None or timer.expires != expires:
            continue  # another callback has changed it
        state = _begin(space, host, address)
        if state is None:
            continue
        timer.firing = True
        try:
            run(state)
        finally:
            timer.firing = False
        yield state


def _begin(space: Space, host: Host, address: int) -> State | None:
    """A state at a timer's callback; None where the timer's element is gone, and it with it."""
    timer = cast("Timer", space.timers[address])
    timer.expires = None
    owner: Any = space.maps[timer.map]
    element = _element(owner, address)
    there = element is not None and _mark(space, timer.map, address)
    if element is None or timer.code is None or not there:
        del space.timers[address]
        return None
    key, value = element
    space.epoch += 1
    memory = Memory(space.slots)
    state = State(timer.code, memory, helpers=timer.helpers or {}, host=host, fuel=DEFAULT_BUDGET)
    state.space, state.cpu, state.hook = space, host.cpu, timer.hook or HookState()
    state.registers[1:4] = [timer.map, memory.add("key", key, writable=False).start, value]
    state.pc = timer.function
    return state


def _element(owner: Any, address: int) -> tuple[bytes, int] | None:  # noqa: ANN401 (a map)
    """The key of the value that an address lies in, and where that value begins."""
    offset = address - owner.region.start if owner.region else -1
    key = owner.key_at(offset) if offset >= 0 else None
    if key is None:
        return None
    value = owner.region.start + owner.find_element(key)
    return (key, value) if value <= address < value + owner.definition.value_size else None
