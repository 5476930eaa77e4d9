"""BTF and BTF.ext, written by hand: each kind, each way to be malformed."""
# ruff: noqa: N802 -- tests of hostile input carry the name of their row, in its capitals

from __future__ import annotations

import contextlib
import struct
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btf_writer import BtfWriter
from drybpf.code import SourceLine
from drybpf.errors import ObjectError
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf, read_btf
from drybpf.objects.btf_ext import Access, BtfExt, read_btf_ext
from drybpf.objects.elf import read_elf
from support import shared

FAST = settings(max_examples=300, deadline=None, derandomize=True, database=None)
INT = (0 << 24 | 32,)  # the word behind an integer: encoding, offset, bits


def only(writer: BtfWriter) -> t.BtfType:
    """The last type of what was written."""
    return read_btf(writer.build()).types[-1]


def test_an_empty_section_has_void_only() -> None:
    assert read_btf(BtfWriter().build()).types == (t.Void(),)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        (32, t.Int("n", 4, 32, 0, signed=False, char=False, boolean=False)),
        (1 << 24 | 3 << 16 | 5, t.Int("n", 4, 5, 3, signed=True, char=False, boolean=False)),
        (2 << 24 | 8, t.Int("n", 4, 8, 0, signed=False, char=True, boolean=False)),
        (4 << 24 | 8, t.Int("n", 4, 8, 0, signed=False, char=False, boolean=True)),
    ],
)
def test_kind_1_int(word: int, wanted: t.Int) -> None:
    writer = BtfWriter()
    writer.type(1, "n", 4, [word])
    assert only(writer) == wanted


@pytest.mark.parametrize(
    ("kind", "name", "word", "extra", "wanted"),
    [
        (2, "", 1, [], t.Pointer("", 1)),
        (3, "", 0, [1, 1, 7], t.Array("", 1, 1, 7)),
        (7, "later", 0, [], t.Forward("later", union=False)),
        (8, "u32", 1, [], t.Typedef("u32", 1)),
        (9, "", 1, [], t.Modifier("", "volatile", 1)),
        (10, "", 1, [], t.Modifier("", "const", 1)),
        (11, "", 1, [], t.Modifier("", "restrict", 1)),
        (14, "v", 1, [1], t.Variable("v", 1, 1)),
        (16, "double", 8, [], t.Float("double", 8)),
        (17, "tag", 1, [-1], t.DeclarationTag("tag", 1, -1)),
        (18, "user", 1, [], t.Modifier("user", "type_tag", 1)),
    ],
)
def test_kinds_of_fixed_length(
    kind: int, name: str, word: int, extra: list[int], wanted: t.BtfType
) -> None:
    writer = BtfWriter()
    writer.type(1, "int", 4, INT)
    writer.type(kind, name, word, extra)
    assert only(writer) == wanted


def test_kind_7_forward_declaration_of_a_union() -> None:
    writer = BtfWriter()
    writer.type(7, "later", flag=1)
    assert only(writer) == t.Forward("later", union=True)


def test_kind_12_function_keeps_its_linkage_where_others_have_a_count() -> None:
    writer = BtfWriter()
    writer.type(13, "", 0)
    writer.type(12, "f", 1, vlen=2)
    assert only(writer) == t.Function("f", 1, 2)


def test_kind_15_data_section() -> None:
    writer = BtfWriter()
    writer.type(15, ".bss", 12, [0, 8, 4], vlen=1)
    assert only(writer) == t.DataSection(".bss", 12, (t.Placed(0, 8, 4),))


@pytest.mark.parametrize(("kind", "union"), [(4, False), (5, True)])
def test_kinds_4_and_5_struct_and_union(kind: int, union: bool) -> None:
    writer = BtfWriter()
    a, b = writer.string("a"), writer.string("b")
    writer.type(1, "int", 4, INT)
    writer.type(kind, "pair", 8, [a, 1, 0, b, 1, 32], vlen=2)
    members = (t.Member("a", 1, 0, 0), t.Member("b", 1, 32, 0))
    assert only(writer) == t.Struct("pair", 8, members, union)
    writer.type(kind, "fields", 8, [a, 1, 3 << 24 | 37], vlen=1, flag=1)
    assert only(writer) == t.Struct("fields", 8, (t.Member("a", 1, 37, 3),), union)


def test_kinds_6_and_19_enum() -> None:
    writer = BtfWriter()
    low, high = writer.string("LOW"), writer.string("HIGH")
    writer.type(6, "e", 4, [low, -1, high, 7], vlen=2, flag=1)
    assert only(writer) == t.Enum("e", 4, True, (("LOW", -1), ("HIGH", 7)))
    writer.type(6, "e", 4, [low, -1], vlen=1)
    assert only(writer) == t.Enum("e", 4, False, (("LOW", 2**32 - 1),))
    writer.type(19, "e", 8, [low, 5, -1, high, 1, 2], vlen=2, flag=1)
    assert only(writer) == t.Enum("e", 8, True, (("LOW", 5 - 2**32), ("HIGH", 2 << 32 | 1)))
    writer.type(19, "e", 8, [low, -1, -1], vlen=1)
    assert only(writer) == t.Enum("e", 8, False, (("LOW", 2**64 - 1),))


def test_kind_13_prototype() -> None:
    writer = BtfWriter()
    name = writer.string("ctx")
    writer.type(1, "int", 4, INT)
    writer.type(13, "", 1, [name, 1, 0, 0], vlen=2)
    assert only(writer) == t.Prototype("", 1, (("ctx", 1), ("", 0)))


def small() -> Btf:
    """1 int, 2 typedef of it, 3 const of that, 4 array of five, 5 pointer, 6 struct, 7 function."""
    writer = BtfWriter()
    writer.type(1, "int", 4, INT)
    writer.type(8, "u32", 1)
    writer.type(10, "", 2)
    writer.type(3, "", 0, [3, 1, 5])
    writer.type(2, "", 0)
    writer.type(4, "pair", 12, [0, 1, 0], vlen=1)
    writer.type(13, "", 0)
    writer.type(14, "v", 4, [0])
    writer.type(3, "", 0, [4, 1, 2])
    return read_btf(writer.build())


def test_types_by_name_and_behind_typedefs() -> None:
    btf = small()
    assert btf.named("u32") == (2,)
    assert btf.named("nobody") == ()
    assert btf.resolve(3) == btf.types[1]
    assert btf.resolve(6) == btf.types[6]


@pytest.mark.parametrize(
    ("type_id", "size"), [(1, 4), (2, 4), (3, 4), (4, 20), (5, 8), (6, 12), (8, 20), (9, 40)]
)
def test_sizes(type_id: int, size: int) -> None:
    assert small().size_of(type_id) == size


@pytest.mark.parametrize("type_id", [0, 7])
def test_types_without_a_size(type_id: int) -> None:
    with pytest.raises(ObjectError, match=f"type {type_id} .* has no size"):
        small().size_of(type_id)


def test_L14_types_in_a_ring() -> None:
    writer = BtfWriter()
    writer.type(8, "a", 2)
    writer.type(8, "b", 1)
    writer.type(3, "", 0, [3, 3, 2])
    btf = read_btf(writer.build())
    with pytest.raises(ObjectError, match="stands for itself"):
        btf.resolve(1)
    with pytest.raises(ObjectError, match="has no size"):
        btf.size_of(3)


def patched(offset: int, layout: str, value: int) -> bytes:
    """A section of one integer and a pointer to it, one field changed."""
    writer = BtfWriter()
    writer.type(1, "int", 4, INT)
    writer.type(2, "", 1)
    data = bytearray(writer.build())
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header is truncated"),
        (bytes(24), "magic 0x0 is not 0xeb9f"),
        (patched(2, "<B", 2), "version 2"),
        (patched(4, "<I", 23), "header of 23 bytes"),
        (patched(4, "<I", 2**32 - 1), "a part ends beyond"),
        (patched(8, "<I", 100), "a part ends beyond"),
        (patched(12, "<I", 2**32 - 1), "a part ends beyond"),
        (patched(16, "<I", 2**32 - 1), "a part ends beyond"),
        (patched(20, "<I", 100), "a part ends beyond"),
        (patched(20, "<I", 2), "does not end"),
        (patched(12, "<I", 11), "type 1 is truncated"),
        (patched(12, "<I", 15), "type 1 is truncated"),
        (patched(24, "<I", 99), "string offset 99 is beyond"),
        (patched(28, "<I", 0), "type 1 is of unknown kind 0"),
        (patched(28, "<I", 20 << 24), "type 1 is of unknown kind 20"),
        (patched(28, "<I", 4 << 24 | 0xFFFF), "type 1 is truncated"),
        (patched(48, "<I", 3), "type 2 names type 3 of 3"),
    ],
)
def test_L14_malformed_btf(data: bytes, reason: str) -> None:
    with pytest.raises(ObjectError, match=reason):
        read_btf(data)


def test_a_longer_header_is_skipped() -> None:
    writer = BtfWriter()
    writer.type(1, "int", 4, INT)
    assert read_btf(writer.build(header=32)).types[1].name == "int"


LINE = SourceLine("prog.c", 12, 3, "return 1;")


def small_ext(*, longer: int = 0) -> BtfExt:
    writer = BtfWriter()
    writer.type(1, "int", 4, INT)
    first, second = writer.line(0, "int f()", 11), writer.line(1, "return 1;", 12, 3)
    data = writer.ext(
        functions={"xdp": [(0, 1)], "tc": [(8, 1)]},
        lines={"xdp": [second, first]},
        accesses={"xdp": [(16, 1, writer.string("0:1"), 0)]},
        longer=longer,
    )
    return read_btf_ext(data, read_btf(writer.build()))


@pytest.mark.parametrize("longer", [0, 4])
def test_functions_lines_and_accesses(longer: int) -> None:
    ext = small_ext(longer=longer)
    assert ext.functions == {"xdp": {0: 1}, "tc": {1: 1}}
    assert ext.lines == {"xdp": {0: SourceLine("prog.c", 11, 1, "int f()"), 1: LINE}}
    assert list(ext.lines["xdp"]) == [0, 1]
    assert ext.accesses == {"xdp": {2: Access(1, "0:1", 0)}}


def test_older_compilers_write_no_accesses() -> None:
    writer = BtfWriter()
    data = writer.ext(lines={"xdp": [writer.line(1, "return 1;", 12, 3)]})
    ext = read_btf_ext(data, read_btf(writer.build()))
    assert ext.lines == {"xdp": {1: LINE}}
    assert ext.accesses == {}


def malformed_ext(offset: int, layout: str, value: int, length: int | None = None) -> bytes:
    """Header 0–31, functions 32–51 (size, section, count, one record), then nothing."""
    writer = BtfWriter()
    data = bytearray(writer.ext(functions={"": [(0, 0)]}, accesses={}))
    struct.pack_into(layout, data, offset, value)
    return bytes(data[:length])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "header is truncated"),
        (bytes(8), "magic 0x0"),
        (malformed_ext(2, "<B", 2), "version 2"),
        (malformed_ext(8, "<I", 2**32 - 1), "a part ends beyond"),
        (malformed_ext(12, "<I", 2**32 - 1), "a part ends beyond"),
        (malformed_ext(12, "<I", 3), "a part is truncated"),
        (malformed_ext(12, "<I", 10), "a section's records are truncated"),
        (malformed_ext(12, "<I", 16), "the records of section '' are truncated"),
        (malformed_ext(32, "<I", 0), "records of 0 bytes, not 8"),
        (malformed_ext(36, "<I", 9), "string offset 9 is beyond"),
        (malformed_ext(40, "<I", 2**32 - 1), "the records of section '' are truncated"),
        (malformed_ext(44, "<I", 4), "offset 4 in section '' is no instruction"),
    ],
)
def test_L14_malformed_btf_ext(data: bytes, reason: str) -> None:
    with pytest.raises(ObjectError, match=reason):
        read_btf_ext(data, read_btf(BtfWriter().build()))


def test_L14_access_to_a_type_that_is_not_there() -> None:
    writer = BtfWriter()
    data = writer.ext(accesses={"": [(0, 1, 0, 0)]})
    with pytest.raises(ObjectError, match="no type 1"):
        read_btf_ext(data, read_btf(writer.build()))


def test_a_real_object() -> None:
    elf = read_elf(shared("objects/cilium-examples/tcprtt_bpf_bpfel.o").read_bytes())
    types, instructions = elf.section(".BTF"), elf.section(".BTF.ext")
    assert types is not None
    assert instructions is not None
    btf = read_btf(types.data)
    ext = read_btf_ext(instructions.data, btf)
    accesses = ext.accesses["fentry/tcp_close"]
    assert len(accesses) == 6
    assert {btf.types[access.type].name for access in accesses.values()} == {"sock", "tcp_sock"}
    assert {access.kind for access in accesses.values()} == {0}
    (function,) = ext.functions["fentry/tcp_close"].values()
    assert btf.types[function].name == "tcp_close"


def rich() -> tuple[bytes, bytes]:
    """A section with many kinds in it, and one with all three parts."""
    writer = BtfWriter()
    name = writer.string("name")
    writer.type(1, "int", 4, INT)
    writer.type(4, "pair", 8, [name, 1, 0, name, 1, 32], vlen=2)
    writer.type(19, "e", 8, [name, 5, -1], vlen=1, flag=1)
    writer.type(13, "", 1, [name, 1], vlen=1)
    writer.type(15, ".bss", 12, [1, 8, 4], vlen=1)
    ext = writer.ext({"a": [(0, 1)]}, {"a": [(0, name, name, 99)]}, {"a": [(8, 1, name, 0)]})
    return writer.build(), ext


@FAST
@given(st.data())
def test_mutated_btf_gives_a_result_or_an_object_error(data: st.DataObject) -> None:
    sections = [bytearray(section) for section in rich()]
    for section in sections:
        for _ in range(data.draw(st.integers(0, 3))):
            section[data.draw(st.integers(0, len(section) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ObjectError):
        btf = read_btf(bytes(sections[0]))
        read_btf_ext(bytes(sections[1]), btf)
        for type_id in range(len(btf.types)):
            btf.size_of(type_id)


def test_long_chains_of_types_are_refused_at_once() -> None:
    """As in the kernel; each member would else walk the whole chain of typedefs again."""
    writer = BtfWriter()
    link = number = writer.type(1, "int", 4, INT)
    for _ in range(20_000):
        link = writer.type(8, "t", link)
    matrix = number
    for _ in range(20_000):
        matrix = writer.type(3, "", 0, [matrix, number, 2**32 - 1])
    btf = read_btf(writer.build())
    begin = process_time()
    for _ in range(20_000):
        with pytest.raises(ObjectError, match="behind 32 others"):
            btf.resolve(link)
        with pytest.raises(ObjectError, match="has no size"):
            btf.size_of(matrix)
    assert process_time() - begin < 10
    assert btf.resolve(number + 31) == btf.types[number]
