"""The process in which tracing programs find themselves."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Cgroup:
    """A control group: its id, the ids of those it lies in from the root, and its class id."""

    id: int = 1
    ancestors: tuple[int, ...] = ()
    classid: int = 0

    @property
    def path(self) -> tuple[int, ...]:
        """The ids from the root's on, its own last."""
        return (*self.ancestors, self.id)

    def ancestor(self, level: int) -> int:
        """The id of the group at a level, the root's being 0; 0 where there is none."""
        return self.path[level] if 0 <= level < len(self.path) else 0


@dataclass
class Process:
    """The current task, which tracing programs ask about.

    `task` is the address of its `task_struct`, whose bytes, if any, are in the host's memory;
    `stack` and `user_stack` are return addresses, the innermost first.
    """

    comm: str = "python"
    tid: int = 0  # 0: the process itself
    gid: int = 0
    task: int = 0xFFFF_8880_0000_1000
    registers: int = 0  # the address of its user registers
    cgroup: Cgroup = field(default_factory=Cgroup)
    stack: tuple[int, ...] = ()
    user_stack: tuple[int, ...] = ()
    namespace_pid: int = 0  # in its own pid namespace; 0: as outside
    namespace: tuple[int, int] = (0, 0)  # device and inode of that namespace
