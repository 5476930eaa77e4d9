"""bpf(2): the one door to the kernel, by ctypes and without libbpf.

Every attribute block below is a prefix of the kernel's `union bpf_attr` for one command, with the
kernel's names; the kernel takes what is missing behind it for zero.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import re
import sys
from enum import IntEnum
from typing import TYPE_CHECKING

from drybpf.errors import KernelError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NUMBERS = {"x86_64": 321, "aarch64": 280}  # of bpf(2), by machine
_U32, _U64 = ctypes.c_uint32, ctypes.c_uint64
_ATTEMPTS = 5  # at loading a program
NOT_SUPPORTED = 524  # the kernel's ENOTSUPP, which user space has no name for
NAME_SIZE = 16  # BPF_OBJ_NAME_LEN, the closing zero byte included


class Command(IntEnum):
    """The commands that are used here (`enum bpf_cmd`)."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    PROG_TEST_RUN = 10
    BTF_LOAD = 18
    MAP_LOOKUP_AND_DELETE_ELEM = 21
    MAP_FREEZE = 22
    MAP_LOOKUP_BATCH = 24
    MAP_UPDATE_BATCH = 26


_ENTRANCES = (Command.MAP_CREATE, Command.PROG_LOAD, Command.BTF_LOAD)


class MapCreate(ctypes.Structure):
    """Attributes of `MAP_CREATE`."""

    _fields_ = (
        ("map_type", _U32),
        ("key_size", _U32),
        ("value_size", _U32),
        ("max_entries", _U32),
        ("map_flags", _U32),
        ("inner_map_fd", _U32),
        ("numa_node", _U32),
        ("map_name", ctypes.c_char * NAME_SIZE),
        ("map_ifindex", _U32),
        ("btf_fd", _U32),
        ("btf_key_type_id", _U32),
        ("btf_value_type_id", _U32),
        ("btf_vmlinux_value_type_id", _U32),
        ("map_extra", _U64),
    )


class Element(ctypes.Structure):
    """Attributes of the commands on one element, and of `MAP_FREEZE` and `MAP_GET_NEXT_KEY`."""

    _fields_ = (("map_fd", _U32), ("key", _U64), ("value", _U64), ("flags", _U64))


class Batch(ctypes.Structure):
    """Attributes of the commands on many elements."""

    _fields_ = (
        ("in_batch", _U64),
        ("out_batch", _U64),
        ("keys", _U64),
        ("values", _U64),
        ("count", _U32),
        ("map_fd", _U32),
        ("elem_flags", _U64),
        ("flags", _U64),
    )


class ProgLoad(ctypes.Structure):
    """Attributes of `PROG_LOAD`."""

    _fields_ = (
        ("prog_type", _U32),
        ("insn_cnt", _U32),
        ("insns", _U64),
        ("license", _U64),
        ("log_level", _U32),
        ("log_size", _U32),
        ("log_buf", _U64),
        ("kern_version", _U32),
        ("prog_flags", _U32),
        ("prog_name", ctypes.c_char * NAME_SIZE),
        ("prog_ifindex", _U32),
        ("expected_attach_type", _U32),
        ("prog_btf_fd", _U32),
        ("func_info_rec_size", _U32),
        ("func_info", _U64),
        ("func_info_cnt", _U32),
        ("line_info_rec_size", _U32),
        ("line_info", _U64),
        ("line_info_cnt", _U32),
    )


class TestRun(ctypes.Structure):
    """Attributes of `PROG_TEST_RUN`."""

    __test__ = False  # pytest: not a class of tests
    _fields_ = (
        ("prog_fd", _U32),
        ("retval", _U32),
        ("data_size_in", _U32),
        ("data_size_out", _U32),
        ("data_in", _U64),
        ("data_out", _U64),
        ("repeat", _U32),
        ("duration", _U32),
        ("ctx_size_in", _U32),
        ("ctx_size_out", _U32),
        ("ctx_in", _U64),
        ("ctx_out", _U64),
        ("flags", _U32),
        ("cpu", _U32),
        ("batch_size", _U32),
    )


class BtfLoad(ctypes.Structure):
    """Attributes of `BTF_LOAD`."""

    _fields_ = (
        ("btf", _U64),
        ("btf_log_buf", _U64),
        ("btf_size", _U32),
        ("btf_log_size", _U32),
        ("btf_log_level", _U32),
    )


Attributes = MapCreate | Element | Batch | ProgLoad | TestRun | BtfLoad
Held = ctypes.Array[ctypes.c_char]
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def bpf(command: Command, attributes: Attributes) -> int:
    """Make the call; gives what the kernel returns, not negative.

    Raises `KernelError` with the kernel's errno.
    """
    number = _NUMBERS.get(platform.machine())
    if _LIBC is None or number is None or sys.byteorder != "little":
        raise KernelError("the kernel is an engine on Linux for x86-64 and AArch64 only")
    for attempt in range(_ATTEMPTS):
        result: int = _LIBC.syscall(
            ctypes.c_long(number),
            ctypes.c_long(command),
            ctypes.byref(attributes),
            ctypes.c_ulong(ctypes.sizeof(attributes)),
        )
        if result >= 0:
            return result
        code = ctypes.get_errno()
        # The kernel gives up loading for a signal that is pending.
        if code != errno.EAGAIN or command != Command.PROG_LOAD or attempt + 1 == _ATTEMPTS:
            break
    raise KernelError(_reason(command, code), code)


def _reason(command: Command, code: int) -> str:
    # Whoever has a descriptor was let in: a map may refuse, since it is frozen for one.
    if code == errno.ENOSYS or (code == errno.EPERM and command in _ENTRANCES):
        return "bpf(2) is not permitted here: it takes root, or CAP_BPF and CAP_NET_ADMIN"
    if code == NOT_SUPPORTED:
        return f"the kernel has no {command.name} for this type"
    return f"the kernel refused {command.name}: {os.strerror(code)}"


def text(name: str) -> bytes:
    """A name as the kernel takes it: at most 15 characters of letters, digits, `_` and `.`."""
    return re.sub(r"[^\w.]", "_", name, flags=re.ASCII).encode()[: NAME_SIZE - 1]


def copy_in(data: Buffer) -> Held:
    """A buffer of the bytes for the kernel to read or write; of one byte where there are none."""
    view = memoryview(data).cast("B")
    return ctypes.create_string_buffer(bytes(view), max(1, len(view)))


def room(size: int) -> Held:
    """A buffer of zeros for the kernel to write into."""
    return ctypes.create_string_buffer(max(1, size))


def address(buffer: Held) -> int:
    """Where a buffer lies; it must be kept as long as the address is used."""
    return ctypes.addressof(buffer)
