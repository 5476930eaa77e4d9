"""The packet of a run, as helpers read and change it."""

from __future__ import annotations

from drybpf.helpers.errno import EFAULT
from drybpf.state import Context


def load_bytes(context: Context, offset: int, length: int) -> bytes | None:
    """Bytes of the packet from its first one on; None where they do not lie in it."""
    begin, end = context.state.packet
    inside = offset >= 0 and begin + offset + length <= end
    return context.read(begin + offset, length) if inside else None


def store_bytes(context: Context, offset: int, data: bytes, _flags: int) -> int:
    """Change bytes of the packet; 0 or -EFAULT."""
    begin, end = context.state.packet
    if begin + offset + len(data) > end:
        return -EFAULT
    context.write(begin + offset, data)
    return 0
