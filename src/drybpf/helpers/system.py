"""Time, randomness and place: what programs ask the host most."""

from __future__ import annotations

from drybpf.state import Context


def ktime_get_ns(context: Context, *_: int) -> int:
    """Nanoseconds on the host's clock."""
    return context.host.clock()


def ktime_get_boot_ns(context: Context, *_: int) -> int:
    """Nanoseconds since boot, time asleep included."""
    return context.host.clock() + context.host.asleep


def ktime_get_coarse_ns(context: Context, *_: int) -> int:
    """Nanoseconds at the last tick of the host's timer."""
    tick = 1_000_000_000 // context.host.hz
    return context.host.clock() // tick * tick


def ktime_get_tai_ns(context: Context, *_: int) -> int:
    """Nanoseconds of international atomic time."""
    return context.host.clock() + context.host.tai_at_boot


def jiffies64(context: Context, *_: int) -> int:
    """Ticks of the host's timer."""
    return context.host.clock() * context.host.hz // 1_000_000_000


def get_prandom_u32(context: Context, *_: int) -> int:
    """32 bits of the host's random numbers."""
    return context.host.random.getrandbits(32)


def get_smp_processor_id(context: Context, *_: int) -> int:
    """The CPU of the run."""
    return context.state.cpu


def get_numa_node_id(context: Context, *_: int) -> int:
    """The memory node of the run's CPU."""
    return context.host.numa_node(context.state.cpu)
