"""The benchmark programs in the kernel's own JIT, by bpf(2): Linux, as root."""

from __future__ import annotations

from time import perf_counter_ns

from drybpf.errors import KernelError as Refused
from drybpf.kernel import KernelProgram

__all__ = ["Refused", "load", "run"]
_XDP = 6  # the program type
MANY = 10_000  # runs, beside which the call itself takes nothing


def load(bytecode: bytes) -> KernelProgram:
    """Load an XDP program.  Raises `Refused`."""
    return KernelProgram(bytecode, _XDP)


def run(program: KernelProgram, packet: bytes, times: int) -> tuple[int, float]:
    """Run a program a number of times; gives its verdict and nanoseconds a run.

    The kernel tells whole ones; of many runs, the time of the call gives the rest.
    """
    begin = perf_counter_ns()
    outcome = program.test_run(packet, repeat=times)
    taken = (perf_counter_ns() - begin) / times
    told = float(outcome.duration)
    return outcome.value, min(max(taken, told), told + 1) if times >= MANY else told
