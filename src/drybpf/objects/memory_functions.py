"""memset, memcpy, memmove and memcmp: what compilers call though no program defines it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from drybpf.state import Context, Helper

_M64 = (1 << 64) - 1


def memset(context: Context, address: int, value: int, count: int, *_: int) -> int:
    """Fill memory with a byte; the address is returned."""
    context.memory.fill(address, value, count)
    return address


def memcpy(context: Context, target: int, source: int, count: int, *_: int) -> int:
    """Copy memory, which may overlap; the target's address is returned."""
    context.write(target, context.read(source, count))
    return target


def memcmp(context: Context, first: int, second: int, count: int, *_: int) -> int:
    """Compare memory by bytes: less than, equal to or greater than 0."""
    left, right = context.read(first, count), context.read(second, count)
    return ((left > right) - (left < right)) & _M64


MEMORY_FUNCTIONS: Mapping[str, Helper] = MappingProxyType(
    {"memset": memset, "memcpy": memcpy, "memmove": memcpy, "memcmp": memcmp}
)
