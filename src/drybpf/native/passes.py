"""LLVM's optimiser, without the leak of its binding; imports LLVM."""

from __future__ import annotations

from llvmlite.binding import (
    ModulePassManager,
    ModuleRef,
    TargetMachine,
    create_pass_builder,
    create_pipeline_tuning_options,
    ffi,
)
from llvmlite.binding.newpassmanagers import FunctionPassManager, NewPassManager, PassBuilder


class _PassManager(ModulePassManager):  # type: ignore[misc]  # llvmlite carries no types
    """A pipeline that is freed: llvmlite 0.50 inherits the wrong `_dispose`, 70 KiB a compile."""

    _dispose = NewPassManager._dispose  # noqa: SLF001 (the only way to the right one)


class _FunctionPassManager(FunctionPassManager):  # type: ignore[misc]  # as above
    """One for functions, freed."""

    _dispose = NewPassManager._dispose  # noqa: SLF001 (as above)


def run(module: ModuleRef, machine: TargetMachine, *, level: int, loops: bool, alone: bool) -> None:
    """Optimise a module in place with LLVM's default pipeline of a level; for `loops`, or not.

    With `alone`, each function is simplified by itself, which is half of that pipeline.
    """
    with create_pipeline_tuning_options() as options:
        options.loop_vectorization = options.loop_interleaving = loops
        options.loop_unrolling = loops
        # A builder serves one module: each run leaves callbacks in it that point into the stack of
        # that run, and a second run would call them.  llvmlite frees all of it but 1.5 KiB.
        with create_pass_builder(machine, options) as builder:
            if alone:
                _simplify(module, builder, level)
                return
            # A manager, too: run twice, it aborts the process.
            pipeline = ffi.lib.LLVMPY_buildPerModuleDefaultPipeline(builder, level)
            with _PassManager(pipeline) as manager:
                manager.run(module, builder)


def _simplify(module: ModuleRef, builder: PassBuilder, level: int) -> None:
    for function in module.functions:
        if not function.is_declaration:
            pipeline = ffi.lib.LLVMPY_buildFunctionSimplificationPipeline(builder, level)
            with _FunctionPassManager(pipeline) as manager:
                manager.run(function, builder)
