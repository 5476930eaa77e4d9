"""The benchmark programs in the kernel's own JIT, by bpf(2): Linux, as root."""

from __future__ import annotations

from drybpf.errors import KernelError as Refused
from drybpf.kernel import KernelProgram

__all__ = ["Refused", "load", "run"]
_XDP = 6  # the program type


def load(bytecode: bytes) -> KernelProgram:
    """Load an XDP program.  Raises `Refused`."""
    return KernelProgram(bytecode, _XDP)


def run(program: KernelProgram, packet: bytes, times: int) -> tuple[int, float]:
    """Run a program a number of times; gives its verdict and whole nanoseconds a run.

    The call itself cannot tell more: it waits some 15 ms for all processors.
    """
    outcome = program.test_run(packet, repeat=times)
    return outcome.value, float(outcome.duration)
