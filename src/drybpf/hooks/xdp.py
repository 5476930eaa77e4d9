"""The XDP hook: a program on a packet as the driver received it."""

from __future__ import annotations

from types import MappingProxyType

from drybpf.entry import Layout
from drybpf.hooks.context import ContextHook
from drybpf.hooks.verdicts import XdpAction

HEADROOM = 256  # bytes before the packet: the kernel's XDP_PACKET_HEADROOM
FRAME_SIZE = 4096 - 320  # of the kernel's page for a packet, less its struct skb_shared_info

XDP_MD = Layout(
    "xdp_md",
    24,
    """
     0 4 data            data
     4 4 data_end        data_end
     8 4 data_meta       data_meta
    12 4 ingress_ifindex =1
    16 4 rx_queue_index
    20 4 egress_ifindex
    """,
)
"""`struct xdp_md`; its pointers are guest addresses."""


class Xdp(ContextHook):
    """r1 is the address of a read-only `struct xdp_md`, whose pointers are guest addresses."""

    aliases = MappingProxyType({"ifindex": "ingress_ifindex", "rx_queue": "rx_queue_index"})
    verdicts = XdpAction
    packet_size = FRAME_SIZE
    headroom = HEADROOM

    def __init__(self) -> None:
        """The hook of XDP programs."""
        super().__init__("xdp", "xdp", XDP_MD)

    def action(self, value: int) -> XdpAction:
        """The verdict in the low 32 bits of r0."""
        verdict = value & 0xFFFF_FFFF
        return XdpAction(verdict) if verdict <= XdpAction.REDIRECT else XdpAction.ABORTED

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()
