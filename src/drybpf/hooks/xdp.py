"""The XDP hook: a program on a packet as the driver received it."""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING

from drybpf.entry import Shape
from drybpf.hooks.base import Hook
from drybpf.memory import CONTEXT, PACKET, Region
from drybpf.state import State

if TYPE_CHECKING:
    from typing_extensions import Buffer

HEADROOM = 256  # bytes before the packet: the kernel's XDP_PACKET_HEADROOM
FRAME_SIZE = 4096 - 320  # of the kernel's page for a packet, less its struct skb_shared_info
DEFAULT_IFINDEX = 1
# struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex
_XDP_MD = Struct("<6I")


class XdpAction(IntEnum):
    """The verdicts of an XDP program; the kernel takes any other value for ABORTED."""

    ABORTED = 0
    DROP = 1
    PASS = 2
    TX = 3
    REDIRECT = 4


class Xdp(Hook):
    """r1 is the address of a read-only `struct xdp_md`, whose pointers are guest addresses."""

    name = "xdp"
    packet_address = PACKET + HEADROOM
    private_packet = True
    shape = Shape(
        packet_address,
        "context",
        "zero",
        context=(
            (0, 4, "data"),
            (4, 4, "data_end"),
            (8, 4, "data_meta"),
            (12, 4, DEFAULT_IFINDEX),
            (16, 4, 0),
            (20, 4, 0),
        ),
        context_length=_XDP_MD.size,
        context_writable=False,
        private_packet=True,
        headroom=HEADROOM,
        buffer_size=FRAME_SIZE,
    )

    def enter(
        self,
        state: State,
        packet: Buffer,
        *,
        ifindex: int = DEFAULT_IFINDEX,
        rx_queue: int = 0,
        egress_ifindex: int = 0,
        **fields: int,
    ) -> None:
        """Map the packet and its context."""
        if fields:
            raise TypeError(f"xdp has no {', '.join(sorted(fields))}")
        begin = self.packet_address
        region = self.map_packet(state, packet, begin)
        end = begin + region.length
        context = bytearray(_XDP_MD.pack(begin, end, begin, ifindex, rx_queue, egress_ifindex))
        state.memory.map(Region("xdp_md", CONTEXT, context, writable=False))
        state.registers[1] = CONTEXT

    def action(self, value: int) -> XdpAction:
        """The verdict in the low 32 bits of r0."""
        verdict = value & 0xFFFF_FFFF
        return XdpAction(verdict) if verdict <= XdpAction.REDIRECT else XdpAction.ABORTED
