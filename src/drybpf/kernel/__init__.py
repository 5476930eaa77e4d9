"""The same program in the real kernel, by bpf(2): an oracle for the other engines.

syscall descriptor cpus     the door to the kernel, and what comes out of it
maps programs btf rings     what the kernel holds: maps, programs, types, events
relocation contexts         from our references and contexts to the kernel's
twin runner                 a space and its programs in the kernel, kept equal to ours

What the kernel holds is released with the Python object that stands for it, or by its `close`.
"""

from drybpf.kernel.maps import KernelMap
from drybpf.kernel.permission import objection
from drybpf.kernel.programs import KernelProgram, Outcome
from drybpf.kernel.runner import KernelRunner

__all__ = ["KernelMap", "KernelProgram", "KernelRunner", "Outcome", "objection"]
