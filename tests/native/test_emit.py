"""From IR to object code: what comes out, what is refused, and what is not left behind."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from llvmlite import binding

from children import run_child
from drybpf.errors import CompileError
from drybpf.native import passes
from drybpf.native.emit import assembly, compile_ir, optimise

TWICE = """
define i64 @twice(i64 %x) nounwind {
  %slot = alloca i64
  store i64 %x, ptr %slot
  %y = load i64, ptr %slot
  %z = add i64 %x, %y
  ret i64 %z
}
"""
SUM = """
define i64 @sum(ptr %p, i64 %n) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %s = phi i64 [ 0, %entry ], [ %t, %loop ]
  %q = getelementptr i8, ptr %p, i64 %i
  %b = load i8, ptr %q
  %w = zext i8 %b to i64
  %t = add i64 %s, %w
  %j = add i64 %i, 1
  %c = icmp ult i64 %j, %n
  br i1 %c, label %loop, label %done
done:
  ret i64 %t
}
"""
X86, ARM64 = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
MACHINES = {X86: 62, ARM64: 183}  # EM_X86_64, EM_AARCH64


@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("codegen", range(4))
@pytest.mark.parametrize("triple", [None, *MACHINES])
def test_object_code_of_every_level(level: int, codegen: int, triple: str | None) -> None:
    image = compile_ir(TWICE, level=level, codegen=codegen, triple=triple, verify=True)
    assert image[:4] == b"\x7fELF"
    if triple:
        assert int.from_bytes(image[18:20], "little") == MACHINES[triple]


def test_the_same_module_gives_the_same_bytes() -> None:
    assert compile_ir(SUM) == compile_ir(SUM)


def test_optimised_text() -> None:
    assert "alloca" not in optimise(TWICE)
    assert "alloca" in optimise(TWICE, level=0)
    text = optimise(TWICE, triple=ARM64)
    assert f'target triple = "{ARM64}"' in text
    assert 'target datalayout = "e-m:e-' in text


def test_vectors_only_where_allowed() -> None:
    assert " x i64>" in optimise(SUM, triple=ARM64)
    assert " x i64>" not in optimise(SUM, triple=ARM64, loops=False)


def test_assembly_text() -> None:
    assert "leaq\t(%rdi,%rdi), %rax" in assembly(TWICE, triple=X86)
    assert "lsl\tx0, x0, #1" in assembly(TWICE, triple=ARM64)


WRONG = """
define i64 @f(i1 %c) {
  br i1 %c, label %a, label %b
a:
  %x = add i64 1, 2
  br label %b
b:
  ret i64 %x
}
"""


@pytest.mark.parametrize(
    ("ir", "verify", "reason"),
    [
        ("define garbage", False, "expected type"),
        ("define i64 @f() { ret i64 %x }", False, "undefined value '%x'"),
        ("define i64 @f() { ret i64 \ud800 }", False, "surrogates not allowed"),
        (WRONG, True, "Instruction does not dominate all uses"),
    ],
)
@pytest.mark.parametrize("function", [compile_ir, optimise, assembly])
def test_bad_modules(function: Callable[..., object], ir: str, verify: bool, reason: str) -> None:
    with pytest.raises(CompileError, match=reason):
        function(ir, verify=verify)


@pytest.mark.parametrize("level", [-1, 4])
def test_level_out_of_range(level: int) -> None:
    with pytest.raises(ValueError, match="level is 0 to 3"):
        compile_ir(TWICE, level=level)


FLAT = """
import sys
from drybpf.native.builtin import METH_O, builtin
from drybpf.native.emit import compile_ir
from drybpf.native.link import link

IR = '''
define i64 @helper(i64 %x, i64 %n) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  %a = phi i64 [ %x, %entry ], [ %b, %loop ]
  %b = mul i64 %a, NUMBER
  %j = add i64 %i, 1
  %c = icmp ult i64 %j, %n
  br i1 %c, label %loop, label %done
done:
  ret i64 %b
}}
define ptr @run(ptr %self, ptr %argument) {{
  %r = call i64 @helper(i64 1, i64 1)
  %o = call ptr @PyLong_FromUnsignedLongLong(i64 %r)
  ret ptr %o
}}
declare ptr @PyLong_FromUnsignedLongLong(i64)
'''

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4

def rounds(first, count):
    for number in range(first, first + count):  # a new type each time: [number x i8]
        kind = f"@g = global [{{number}} x i8] zeroinitializer\\n"
        library = link([compile_ir(kind + IR.replace("NUMBER", str(number)))], ["run"])
        run = builtin(library.address("run"), name="run", flags=METH_O, keep=library)
        assert run(None) == number

rounds(1, {warm})
before = resident()
rounds({warm} + 1, {count})
print(resident() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")  # noqa: PTH110
def test_memory_is_flat_over_many_compiles() -> None:
    """300 compiles, or as many as DRYBPF_COMPILES says (10,000 was run).

    llvmlite itself keeps 1.6 KiB of each (the callbacks of a pass builder); nothing else may stay.
    """
    count = int(os.environ.get("DRYBPF_COMPILES", "300"))
    assert int(run_child(FLAT.format(warm=100, count=count))) < 2048 + 2 * count


def test_a_pass_builder_serves_one_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Used twice, it calls back into the dead stack frame of its first run."""
    builders = []

    def create(*arguments: object) -> object:
        builders.append(binding.create_pass_builder(*arguments))
        return builders[-1]

    monkeypatch.setattr(passes, "create_pass_builder", create)
    for _ in range(3):
        compile_ir(TWICE)
    assert len(builders) == 3
    assert all(builder.closed for builder in builders)
