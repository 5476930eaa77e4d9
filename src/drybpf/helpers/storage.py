"""Storage that belongs to a socket, a task, an inode or a control group.

Its map is a hash whose keys are the owners' numbers: a socket's cookie, a task's process id, an
inode's address, a group's id.
"""

from __future__ import annotations

from typing import Any

from drybpf.helpers.arguments import map_of, refuse
from drybpf.helpers.errno import EINVAL
from drybpf.helpers.sockets import socket_at
from drybpf.host import Socket
from drybpf.maps.limits import STORAGES
from drybpf.state import Context

_CREATE = 1  # BPF_LOCAL_STORAGE_GET_F_CREATE


def _map(context: Context, handle: int) -> Any:  # noqa: ANN401 (a `maps.Map`)
    found = map_of(context, handle)
    if found.definition.type not in STORAGES:
        raise refuse(context, f"map {found.definition.name!r} does not belong to anything")
    return found


def _key(stored: Any, owner: int) -> bytes:  # noqa: ANN401 (a `maps.Map`)
    size: int = stored.key_size
    return owner.to_bytes(8, "little")[:size].ljust(size, b"\0")


def _get(context: Context, handle: int, owner: int, value: int, flags: int) -> int:
    """The address of an owner's value, made where the flags ask for it; 0 for none."""
    stored = _map(context, handle)
    if flags & ~_CREATE or not owner:
        return 0
    size = stored.definition.value_size
    initial = context.read(value, size) if value else bytes(size)
    key, state = _key(stored, owner), context.state
    offset = stored.lookup_element(key, state.cpu)
    if offset < 0 and flags & _CREATE:
        stored.update_element(key, initial, 0, state.cpu, state.space.epoch)
        offset = stored.lookup_element(key, state.cpu)
    return 0 if offset < 0 else int(stored.region.start + offset)


def _delete(context: Context, handle: int, owner: int) -> int:
    stored = _map(context, handle)
    if not owner:
        return -EINVAL
    return int(stored.delete_element(_key(stored, owner), context.state.space.epoch))


def _socket(context: Context, pointer: int) -> int:
    """The number of a socket, 0 for a null pointer."""
    return number_of(context, socket_at(context, pointer)) if pointer else 0


def number_of(context: Context, socket: Socket) -> int:
    """A socket's cookie; without one, its place among the host's sockets."""
    if socket.cookie:
        return socket.cookie
    sockets = context.host.sockets
    return next((place for place, each in enumerate(sockets, 2) if each is socket), 1)


def sk_storage_get(
    context: Context, handle: int, pointer: int, value: int, flags: int, *_: int
) -> int:
    """The address of a socket's value, or 0."""
    return _get(context, handle, _socket(context, pointer), value, flags)


def sk_storage_delete(context: Context, handle: int, pointer: int, *_: int) -> int:
    """Take a socket's value away; 0 or a negative error."""
    return _delete(context, handle, _socket(context, pointer))


def _task(context: Context, pointer: int) -> int:
    """The number of a task, here always the current one; 0 for any other pointer."""
    return context.host.pid if pointer == context.host.process.task else 0


def task_storage_get(
    context: Context, handle: int, task: int, value: int, flags: int, *_: int
) -> int:
    """The address of the current task's value, or 0."""
    return _get(context, handle, _task(context, task), value, flags)


def task_storage_delete(context: Context, handle: int, task: int, *_: int) -> int:
    """Take the current task's value away; 0 or a negative error."""
    return _delete(context, handle, _task(context, task))


def inode_storage_get(
    context: Context, handle: int, inode: int, value: int, flags: int, *_: int
) -> int:
    """The address of the value of the inode at an address, or 0."""
    return _get(context, handle, inode, value, flags)


def inode_storage_delete(context: Context, handle: int, inode: int, *_: int) -> int:
    """Take an inode's value away; 0 or a negative error."""
    return _delete(context, handle, inode)


def _group(context: Context, pointer: int) -> int:
    return context.host.process.cgroup.id if pointer else 0


def cgrp_storage_get(
    context: Context, handle: int, group: int, value: int, flags: int, *_: int
) -> int:
    """The address of the value of the process's control group, or 0."""
    return _get(context, handle, _group(context, group), value, flags)


def cgrp_storage_delete(context: Context, handle: int, group: int, *_: int) -> int:
    """Take the value of the process's control group away; 0 or a negative error."""
    return _delete(context, handle, _group(context, group))


def get_local_storage(context: Context, handle: int, _flags: int, *_: int) -> int:
    """The address of the value that the control group has, which it always has."""
    return _get(context, handle, context.host.process.cgroup.id, 0, _CREATE)
