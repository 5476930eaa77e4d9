"""The boundary to ELF: bytes in, frozen values out, `ObjectError` for everything else.

Only what a BPF object needs is read: ELF64, little-endian, relocatable; sections, symbols, and the
relocations of sections that are loaded.  Every size and count is held against the file before
anything is read by it, and the sections together may not be larger than the file, so time and
memory are linear in its size.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from drybpf.cached import cached_property
from drybpf.errors import ObjectError
from drybpf.objects.strings import StringTable

SHT_NULL, SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_RELA, SHT_NOBITS, SHT_REL = 0, 1, 2, 3, 4, 8, 9
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_SECTION = 0, 1, 2, 3
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
SHN_UNDEF, SHN_LORESERVE = 0, 0xFF00
LARGEST_NOBITS = 1 << 30  # bytes of a section of zeros, which costs the file nothing

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER_SIZE = 56
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_REL = struct.Struct("<QQ")
_RELA = struct.Struct("<QQq")
_EM_NONE, _EM_BPF = 0, 247
_ET_REL = 1


@dataclass(frozen=True, slots=True)
class Section:
    """A section; `data` is empty where the file holds no bytes for it (`size` zeros)."""

    index: int
    name: str
    type: int
    flags: int
    link: int
    info: int
    size: int
    entry_size: int
    data: memoryview

    @property
    def loaded(self) -> bool:
        """Whether the section is there when the program runs, as debug information is not."""
        return bool(self.flags & (SHF_ALLOC | SHF_EXECINSTR))

    @property
    def executable(self) -> bool:
        """Whether the section holds code."""
        return self.type == SHT_PROGBITS and bool(self.flags & SHF_EXECINSTR) and self.size > 0


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol: `value` is the offset in its section; `section` 0 is an undefined symbol."""

    index: int
    name: str
    type: int
    binding: int
    section: int
    value: int
    size: int


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place in a section that depends on a symbol; no `addend`: it stands at the place."""

    offset: int
    type: int
    symbol: Symbol
    addend: int | None


@dataclass(frozen=True)
class ElfFile:
    """What a file holds: `relocations` by the index of the section that they change."""

    sections: tuple[Section, ...]
    symbols: tuple[Symbol, ...]
    relocations: Mapping[int, tuple[Relocation, ...]]

    def section(self, name: str) -> Section | None:
        """The first section of that name, or None."""
        return next((section for section in self.sections if section.name == name), None)

    def symbols_of(self, section: int) -> Sequence[Symbol]:
        """The symbols in the section of that index, in the order of the table."""
        return self._by_section.get(section, ())

    @cached_property
    def _by_section(self) -> Mapping[int, Sequence[Symbol]]:
        found: dict[int, list[Symbol]] = {}
        for symbol in self.symbols:
            found.setdefault(symbol.section, []).append(symbol)
        return found


def read_elf(data: bytes) -> ElfFile:
    """Read a BPF object file; raises `ObjectError` with what is wrong."""
    sections = _read_sections(data)
    symbol_table = next((section for section in sections if section.type == SHT_SYMTAB), None)
    symbols = () if symbol_table is None else _read_symbols(sections, symbol_table)
    relocations = _read_relocations(sections, symbols, symbol_table)
    return ElfFile(sections, symbols, relocations)


def _read_sections(data: bytes) -> tuple[Section, ...]:
    table, names_index = _section_headers(data)
    raw = list(_SECTION.iter_unpack(table))
    if not 0 < names_index < len(raw):
        raise ObjectError(f"section names are in section {names_index} of {len(raw)}")
    view = memoryview(data)
    contents = [_contents(view, index, header) for index, header in enumerate(raw)]
    if sum(map(len, contents)) > len(data):
        raise ObjectError("the sections overlap: together they are larger than the file")
    names = StringTable(contents[names_index], "section names")
    return tuple(
        Section(index, names.at(name), kind, flags, link, info, size, entry_size, contents[index])
        for index, (name, kind, flags, _, _, size, link, info, _, entry_size) in enumerate(raw)
    )


def _section_headers(data: bytes) -> tuple[memoryview, int]:
    """Check the file's header; give the table of sections and the index of their names."""
    if data[:4] != b"\x7fELF":
        raise ObjectError("not an ELF file")
    if len(data) < _HEADER.size:
        raise ObjectError("the ELF header is truncated")
    header = _HEADER.unpack_from(data)
    identity, kind, machine, _, _, program_offset, section_offset, _, _, _, program_count = header[
        :11
    ]
    entry_size, count, names_index = header[11:]
    if identity[4] != 2:
        raise ObjectError("not a 64-bit ELF file")
    if identity[5] != 1:
        raise ObjectError("the ELF file is big-endian; drybpf runs little-endian programs")
    if machine not in (_EM_NONE, _EM_BPF):
        raise ObjectError(f"the ELF file is for machine {machine}, not for BPF ({_EM_BPF})")
    if kind != _ET_REL:
        raise ObjectError(f"the ELF file is of type {kind}, not relocatable ({_ET_REL})")
    if program_count and program_offset + program_count * _PROGRAM_HEADER_SIZE > len(data):
        raise ObjectError("the table of program headers ends beyond the file")
    if not count:
        raise ObjectError("the ELF file has no sections")
    if entry_size != _SECTION.size:
        raise ObjectError(f"section headers are {entry_size} bytes, not {_SECTION.size}")
    end = section_offset + count * entry_size
    if end > len(data):
        raise ObjectError("the table of sections ends beyond the file")
    return memoryview(data)[section_offset:end], names_index


def _contents(view: memoryview, index: int, header: tuple[int, ...]) -> memoryview:
    kind, offset, size = header[1], header[4], header[5]
    if kind == SHT_NOBITS and size > LARGEST_NOBITS:
        raise ObjectError(f"section {index} is {size} bytes of zeros; {LARGEST_NOBITS} are allowed")
    if kind in (SHT_NULL, SHT_NOBITS):
        return view[:0]
    if offset + size > len(view):
        raise ObjectError(f"section {index} ends beyond the file")
    return view[offset : offset + size]


def _read_symbols(sections: tuple[Section, ...], table: Section) -> tuple[Symbol, ...]:
    _check_entries(table, _SYMBOL.size)
    if not (table.link < len(sections) and sections[table.link].type == SHT_STRTAB):
        raise ObjectError(f"section {table.name!r}: its link {table.link} is no string table")
    names = StringTable(sections[table.link].data, "symbol names")
    symbols = []
    for index, entry in enumerate(_SYMBOL.iter_unpack(table.data)):
        name, info, _, section, value, size = entry
        if section >= SHN_LORESERVE:
            section = SHN_UNDEF  # absolute and common symbols have no place in a section
        if section >= len(sections):
            raise ObjectError(f"symbol {index} is in section {section} of {len(sections)}")
        symbols.append(Symbol(index, names.at(name), info & 0xF, info >> 4, section, value, size))
    return tuple(symbols)


def _read_relocations(
    sections: tuple[Section, ...], symbols: tuple[Symbol, ...], symbol_table: Section | None
) -> Mapping[int, tuple[Relocation, ...]]:
    found: dict[int, list[Relocation]] = {}
    for table in sections:
        if table.type not in (SHT_REL, SHT_RELA):
            continue
        if not 0 < table.info < len(sections):
            raise ObjectError(f"section {table.name!r} relocates section {table.info}")
        if not sections[table.info].loaded:
            continue  # of interest to debuggers only
        if symbol_table is None or table.link != symbol_table.index:
            raise ObjectError(f"section {table.name!r}: its link {table.link} is no symbol table")
        found.setdefault(table.info, []).extend(_entries(table, symbols))
    return MappingProxyType({index: tuple(entries) for index, entries in found.items()})


def _entries(table: Section, symbols: tuple[Symbol, ...]) -> Iterator[Relocation]:
    entry = _REL if table.type == SHT_REL else _RELA
    _check_entries(table, entry.size)
    for offset, info, *addend in entry.iter_unpack(table.data):
        index = info >> 32
        if index >= len(symbols):
            raise ObjectError(
                f"section {table.name!r}: a relocation names symbol {index} of {len(symbols)}"
            )
        yield Relocation(offset, info & 0xFFFF_FFFF, symbols[index], addend[0] if addend else None)


def _check_entries(table: Section, size: int) -> None:
    if table.entry_size != size:
        raise ObjectError(
            f"section {table.name!r}: its entries are {table.entry_size} bytes, not {size}"
        )
    if table.size % size:
        raise ObjectError(f"section {table.name!r}: {table.size} bytes are no whole entries")
