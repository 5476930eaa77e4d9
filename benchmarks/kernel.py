"""The benchmark programs in the kernel's own JIT, by bpf(2): Linux, as root."""

from __future__ import annotations

import ctypes
import os
import platform

_NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
_LOAD, _TEST_RUN, _XDP = 5, 10, 6


class Refused(Exception):
    """The kernel does not do it; the message says why."""


def _bpf(command: int, attributes: ctypes.Array[ctypes.c_uint64]) -> int:
    if _NUMBER is None:
        raise Refused(f"no bpf(2) is known for {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(_NUMBER, command, attributes, ctypes.sizeof(attributes))
    if result < 0:
        raise Refused(os.strerror(ctypes.get_errno()))
    return int(result)


def load(bytecode: bytes) -> int:
    """Load an XDP program; gives its file descriptor."""
    code = ctypes.create_string_buffer(bytecode, len(bytecode))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = (ctypes.c_uint64 * 16)()
    attributes[0] = _XDP | (len(bytecode) // 8) << 32
    attributes[1], attributes[2] = ctypes.addressof(code), ctypes.addressof(licence)
    return _bpf(_LOAD, attributes)


def run(program: int, packet: bytes, times: int) -> tuple[int, float]:
    """Run a program a number of times; gives its verdict and nanoseconds a run."""
    data = ctypes.create_string_buffer(packet, len(packet))
    attributes = (ctypes.c_uint64 * 10)()
    attributes[0] = program
    attributes[1] = len(packet)
    attributes[2] = ctypes.addressof(data)
    attributes[4] = times
    _bpf(_TEST_RUN, attributes)
    return attributes[0] >> 32, float(attributes[4] >> 32)
