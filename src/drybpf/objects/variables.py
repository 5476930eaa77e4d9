"""Data sections as they stand in the file: bytes, variables with their types, and pointers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from drybpf.errors import ObjectError
from drybpf.maps.codec import Codec
from drybpf.objects import btf_types as t
from drybpf.objects.btf import POINTER_SIZE, Btf
from drybpf.objects.btf_maps import SECTION as MAPS_SECTION
from drybpf.objects.codecs import Integer, Octets
from drybpf.objects.elf import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_NOBITS,
    SHT_PROGBITS,
    STB_LOCAL,
    STT_FUNC,
    STT_SECTION,
    ElfFile,
    Section,
    Symbol,
)
from drybpf.objects.legacy_maps import is_legacy
from drybpf.objects.typed import Types

# sections that are loaded in name, but that no program is given
_NOT_DATA = ("license", "version", ".eh_frame", ".llvm_addrsig", ".BTF", ".BTF.ext", MAPS_SECTION)
LARGEST_SECTION = 1 << 28  # bytes: a slot of the address space
_NUMBERS = (1, 2, 4, 8)
# Bytes that a relocation of data changes, by type: R_BPF_64_ABS64 is 2, _ABS32 3, _NODYLD32 4.
# Old clang wrote R_BPF_64_64, or no type.
_SIZES = {0: POINTER_SIZE, 1: POINTER_SIZE, 2: POINTER_SIZE, 3: 4, 4: 4}


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable at `offset` of its section; `codec` says its size and how Python sees it."""

    name: str
    offset: int
    codec: Codec


@dataclass(frozen=True, slots=True)
class Pointer:
    """`size` bytes of a data section that are an address: of `symbol` plus `addend`."""

    offset: int
    size: int
    symbol: Symbol
    addend: int


@dataclass(frozen=True)
class DataSource:
    """A data section: `size` bytes that begin with `image`, the rest zeros."""

    name: str
    section: int
    image: bytes
    size: int
    writable: bool
    variables: Mapping[str, Variable]
    pointers: tuple[Pointer, ...]

    def initial(self) -> bytearray:
        """The bytes before any program ran."""
        return bytearray(self.image.ljust(self.size, b"\0"))


def data_sources(elf: ElfFile, btf: Btf | None, types: Types | None) -> tuple[DataSource, ...]:
    """The data sections of an object, in order."""
    return tuple(_source(elf, section, btf, types) for section in elf.sections if _is_data(section))


def _is_data(section: Section) -> bool:
    wanted = section.type in (SHT_PROGBITS, SHT_NOBITS) and section.flags & SHF_ALLOC
    known = section.name in _NOT_DATA or is_legacy(section)
    return bool(wanted and section.size and not section.flags & SHF_EXECINSTR and not known)


def _source(elf: ElfFile, section: Section, btf: Btf | None, types: Types | None) -> DataSource:
    if section.size > LARGEST_SECTION:
        raise ObjectError(f"section {section.name!r} is larger than {LARGEST_SECTION} bytes")
    found: dict[str, Variable] = {}
    for variable in (*_typed(elf, section, btf, types), *_untyped(elf, section)):
        if variable.offset + variable.codec.size > section.size:
            raise ObjectError(f"section {section.name!r}: {variable.name!r} lies outside of it")
        found.setdefault(variable.name, variable)
    ordered = sorted(found.values(), key=lambda variable: variable.offset)
    return DataSource(
        name=section.name,
        section=section.index,
        image=bytes(section.data),
        size=section.size,
        writable=bool(section.flags & SHF_WRITE) and not section.name.startswith(".rodata"),
        variables={variable.name: variable for variable in ordered},
        pointers=tuple(_pointers(elf, section)),
    )


def _typed(
    elf: ElfFile, section: Section, btf: Btf | None, types: Types | None
) -> Iterator[Variable]:
    """The variables that BTF describes.  As with maps, a symbol knows better where one is."""
    symbols = {
        symbol.name: symbol.value
        for symbol in elf.symbols_of(section.index)
        if symbol.binding != STB_LOCAL
    }
    if btf is None or types is None:
        return
    for type_id in btf.named(section.name):
        data = btf.types[type_id]
        for placed in data.variables if isinstance(data, t.DataSection) else ():
            variable = btf.types[placed.variable]
            if isinstance(variable, t.Variable):
                codec = types.codec(variable.type)
                if codec.size != placed.size:
                    # longer: an array of unknown length at its end; shorter: the optimiser cut
                    # a static structure or array in parts, and left it the whole's type
                    codec = _of_size(placed.size)
                yield Variable(variable.name, symbols.get(variable.name, placed.offset), codec)


def _untyped(elf: ElfFile, section: Section) -> Iterator[Variable]:
    """The variables that only symbols name: numbers of their size, else bytes.

    A symbol without a size reaches to the next.
    """
    symbols = [
        symbol
        for symbol in elf.symbols_of(section.index)
        if symbol.name and symbol.type not in (STT_SECTION, STT_FUNC)
    ]
    starts = sorted({symbol.value for symbol in symbols} | {section.size})
    following = dict(pairwise(starts))
    for symbol in symbols:
        size = symbol.size or following.get(symbol.value, symbol.value) - symbol.value
        if size > 0:
            codec = _of_size(size) if symbol.size else Octets(size)
            yield Variable(symbol.name, symbol.value, codec)


def _of_size(size: int) -> Codec:
    """How a variable of an unknown type is seen."""
    return Integer(size) if size in _NUMBERS else Octets(size)


def _pointers(elf: ElfFile, section: Section) -> Iterator[Pointer]:
    for relocation in elf.relocations.get(section.index, ()):
        place = f"section {section.name!r}: a relocation at offset {relocation.offset}"
        size = _SIZES.get(relocation.type)
        if size is None:
            raise ObjectError(f"{place} is of type {relocation.type}, which does not fit data")
        bits = section.data[relocation.offset : relocation.offset + size]
        if len(bits) != size:
            raise ObjectError(f"{place} does not lie within it")
        addend = relocation.addend
        if addend is None:
            addend = int.from_bytes(bits, "little", signed=True)
        yield Pointer(relocation.offset, size, relocation.symbol, addend)
