"""Compiled code as a built-in function of CPython: called for the price of `len`.

The compiled function has the C signature that its flag names: METH_O and METH_NOARGS
`ptr (ptr self, ptr argument)`, METH_FASTCALL `ptr (ptr self, ptr arguments, i64 count)`, with
METH_KEYWORDS one more `ptr names`.  It runs with the GIL held, and must not return null without an
exception set.  Its `self` is a tuple:

    self + SELF_OFFSET      pointer to self_object
    … + BYTES_OFFSET        the bytes, where self_object is a bytes object
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

METH_KEYWORDS = 0x02  # only together with METH_FASTCALL
METH_NOARGS = 0x04
METH_O = 0x08
METH_FASTCALL = 0x80
_FLAGS = (METH_NOARGS, METH_O, METH_FASTCALL, METH_FASTCALL | METH_KEYWORDS)

SELF_OFFSET = tuple.__basicsize__
BYTES_OFFSET = bytes.__basicsize__ - 1  # the size counts the zero behind the data


def available() -> bool:
    """Whether this Python can do it; elsewhere (PyPy) call the code through ctypes."""
    return sys.implementation.name == "cpython"


def describe() -> str:
    """What compiled code that touches Python objects depends on, for the key of a cache."""
    implementation = sys.implementation
    layout = f"{SELF_OFFSET} {BYTES_OFFSET} {getattr(sys, 'abiflags', '')}"
    return f"{implementation.name} {implementation.cache_tag} {layout}"


def builtin(
    address: int,
    *,
    name: str,
    flags: int,
    self_object: object = None,
    keep: object = None,
    doc: str = "",
) -> Callable[..., Any]:
    """A built-in function over the code at `address`.

    `keep`, the `Library` above all, lives as long as the function.  `doc` may begin with a
    signature, `name(packet, /)` and `--` on lines of their own.  Raises `ValueError` for a null
    address and for flags that are no calling convention.
    """
    if not 0 < address < 1 << 64:
        raise ValueError(f"no code lies at {address:#x}")
    if flags not in _FLAGS:
        raise ValueError(f"{flags:#x} is no calling convention")
    # CPython reads the PyMethodDef until the very end of the function, and only `self` lives longer
    # (`__module__` can be replaced).  A tuple of bytes, because the collector of cycles empties a
    # ctypes object or a dict of a dead function before the function itself has gone.
    label, text = name.encode(), doc.encode()
    definition = struct.pack(
        "PPiP", _data(label), address, flags, _data(text) if text else 0
    )  # PyMethodDef
    holder = (self_object, keep, definition, label, text)
    function: Callable[..., Any] = _new()(_data(definition), holder, __package__)
    return function


def _data(value: bytes) -> int:
    """The address of the bytes, good as long as the object lives."""
    return id(value) + BYTES_OFFSET


@cache
def _new() -> Callable[[int, object, str], Any]:
    import ctypes  # noqa: PLC0415 (10 ms that only who compiles shall pay)

    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object
    )
    return prototype(("PyCFunction_NewEx", ctypes.pythonapi))
