"""What restricted functions do to memory: names for them to import; alone they do nothing.

Addresses are host addresses in native code, without any check.  Bytes are in the order of the
machine, little-endian; no alignment is needed.
"""

from __future__ import annotations

from typing import NoReturn


def _alone(name: str) -> NoReturn:
    raise TypeError(f"{name} works only inside a @restricted function")


def load8(address: int) -> int:
    """The byte at an address."""
    _alone(f"load8({address:#x})")


def load16(address: int) -> int:
    """The 16-bit number at an address."""
    _alone(f"load16({address:#x})")


def load32(address: int) -> int:
    """The 32-bit number at an address."""
    _alone(f"load32({address:#x})")


def load64(address: int) -> int:
    """The 64-bit number at an address."""
    _alone(f"load64({address:#x})")


def store8(address: int, value: int) -> None:
    """Put the low 8 bits of a value at an address."""
    _alone(f"store8({address:#x}, {value:#x})")


def store16(address: int, value: int) -> None:
    """Put the low 16 bits of a value at an address."""
    _alone(f"store16({address:#x}, {value:#x})")


def store32(address: int, value: int) -> None:
    """Put the low 32 bits of a value at an address."""
    _alone(f"store32({address:#x}, {value:#x})")


def store64(address: int, value: int) -> None:
    """Put a value at an address."""
    _alone(f"store64({address:#x}, {value:#x})")


LOADS: dict[object, int] = {load8: 1, load16: 2, load32: 4, load64: 8}
STORES: dict[object, int] = {store8: 1, store16: 2, store32: 4, store64: 8}
INTRINSICS = (*LOADS, *STORES)
