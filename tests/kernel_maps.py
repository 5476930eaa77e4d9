"""Maps of the kernel by bpf(2), as the judge of ours: Linux, as root or with CAP_BPF."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from errno import ENOSYS, EPERM
from typing import Self

from drybpf.maps import MapDefinition

_NUMBER = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
_CREATE, _LOOKUP, _UPDATE, _DELETE, _TAKE = 0, 1, 2, 3, 21
_SIZE = 128


def _bpf(command: int, attributes: bytes) -> int:
    """The result, or -errno."""
    if _NUMBER is None or platform.system() != "Linux":
        return -ENOSYS
    libc = ctypes.CDLL(None, use_errno=True)
    room = ctypes.create_string_buffer(attributes, _SIZE)
    result = int(libc.syscall(_NUMBER, command, room, _SIZE))
    return result if result >= 0 else -ctypes.get_errno()


def create(what: MapDefinition, inner: int = 0) -> int:
    """A file descriptor of a new map, or -errno."""
    head = struct.pack(
        "<5I", what.type, what.key_size, what.value_size, what.max_entries, what.flags
    )
    return _bpf(_CREATE, head + struct.pack("<I40xQ", inner, what.extra))


def permitted() -> bool:
    """Whether this process may make maps at all."""
    made = create(MapDefinition("m", 2, 4, 4, 1))  # type: ignore[arg-type]  # an array
    if made >= 0:
        os.close(made)
    return made not in (-EPERM, -ENOSYS)


class KernelMap:
    """One map; operations give 0 or -errno."""

    def __init__(self, what: MapDefinition, *, cpus: int = 1) -> None:
        self.descriptor = create(what)
        if self.descriptor < 0:
            raise OSError(-self.descriptor, os.strerror(-self.descriptor))
        self._room = what.value_size if cpus == 1 else -(-what.value_size // 8) * 8 * cpus

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            os.close(self.descriptor)

    def _element(
        self, command: int, key: bytes | None, value: ctypes.Array[ctypes.c_char] | None, flags: int
    ) -> int:
        keys = ctypes.create_string_buffer(key, len(key)) if key else None
        places = [ctypes.addressof(each) if each is not None else 0 for each in (keys, value)]
        return _bpf(command, struct.pack("<I4xQQQ", self.descriptor, *places, flags))

    def update(self, key: bytes | None, value: bytes, flags: int = 0) -> int:
        """As `Map.update_element`; what has no keys pushes."""
        return self._element(_UPDATE, key, ctypes.create_string_buffer(value, len(value)), flags)

    def delete(self, key: bytes) -> int:
        """As `Map.delete_element`."""
        return self._element(_DELETE, key, None, 0)

    def lookup(
        self, key: bytes | None, value: bytes = b"", *, take: bool = False
    ) -> tuple[int, bytes]:
        """0 and the value, or -errno; `take` pops."""
        room = ctypes.create_string_buffer(value, self._room)
        result = self._element(_TAKE if take else _LOOKUP, key, room, 0)
        return result, room.raw
