"""The ELF boundary: honest files beside a second reader, and the rows L of hostile ones."""
# ruff: noqa: N802 -- tests of hostile input carry the name of their row, in its capitals

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.errors import ObjectError
from drybpf.objects.elf import LARGEST_NOBITS, SHT_NOBITS, SHT_STRTAB, STT_NOTYPE, read_elf
from drybpf.objects.strings import LONGEST, StringTable
from elf_writer import CODE, DATA, RETURN_1, ElfWriter, one_program
from support import shared_or_none

FAST = settings(max_examples=300, deadline=None, derandomize=True, database=None)
SHARED = shared_or_none("objects")
REAL = sorted(SHARED.glob("*/*.o")) if SHARED else []


def refused(data: bytes) -> str:
    """Why the file is refused, within three seconds."""
    begin = time.process_time()
    with pytest.raises(ObjectError) as caught:
        read_elf(data)
    assert time.process_time() - begin < 3
    return str(caught.value)


def test_sections_symbols_and_relocations_are_values() -> None:
    writer = one_program()
    other = writer.symbol("elsewhere", 0, kind=STT_NOTYPE)
    writer.relocate(1, 8, 10, other)
    elf = read_elf(writer.build())
    section = elf.section("xdp")
    assert section is not None
    assert (section.index, section.flags, bytes(section.data)) == (1, CODE, RETURN_1)
    assert section.executable
    assert [symbol.name for symbol in elf.symbols] == ["", "prog", "elsewhere"]
    assert (elf.symbols[1].section, elf.symbols[1].size) == (1, 16)
    (relocation,) = elf.relocations[1]
    assert (relocation.offset, relocation.type, relocation.addend) == (8, 10, None)
    assert relocation.symbol is elf.symbols[other]
    assert elf.section("tc") is None
    with pytest.raises(AttributeError):
        section.size = 0  # type: ignore[misc]  # that this fails is the point


def test_relocations_with_addends() -> None:
    writer = one_program()
    writer.relocate(1, 0, 1, 1, addend=-8)
    (relocation,) = read_elf(writer.build()).relocations[1]
    assert relocation.addend == -8


def test_relocations_of_debug_information_are_not_read() -> None:
    writer = one_program()
    debug = writer.section(".debug_info", bytes(8), flags=0)
    writer.relocate(debug, 0, 1, symbol=99)  # there is no symbol 99
    assert read_elf(writer.build()).relocations == {}


def test_a_file_without_symbols() -> None:
    writer = one_program()
    writer.tables[".symtab"] = {"kind": 1}
    assert read_elf(writer.build()).symbols == ()


def test_absolute_and_common_symbols_are_in_no_section() -> None:
    writer = one_program()
    writer.symbol("prog.c", 0xFFF1, kind=4)
    assert read_elf(writer.build()).symbols[2].section == 0


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_objects_read_as_pyelftools_reads_them(path: Path) -> None:
    data = path.read_bytes()
    ours, theirs = read_elf(data), ELFFile(io.BytesIO(data))
    assert [
        (section.name, section.type, section.flags, section.size, section.link, section.info)
        for section in ours.sections
    ] == [
        (section.name, *(_number(section[f"sh_{field}"]) for field in _SECTION_FIELDS))
        for section in theirs.iter_sections()
    ]
    for section in theirs.iter_sections():
        if isinstance(section, SymbolTableSection):
            assert [
                (symbol.name, symbol.value, symbol.size, symbol.type) for symbol in ours.symbols
            ] == [
                (s.name, s["st_value"], s["st_size"], _TYPES[s["st_info"]["type"]])
                for s in section.iter_symbols()
            ]
        if isinstance(section, RelocationSection) and section["sh_info"] in ours.relocations:
            assert [
                (entry.offset, entry.type, entry.symbol.index)
                for entry in ours.relocations[section["sh_info"]]
            ] == [
                (entry["r_offset"], entry["r_info_type"], entry["r_info_sym"])
                for entry in section.iter_relocations()
            ]


_SECTION_FIELDS = ("type", "flags", "size", "link", "info")
_TYPES = {"STT_NOTYPE": 0, "STT_OBJECT": 1, "STT_FUNC": 2, "STT_SECTION": 3, "STT_FILE": 4}
_SECTION_TYPES = {
    "SHT_NULL": 0, "SHT_PROGBITS": 1, "SHT_SYMTAB": 2, "SHT_STRTAB": 3, "SHT_RELA": 4,
    "SHT_NOBITS": 8, "SHT_REL": 9, "SHT_LLVM_ADDRSIG": 0x6FFF4C03,
}  # fmt: skip


def _number(value: int | str) -> int:
    return _SECTION_TYPES[value] if isinstance(value, str) else value


def test_L1_truncated_at_every_byte() -> None:
    data = one_program().build()
    for length in range(len(data)):
        with pytest.raises(ObjectError):
            read_elf(data[:length])


def test_L1_nothing_and_something_else() -> None:
    assert refused(b"") == "not an ELF file"
    assert refused(b"MZ" * 100) == "not an ELF file"
    assert refused(b"\x7fELF") == "the ELF header is truncated"


@pytest.mark.parametrize("offset", [2**32, 2**63, 2**64 - 1, 2**64 - 64])
def test_L2_tables_beyond_the_file(offset: int) -> None:
    assert "sections ends beyond" in refused(ElfWriter({"shoff": offset}).build())
    assert "program headers" in refused(ElfWriter({"phoff": offset, "phnum": 1}).build())


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 2**64 - 1), (2**64 - 8, 16), (2**63, 2**63), (64, 10_000)]
)
def test_L2_contents_beyond_the_file(offset: int, size: int) -> None:
    writer = ElfWriter()
    writer.section("xdp", offset=offset, size=size)
    assert refused(writer.build()) == "section 1 ends beyond the file"


def test_L2_program_headers_within_the_file_do_not_matter() -> None:
    assert read_elf(ElfWriter({"phoff": 64, "phnum": 1}).build()).sections


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"shnum": 0}, "no sections"),
        ({"shnum": 65535}, "sections ends beyond the file"),
        ({"shstrndx": 0}, "section names are in section 0 of 3"),
        ({"shstrndx": 3}, "section names are in section 3 of 3"),
        ({"shstrndx": 65535}, "section names are in section 65535 of 3"),
        ({"shentsize": 0}, "section headers are 0 bytes, not 64"),
        ({"shentsize": 63}, "section headers are 63 bytes, not 64"),
    ],
)
def test_L3_counts_of_the_header(header: dict[str, int], reason: str) -> None:
    assert reason in refused(ElfWriter(header).build())


@pytest.mark.parametrize("size", [0, 1, 23, 25, 2**63])
def test_L3_entry_sizes_of_tables(size: int) -> None:
    writer = one_program()
    writer.tables[".symtab"] = {"entry_size": size}
    assert f"its entries are {size} bytes, not 24" in refused(writer.build())
    writer = one_program()
    writer.relocate(1, 0, 1, 1)
    writer.tables[".relxdp"] = {"entry_size": size}
    assert f"its entries are {size} bytes, not 16" in refused(writer.build())


def test_L3_tables_that_are_no_whole_entries() -> None:
    writer = one_program()
    writer.tables[".symtab"] = {"size": 47}
    assert "47 bytes are no whole entries" in refused(writer.build())


@pytest.mark.parametrize("symbol", [2, 65535, 2**32 - 1])
def test_L4_relocation_names_a_symbol_that_is_not_there(symbol: int) -> None:
    writer = one_program()
    writer.relocate(1, 0, 1, symbol)
    assert f"names symbol {symbol} of 2" in refused(writer.build())


def test_L4_symbol_in_a_section_that_is_not_there() -> None:
    writer = one_program()
    writer.symbol("lost", 0xFEFF)
    assert "symbol 2 is in section 65279 of 4" in refused(writer.build())


@pytest.mark.parametrize("info", [0, 5, 2**32 - 1])
def test_L4_relocations_of_a_section_that_is_not_there(info: int) -> None:
    writer = one_program()
    writer.relocate(1, 0, 1, 1)
    writer.tables[".relxdp"] = {"info": info}
    assert f"relocates section {info}" in refused(writer.build())


@pytest.mark.parametrize("link", [0, 1, 2, 99, 2**32 - 1])
def test_L7_links_of_the_wrong_type(link: int) -> None:
    writer = one_program()
    writer.tables[".symtab"] = {"link": link}
    assert f"its link {link} is no string table" in refused(writer.build())
    writer = one_program()
    writer.relocate(1, 0, 1, 1)
    writer.tables[".relxdp"] = {"link": link}
    assert f"its link {link} is no symbol table" in refused(writer.build())


def test_L7_relocations_without_a_symbol_table() -> None:
    writer = one_program()
    writer.relocate(1, 0, 1, 1)
    writer.tables[".symtab"] = {"kind": SHT_STRTAB}
    assert "is no symbol table" in refused(writer.build())


def test_L8_names_without_an_end() -> None:
    writer = one_program()
    data = bytearray(writer.build())
    end = data.index(b".strtab\0") + 7
    data[end] = ord("x")  # .strtab is the last string
    assert "does not end" in refused(bytes(data))


def test_L8_names_beyond_the_table() -> None:
    writer = one_program()
    writer.sections[1].name = 2**32 - 1
    assert "offset 4294967295 is beyond" in refused(writer.build())


def test_L8_a_name_of_ten_megabytes() -> None:
    writer = one_program()
    writer.symbol("x" * 10_000_000, 1)
    assert f"does not end within {LONGEST} bytes" in refused(writer.build())


def test_L8_many_names_in_one_long_text() -> None:
    names = StringTable(b"x" * LONGEST + b"\0", "names")
    with pytest.raises(ObjectError, match="the strings take more than"):
        list(map(names.at, range(LONGEST)))


def test_L8_names_that_are_not_utf_8() -> None:
    writer = ElfWriter()
    writer.symbol(b"caf\xe9\xff", writer.section("xdp"), size=16)
    assert read_elf(writer.build()).symbols[1].name == r"caf\xe9\xff"


def test_L9_sections_that_share_their_bytes() -> None:
    writer = one_program()
    writer.section("tc", b"", offset=64, size=16)
    elf = read_elf(writer.build())
    assert bytes(elf.sections[1].data) == bytes(elf.sections[2].data) == RETURN_1


def test_L9_sections_that_share_all_too_many_bytes() -> None:
    writer = one_program(RETURN_1 * 100)
    for _ in range(100):
        writer.section("tc", b"", offset=64, size=1600)
    assert "overlap" in refused(writer.build())


@pytest.mark.parametrize("entry", [0, 16, 2**64 - 1])
def test_L10_an_object_has_no_entry_address(entry: int) -> None:
    writer = one_program()
    writer.header["entry"] = entry
    assert read_elf(writer.build()).sections[1].name == "xdp"


def test_L11_a_hundred_thousand_symbols_and_relocations() -> None:
    writer = one_program(RETURN_1 * 50_000)
    for index in range(100_000):
        writer.symbol(f"s{index}", 1, index * 8)
        writer.relocate(1, index * 8, 1, index)
    data = writer.build()
    begin = time.process_time()
    elf = read_elf(data)
    assert time.process_time() - begin < 10  # takes 1; a quadratic way takes minutes
    assert len(elf.symbols) == 100_002
    assert len(elf.relocations[1]) == 100_000


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"class": 1}, "not a 64-bit ELF file"),
        ({"data": 2}, "big-endian"),
        ({"machine": 62}, "for machine 62, not for BPF"),
        ({"type": 2}, "of type 2, not relocatable"),
    ],
)
def test_L12_which_kind_of_file_it_is(header: dict[str, int], reason: str) -> None:
    assert reason in refused(ElfWriter(header).build())


def test_old_clang_names_no_machine() -> None:
    writer = one_program()
    writer.header["machine"] = 0
    assert read_elf(writer.build()).sections[1].name == "xdp"


def test_L13_a_section_of_zeros() -> None:
    writer = ElfWriter()
    writer.section(".bss", b"", DATA, SHT_NOBITS, size=LARGEST_NOBITS)
    section = read_elf(writer.build()).sections[1]
    assert (section.size, bytes(section.data)) == (LARGEST_NOBITS, b"")
    writer.sections[1].size = 1 << 60
    assert "section 1 is 1152921504606846976 bytes of zeros" in refused(writer.build())


@FAST
@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_give_a_result_or_an_object_error(data: bytes, with_header: bool) -> None:
    prefix = ElfWriter({"shoff": 64, "shnum": len(data) // 64, "shstrndx": 1}).build()[:64]
    with contextlib.suppress(ObjectError):
        read_elf(prefix + data if with_header else data)
