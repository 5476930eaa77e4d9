"""The hook of programs that are asked when a process reads or writes a kernel parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drybpf.entry import FieldValue, Layout
from drybpf.helpers.sysctl import SysctlState
from drybpf.hooks.contexts import CallHook
from drybpf.hooks.verdicts import CgroupAction
from drybpf.state import State

if TYPE_CHECKING:
    from typing_extensions import Buffer

BPF_SYSCTL = Layout("bpf_sysctl", 8, "0 4 write\n4 4 file_pos rw")
"""`struct bpf_sysctl`."""


class CgroupSysctl(CallHook):
    """The parameter is given by `name`, such as `net/ipv4/ip_forward`.

    `current` is its value, `new` what the process writes, if it does; the context's `write` is
    then 1.
    """

    def __init__(self) -> None:
        """The hook of cgroup/sysctl programs."""
        super().__init__("cgroup_sysctl", "cgroup_sysctl", BPF_SYSCTL, CgroupAction)

    def enter(
        self,
        state: State,
        packet: Buffer = b"",
        /,
        *,
        name: FieldValue = "",
        current: FieldValue = b"",
        new: FieldValue | None = None,
        **fields: FieldValue,
    ) -> None:
        """Map the context, and keep the parameter's name and values."""
        if new is not None:
            fields = {"write": 1} | fields
        super().enter(state, packet, **fields)
        written = None if new is None else _text(new)
        hook = SysctlState(self.program_type, self.layout)
        hook.name, hook.current, hook.new = _text(name).decode(), _text(current), written
        state.hook = hook

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()


def _text(value: FieldValue) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"a parameter's name and values are text or bytes, not {value!r}")
