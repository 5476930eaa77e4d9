"""How a program is entered, as data: what compiled code takes for granted about a hook."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """What compiled code must know of the hook that a program is attached to.

    `context` lists the fields that compiled code fills in: offset, size, and either a constant,
    `data` or `data_end`.  None says that the context is a buffer of the caller's, or absent.
    """

    packet_address: int
    r1: str  # "packet", "context" or "zero"
    r2: str  # "packet", "context" (the length) or "zero"
    context: tuple[tuple[int, int, str | int], ...] | None = None
    context_length: int = 0  # of a context that compiled code fills in
    pointers: tuple[tuple[int, int], ...] = ()  # packet pointers in a context of the caller's
    context_writable: bool = True
    private_packet: bool = False
