"""One captured packet."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.packets.link_types import ETHERNET


@dataclass(frozen=True, slots=True)
class Packet:
    """The bytes of one frame, and what the capture says about them.

    `timestamp_ns` is in nanoseconds since 1970, 0 where the file has no time; it can be negative
    or lie beyond 2106 in a pcapng. `original_length` is the frame's length on the wire, in bytes:
    more than `len(data)` where the capture cut it. `interface` counts the interfaces of the whole
    file from 0, `link_type` is the number that says what `data` begins with (1 is Ethernet).
    """

    data: bytes
    timestamp_ns: int
    original_length: int
    interface: int = 0
    link_type: int = ETHERNET
