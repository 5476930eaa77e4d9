"""Many programs compiled as one module: what a compile costs besides its program is shared.

The functions of each program are renamed; all else is as when a program is compiled alone.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

from agreement import HELPERS, Case
from drybpf.host import Host
from drybpf.jit import entries, layout
from drybpf.jit.choices import Choices, Module
from drybpf.jit.compiled import Jit
from drybpf.jit.module import emit_module
from drybpf.jit.runtime import PASSED, fill, prelude, runtime
from drybpf.jit.variant import Variant
from drybpf.native.builtin import METH_O, builtin
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link

_DEFINED = re.compile(r"^define [^@]*@([\w.]+)\(", re.MULTILINE)


class PackedVariant(Variant):
    """A compiled form whose code lies beside that of others."""

    def __init__(self, module: Module, library: Library, number: int, choices: Choices) -> None:
        self.module, self.library, self.natives = module, library, choices.natives
        self.env, self.cached = (ctypes.c_uint64 * layout.ENV_WORDS)(), False
        self.moving, self.numbered, self.looping = choices.moving, False, False
        address = library.address(f"run.{number}")
        self.run: Callable[..., int] = builtin(address, name="run", flags=METH_O, keep=library)


def pack(cases: Sequence[Case], level: int = 2, codegen: int = 2) -> list[Jit]:
    """Compile the cases' programs as one module; gives their engines, ready to run."""
    jits = [case.jit() for case in cases]
    modules, texts = [], [prelude(counting=False)]
    for number, (case, jit) in enumerate(zip(cases, jits, strict=True)):
        jit.use(HELPERS, Host())
        choices = replace(jit._choices, counting=case.counting)
        module = emit_module(case.code, case.hook.shape, choices)
        modules.append(module)
        texts.append(_renamed(module.ir.replace(prelude(counting=False), ""), number))
    image = compile_ir("\n".join(texts), level=level, codegen=codegen)
    exports = [f"run.{number}" for number in range(len(cases))]
    library = link([image, _fronts(len(cases))], exports, {"env": ctypes.addressof(_ENV)})
    for number, (case, jit, module) in enumerate(zip(cases, jits, modules, strict=True)):
        jit._variants[case.counting, False, None, False, False, False] = PackedVariant(
            module, library, number, jit._choices
        )
        jit.stats.compiles += 1
    return jits


_ENV = (ctypes.c_uint64 * layout.ENV_WORDS)()


def _renamed(ir: str, number: int) -> str:
    for name in _DEFINED.findall(ir):
        ir = re.sub(rf"@{re.escape(name)}\b", f"@{name}.{number}", ir)
    return ir


@cache
def _fronts(count: int) -> bytes:
    text = runtime()
    for number in range(count):
        run = fill(entries._RUN, PASSED=PASSED).replace("@run(", f"@run.{number}(")
        text += run.replace("@enter(", f"@enter.{number}(")
        text += f"declare {{i64, i64}} @enter.{number}(ptr, i64, ptr, i64, ptr, ptr, i64, i64)\n"
    return compile_ir(text)
