"""The machine that code is made for: this host's, or another one named by its triple."""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING

from drybpf.background import hold_at_fork
from drybpf.errors import CompileError

if TYPE_CHECKING:
    from llvmlite.binding import TargetMachine

# Position-independent code of the small model: constants and jump tables are reached from the
# program counter, what lies far away by a table beside the code.  The linker needs it: without it,
# the addresses of a process do not fit into 32 bits.
_RELOCATION, _CODE_MODEL = "pic", "small"

_lock = hold_at_fork(RLock(), 3)
_machines: dict[tuple[str | None, int], TargetMachine] = {}


def machine(triple: str | None = None, *, codegen: int = 2) -> TargetMachine:
    """The target machine of this host, or of `triple` ("aarch64-linux-gnu"), made once a process.

    `codegen` from 0 to 3 is the effort of instruction selection and register allocation.  Raises
    `CompileError` for a triple that LLVM does not know.
    """
    if not 0 <= codegen <= 3:
        raise ValueError(f"codegen is 0 to 3, not {codegen}")
    key = triple, codegen
    with _lock:
        if key not in _machines:
            _machines[key] = _make(triple, codegen)
        return _machines[key]


def _make(triple: str | None, codegen: int) -> TargetMachine:
    from llvmlite import binding as llvm  # noqa: PLC0415 (LLVM only when code is made)

    if not _machines:
        hold_at_fork(llvm.ffi.lib._lock._lock, 4)  # noqa: SLF001 (llvmlite's own, no way around)
    if triple is None:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        triple, cpu, features = llvm.get_process_triple(), llvm.get_host_cpu_name(), _features()
    else:
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        cpu = features = ""
    try:
        target = llvm.Target.from_triple(triple)
    except RuntimeError as error:
        raise CompileError(f"no code can be made for {triple}: {error}") from error
    return target.create_target_machine(
        cpu=cpu,
        features=features,
        opt=codegen,
        reloc=_RELOCATION,
        codemodel=_CODE_MODEL,
        jit=True,
    )


def _features() -> str:
    from llvmlite import binding as llvm  # noqa: PLC0415 (as above)

    return str(llvm.get_host_cpu_features().flatten())


def describe() -> str:
    """What code of this host depends on, for the key of a cache: LLVM, processor, code model."""
    import llvmlite  # noqa: PLC0415 (as above)
    from llvmlite import binding as llvm  # noqa: PLC0415

    version = ".".join(map(str, llvm.llvm_version_info))
    return (
        f"LLVM {version}, llvmlite {llvmlite.__version__}, {llvm.get_process_triple()}, "
        f"{llvm.get_host_cpu_name()}, {_features()}, {_RELOCATION} {_CODE_MODEL}"
    )
