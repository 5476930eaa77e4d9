"""Options of sockets, and what programs of their events ask for."""

from __future__ import annotations

from ipaddress import ip_address

from drybpf.helpers.arguments import s32, set_field, u32
from drybpf.helpers.errno import EAFNOSUPPORT, EINVAL
from drybpf.helpers.sockets import current_socket, socket_at
from drybpf.host import Socket
from drybpf.memory import CONTEXT
from drybpf.records import Bound, OptionSet
from drybpf.state import Context

_LEVELS = (0, 1, 6, 41)  # IPPROTO_IP, SOL_SOCKET, IPPROTO_TCP, IPPROTO_IPV6
_CALLBACKS = 0x7F  # BPF_SOCK_OPS_ALL_CB_FLAGS
_ADDRESSES = {2: (16, 4, 4), 10: (28, 8, 16)}  # by family: least size, place and length


def _socket(context: Context, pointer: int) -> Socket | None:
    return current_socket(context) if pointer == CONTEXT else socket_at(context, pointer)


def setsockopt(context: Context, pointer: int, level: int, name: int, value: int, size: int) -> int:
    """Set an option of the socket at hand; 0 or -EINVAL."""
    data = context.read(value, max(s32(size), 0))
    socket = _socket(context, pointer)
    if s32(level) not in _LEVELS or not data:
        return -EINVAL
    if socket is not None:
        socket.options[s32(level), s32(name)] = data
    context.record(OptionSet(s32(level), s32(name), data))
    return 0


def getsockopt(context: Context, pointer: int, level: int, name: int, to: int, size: int) -> int:
    """Copy an option of the socket at hand; 0, or -EINVAL and zeros where it has none."""
    size = max(s32(size), 0)
    context.memory.check(to, size, write=True)
    socket = _socket(context, pointer)
    data = socket.options.get((s32(level), s32(name))) if socket else None
    context.write(to, (data or b"")[:size].ljust(size, b"\0"))
    return -EINVAL if data is None else 0


def sock_ops_cb_flags_set(context: Context, _ops: int, flags: int, *_: int) -> int:
    """Say of which events the program wants to be told; the flags that there are not."""
    flags = u32(flags)
    set_field(context, "bpf_sock_ops_cb_flags", flags & _CALLBACKS)
    return flags & ~_CALLBACKS


def bind(context: Context, _ctx: int, pointer: int, size: int, *_: int) -> int:
    """Bind the socket to an address before it connects; 0 or a negative error."""
    data = context.read(pointer, max(s32(size), 0))
    family = int.from_bytes(data[:2], "little")
    if len(data) < 2:
        return -EINVAL
    if family not in _ADDRESSES:
        return -EAFNOSUPPORT
    least, place, length = _ADDRESSES[family]
    if len(data) < least:
        return -EINVAL
    address = str(ip_address(data[place : place + length]))
    context.record(Bound(address, int.from_bytes(data[2:4], "big")))
    return 0
