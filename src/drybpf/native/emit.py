"""From LLVM IR to object code, optimised IR or assembly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drybpf.errors import CompileError
from drybpf.native.target import machine

if TYPE_CHECKING:
    from llvmlite.binding import ModuleRef

# The optimiser is not told the widths of native integers.  Told them, it rewrites the exits of
# loops into a form that its vectoriser refuses where a loop has several of them, as every checked
# loop has (sum of 1500 bytes: 84 ns without, 954 ns with them).  No type's layout depends on them.
_NATIVE_WIDTHS = re.compile(r"-n[0-9:]+")


def compile_ir(
    ir: str,
    *,
    level: int = 2,
    codegen: int = 2,
    loops: bool = True,
    alone: bool = False,
    verify: bool = False,
    triple: str | None = None,
) -> bytes:
    """Optimise a module and give its object code.

    `level` and `codegen`, 0 to 3, are the effort of the optimiser and of the code generator;
    `loops` allows what pays in loops only: vectors, interleaving, unrolling; `alone` is enough for
    functions that neither call each other nor have loops, at half the price; `verify` checks the
    module first: without it, IR that parses but is wrong can end the process.  Raises
    `CompileError`.
    """
    with _optimised(
        ir, level=level, loops=loops, alone=alone, verify=verify, triple=triple
    ) as module:
        return bytes(machine(triple, codegen=codegen).emit_object(module))


def optimise(
    ir: str,
    *,
    level: int = 2,
    loops: bool = True,
    alone: bool = False,
    verify: bool = False,
    triple: str | None = None,
) -> str:
    """The text of a module after optimisation.  Parameters and errors as for `compile_ir`."""
    with _optimised(
        ir, level=level, loops=loops, alone=alone, verify=verify, triple=triple
    ) as module:
        return str(module)


def assembly(
    ir: str,
    *,
    level: int = 2,
    codegen: int = 2,
    loops: bool = True,
    alone: bool = False,
    verify: bool = False,
    triple: str | None = None,
) -> str:
    """The assembly text of a module.  Parameters and errors as for `compile_ir`."""
    with _optimised(
        ir, level=level, loops=loops, alone=alone, verify=verify, triple=triple
    ) as module:
        return str(machine(triple, codegen=codegen).emit_assembly(module))


@contextmanager
def _optimised(
    ir: str, *, level: int, loops: bool, alone: bool, verify: bool, triple: str | None
) -> Iterator[ModuleRef]:
    if not 0 <= level <= 3:
        raise ValueError(f"level is 0 to 3, not {level}")
    from llvmlite import binding as llvm  # noqa: PLC0415 (LLVM only when code is made)

    from drybpf.native import passes  # noqa: PLC0415 (as above)

    host = machine(triple)
    layout = _NATIVE_WIDTHS.sub("", str(host.target_data))
    try:
        # A context of its own: the global one keeps every type and constant for ever.
        with llvm.create_context() as context, llvm.parse_assembly(ir, context) as module:
            module.triple, module.data_layout = host.triple, layout
            if verify:
                module.verify()
            passes.run(module, host, level=level, loops=loops, alone=alone)
            module.data_layout = str(host.target_data)
            yield module
    except (RuntimeError, UnicodeError) as error:
        raise CompileError(f"LLVM refuses the module: {error}") from error
