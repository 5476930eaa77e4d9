"""Dynptrs: pointers that know their size, 16 bytes of the program's memory.

They hold the guest address of the data, the size with kind and right in its upper bits, and an
offset: the kernel's layout, with a guest address in it.  Every access is checked as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import E2BIG, EINVAL
from drybpf.helpers.packet import load_bytes, store_bytes
from drybpf.helpers.skb_bytes import store
from drybpf.state import Context

MOST = (1 << 24) - 1  # DYNPTR_MAX_SIZE, bytes
LOCAL, RINGBUF, SKB, XDP = range(1, 5)
_LAYOUT = Struct("<QII")
_KIND_SHIFT, _READ_ONLY = 28, 1 << 31


@dataclass(frozen=True, slots=True)
class Dynptr:
    """One dynptr; `data` is 0 in a null one.  Of a packet, `data` is the context's address."""

    data: int
    size: int
    offset: int = 0
    kind: int = LOCAL
    read_only: bool = False

    @property
    def is_packet(self) -> bool:
        """Whether it is over the packet."""
        return self.kind in (SKB, XDP)

    def holds(self, offset: int, length: int) -> bool:
        """Whether some bytes lie within it."""
        return length <= self.size and offset <= self.size - length


def load_dynptr(context: Context, address: int) -> Dynptr:
    """Read a dynptr."""
    data, size, offset = _LAYOUT.unpack(context.read(address, _LAYOUT.size))
    return Dynptr(data, size & MOST, offset, size >> _KIND_SHIFT & 7, bool(size & _READ_ONLY))


def store_dynptr(context: Context, address: int, dynptr: Dynptr) -> None:
    """Write a dynptr."""
    size = dynptr.size | dynptr.kind << _KIND_SHIFT | (_READ_ONLY if dynptr.read_only else 0)
    context.write(address, _LAYOUT.pack(dynptr.data, size, dynptr.offset))


def clear_dynptr(context: Context, address: int) -> None:
    """Make a dynptr null."""
    context.write(address, bytes(_LAYOUT.size))


def read_dynptr(context: Context, dynptr: Dynptr, offset: int, length: int) -> bytes:
    """The bytes of a dynptr, which lie within it."""
    if dynptr.is_packet:
        return load_bytes(context, dynptr.offset + offset, length) or bytes(length)
    return context.read(dynptr.data + dynptr.offset + offset, length)


def write_dynptr(context: Context, dynptr: Dynptr, offset: int, data: bytes, flags: int = 0) -> int:
    """Change bytes of a dynptr, which lie within it; 0 or a negative error."""
    if dynptr.kind == SKB:
        return store(context, dynptr.offset + offset, data, flags)
    if flags:
        return -EINVAL
    if dynptr.kind == XDP:
        return store_bytes(context, dynptr.offset + offset, data)
    context.write(dynptr.data + dynptr.offset + offset, data)
    return 0


def dynptr_from_mem(
    context: Context, data: int, size: int, flags: int, pointer: int, *_: int
) -> int:
    """Make a dynptr over memory; 0 or a negative error and a null dynptr."""
    context.memory.check(pointer, _LAYOUT.size, write=True)
    context.memory.check(data, u32(size), write=True)
    if u32(size) > MOST or flags:
        clear_dynptr(context, pointer)
        return -E2BIG if u32(size) > MOST else -EINVAL
    store_dynptr(context, pointer, Dynptr(data, u32(size)))
    return 0


def dynptr_read(
    context: Context, to: int, length: int, pointer: int, offset: int, flags: int
) -> int:
    """Copy bytes out of a dynptr; 0 or a negative error."""
    length = u32(length)
    context.memory.check(to, length, write=True)
    dynptr = load_dynptr(context, pointer)
    if not dynptr.data or flags:
        return -EINVAL
    if not dynptr.holds(u32(offset), length):
        return -E2BIG
    context.write(to, read_dynptr(context, dynptr, u32(offset), length))
    return 0


def dynptr_write(
    context: Context, pointer: int, offset: int, source: int, length: int, flags: int
) -> int:
    """Copy bytes into a dynptr; 0 or a negative error."""
    data, dynptr = context.read(source, u32(length)), load_dynptr(context, pointer)
    if not dynptr.data or dynptr.read_only:
        return -EINVAL
    if not dynptr.holds(u32(offset), len(data)):
        return -E2BIG
    return write_dynptr(context, dynptr, u32(offset), data, flags)


def dynptr_data(context: Context, pointer: int, offset: int, length: int, *_: int) -> int:
    """The address of bytes that lie in a dynptr over memory, or 0."""
    dynptr = load_dynptr(context, pointer)
    fits = dynptr.holds(u32(offset), u32(length))
    if not dynptr.data or not fits or dynptr.read_only or dynptr.is_packet:
        return 0
    return dynptr.data + dynptr.offset + u32(offset)
