"""What programs do to the world: each effect a record, kept in the run's order."""

from __future__ import annotations

from dataclasses import dataclass


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
