"""From an object file to linked code: read, find the functions, resolve, link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from drybpf.errors import ObjectError
from drybpf.objects.btf import Btf, read_btf
from drybpf.objects.btf_ext import NO_BTF_EXT, read_btf_ext
from drybpf.objects.btf_maps import btf_maps
from drybpf.objects.core import corrections
from drybpf.objects.customs import types_by_custom
from drybpf.objects.elf import ElfFile, read_elf
from drybpf.objects.externs import KernelOption, kernel_options
from drybpf.objects.functions import Function, entry_functions, find_functions
from drybpf.objects.legacy_maps import legacy_maps
from drybpf.objects.linker import LinkedProgram, Module
from drybpf.objects.map_sources import MapSource
from drybpf.objects.namespace import Namespace
from drybpf.objects.references import find_references
from drybpf.objects.sections import ProgramType
from drybpf.objects.tail_calls import Filling, fillings
from drybpf.objects.typed import Types
from drybpf.objects.variables import DataSource, data_sources

LARGEST_FILE = 1 << 26  # bytes
RUNNING_KERNEL = Path("/sys/kernel/btf/vmlinux")

BtfSource = str | os.PathLike[str] | bytes | bytearray | memoryview | Btf | None
ProgramTypes = ProgramType | Mapping[str, ProgramType] | None


@dataclass(frozen=True, eq=False)
class ObjectFile:
    """What stands in an object file; `name` is the file's, without directory and ending."""

    name: str
    programs: Namespace[LinkedProgram]
    license: str
    btf: Btf | None
    elf: ElfFile
    module: Module
    maps: Mapping[str, MapSource]
    data: tuple[DataSource, ...]
    options: tuple[KernelOption, ...]
    filling: Filling  # of program arrays

    def __getitem__(self, name: str) -> LinkedProgram:
        """The program of that name; a `KeyError` names those that there are."""
        return self.programs[name]

    def __repr__(self) -> str:
        """`<ObjectFile firewall: 1 program: xdp_firewall>`."""
        return f"<ObjectFile {self.name}: {repr(self.programs)[1:]}"


def read_object(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    types: ProgramTypes = None,
    btf: BtfSource = None,
) -> ObjectFile:
    """Read an object file from its path or its bytes.

    `types` overrides the program types that the section names stand for: one type for all
    programs, or types by the names of programs or sections.  `btf` are the types that CO-RE makes
    the programs fit: a file, its bytes, or `"kernel"` for those of the running kernel; None are
    the object's own.  Raises `ObjectError` where the file cannot be read or is malformed,
    `ValueError` for a name in `types` that is not there.

    A program that refers to what is not supported loads; its `unsupported` names these things.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        name, data = "", bytes(source)
        _check_size("the object", len(data))
    else:
        path = Path(source)
        name, data = path.stem, read_file(path)
    elf = read_elf(data)
    btf_section, ext_section = elf.section(".BTF"), elf.section(".BTF.ext")
    own = read_btf(btf_section.data) if btf_section else None
    ext = read_btf_ext(ext_section.data, own) if ext_section and own else NO_BTF_EXT
    functions = find_functions(elf)
    corrected = corrections(functions, ext.accesses, own, target_btf(btf))
    module = Module(functions, find_references(elf, functions), ext, corrected)
    sections, programs = _programs(module, types)
    known = Types(own) if own else None
    maps = (*legacy_maps(elf, own, known), *btf_maps(elf, own, known, functions))
    return ObjectFile(
        name=name,
        programs=programs,
        license=_license(elf),
        btf=own,
        elf=elf,
        module=module,
        maps=_by_name(maps),
        data=data_sources(elf, own, known),
        options=kernel_options(own, known),
        filling=fillings(maps, sections, own),
    )


def _by_name(maps: Iterable[MapSource]) -> Mapping[str, MapSource]:
    found: dict[str, MapSource] = {}
    for source in maps:
        if source.name in found:
            raise ObjectError(f"two maps are called {source.name!r}")
        found[source.name] = source
    return MappingProxyType(found)


def target_btf(source: BtfSource) -> Btf | None:
    """The types to fit; raises `ObjectError` where there are none to be read."""
    if source is None or isinstance(source, Btf):
        return source
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _types_in(bytes(source), "the BTF")
    path = RUNNING_KERNEL if source == "kernel" else Path(source)
    return _types_of_file(path, path.stat().st_mtime_ns if path.exists() else 0)


@lru_cache(maxsize=4)
def _types_of_file(path: Path, _changed: int) -> Btf:
    return _types_in(read_file(path), str(path))


def _types_in(data: bytes, name: str) -> Btf:
    """The types of a file of BTF alone, or of an ELF file."""
    if not data.startswith(b"\x7fELF"):
        return read_btf(data)
    section = read_elf(data).section(".BTF")
    if section is None:
        raise ObjectError(f"{name!r} has no section .BTF")
    return read_btf(section.data)


def read_file(path: Path) -> bytes:
    """The bytes of a regular file of at most 64 MiB; raises `ObjectError` for anything else."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ObjectError(f"{str(path)!r} is not a regular file")
        _check_size(repr(str(path)), status.st_size)
        return path.read_bytes()
    except OSError as error:
        raise ObjectError(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _check_size(what: str, size: int) -> None:
    if size > LARGEST_FILE:
        raise ObjectError(f"{what} is {size} bytes; {LARGEST_FILE} are allowed")


def _programs(
    module: Module, types: ProgramTypes
) -> tuple[Mapping[str, str], Namespace[LinkedProgram]]:
    """The section of each program, and the programs."""
    indices = {id(function): index for index, function in enumerate(module.functions)}
    entries: dict[str, Function] = {}
    for function in entry_functions(module.functions):
        for name in function.names:
            if name in entries:
                raise ObjectError(f"two programs are called {name!r}")
            entries[name] = function
    overrides = _overrides(entries, types)

    def make(name: str) -> LinkedProgram:
        function = entries[name]
        return module.link(indices[id(function)], name, overrides[name])

    sections = {name: function.section.name for name, function in entries.items()}
    return sections, Namespace(entries, make, "program")


def _overrides(entries: Mapping[str, Function], types: ProgramTypes) -> Mapping[str, ProgramType]:
    """The type of each program: as asked for by its name or section, or as the section says."""
    if isinstance(types, ProgramType):
        return dict.fromkeys(entries, types)
    if not isinstance(types, Mapping | None):
        raise TypeError(f"types: a ProgramType, or one by name, is wanted, not {types!r}")
    asked = dict(types or {})
    for kind in asked.values():
        if not isinstance(kind, ProgramType):
            raise TypeError(f"types: a ProgramType is wanted, as ProgramType.XDP, not {kind!r}")
    sections = {name: function.section.name for name, function in entries.items()}
    for name in asked:
        if name not in sections and name not in sections.values():
            raise ValueError(f"types: no program or section of one is called {name!r}")
    usual = types_by_custom(list(entries.values()))
    return {
        name: asked.get(name, asked.get(section, usual[section]))
        for name, section in sections.items()
    }


def _license(elf: ElfFile) -> str:
    section = elf.section("license")
    text = bytes(section.data).partition(b"\0")[0] if section else b""
    return text.decode(errors="backslashreplace")
