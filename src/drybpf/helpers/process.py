"""The current process, and what programs do to it."""

from __future__ import annotations

from drybpf.helpers.arguments import map_of, u32
from drybpf.helpers.errno import E2BIG, EAGAIN, EINVAL, ENOENT
from drybpf.records import ReturnOverride, Signal
from drybpf.state import Context

_COMM = 16  # bytes of a task's name
_SIGNALS = 64  # the highest number


def get_current_pid_tgid(context: Context, *_: int) -> int:
    """The process's id in the upper half, the thread's in the lower."""
    return context.host.pid_tgid


def get_current_uid_gid(context: Context, *_: int) -> int:
    """The group in the upper half, the user in the lower."""
    return context.host.process.gid << 32 | context.host.uid


def get_current_comm(context: Context, to: int, size: int, *_: int) -> int:
    """Copy the task's name, padded with zeros; 0."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    if not size:
        return -EINVAL
    name = context.host.process.comm.encode()[: min(size, _COMM) - 1]
    context.write(to, name.ljust(size, b"\0"))
    return 0


def get_current_task(context: Context, *_: int) -> int:
    """The address of the task's structure in the kernel's memory."""
    return context.host.process.task


def get_current_task_btf(context: Context, *_: int) -> int:
    """The same; its fields are in the host's memory."""
    return context.host.process.task


def task_pt_regs(context: Context, task: int, *_: int) -> int:
    """The address of the task's user registers, which the host has at the task's own offset."""
    del task
    return context.host.process.registers


def get_current_cgroup_id(context: Context, *_: int) -> int:
    """The id of the process's control group."""
    return context.host.process.cgroup.id


def get_current_ancestor_cgroup_id(context: Context, level: int, *_: int) -> int:
    """The id of the control group at a level above it, 0 being the root; 0 where there is none."""
    return context.host.process.cgroup.ancestor(u32(level))


def current_task_under_cgroup(context: Context, handle: int, index: int, *_: int) -> int:
    """Whether the process is in the control group in a map's slot; 1, 0, or a negative error."""
    return under_cgroup(context, handle, u32(index), context.host.process.cgroup.path)


def under_cgroup(context: Context, handle: int, index: int, path: tuple[int, ...]) -> int:
    """Whether a group's path from the root leads through the group in a map's slot."""
    groups = map_of(context, handle)
    if index >= groups.definition.max_entries:
        return -E2BIG
    offset = groups.lookup_element(index.to_bytes(4, "little"))
    if offset < 0:
        return -EAGAIN
    size = groups.definition.value_size
    wanted = int.from_bytes(groups.store.buffer[offset : offset + size], "little")
    return int(wanted in path)


def get_ns_current_pid_tgid(
    context: Context, device: int, inode: int, to: int, size: int, *_: int
) -> int:
    """Copy the ids as the process's own namespace has them; 0 or a negative error."""
    size, process = u32(size), context.host.process
    context.memory.check(to, size, write=True)
    known = (device, inode) == process.namespace
    if size != 8 or not known:
        context.write(to, bytes(size))
        return -EINVAL if size != 8 or any(process.namespace) else -ENOENT
    tgid = process.namespace_pid or context.host.pid
    tid = tgid + (process.tid or context.host.pid) - context.host.pid
    context.write(to, tid.to_bytes(4, "little") + tgid.to_bytes(4, "little"))
    return 0


def send_signal(context: Context, number: int, *_: int) -> int:
    """Send a signal to the process, none for 0; 0 or -EINVAL."""
    return _signal(context, u32(number), thread=False)


def send_signal_thread(context: Context, number: int, *_: int) -> int:
    """Send a signal to the thread; 0 or -EINVAL."""
    return _signal(context, u32(number), thread=True)


def _signal(context: Context, number: int, *, thread: bool) -> int:
    if number > _SIGNALS:
        return -EINVAL
    if number:  # 0 only asks whether it could be sent
        context.record(Signal(number, context.host.pid, thread))
    return 0


def override_return(context: Context, _registers: int, value: int, *_: int) -> int:
    """Have the probed function not run and return this; 0."""
    context.record(ReturnOverride(value))
    return 0
