"""The kernel's functions over dynptrs."""

from __future__ import annotations

from dataclasses import replace

from drybpf.helpers.arguments import u32
from drybpf.helpers.dynptr import (
    SKB,
    XDP,
    Dynptr,
    clear_dynptr,
    load_dynptr,
    read_dynptr,
    store_dynptr,
    write_dynptr,
)
from drybpf.helpers.errno import E2BIG, EINVAL, ERANGE
from drybpf.state import Context

_SIZE = 16
_WRITERS = frozenset(["sched_cls", "sched_act", "lwt_xmit", "sk_skb"])  # may change an skb


def bpf_dynptr_from_skb(context: Context, skb: int, flags: int, pointer: int, *_: int) -> int:
    """Make a dynptr over the packet of a socket buffer; 0 or -EINVAL."""
    read_only = context.state.hook.program_type not in _WRITERS
    return _from_packet(context, skb, flags, pointer, SKB, read_only=read_only)


def bpf_dynptr_from_xdp(context: Context, xdp: int, flags: int, pointer: int, *_: int) -> int:
    """Make a dynptr over the packet of an XDP program; 0 or -EINVAL."""
    return _from_packet(context, xdp, flags, pointer, XDP, read_only=False)


def _from_packet(
    context: Context, data: int, flags: int, pointer: int, kind: int, *, read_only: bool
) -> int:
    context.memory.check(pointer, _SIZE, write=True)
    if flags:
        clear_dynptr(context, pointer)
        return -EINVAL
    begin, end = context.state.packet
    dynptr = Dynptr(data, end - begin, kind=kind, read_only=read_only)
    store_dynptr(context, pointer, dynptr)
    return 0


def bpf_dynptr_slice(
    context: Context, pointer: int, offset: int, buffer: int, size: int, *_: int
) -> int:
    """The address of bytes of a dynptr, or 0; the buffer is not needed here."""
    del buffer
    return _slice(context, load_dynptr(context, pointer), u32(offset), u32(size))


def bpf_dynptr_slice_rdwr(
    context: Context, pointer: int, offset: int, buffer: int, size: int, *_: int
) -> int:
    """The address of bytes of a dynptr that may be written, or 0."""
    del buffer
    dynptr = load_dynptr(context, pointer)
    return 0 if dynptr.read_only else _slice(context, dynptr, u32(offset), u32(size))


def _slice(context: Context, dynptr: Dynptr, offset: int, size: int) -> int:
    if not dynptr.data or not dynptr.holds(offset, size):
        return 0
    if not dynptr.is_packet:
        return dynptr.data + dynptr.offset + offset
    begin, end = context.state.packet
    place = begin + dynptr.offset + offset
    return place if place + size <= end else 0


def bpf_dynptr_adjust(context: Context, pointer: int, start: int, end: int, *_: int) -> int:
    """Cut a dynptr down to the bytes from `start` up to `end`; 0 or a negative error."""
    context.memory.check(pointer, _SIZE, write=True)
    dynptr, start, end = load_dynptr(context, pointer), u32(start), u32(end)
    if not dynptr.data or start > end:
        return -EINVAL
    if start > dynptr.size or end > dynptr.size:
        return -ERANGE
    cut = replace(dynptr, offset=dynptr.offset + start, size=end - start)
    store_dynptr(context, pointer, cut)
    return 0


def bpf_dynptr_is_null(context: Context, pointer: int, *_: int) -> int:
    """Whether a dynptr is null."""
    return int(not load_dynptr(context, pointer).data)


def bpf_dynptr_is_rdonly(context: Context, pointer: int, *_: int) -> int:
    """Whether a dynptr is over memory that may not be written."""
    dynptr = load_dynptr(context, pointer)
    return int(bool(dynptr.data) and dynptr.read_only)


def bpf_dynptr_size(context: Context, pointer: int, *_: int) -> int:
    """The bytes of a dynptr; -EINVAL, in 32 bits, for a null one."""
    dynptr = load_dynptr(context, pointer)
    return dynptr.size if dynptr.data else u32(-EINVAL)


def bpf_dynptr_clone(context: Context, pointer: int, clone: int, *_: int) -> int:
    """Copy the pointer; 0, or -EINVAL and a null one."""
    context.memory.check(clone, _SIZE, write=True)
    dynptr = load_dynptr(context, pointer)
    if not dynptr.data:
        clear_dynptr(context, clone)
        return -EINVAL
    store_dynptr(context, clone, dynptr)
    return 0


def bpf_dynptr_copy(
    context: Context, to: int, to_offset: int, source: int, offset: int, size: int
) -> int:
    """Copy bytes from one dynptr into another; 0 or a negative error."""
    target, origin, size = load_dynptr(context, to), load_dynptr(context, source), u32(size)
    if not target.data or not origin.data or target.read_only:
        return -EINVAL
    if not target.holds(u32(to_offset), size) or not origin.holds(u32(offset), size):
        return -E2BIG
    data = read_dynptr(context, origin, u32(offset), size)
    return write_dynptr(context, target, u32(to_offset), data)


def bpf_dynptr_memset(
    context: Context, pointer: int, offset: int, size: int, value: int, *_: int
) -> int:
    """Fill bytes of a dynptr; 0 or a negative error."""
    dynptr, size = load_dynptr(context, pointer), u32(size)
    if not dynptr.data or dynptr.read_only:
        return -EINVAL
    if not dynptr.holds(u32(offset), size):
        return -E2BIG
    return write_dynptr(context, dynptr, u32(offset), bytes([value & 0xFF]) * size)
