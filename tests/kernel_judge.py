"""The running kernel as judge of single programs: load and test-run by bpf(2)."""

from __future__ import annotations

import ctypes
import os
import struct
from dataclasses import dataclass
from functools import cache

TYPES = {
    "socket_filter": 1,
    "sched_cls": 3,
    "xdp": 6,
    "cgroup_skb": 8,
    "lwt_xmit": 12,
    "flow_dissector": 22,
}
_LOAD, _TEST_RUN, _BPF = 5, 10, 321
_LOG = 1 << 18
_ROOM = 1 << 17


class Refused(Exception):
    """The kernel does not load or run the program."""


@dataclass(frozen=True)
class Judgement:
    """What the kernel's test run gave: r0 in 32 bits, the packet and the context afterwards."""

    value: int
    packet: bytes
    context: bytes


def _bpf(command: int, attributes: bytearray) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = (ctypes.c_char * len(attributes)).from_buffer(attributes)
    result = libc.syscall(_BPF, command, buffer, len(attributes))
    return int(result) if result >= 0 else -ctypes.get_errno()


@cache
def available() -> str:
    """Why the kernel cannot judge; empty where it can."""
    try:
        judge(bytes.fromhex("b700000000000000 9500000000000000"), "xdp", bytes(64))
    except (Refused, OSError) as refused:
        return f"bpf(2) is not permitted: {refused}"
    return ""


def judge(bytecode: bytes, kind: str, packet: bytes, context: bytes = b"") -> Judgement:
    """Load a program and run it once; raises `Refused` with the verifier's log."""
    code, licence = ctypes.create_string_buffer(bytecode, len(bytecode)), ctypes.c_char_p(b"GPL")
    log = ctypes.create_string_buffer(_LOG)
    attributes = bytearray(144)
    address = ctypes.cast(licence, ctypes.c_void_p).value or 0
    struct.pack_into(
        "<IIQQIIQ", attributes, 0, TYPES[kind], len(bytecode) // 8,
        ctypes.addressof(code), address, 1, _LOG, ctypes.addressof(log),
    )  # fmt: skip
    program = _bpf(_LOAD, attributes)
    if program < 0:
        raise Refused(os.strerror(-program) + "\n" + log.value.decode(errors="replace")[-2000:])
    try:
        return _run(program, packet, context)
    finally:
        os.close(program)


def _run(program: int, packet: bytes, context: bytes) -> Judgement:
    data, out = ctypes.create_string_buffer(packet, len(packet)), ctypes.create_string_buffer(_ROOM)
    before = ctypes.create_string_buffer(context or b"\0", len(context) or 1)
    after = ctypes.create_string_buffer(256)
    attributes = bytearray(80)
    struct.pack_into(
        "<IIIIQQIIIIQQ", attributes, 0, program, 0, len(packet), _ROOM,
        ctypes.addressof(data), ctypes.addressof(out), 1, 0, len(context),
        256 if context else 0, ctypes.addressof(before) if context else 0,
        ctypes.addressof(after) if context else 0,
    )  # fmt: skip
    result = _bpf(_TEST_RUN, attributes)
    if result < 0:
        raise Refused("test run: " + os.strerror(-result))
    value, _, size = struct.unpack_from("<III", attributes, 4)
    (context_size,) = struct.unpack_from("<I", attributes, 44)
    return Judgement(value, out.raw[:size], after.raw[:context_size] if context else b"")
