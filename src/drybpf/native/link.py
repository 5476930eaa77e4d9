"""Object code made callable: linked into this process, freed with its `Library`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf.background import hold_at_fork
from drybpf.errors import CompileError
from drybpf.native.target import machine

if TYPE_CHECKING:
    from llvmlite.binding import LLJIT, ResourceTracker

LIBRARIES = 8  # of an engine
_NOTHING: Mapping[str, int] = MappingProxyType({})


class _Engines:
    """Engines of LLVM's linker, each for a few libraries.

    One costs a third of a link.  It keeps some 10 KiB of each library that it had, so that one for
    all would grow with every program.
    """

    def __init__(self) -> None:
        self._lock = hold_at_fork(Lock(), 2)
        self._engine: LLJIT | None = None
        self._names = count()

    def take(self) -> tuple[LLJIT, str]:
        """An engine, and a name that no library in it has: their symbols never meet."""
        from llvmlite import binding as llvm  # noqa: PLC0415 (LLVM only when code is linked)

        with self._lock:
            number = next(self._names)
            if self._engine is None or number % LIBRARIES == 0:
                # JITLink answers an address that does not fit with an error, where the older
                # linker ends the process.
                self._engine = llvm.create_lljit_compiler(
                    machine(), use_jit_link=True, suppress_errors=True
                )
            return self._engine, f"library{number}"


class Library:
    """Linked code.  Its addresses are good as long as it lives; keep it beside what calls them."""

    __slots__ = ("__weakref__", "_addresses", "_engine", "_tracker")

    def __init__(self, engine: LLJIT, tracker: ResourceTracker, exports: Sequence[str]) -> None:
        """Hold the engine and what was linked into it; `link` makes libraries."""
        self._engine, self._tracker = engine, tracker
        self._addresses = {name: int(tracker[name]) for name in exports}

    def address(self, name: str) -> int:
        """The host address of an exported symbol.  Raises `ValueError` for any other name."""
        if name not in self._addresses:
            raise ValueError(f"{name!r} is not exported; {', '.join(self._addresses)} are")
        return self._addresses[name]


_engines = _Engines()


def link(
    objects: Sequence[bytes], exports: Sequence[str], imports: Mapping[str, int] = _NOTHING
) -> Library:
    """Link objects of this host with each other and look up `exports` in them.

    `imports` are addresses of symbols by name; the symbols of this process (Python's C API, memset)
    are found besides.  Code pages come out readable and executable, never writable.  Any thread may
    link: LLVM is entered by one at a time.  Raises `CompileError` for a symbol that is not there
    and for bytes that are plainly no object; but the linker trusts what it is given (a damaged
    object can end the process, one for another processor links), so hand it only what `compile_ir`
    made for this host and the cache has kept.
    """
    for name, address in imports.items():
        if not 0 < address < 1 << 64:
            raise ValueError(f"{name} cannot lie at {address:#x}")
    if isinstance(objects, bytes):  # llvmlite would take each of its numbers for an object
        raise TypeError("objects is a sequence of object codes, not one of them")
    if isinstance(exports, str) or not all(exports):
        raise ValueError("exports are names")
    from llvmlite import binding as llvm  # noqa: PLC0415 (LLVM only when code is linked)

    builder = llvm.JITLibraryBuilder().add_current_process()
    for image in objects:
        builder.add_object_img(image)
    for name, address in imports.items():
        builder.import_symbol(name, address)
    for name in exports:
        builder.export_symbol(name)
    try:
        engine, name = _engines.take()
        tracker = builder.link(engine, name)
    except RuntimeError as error:
        raise CompileError(f"the object code does not link: {error}") from error
    return Library(engine, tracker, exports)
