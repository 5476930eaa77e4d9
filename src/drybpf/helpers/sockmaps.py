"""Maps of sockets: put there, chosen from there."""

from __future__ import annotations

from typing import Any

from drybpf.helpers.arguments import map_of, u32
from drybpf.helpers.errno import EINVAL, ENOENT
from drybpf.helpers.sockets import current_socket
from drybpf.records import SocketRedirect, SocketStored
from drybpf.state import Context

_INGRESS = 1
_DROP, _PASS = 0, 1


def _store(context: Context, handle: int, key: int, flags: int) -> int:
    sockets: Any = map_of(context, handle)
    definition = sockets.definition
    data = context.read(key, definition.key_size)
    socket = current_socket(context)
    number = ((socket.cookie if socket else 0) or 1) & (1 << 8 * definition.value_size) - 1
    value = number.to_bytes(definition.value_size, "little")
    state = context.state
    result = int(sockets.update_element(data, value, flags, state.cpu, state.space.epoch))
    if not result:
        context.record(SocketStored(definition.name, data))
    return result


def sock_map_update(context: Context, _ops: int, handle: int, key: int, flags: int, *_: int) -> int:
    """Put the socket at hand into a map of sockets; 0 or a negative error."""
    return _store(context, handle, key, flags)


def sock_hash_update(
    context: Context, _ops: int, handle: int, key: int, flags: int, *_: int
) -> int:
    """Put the socket at hand into a hash of sockets; 0 or a negative error."""
    return _store(context, handle, key, flags)


def _redirect(context: Context, handle: int, key: bytes, flags: int) -> int:
    sockets: Any = map_of(context, handle)
    if flags & ~_INGRESS or sockets.lookup_element(key) < 0:
        return _DROP
    context.record(SocketRedirect(sockets.definition.name, key, bool(flags & _INGRESS)))
    return _PASS


def sk_redirect_map(context: Context, _skb: int, handle: int, key: int, flags: int, *_: int) -> int:
    """Send a stream's data to the socket in a map's slot; the verdict that says so."""
    return _redirect(context, handle, u32(key).to_bytes(4, "little"), flags)


def msg_redirect_map(
    context: Context, _msg: int, handle: int, key: int, flags: int, *_: int
) -> int:
    """Send a message to the socket in a map's slot; the verdict that says so."""
    return _redirect(context, handle, u32(key).to_bytes(4, "little"), flags)


def sk_redirect_hash(
    context: Context, _skb: int, handle: int, key: int, flags: int, *_: int
) -> int:
    """Send a stream's data to the socket under a key; the verdict that says so."""
    data = context.read(key, map_of(context, handle).definition.key_size)
    return _redirect(context, handle, data, flags)


def msg_redirect_hash(
    context: Context, _msg: int, handle: int, key: int, flags: int, *_: int
) -> int:
    """Send a message to the socket under a key; the verdict that says so."""
    data = context.read(key, map_of(context, handle).definition.key_size)
    return _redirect(context, handle, data, flags)


def sk_select_reuseport(
    context: Context, _md: int, handle: int, key: int, flags: int, *_: int
) -> int:
    """Choose the socket in a map's slot; 0 or a negative error."""
    sockets: Any = map_of(context, handle)
    data = context.read(key, sockets.definition.key_size)
    if flags:
        return -EINVAL
    if sockets.lookup_element(data) < 0:
        return -ENOENT
    context.record(SocketRedirect(sockets.definition.name, data, ingress=True))
    return 0
