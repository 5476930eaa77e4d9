"""Classes whose instances are called by compiled code directly, at the price of a built-in.

CPython calls an object through a function pointer in it where its type says so (PEP 590), but a
class statement cannot say so.  `base` is a type made through CPython's own interface, with room for
the pointer; `enable` sets the flag on a class derived from it, which CPython does by itself from
3.12 on for classes without `__call__`.  Where the pointer is null, `__call__` is called as ever.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from functools import cache

_HAVE_VECTORCALL = 1 << 11
_FLAGS = 1 << 9 | 1 << 10 | 1 << 18  # heap type, base type, default
_TP_MEMBERS = 72
_SSIZE_T, _READ_ONLY = 19, 1
_POINTER = ctypes.sizeof(ctypes.c_void_p)
_PLACE = object.__basicsize__  # of the pointer in an instance: the first word behind the header
_TYPE_FLAGS = 168  # of tp_flags in a type object; checked before it is used


def available() -> bool:
    """Whether this Python has such calls, laid out as expected."""
    return sys.implementation.name == "cpython" and struct.calcsize("P") == 8


@cache
def base() -> type:
    """The type to derive from: an object with room for a function pointer, at first null."""
    if not available():  # pragma: no cover (another Python than that of the tests)
        return object
    name = ctypes.create_string_buffer(b"__vectorcalloffset__")
    member = struct.pack("PiPiP", ctypes.addressof(name), _SSIZE_T, _PLACE, _READ_ONLY, 0) + bytes(
        40
    )
    members = ctypes.create_string_buffer(member)
    slots = ctypes.create_string_buffer(
        struct.pack("iPiP", _TP_MEMBERS, ctypes.addressof(members), 0, 0)
    )
    label = ctypes.create_string_buffer(b"drybpf.Callable")
    spec = ctypes.create_string_buffer(
        struct.pack(
            "PiiIP", ctypes.addressof(label), _PLACE + _POINTER, 0, _FLAGS, ctypes.addressof(slots)
        )
    )
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_void_p]
    made: type = make(ctypes.addressof(spec))
    _KEPT.extend((name, members, slots, label, spec))
    return made


_KEPT: list[object] = []  # what the type goes on pointing at


def enable(cls: type) -> bool:
    """Have instances of a class, derived from `base`, called through their pointer if not null."""
    if not available():  # pragma: no cover (as above)
        return False
    flags = ctypes.c_ulong.from_address(id(cls) + _TYPE_FLAGS)
    if flags.value != cls.__flags__:  # pragma: no cover (a CPython laid out otherwise)
        return False
    flags.value |= _HAVE_VECTORCALL
    return bool(cls.__flags__ & _HAVE_VECTORCALL)


def point(instance: object, address: int) -> None:
    """Have an instance called by the compiled function at an address; 0 takes it back.

    Whoever points keeps the code alive as long as the instance.
    """
    if available():  # pragma: no branch (as above)
        ctypes.c_void_p.from_address(id(instance) + _PLACE).value = address or None
