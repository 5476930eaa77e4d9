"""Where a Python buffer lies in the memory of this process."""

from __future__ import annotations

import ctypes


class _Buffer(ctypes.Structure):
    """CPython's Py_buffer."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("rest", ctypes.c_byte * 64),
    )


def host_address(view: memoryview) -> int:
    """The host address of a buffer's first byte, good as long as the view lives."""
    buffer = _Buffer()
    _GET(view, ctypes.byref(buffer), 0)
    address = buffer.buf or 0
    _RELEASE(ctypes.byref(buffer))
    return address


_GET = ctypes.pythonapi.PyObject_GetBuffer
_GET.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
_RELEASE = ctypes.pythonapi.PyBuffer_Release
_RELEASE.argtypes = [ctypes.c_void_p]
_RELEASE.restype = None
