"""Reading memory that the program itself cannot: the kernel's and the process's.

An address is first looked for among what the program sees, then in the host's simulated memory.
"""

from __future__ import annotations

from collections.abc import Callable

from drybpf.errors import MemoryFault
from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EFAULT, EINVAL, EPERM
from drybpf.records import MemoryWrite
from drybpf.state import Context

Reader = Callable[[Context, int, int], bytes | None]


def read_anywhere(context: Context, address: int, length: int) -> bytes | None:
    """Bytes of the program's or the host's memory; None where there are none."""
    try:
        return context.read(address, length)
    except MemoryFault:
        return context.host.memory.read(address, length)


def read_user(context: Context, address: int, length: int) -> bytes | None:
    """Bytes of the process's memory, which the program's own is not; None where there are none."""
    return context.host.memory.read(address, length)


def read_string_anywhere(
    context: Context, address: int, limit: int, reader: Reader = read_anywhere
) -> bytes | None:
    """A string up to its zero byte, at most `limit` bytes; None where it cannot be read."""
    found = bytearray()
    while len(found) < limit:
        # Up to the next boundary of 64, so that no part crosses the end of what is there.
        count = min(limit - len(found), 64 - (address + len(found)) % 64)
        part = reader(context, address + len(found), count)
        if part is None:
            count = 1
            part = reader(context, address + len(found), 1)
        if part is None:
            return None
        text, end, _ = part.partition(b"\0")
        found += text
        if end:
            break
    return bytes(found)


def _read(context: Context, to: int, size: int, source: int, reader: Reader = read_anywhere) -> int:
    """Copy; 0, or -EFAULT and zeros where there is nothing to read."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    found = reader(context, source, size)
    context.write(to, bytes(size) if found is None else found)
    return -EFAULT if found is None else 0


def _read_string(
    context: Context, to: int, size: int, source: int, reader: Reader = read_anywhere
) -> int:
    """Copy a string and its zero byte, cut to the size; the bytes copied, or -EFAULT."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    if not size:
        return 0
    found = read_string_anywhere(context, source, size - 1, reader)
    if found is None:
        context.write(to, bytes(size))
        return -EFAULT
    context.write(to, found + b"\0")
    return len(found) + 1


def probe_read(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy from any memory; 0, or -EFAULT and zeros."""
    return _read(context, to, size, source)


def probe_read_user(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy from the process's memory; 0, or -EFAULT and zeros."""
    return _read(context, to, size, source, read_user)


def probe_read_kernel(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy from the kernel's memory; 0, or -EFAULT and zeros."""
    return _read(context, to, size, source)


def copy_from_user(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy from the process's memory; 0, or -EFAULT and zeros."""
    return _read(context, to, size, source, read_user)


def copy_from_user_task(
    context: Context, to: int, size: int, source: int, _task: int, flags: int
) -> int:
    """Copy from the memory of a task, here always the current one."""
    if flags:
        return -EINVAL
    return _read(context, to, size, source, read_user)


def probe_read_str(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy a string from any memory; its length with the zero byte, or -EFAULT."""
    return _read_string(context, to, size, source)


def probe_read_user_str(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy a string from the process's memory; its length with the zero byte, or -EFAULT."""
    return _read_string(context, to, size, source, read_user)


def probe_read_kernel_str(context: Context, to: int, size: int, source: int, *_: int) -> int:
    """Copy a string from the kernel's memory; its length with the zero byte, or -EFAULT."""
    return _read_string(context, to, size, source)


def probe_write_user(context: Context, to: int, source: int, size: int, *_: int) -> int:
    """Write into the process's memory; 0, or -EPERM where nothing is mapped there."""
    data = context.read(source, u32(size))
    if not context.host.memory.write(to, data):
        return -EPERM
    context.record(MemoryWrite(to, data))
    return 0
