"""How a program is entered, as data: what compiled code takes for granted about a hook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What compiled code must know of the hook that a program is attached to.

    `context` lists the fields that are not zero: offset, size, and either a constant, or `data`,
    `data_end`, `data_meta` (guest addresses of the packet's first byte, of the one behind its last,
    and of the metadata before it) or `length` (in bytes).  None says that the context is a buffer
    of the caller's, or absent.
    """

    packet_address: int
    r1: str  # "packet", "context" or "zero"
    r2: str  # "packet", "context" (the length) or "zero"
    context: tuple[tuple[int, int, str | int], ...] | None = None
    context_length: int = 0  # of a context that compiled code fills in
    pointers: tuple[tuple[int, int], ...] = ()  # packet pointers in a context of the caller's
    context_writable: bool = True
    protected: tuple[tuple[int, int], ...] = ()  # spans that are read-only in a writable context
    private_packet: bool = False
    headroom: int = 0  # bytes before the packet in a buffer of its own
    buffer_size: int = 0  # the least size of such a buffer


NO_SHAPE = Shape(0, "zero", "zero")
