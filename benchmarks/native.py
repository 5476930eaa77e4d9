"""The benchmark programs as native C, for the ceiling and for the speed of the machine."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from time import perf_counter_ns

FLAGS = ["-O3", "-march=native", "-w", "-shared", "-fPIC", "-DNATIVE"]
HARNESS = """
typedef unsigned char u8; typedef unsigned long long u64;
u64 prog(u8 *mem, u64 len);
u64 repeat(u8 *mem, u64 len, u64 times) {
    u64 r = 0;
    for (u64 i = 0; i < times; i++) { r = prog(mem, len); __asm__ volatile("" ::: "memory"); }
    return r;
}
"""


@lru_cache(maxsize=1)
def compiler() -> tuple[str, ...] | None:
    """The command of a clang: on the path, or the one in the PyPI package ziglang."""
    found = shutil.which("clang")
    if found:
        return (found,)
    if importlib.util.find_spec("ziglang"):
        return sys.executable, "-m", "ziglang", "cc"
    return None


def version() -> str:
    """The compiler's name and version, empty where there is none."""
    command = compiler()
    if command is None:
        return ""
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[0]


def build(source: Path, flags: list[str]) -> Callable[[bytearray, int], tuple[int, int]]:
    """Compile a program; gives a function from memory and repeats to r0 and nanoseconds."""
    with tempfile.TemporaryDirectory(prefix="drybpf-bench-") as name:
        folder = Path(name)
        harness, library = folder / "harness.c", folder / f"{source.stem}.so"
        harness.write_text(HARNESS)
        command = [*(compiler() or ()), *FLAGS, *flags, str(source), str(harness)]
        subprocess.run([*command, "-o", str(library)], check=True, capture_output=True)
        repeat = ctypes.CDLL(str(library)).repeat  # stays mapped when the file is gone
    repeat.restype = ctypes.c_uint64
    repeat.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]

    def run(memory: bytearray, times: int) -> tuple[int, int]:
        buffer = (ctypes.c_char * len(memory)).from_buffer(memory)
        begin = perf_counter_ns()
        result = repeat(ctypes.addressof(buffer), len(memory), times)
        return result, perf_counter_ns() - begin

    return run
