"""Kernel parameters, and what is written to them."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import E2BIG, EINVAL
from drybpf.records import SysctlWritten
from drybpf.state import Context, HookState

_BASE_NAME = 1  # BPF_F_SYSCTL_BASE_NAME
_PAGE = 4096


@dataclass(slots=True)
class SysctlState(HookState):
    """The parameter that a process reads or writes; `new` is None where it reads."""

    name: str = ""
    current: bytes = b""
    new: bytes | None = None


def _hook(context: Context) -> SysctlState:
    hook = context.state.hook
    return hook if isinstance(hook, SysctlState) else SysctlState()


def _give(context: Context, to: int, size: int, data: bytes) -> int:
    """Copy text with its zero byte, cut to the size; its length, or -E2BIG where it was cut."""
    if not size:
        return -E2BIG
    context.write(to, data[: size - 1].ljust(size, b"\0"))
    return len(data) if len(data) < size else -E2BIG


def _give_value(context: Context, to: int, size: int, data: bytes) -> int:
    """The same of a value, where one of no bytes is an error."""
    result = _give(context, to, size, data)
    return -EINVAL if size and not data else result


def sysctl_get_name(context: Context, _ctx: int, to: int, size: int, flags: int, *_: int) -> int:
    """Copy the parameter's path below /proc/sys, or its last part; its length, or an error.

    Flags that say nothing are passed over, as in the kernel.
    """
    size = u32(size)
    context.memory.check(to, size, write=True)
    name = _hook(context).name
    wanted = name.rpartition("/")[2] if flags & _BASE_NAME else name
    return _give(context, to, size, wanted.encode())


def sysctl_get_current_value(context: Context, _ctx: int, to: int, size: int, *_: int) -> int:
    """Copy the parameter's value; its length, or a negative error."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    return _give_value(context, to, size, _hook(context).current)


def sysctl_get_new_value(context: Context, _ctx: int, to: int, size: int, *_: int) -> int:
    """Copy what the process writes; its length, or a negative error where it writes nothing."""
    size = u32(size)
    context.memory.check(to, size, write=True)
    new = _hook(context).new
    if new is None:
        context.write(to, bytes(size))
        return -EINVAL
    return _give_value(context, to, size, new)


def sysctl_set_new_value(context: Context, _ctx: int, source: int, size: int, *_: int) -> int:
    """Have something else written; 0 or a negative error."""
    data, hook = context.read(source, u32(size)), _hook(context)
    if not hook.new or not data:
        return -EINVAL
    if len(data) > _PAGE - 1:
        return -E2BIG
    hook.new = data
    context.record(SysctlWritten(hook.name, data))
    return 0
