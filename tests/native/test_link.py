"""Object code made callable."""

from __future__ import annotations

import ctypes
import gc
import re
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from drybpf.errors import CompileError
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link

ADD = "define i64 @add{0}(i64 %x) nounwind {{\n  %y = add i64 %x, {0}\n  ret i64 %y\n}}\n"
MAPS = Path("/proc/self/maps")
on_linux = pytest.mark.skipif(not MAPS.exists(), reason="reads /proc")


def call(library: Library, name: str, value: int) -> int:
    function = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(library.address(name))
    return int(function(value))


def pages(address: int) -> str:
    """The permissions of the pages at an address, empty where there are none."""
    for line in MAPS.read_text().splitlines():
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= address < end:
            return line.split()[1]
    return ""


def test_call_by_address() -> None:
    library = link([compile_ir(ADD.format(1) + ADD.format(2))], ["add1", "add2"])
    assert call(library, "add1", 41) == 42
    assert call(library, "add2", (1 << 64) - 1) == 1


def test_objects_call_each_other() -> None:
    caller = """
    declare i64 @add5(i64)
    define i64 @twice(i64 %x) {
      %y = call i64 @add5(i64 %x)
      %z = call i64 @add5(i64 %y)
      ret i64 %z
    }"""
    library = link([compile_ir(caller), compile_ir(ADD.format(5))], ["twice"])
    assert call(library, "twice", 1) == 11


def test_names_of_libraries_never_meet() -> None:
    one = link([compile_ir(ADD.format(1))], ["add1"])
    other = link([compile_ir(ADD.format(1).replace("%x, 1", "%x, 100"))], ["add1"])
    assert (call(one, "add1", 0), call(other, "add1", 0)) == (1, 100)


def test_imported_function_and_data_may_lie_anywhere() -> None:
    ir = """
    declare i64 @callback(i64)
    @data = external global i64
    define i64 @run(i64 %x) {
      %d = load i64, ptr @data
      %r = call i64 @callback(i64 %x)
      %s = add i64 %r, %d
      ret i64 %s
    }"""
    callback = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_uint64)(lambda value: value * 2)
    address = ctypes.cast(callback, ctypes.c_void_p).value
    data = ctypes.c_uint64(1000)
    assert address is not None
    imports = {"callback": address, "data": ctypes.addressof(data)}
    library = link([compile_ir(ir)], ["run"], imports)
    assert call(library, "run", 21) == 1042
    data.value = 0
    assert call(library, "run", 21) == 42


def test_symbols_of_the_process() -> None:
    ir = """
    declare i32 @Py_IsInitialized()
    declare ptr @memset(ptr, i32, i64)
    define i64 @run(i64 %x) {
      %slot = alloca i64
      %unused = call ptr @memset(ptr %slot, i32 1, i64 2)
      %half = load i16, ptr %slot
      %low = zext i16 %half to i64
      %one = call i32 @Py_IsInitialized()
      %wide = zext i32 %one to i64
      %sum = add i64 %low, %wide
      ret i64 %sum
    }"""
    assert call(link([compile_ir(ir)], ["run"]), "run", 0) == 0x0101 + 1


@on_linux
def test_code_is_never_writable_and_executable() -> None:
    before = re.findall(r"^\S+ .wx", MAPS.read_text(), re.MULTILINE)
    library = link([compile_ir(ADD.format(1))], ["add1"])
    assert pages(library.address("add1")) == "r-xp"
    # ctypes itself has such a page, for its callbacks; linking adds none.
    assert re.findall(r"^\S+ .wx", MAPS.read_text(), re.MULTILINE) == before


@on_linux
def test_code_is_freed_with_its_library() -> None:
    library = link([compile_ir(ADD.format(1))], ["add1"])
    address, gone = library.address("add1"), weakref.ref(library)
    assert pages(address)
    del library
    gc.collect()
    assert gone() is None
    assert pages(address) == ""


def test_many_threads() -> None:
    def work(number: int) -> int:
        return call(link([compile_ir(ADD.format(number))], [f"add{number}"]), f"add{number}", 1)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(40))) == list(range(1, 41))


def test_unknown_name() -> None:
    library = link([compile_ir(ADD.format(1))], ["add1"])
    with pytest.raises(ValueError, match="'add2' is not exported; add1 are"):
        library.address("add2")


OBJECT = compile_ir(ADD.format(1))
LACKING = compile_ir("""
declare i64 @nowhere()
define i64 @f() {
  %x = call i64 @nowhere()
  ret i64 %x
}""")


@pytest.mark.parametrize(
    ("objects", "exports"),
    [
        ([OBJECT], ["add2"]),
        ([b"garbage"], ["add1"]),
        ([b""], ["add1"]),
        ([OBJECT[:100]], ["add1"]),
        ([OBJECT, OBJECT], ["add1"]),
        ([], ["add1"]),
        ([LACKING], ["f"]),
    ],
    ids=["export", "garbage", "empty", "cut", "twice", "none", "import"],
)
def test_what_does_not_link(objects: list[bytes], exports: list[str]) -> None:
    with pytest.raises(CompileError, match="the object code does not link"):
        link(objects, exports)


@pytest.mark.parametrize("address", [0, -1, 1 << 64])
def test_impossible_import(address: int) -> None:
    with pytest.raises(ValueError, match="data cannot lie at"):
        link([OBJECT], ["add1"], {"data": address})


def test_misuse() -> None:
    with pytest.raises(TypeError, match="a sequence of object codes"):
        link(OBJECT, ["add1"])  # type: ignore[arg-type]  # the mistake that is meant
    with pytest.raises(ValueError, match="exports are names"):
        link([OBJECT], "add1")
    with pytest.raises(ValueError, match="exports are names"):
        link([OBJECT], [""])
