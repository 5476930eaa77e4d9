"""What a network card tells of a packet beside its bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Card:
    """A receiving network card; None is what it does not tell.

    `vlan` is the protocol, such as 0x8100, and the tag that the card took off the packet.
    """

    timestamp: int | None = None  # nanoseconds
    hash: int | None = None
    hash_type: int = 0  # enum xdp_rss_hash_type
    vlan: tuple[int, int] | None = None
