"""What belongs to a socket buffer beside its bytes and its context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from drybpf.host import TunnelInfo
from drybpf.state import Context, HookState

CHECKSUM_NONE, CHECKSUM_UNNECESSARY, CHECKSUM_COMPLETE, CHECKSUM_PARTIAL = range(4)
ETHERNET = 14  # bytes of an Ethernet header
_NETWORK, _LINK = -0x10_0000, -0x20_0000  # SKF_NET_OFF, SKF_LL_OFF: where such offsets begin


@dataclass(slots=True)
class SkbState(HookState):
    """A socket buffer.

    `network` is the offset of the network header; `hidden` is the link header before the packet
    of programs that see it from the network header on.
    """

    network: int = ETHERNET
    hidden: bytes = b""
    checksum: int = CHECKSUM_NONE  # what is known: `ip_summed`
    complete: int = 0  # the sum over the packet with CHECKSUM_COMPLETE
    level: int = 0  # of checksums known to be right, with CHECKSUM_UNNECESSARY
    hashed: bool = False  # whether the context's hash is valid
    received: TunnelInfo | None = None  # of the tunnel that the packet came through
    sent: TunnelInfo | None = None  # of the one that it is to take
    encapsulated: bool = False

    def before(self, packet: bytes, offset: int, size: int) -> bytes | None:
        """Negative offsets count from the network header or from the link header.

        As the kernel's `bpf_internal_load_pointer_neg_helper`.
        """
        start = len(self.hidden)  # of the packet, in the frame
        if offset >= _NETWORK:
            at = start + self.network + offset - _NETWORK
        elif offset >= _LINK and (self.network or self.hidden):
            at = offset - _LINK
        else:
            return None
        frame = self.hidden + packet
        return frame[at : at + size] if at + size <= len(frame) else None


def skb_of(context: Context) -> SkbState:
    """The socket buffer of a run whose program has one."""
    return cast("SkbState", context.state.hook)
