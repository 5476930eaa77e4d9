"""Compiled code as built-in functions: what they take, and how long everything lives."""

from __future__ import annotations

import gc
import inspect
import sys
import weakref
from typing import Any

import pytest

from children import run_child
from drybpf.native.builtin import (
    BYTES_OFFSET,
    METH_FASTCALL,
    METH_KEYWORDS,
    METH_NOARGS,
    METH_O,
    SELF_OFFSET,
    available,
    builtin,
    describe,
)
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link

IR = f"""
declare ptr @PyLong_FromUnsignedLongLong(i64)
declare void @PyErr_SetNone(ptr)
@PyExc_KeyError = external global ptr
declare void @Py_IncRef(ptr)

define ptr @word(ptr %self, ptr %ignored) nounwind {{
  %item = getelementptr i8, ptr %self, i64 {SELF_OFFSET}
  %object = load ptr, ptr %item
  %data = getelementptr i8, ptr %object, i64 {BYTES_OFFSET}
  %number = load i64, ptr %data
  %result = call ptr @PyLong_FromUnsignedLongLong(i64 %number)
  ret ptr %result
}}
define ptr @same(ptr %self, ptr %argument) nounwind {{
  call void @Py_IncRef(ptr %argument)
  ret ptr %argument
}}
define ptr @count(ptr %self, ptr %arguments, i64 %count) nounwind {{
  %result = call ptr @PyLong_FromUnsignedLongLong(i64 %count)
  ret ptr %result
}}
define ptr @fail(ptr %self, ptr %argument) nounwind {{
  %type = load ptr, ptr @PyExc_KeyError
  call void @PyErr_SetNone(ptr %type)
  ret ptr null
}}
"""
needs_cpython = pytest.mark.skipif(not available(), reason="built-ins are made for CPython only")
pytestmark = needs_cpython


@pytest.fixture(scope="module")
def library() -> Library:
    return link([compile_ir(IR, verify=True)], ["word", "same", "count", "fail"])


def test_available_on_cpython_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert available()
    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert not available()


def test_description_names_the_layout() -> None:
    assert describe().startswith(f"cpython {sys.implementation.cache_tag} {SELF_OFFSET} ")


def test_one_argument(library: Library) -> None:
    same = builtin(library.address("same"), name="same", flags=METH_O, keep=library)
    marker = object()
    before = sys.getrefcount(marker)
    assert same(marker) is marker
    assert sys.getrefcount(marker) == before
    with pytest.raises(TypeError, match=r"same\(\) takes exactly one argument"):
        same()


def test_no_argument_and_its_own_data(library: Library) -> None:
    word = builtin(
        library.address("word"),
        name="word",
        flags=METH_NOARGS,
        self_object=(0xFEED_FACE_CAFE_BEEF).to_bytes(8, "little"),
        keep=library,
    )
    assert word() == 0xFEED_FACE_CAFE_BEEF


@pytest.mark.parametrize("flags", [METH_FASTCALL, METH_FASTCALL | METH_KEYWORDS])
def test_many_arguments(library: Library, flags: int) -> None:
    count = builtin(library.address("count"), name="count", flags=flags, keep=library)
    assert [count(), count(1), count(1, 2, 3)] == [0, 1, 3]


def test_exceptions_come_out(library: Library) -> None:
    fail = builtin(library.address("fail"), name="fail", flags=METH_O, keep=library)
    with pytest.raises(KeyError):
        fail(1)


def test_name_and_documentation(library: Library) -> None:
    same = builtin(
        library.address("same"),
        name="same",
        flags=METH_O,
        keep=library,
        doc="same(packet, /)\n--\n\nThe packet itself.",
    )
    assert same.__name__ == "same"
    assert same.__doc__ == "The packet itself."
    assert str(inspect.signature(same)) == "(packet, /)"
    assert same.__module__ == "drybpf.native"
    assert builtin(library.address("same"), name="same", flags=METH_O).__doc__ is None


class Kept:
    """Something whose end can be seen."""

    function: Any = None


def test_everything_lives_as_long_as_the_function(library: Library) -> None:
    kept, own = Kept(), Kept()
    ends = weakref.ref(kept), weakref.ref(own)
    same = builtin(
        library.address("same"), name="same", flags=METH_O, self_object=own, keep=(kept, library)
    )
    del kept, own
    gc.collect()
    assert all(end() for end in ends)
    same.__module__ = "elsewhere"  # a built-in allows it, as functools.wraps does
    assert same(1) == 1
    del same
    assert not any(end() for end in ends)


def test_a_cycle_through_the_function_is_collected(library: Library) -> None:
    kept = Kept()
    kept.function = builtin(
        library.address("same"), name="same", flags=METH_O, keep=(kept, library)
    )
    end = weakref.ref(kept)
    del kept
    gc.collect()
    assert end() is None


@pytest.mark.parametrize("address", [0, -1, 1 << 64])
def test_impossible_address(address: int) -> None:
    with pytest.raises(ValueError, match="no code lies at"):
        builtin(address, name="f", flags=METH_O)


@pytest.mark.parametrize("flags", [0, 1, METH_KEYWORDS, METH_O | METH_NOARGS, 0x200])
def test_unknown_convention(flags: int) -> None:
    with pytest.raises(ValueError, match="is no calling convention"):
        builtin(1, name="f", flags=flags)


CYCLES = """
import gc
from drybpf.native.builtin import METH_O, builtin
from drybpf.native.emit import compile_ir
from drybpf.native.link import link

IR = '''
declare void @Py_IncRef(ptr)
define ptr @same(ptr %self, ptr %argument) nounwind {
  call void @Py_IncRef(ptr %argument)
  ret ptr %argument
}
'''
OBJECT = compile_ir(IR)

class Program:
    def __init__(self):
        library = link([OBJECT], ["same"])
        self.function = builtin(library.address("same"), name="f" * 40, flags=METH_O,
                                keep=(self, library))
    def __del__(self):
        assert self.function(self) is self  # the last chance to call it

for _ in range(200):
    Program()
    gc.collect()
survivor = Program().function  # called when the interpreter ends, too
print(survivor(7))
"""


def test_collecting_and_ending_with_freed_memory_overwritten() -> None:
    assert run_child(CYCLES, PYTHONMALLOC="debug", MALLOC_PERTURB_="165") == "7\n"
