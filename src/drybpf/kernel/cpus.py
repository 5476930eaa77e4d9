"""The machine's CPUs, and how to stay on one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from drybpf.errors import KernelError

_POSSIBLE = Path("/sys/devices/system/cpu/possible")


@cache
def possible() -> int:
    """How many values a per-CPU map has for each key: the highest possible CPU's number, plus 1."""
    try:
        text = _POSSIBLE.read_text("ascii")
    except OSError as error:
        raise KernelError(f"the number of CPUs is not known: {error}") from error
    return int(text.strip().replace(",", "-").rpartition("-")[2]) + 1


@contextmanager
def on(cpu: int) -> Iterator[None]:
    """Have the calling thread stay on a CPU for a `with` block.

    Raises `KernelError` where the machine has no such CPU, or the process may not use it.
    """
    before = os.sched_getaffinity(0)
    if before == {cpu}:
        yield
        return
    try:
        os.sched_setaffinity(0, {cpu})
    except (OSError, OverflowError, ValueError) as error:
        raise KernelError(f"the kernel cannot run it on CPU {cpu}: {error}") from error
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
