"""What belongs to a socket buffer beside its bytes and its context."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, cast

from drybpf.state import Context, HookState

CHECKSUM_NONE, CHECKSUM_UNNECESSARY, CHECKSUM_COMPLETE, CHECKSUM_PARTIAL = range(4)
ETHERNET = 14  # bytes of an Ethernet header


@dataclass(slots=True)
class Tunnel:
    """The metadata of a tunnel: who sent the packet, or where it goes; `options` follow it."""

    key: bytes = b""  # a `struct bpf_tunnel_key`
    options: bytes = b""
    flags: int = 0


@dataclass(slots=True)
class SkbState(HookState):
    """A socket buffer.

    `link` is the length of the link header that the packet begins with, 0 where the program sees
    it from the network header on; `hidden` is the one before it then.
    """

    link: int = ETHERNET
    hidden: bytes = b""
    checksum: int = CHECKSUM_NONE  # what is known: `ip_summed`
    complete: int = 0  # the sum over the packet with CHECKSUM_COMPLETE
    level: int = 0  # of checksums known to be right, with CHECKSUM_UNNECESSARY
    received: Tunnel | None = None
    sent: Tunnel | None = None
    encapsulated: bool = False

    def copy(self) -> Self:
        """Copy what can change."""
        twin = HookState.copy(self)
        twin.received = replace(self.received) if self.received else None
        twin.sent = replace(self.sent) if self.sent else None
        return twin


def skb_of(context: Context) -> SkbState:
    """The socket buffer of a run whose program has one."""
    return cast("SkbState", context.state.hook)
