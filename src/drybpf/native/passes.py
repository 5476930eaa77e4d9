"""LLVM's optimiser, without the leak of its binding; imports LLVM."""

from __future__ import annotations

from functools import cache

from llvmlite.binding import (
    ModulePassManager,
    ModuleRef,
    TargetMachine,
    create_pass_builder,
    create_pipeline_tuning_options,
    ffi,
)
from llvmlite.binding.newpassmanagers import NewPassManager, PassBuilder


class _PassManager(ModulePassManager):  # type: ignore[misc]  # llvmlite carries no types
    """A pipeline that is freed: llvmlite 0.50 inherits the wrong `_dispose`, 70 KiB a compile."""

    _dispose = NewPassManager._dispose  # noqa: SLF001 (the only way to the right one)


def run(module: ModuleRef, machine: TargetMachine, *, level: int, vectorize: bool) -> None:
    """Optimise a module in place with LLVM's default pipeline of a level."""
    builder = _builder(machine, vectorize)
    # A manager that is run twice aborts the process, so each serves one module.
    pipeline = ffi.lib.LLVMPY_buildPerModuleDefaultPipeline(builder, level)
    with _PassManager(pipeline) as manager:
        manager.run(module, builder)


@cache
def _builder(machine: TargetMachine, vectorize: bool) -> PassBuilder:
    """A builder for all modules of a machine: 1.5 KiB of each are never freed."""
    options = create_pipeline_tuning_options()
    options.loop_vectorization = options.loop_interleaving = vectorize
    return create_pass_builder(machine, options)
