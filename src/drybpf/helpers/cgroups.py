"""Control groups of packets and sockets, and the verdict of a call in one."""

from __future__ import annotations

from drybpf.helpers.arguments import s32, u32
from drybpf.helpers.errno import ENOENT
from drybpf.helpers.process import under_cgroup
from drybpf.helpers.sockets import current_socket, socket_at
from drybpf.state import Context


def _cgroup_path(context: Context) -> tuple[int, ...]:
    """The ids of the groups that the packet's socket, or the process, is in."""
    socket, group = current_socket(context), context.host.process.cgroup
    if socket is None or socket.cgroup == group.id:
        return group.path
    return (socket.cgroup,)


def get_cgroup_classid(context: Context, *_: int) -> int:
    """The class that the process's control group puts packets into."""
    return context.host.process.cgroup.classid


def skb_cgroup_classid(context: Context, *_: int) -> int:
    """The same of the packet's socket; 0 where it has none."""
    return context.host.process.cgroup.classid if current_socket(context) else 0


def skb_under_cgroup(context: Context, _skb: int, handle: int, index: int, *_: int) -> int:
    """Whether the packet's socket is in the control group in a map's slot; 1, 0, or an error."""
    if current_socket(context) is None:
        return -ENOENT
    return under_cgroup(context, handle, u32(index), _cgroup_path(context))


def skb_cgroup_id(context: Context, *_: int) -> int:
    """The id of the control group of the packet's socket; 0 where it has no socket."""
    return _cgroup_path(context)[-1] if current_socket(context) else 0


def skb_ancestor_cgroup_id(context: Context, _skb: int, level: int, *_: int) -> int:
    """The id of the control group at a level above it."""
    path = _cgroup_path(context) if current_socket(context) else ()
    return path[s32(level)] if 0 <= s32(level) < len(path) else 0


def sk_cgroup_id(context: Context, pointer: int, *_: int) -> int:
    """The id of a socket's control group."""
    return socket_at(context, pointer).cgroup


def sk_ancestor_cgroup_id(context: Context, pointer: int, level: int, *_: int) -> int:
    """The id of the control group at a level above a socket's."""
    socket, group = socket_at(context, pointer), context.host.process.cgroup
    path = group.path if socket.cgroup == group.id else (socket.cgroup,)
    return path[s32(level)] if 0 <= s32(level) < len(path) else 0


def get_retval(context: Context, *_: int) -> int:
    """What the call returns that the program is asked about: 0 or a negative error."""
    return context.state.hook.answer


def set_retval(context: Context, value: int, *_: int) -> int:
    """Have that call return something else; 0."""
    context.state.hook.answer = s32(value)
    return 0
