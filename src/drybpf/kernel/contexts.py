"""From what a hook gave a run to what a test run takes, and back.

The context of our run is taken as the program would see it, so that whatever fields a hook has
come along; what the kernel's test run cannot be told is refused.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

from drybpf.entry import Layout
from drybpf.errors import KernelError
from drybpf.kernel.programs import Outcome
from drybpf.memory import CONTEXT
from drybpf.state import State

ETH_HLEN = 14  # bytes: no test run takes less


@dataclass(frozen=True, slots=True)
class Input:
    """What a test run is given."""

    data: bytes
    context: bytes
    context_room: int


class Entry(ABC):
    """How programs of one type enter the kernel's test run."""

    program_type: int

    @abstractmethod
    def input(self, state: State, plain: State) -> Input:
        """The input for a state; `plain` is one entered without any fields.

        Raises `KernelError` for what a test run has not.
        """

    def packet(self, outcome: Outcome) -> bytes:
        """The packet as the program left it."""
        return outcome.data

    def context(self, outcome: Outcome, layout: Layout) -> dict[str, int | tuple[int, ...]]:
        """The fields that the kernel tells afterwards, by name."""
        del outcome, layout
        return {}


class XdpEntry(Entry):
    """XDP: `struct xdp_md` with metadata before the packet, receive queue and device."""

    program_type = 6
    _fields = struct.Struct("<6I")  # data, data_end, data_meta, ingress_ifindex, rx queue, egress

    def input(self, state: State, plain: State) -> Input:
        """Metadata and packet, with the lengths in the context's pointers."""
        values = self._fields.unpack(_context(state)[: self._fields.size])
        data, end, meta, device, queue, egress = values
        if egress:
            raise KernelError("the kernel's test run of XDP has no egress_ifindex")
        _check_length(end - data)
        packet = state.memory.read(meta, end - meta)
        if (device, queue) == self._fields.unpack(_context(plain)[: self._fields.size])[3:5]:
            device = queue = 0  # the loopback device, as without a context
        context = self._fields.pack(data - meta, end - meta, 0, device, queue, 0)
        return Input(packet, context, self._fields.size)

    def packet(self, outcome: Outcome) -> bytes:
        """What lies behind the metadata."""
        return outcome.data[self._fields.unpack(outcome.context)[0] :]


class TcEntry(Entry):
    """tc: `struct __sk_buff`, of which a test run takes only some fields."""

    # offset and end of the fields that may be given: mark; priority, ingress_ifindex, ifindex; cb;
    # tstamp, wire_len, gso_segs; gso_size; hwtstamp
    _allowed = ((8, 12), (32, 44), (48, 68), (152, 168), (176, 180), (184, 192))
    # What the kernel finds out itself: data, data_end, data_meta
    _found: tuple[tuple[int, int], ...] = ((76, 84), (140, 144))
    _size = 192

    def __init__(self, program_type: int = 3) -> None:
        """A classifier, or what has the same entry."""
        self.program_type = program_type

    def input(self, state: State, plain: State) -> Input:
        """The packet with its Ethernet header, and the fields that are not as they would be."""
        begin, end = state.packet
        _check_length(end - begin)
        return Input(state.memory.read(begin, end - begin), self.fields(state, plain), self._size)

    def context(self, outcome: Outcome, layout: Layout) -> dict[str, int | tuple[int, ...]]:
        """The fields that may be given come back."""
        return {
            name: field.unpack(memoryview(outcome.context))
            for name, field in layout.items()
            if any(start <= field.offset and field.end <= stop for start, stop in self._allowed)
        }

    def fields(self, state: State, plain: State) -> bytes:
        """The context that says what the caller asked for."""
        asked, usual = (
            bytearray(_context(each)[: self._size].ljust(self._size, b"\0"))
            for each in (state, plain)
        )
        for start, stop in self._found:
            asked[start:stop] = usual[start:stop]
        context = bytearray(self._size)
        for start, stop in self._allowed:
            if asked[start:stop] != usual[start:stop]:
                context[start:stop] = asked[start:stop]
            asked[start:stop] = usual[start:stop]
        for offset in range(0, self._size, 4):
            if asked[offset : offset + 4] != usual[offset : offset + 4]:
                raise KernelError(
                    f"the kernel's test run sets the field at offset {offset} of __sk_buff itself"
                )
        return bytes(context)


class SocketEntry(TcEntry):
    """Socket filters: a test run cuts off an Ethernet header, so one is put before the data."""

    def __init__(self) -> None:
        """See `Entry`."""
        super().__init__(1)

    _found = (*TcEntry._found, (16, 20))  # noqa: SLF001 (and the protocol: it is in the header)

    def input(self, state: State, plain: State) -> Input:
        """An Ethernet header with the run's protocol, then what the program is to see."""
        begin, end = state.packet
        header = bytes(12) + _context(state)[16:18]
        data = header + state.memory.read(begin, end - begin)
        return Input(data, self.fields(state, plain), self._size)

    def packet(self, outcome: Outcome) -> bytes:
        """What lies behind that header, which comes back as zeros."""
        return outcome.data[ETH_HLEN:]


def _check_length(length: int) -> None:
    if length < ETH_HLEN:
        raise KernelError(f"the kernel's test run takes {ETH_HLEN} bytes and more, not {length}")


def _context(state: State) -> bytes:
    region = state.memory.at(CONTEXT)
    return bytes(region.data) if region is not None else b""


ENTRIES: dict[str, Entry] = {
    "xdp": XdpEntry(),
    "sched_cls": TcEntry(),
    "sched_act": TcEntry(4),
    "socket_filter": SocketEntry(),
}
"""How programs enter, by the kernel's name of their type."""
