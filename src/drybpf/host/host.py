"""The host that programs run on, in one object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from weakref import WeakSet

from drybpf.host.card import Card
from drybpf.host.clock import Clock
from drybpf.host.memory import HostMemory
from drybpf.host.network import Interface, Network, TunnelInfo
from drybpf.host.process import Process
from drybpf.host.randomness import Randomness
from drybpf.host.sockets import Socket, Sockets


@dataclass
class Host:
    """Time, randomness, identity and memory as a program sees them.

    `clock` is any callable that gives nanoseconds, `random` any `random.Random`.  `cpu` is the one
    that programs run on unless a run names another.
    """

    clock: Callable[[], int] = field(default_factory=Clock)
    random: Random = field(default_factory=Randomness)
    cpu: int = 0
    pid: int = 1
    uid: int = 0
    cpus: int = 4
    hz: int = 250  # ticks of the kernel's timer a second
    asleep: int = 0  # nanoseconds that the clock did not count
    tai_at_boot: int = 37_000_000_000  # nanoseconds of atomic time when the clock was 0
    numa_nodes: tuple[int, ...] = ()  # of each CPU; node 0 where it is not said
    memory: HostMemory = field(default_factory=HostMemory)  # the kernel's and the process's
    symbols: dict[int, str] = field(default_factory=dict)  # the kernel's functions by address
    card: Card = field(default_factory=Card)
    network: Network = field(default_factory=Network)
    sockets: Sockets = field(default_factory=Sockets)
    socket: Socket | None = None  # the one that packets and the current call belong to
    tunnel: TunnelInfo | None = None  # that packets come through
    process: Process = field(default_factory=Process)
    netns_cookie: int = 1
    counters: dict[int, int] = field(default_factory=dict)  # of perf events, by slot of their map
    sysctls: dict[str, bytes] = field(default_factory=dict)

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, and tell those who have compiled it into a program."""
        object.__setattr__(self, name, value)
        for watcher in list(self.__dict__.get("_watchers", ())):
            watcher.helpers_changed()

    def watch(self, watcher: object) -> None:
        """Have `watcher.helpers_changed()` called after changes, as long as the watcher lives."""
        self.__dict__.setdefault("_watchers", WeakSet()).add(watcher)

    def __getstate__(self) -> dict[str, object]:
        """Pickle without those who watch."""
        return {name: value for name, value in self.__dict__.items() if name != "_watchers"}

    @property
    def interfaces(self) -> dict[int, Interface]:
        """The interfaces by number; where there are none, every number is taken for one."""
        return self.network.interfaces

    def has_interface(self, ifindex: int) -> bool:
        """Whether packets can be sent to an interface."""
        return ifindex in self.interfaces or (not self.interfaces and ifindex > 0)

    @property
    def pid_tgid(self) -> int:
        """The process's id in the upper half, its thread's in the lower."""
        return self.pid << 32 | (self.process.tid or self.pid)

    def numa_node(self, cpu: int) -> int:
        """The memory node of a CPU."""
        return self.numa_nodes[cpu] if cpu < len(self.numa_nodes) else 0

    def symbol(self, address: int) -> str:
        """The name of what lies at an address, `name+0x10`, or the address where none is known."""
        before = [known for known in self.symbols if known <= address]
        if not before:
            return f"{address:#x}"
        offset = address - max(before)
        return self.symbols[max(before)] + (f"+{offset:#x}" if offset else "")
