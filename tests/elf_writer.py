"""Writes ELF files for tests: right by default, and wrong in any field that a test names."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from drybpf.isa import Instruction, encode
from drybpf.objects.elf import (
    SHF_ALLOC,
    SHF_EXECINSTR,
    SHF_WRITE,
    SHT_NULL,
    SHT_PROGBITS,
    SHT_REL,
    SHT_RELA,
    SHT_STRTAB,
    SHT_SYMTAB,
    STB_GLOBAL,
    STT_FUNC,
)

CODE = SHF_ALLOC | SHF_EXECINSTR
DATA = SHF_ALLOC | SHF_WRITE

EXIT = Instruction(0x95)
MOV_R0_1 = Instruction(0xB7, imm=1)
LDDW_R1_0 = Instruction(0x18, dst=1, second=0)
CALL_OUT = Instruction(0x85, src=1, imm=-1)  # as clang writes it where a relocation follows
RETURN_1 = encode([MOV_R0_1, EXIT])


def call(distance: int) -> Instruction:
    return Instruction(0x85, src=1, imm=distance)


@dataclass
class Header:
    """The fields of a section header; `offset` and `size` follow from `data` unless given."""

    name: int
    type: int
    flags: int
    data: bytes
    link: int = 0
    info: int = 0
    entry_size: int = 0
    offset: int | None = None
    size: int | None = None


@dataclass
class ElfWriter:
    """Sections in the order they are added; then relocations, symbols and names.

    `header` overrides fields of the file's header by name, `tables` those of the sections
    `.symtab`, `.strtab` and `.rel…` that `build` makes.
    """

    header: dict[str, int] = field(default_factory=dict)
    tables: dict[str, dict[str, int]] = field(default_factory=dict)
    names: bytearray = field(default_factory=lambda: bytearray(1))
    sections: list[Header] = field(default_factory=lambda: [Header(0, SHT_NULL, 0, b"")])
    section_names: list[str] = field(default_factory=lambda: [""])
    symbols: list[bytes] = field(default_factory=lambda: [bytes(24)])
    relocations: dict[int, bytearray] = field(default_factory=dict)
    with_addends: set[int] = field(default_factory=set)

    def intern(self, name: str | bytes) -> int:
        """Put a name into the string table, give its offset."""
        offset = len(self.names)
        self.names += (name.encode() if isinstance(name, str) else name) + b"\0"
        return offset

    def section(
        self,
        name: str,
        data: bytes = RETURN_1,
        flags: int = CODE,
        kind: int = SHT_PROGBITS,
        **fields: int,
    ) -> int:
        """Add a section, give its index."""
        self.sections.append(Header(self.intern(name), kind, flags, data, **fields))
        self.section_names.append(name)
        return len(self.sections) - 1

    def symbol(
        self,
        name: str | bytes,
        section: int,
        value: int = 0,
        size: int = 0,
        *,
        kind: int = STT_FUNC,
        binding: int = STB_GLOBAL,
    ) -> int:
        """Add a symbol, give its index."""
        info = binding << 4 | kind
        offset = self.intern(name) if name else 0
        self.symbols.append(struct.pack("<IBBHQQ", offset, info, 0, section, value, size))
        return len(self.symbols) - 1

    def relocate(
        self, section: int, offset: int, kind: int, symbol: int, addend: int | None = None
    ) -> None:
        """Add a relocation; those with an addend make a section of type RELA."""
        entry = struct.pack("<QQ", offset, symbol << 32 | kind)
        if addend is not None:
            self.with_addends.add(section)
            entry += struct.pack("<q", addend)
        self.relocations.setdefault(section, bytearray()).extend(entry)

    def build(self) -> bytes:
        """The bytes of the file: header, contents, table of sections."""
        symtab = len(self.sections) + len(self.relocations)
        for section, entries in self.relocations.items():
            with_addend = section in self.with_addends
            name = ".rel" + self.section_names[section]
            self._table(
                name,
                SHT_RELA if with_addend else SHT_REL,
                bytes(entries),
                link=symtab,
                info=section,
                entry_size=24 if with_addend else 16,
            )
        self._table(".symtab", SHT_SYMTAB, b"".join(self.symbols), link=symtab + 1, entry_size=24)
        self._table(".strtab", SHT_STRTAB, b"")
        self.sections[-1].data = bytes(self.names)
        return self._assemble()

    def _table(self, name: str, kind: int, data: bytes, **fields: int) -> None:
        fields = {"flags": 0, "kind": kind} | fields | self.tables.get(name, {})
        self.section(name, data, **fields)

    def _assemble(self) -> bytes:
        contents, headers = bytearray(), bytearray()
        for section in self.sections:
            contents += bytes(-len(contents) % 8)
            offset = 64 + len(contents) if section.offset is None else section.offset
            size = len(section.data) if section.size is None else section.size
            contents += section.data
            kind, flags, link, info = section.type, section.flags, section.link, section.info
            headers += struct.pack(
                "<IIQQQQIIQQ", section.name, kind, flags, 0, offset, size, link, info, 8,
                section.entry_size,
            )  # fmt: skip
        contents += bytes(-len(contents) % 8)
        return self._file_header(64 + len(contents)) + contents + headers

    def _file_header(self, section_offset: int) -> bytes:
        values = {
            "class": 2, "data": 1, "type": 1, "machine": 247, "entry": 0, "phoff": 0,
            "shoff": section_offset, "phnum": 0, "shentsize": 64, "shnum": len(self.sections),
            "shstrndx": len(self.sections) - 1,
        } | self.header  # fmt: skip
        identity = bytes([0x7F, *b"ELF", values["class"], values["data"], 1]) + bytes(9)
        return struct.pack(
            "<16sHHIQQQIHHHHHH", identity, values["type"], values["machine"], 1, values["entry"],
            values["phoff"], values["shoff"], 0, 64, 56, values["phnum"], values["shentsize"],
            values["shnum"], values["shstrndx"],
        )  # fmt: skip


def one_program(code: bytes = RETURN_1, section: str = "xdp", name: str = "prog") -> ElfWriter:
    """A writer with one program in section 1, named by symbol 1."""
    writer = ElfWriter()
    writer.symbol(name, writer.section(section, code), size=len(code))
    return writer
