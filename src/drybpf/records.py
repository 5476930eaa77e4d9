"""What programs do to the world: each effect a record, kept in the run's order."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.host import Socket, TunnelInfo


@dataclass(frozen=True, slots=True)
class Record:
    """The root of all records."""


@dataclass(frozen=True, slots=True)
class Event(Record):
    """A sample sent to user space through a perf buffer or a ring buffer: its map, CPU and bytes.

    `packet` are the bytes of the packet that were appended to it (they end `data` as well).
    """

    map: str
    cpu: int
    data: bytes
    packet: bytes = b""


@dataclass(frozen=True, slots=True)
class Redirect(Record):
    """A packet was to be sent out of another interface, or into it with `ingress`.

    It comes true if the program's verdict says so.  Where it goes by a map, `map` is that map's
    name and `key` the slot; `value` is what stood there.  `how` is the helper's name.
    """

    how: str
    ifindex: int
    flags: int = 0
    map: str = ""
    key: int = 0
    value: bytes = b""
    next_hop: str = ""

    @property
    def ingress(self) -> bool:
        """Whether the packet goes into the interface instead of out of it."""
        return self.how == "redirect_peer" or (self.how == "redirect" and bool(self.flags & 1))


@dataclass(frozen=True, slots=True)
class Clone(Record):
    """A copy of the packet that was sent off: to which interface, and the bytes."""

    ifindex: int
    flags: int
    packet: bytes

    @property
    def ingress(self) -> bool:
        """Whether the copy goes into the interface instead of out of it."""
        return bool(self.flags & 1)


@dataclass(frozen=True, slots=True)
class Output(Record):
    """Bytes for whoever reads the file of an iterator."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MemoryWrite(Record):
    """Bytes written into the memory of the process."""

    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Signal(Record):
    """A signal sent to the current process, or to its thread."""

    number: int
    pid: int
    thread: bool = False


@dataclass(frozen=True, slots=True)
class ReturnOverride(Record):
    """The probed function is not to run, and to return this."""

    value: int


@dataclass(frozen=True, slots=True)
class TunnelSet(Record):
    """The packet is to go through a tunnel."""

    tunnel: TunnelInfo


@dataclass(frozen=True, slots=True)
class SocketAssigned(Record):
    """The packet, or the connection, was given to a socket; None takes it away again."""

    socket: Socket | None
    flags: int = 0


@dataclass(frozen=True, slots=True)
class OptionSet(Record):
    """An option of a socket was set, by level and name."""

    level: int
    name: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Bound(Record):
    """A socket was bound to an address and a port, before it connects."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class SocketStored(Record):
    """The socket at hand was put into a map, under a key."""

    map: str
    key: bytes


@dataclass(frozen=True, slots=True)
class SocketRedirect(Record):
    """Data was to go to the socket under a key of a map, into it with `ingress`."""

    map: str
    key: bytes
    ingress: bool


@dataclass(frozen=True, slots=True)
class Message(Record):
    """What a verdict about a message counts for: `how` is `apply` or `cork`, then the bytes."""

    how: str
    length: int


@dataclass(frozen=True, slots=True)
class SysctlWritten(Record):
    """A new value for a kernel parameter, in place of the one that the process wrote."""

    name: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged(Record):
    """TCP was told to acknowledge all up to a number."""

    number: int
