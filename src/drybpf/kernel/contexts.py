"""From what a hook gave a run to what a test run takes, and back.

The context of our run is taken as the program would see it, so that whatever fields a hook has
come along; what the kernel's test run cannot be told is refused.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from dataclasses import dataclass

from drybpf.entry import PACKET_FIELDS, Layout
from drybpf.errors import KernelError
from drybpf.hooks.skb import ethernet_protocol
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
    """How programs of one type enter the kernel's test run; `layout` is their context's."""

    program_type: int

    @abstractmethod
    def input(self, state: State, layout: Layout) -> Input:
        """The input for a state.  Raises `KernelError` for what a test run has not."""

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

    def input(self, state: State, layout: Layout) -> Input:
        """Metadata and packet, with the lengths in the context's pointers."""
        values = self._fields.unpack(_context(state)[: self._fields.size])
        data, end, meta, device, queue, egress = values
        if egress:
            raise KernelError("the kernel's test run of XDP has no egress_ifindex")
        _check_length(end - data)
        packet = state.memory.read(meta, end - meta)
        if device == layout["ingress_ifindex"].source and not queue:
            device = 0  # the loopback device, as without a context
        context = self._fields.pack(data - meta, end - meta, 0, device, queue, 0)
        return Input(packet, context, self._fields.size)

    def packet(self, outcome: Outcome) -> bytes:
        """What lies behind the metadata."""
        return outcome.data[self._fields.unpack(outcome.context)[0] :]


class TcEntry(Entry):
    """tc: `struct __sk_buff`, of which a test run takes only some fields."""

    _taken = frozenset(
        {
            *("mark", "priority", "ingress_ifindex", "ifindex", "cb", "tstamp"),
            *("wire_len", "gso_segs", "gso_size", "hwtstamp"),
        }
    )

    def __init__(self, program_type: int = 3) -> None:
        """A classifier, or what has the same entry."""
        self.program_type = program_type

    def input(self, state: State, layout: Layout) -> Input:
        """The packet with its Ethernet header, and the fields that are not as they would be."""
        begin, end = state.packet
        _check_length(end - begin)
        packet = state.memory.read(begin, end - begin)
        protocol = ethernet_protocol(memoryview(packet))
        return Input(packet, self.fields(state, layout, protocol), layout.size)

    def context(self, outcome: Outcome, layout: Layout) -> dict[str, int | tuple[int, ...]]:
        """The fields that may be given come back."""
        return {
            name: layout[name].unpack(memoryview(outcome.context)) for name in sorted(self._taken)
        }

    def fields(self, state: State, layout: Layout, protocol: int | tuple[int, ...]) -> bytes:
        """The context that says what the caller asked for.

        Raises `KernelError` for a field that the test run sets otherwise.
        """
        asked, told = _context(state), bytearray(layout.size)
        found = {"wire_len": state.packet[1] - state.packet[0], "protocol": protocol}
        for name, field in layout.items():
            value, usual = field.unpack(memoryview(asked)), found.get(name, field.source)
            if field.source in PACKET_FIELDS or value == usual or value == (usual,) * field.count:
                continue
            if name not in self._taken:
                raise KernelError(f"the kernel's test run sets {name} itself, not to {value}")
            told[field.offset : field.end] = asked[field.offset : field.end]
        return bytes(told)


class NetworkEntry(TcEntry):
    """Programs that get no Ethernet header: a test run cuts one off, so one is put before the data.

    So it is with socket filters, too; what they see as frame is the test run's network layer.
    """

    def input(self, state: State, layout: Layout) -> Input:
        """An Ethernet header with the run's protocol, then what the program is to see."""
        begin, end = state.packet
        protocol = layout["protocol"].unpack(memoryview(_context(state)))
        header = bytes(12) + layout["protocol"].pack(protocol)[:2]
        data = header + state.memory.read(begin, end - begin)
        return Input(data, self.fields(state, layout, protocol), layout.size)

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
    "socket_filter": NetworkEntry(1),
    "cgroup_skb": NetworkEntry(8),
    "lwt_in": NetworkEntry(10),
    "lwt_out": NetworkEntry(11),
    "lwt_xmit": NetworkEntry(12),
}
"""How programs enter, by the kernel's name of their type."""
