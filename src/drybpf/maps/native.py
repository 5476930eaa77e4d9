"""The maps' runtime: every operation of every type of map, compiled once and kept on disk.

Compiled programs call it through the table of addresses in a map's header, Python through one
built-in function an operation and map, whose machine code is the same for all: `call` below.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from drybpf.background import hold_at_fork
from drybpf.errors import CompileError
from drybpf.maps.calls import Call
from drybpf.maps.definition import MapType
from drybpf.maps.layout import OPERATIONS, VTABLE
from drybpf.maps.operations import BY_TYPE, DEFAULTS, operation, refused
from drybpf.maps.storage import Storage
from drybpf.native import builtin as builtins
from drybpf.native import cache
from drybpf.native.builtin import BYTES_OFFSET, METH_FASTCALL, SELF_OFFSET, builtin
from drybpf.native.restricted import Function, lower

if TYPE_CHECKING:
    from drybpf.native.link import Library

# `self` holds two words: the storage's address and that of the operation.  An argument is a bytes
# or bytearray object, passed as the address of its bytes, or a number, taken modulo 2^64.  A
# function that has fewer parameters than it is given arguments does not see the others.
_CALL = f"""
@PyBytes_Type = external global i8
@PyByteArray_Type = external global i8
declare ptr @PyByteArray_AsString(ptr)
declare i64 @PyLong_AsUnsignedLongLongMask(ptr)
declare ptr @PyLong_FromUnsignedLongLong(i64)
declare ptr @PyErr_Occurred()

define ptr @call(ptr %self, ptr %arguments, i64 %count) {{
entry:
  %place = getelementptr i8, ptr %self, i64 {SELF_OFFSET}
  %words = load ptr, ptr %place
  %m.at = getelementptr i8, ptr %words, i64 {BYTES_OFFSET}
  %m = load i64, ptr %m.at
  %f.at = getelementptr i8, ptr %m.at, i64 8
  %f = load ptr, ptr %f.at
  %values = alloca [5 x i64]
  store [5 x i64] zeroinitializer, ptr %values
  br label %head
head:
  %i = phi i64 [0, %entry], [%next, %put]
  %in = icmp ult i64 %i, %count
  %few = icmp ult i64 %i, 5
  %more = and i1 %in, %few
  br i1 %more, label %body, label %go
body:
  %at = getelementptr ptr, ptr %arguments, i64 %i
  %object = load ptr, ptr %at
  %type.at = getelementptr i8, ptr %object, i64 8
  %type = load ptr, ptr %type.at
  %bytes = icmp eq ptr %type, @PyBytes_Type
  br i1 %bytes, label %is.bytes, label %not.bytes
is.bytes:
  %data = getelementptr i8, ptr %object, i64 {BYTES_OFFSET}
  %data.at = ptrtoint ptr %data to i64
  br label %put
not.bytes:
  %array = icmp eq ptr %type, @PyByteArray_Type
  br i1 %array, label %is.array, label %number
is.array:
  %string = call ptr @PyByteArray_AsString(ptr %object)
  %string.at = ptrtoint ptr %string to i64
  br label %put
number:
  %value = call i64 @PyLong_AsUnsignedLongLongMask(ptr %object)
  %odd = icmp eq i64 %value, -1
  br i1 %odd, label %check, label %put
check:
  %error = call ptr @PyErr_Occurred()
  %bad = icmp ne ptr %error, null
  br i1 %bad, label %fail, label %put
put:
  %word = phi i64 [%data.at, %is.bytes], [%string.at, %is.array], [%value, %number], [-1, %check]
  %to = getelementptr i64, ptr %values, i64 %i
  store i64 %word, ptr %to
  %next = add i64 %i, 1
  br label %head
go:
  %p1 = getelementptr i64, ptr %values, i64 1
  %p2 = getelementptr i64, ptr %values, i64 2
  %p3 = getelementptr i64, ptr %values, i64 3
  %p4 = getelementptr i64, ptr %values, i64 4
  %v0 = load i64, ptr %values
  %v1 = load i64, ptr %p1
  %v2 = load i64, ptr %p2
  %v3 = load i64, ptr %p3
  %v4 = load i64, ptr %p4
  %result = call i64 %f(i64 %m, i64 %v0, i64 %v1, i64 %v2, i64 %v3, i64 %v4)
  %long = call ptr @PyLong_FromUnsignedLongLong(i64 %result)
  ret ptr %long
fail:
  ret ptr null
}}
"""
_LOOKS_LIKE_CPYTHON = object.__basicsize__ == 16  # the type of an object is its second word


_making = hold_at_fork(RLock(), 1)


def runtime() -> Library | None:
    """The compiled runtime, made or read from the cache once; None where there is no LLVM."""
    with _making:  # a second one, made by another thread, would be freed while maps point into it
        return _runtime()


@lru_cache(maxsize=1)
def _runtime() -> Library | None:
    if find_spec("llvmlite") is None:
        return None
    try:
        return _build()
    except (ImportError, CompileError):  # an LLVM that does not work
        return None


def attach(storage: Storage, kind: MapType) -> bool:
    """Write the table of addresses into a map's header; whether there is a runtime."""
    library = runtime()
    if library is None:
        return False
    for number, name in enumerate(OPERATIONS):
        address = library.address(operation(kind, name).symbol)
        storage.set_word(VTABLE + 8 * number, address)
    return True


def calls(storage: Storage, kind: MapType) -> dict[str, Call] | None:
    """Each operation of a map as a built-in function; None where there is no runtime for that."""
    library = runtime()
    if library is None or not (builtins.available() and _LOOKS_LIKE_CPYTHON):
        return None
    code = library.address("call")
    made: dict[str, Callable[..., Any]] = {}
    for name in OPERATIONS:
        words = struct.pack("=QQ", storage.address, library.address(operation(kind, name).symbol))
        made[name] = builtin(
            code, name=name, flags=METH_FASTCALL, self_object=words, keep=(library, storage)
        )
    return made


def _functions() -> list[Function[Any]]:
    """All that the runtime exports, each once."""
    own = (function for each in BY_TYPE.values() for function in each.values())
    return list(dict.fromkeys((*own, *DEFAULTS.values(), refused)))


def _build() -> Library:
    from drybpf.native.emit import compile_ir  # noqa: PLC0415 (LLVM only when it is used)
    from drybpf.native.link import link  # noqa: PLC0415 (as above)

    functions = _functions()
    exports = [function.symbol for function in functions]
    key = _key()
    image = cache.load(key)
    if image is None:
        image = compile_ir(lower(functions, external=True) + _CALL)
        cache.store(key, image)
    return link([image], ["call", *exports])


def _key() -> bytes:
    from drybpf.native import target  # noqa: PLC0415 (LLVM only when it is used)

    digest = sha256(b"maps runtime")
    package = Path(__file__).parent
    for source in sorted([*package.glob("**/*.py"), *package.parent.glob("native/**/*.py")]):
        digest.update(source.read_bytes())
    return f"{target.describe()}, {builtins.describe()}, {digest.hexdigest()}".encode()
