"""CO-RE: every kind of question, every class of instruction, own types and another's."""

from __future__ import annotations

import sys
from pathlib import Path
from time import process_time

import pytest

from btf_writer import BtfWriter
from drybpf import load
from drybpf.errors import ObjectError
from drybpf.isa import Instruction, decode, encode
from drybpf.objects.btf import Btf, read_btf, without_flavour
from drybpf.objects.btf_ext import Access
from drybpf.objects.btf_types import Struct, Void
from drybpf.objects.core import Answer, Kind, Relocator, corrected
from drybpf.objects.core_access import walk
from drybpf.objects.loader import RUNNING_KERNEL, target_btf
from drybpf.objects.strings import StringTable
from elf_writer import EXIT, one_program
from object_runs import run_object
from support import fixture

CORE, TARGET = fixture("load_core"), fixture("load_core_target")
PACKET = bytes(range(200))


# Objects that clang compiled


def test_against_the_objects_own_types() -> None:
    """Offsets and sizes as C lays them out in tests/fixtures/src/load_core.c."""
    answers = run_object(CORE, "ask", PACKET).data["answers"]
    assert answers._asdict() == {
        "offset": 8 + 8 + 4, "size": 3 * 8, "exists": 1, "missing": 1, "sign": 1, "unsign": 0,
        "left": 64 - 8, "right": 64 - 5, "type_exists": 1, "type_size": 56, "type_matches": 1,
        "value_exists": 1, "value": 7, "local_id": answers.local_id, "target_id": answers.local_id,
    }  # fmt: skip
    btf = load(CORE).btf
    assert btf is not None
    assert btf.types[answers.local_id].name == "record"


def test_against_the_types_of_another_file() -> None:
    """There the fields have moved: tests/fixtures/src/load_core_target.c."""
    answers = run_object(CORE, "ask", PACKET, btf=TARGET).data["answers"]
    assert answers._asdict() == {
        "offset": 24 + 16 + 2, "size": 4 * 16, "exists": 1, "missing": 0, "sign": 1, "unsign": 1,
        "left": 64 - 6, "right": 64 - 6, "type_exists": 1, "type_size": 112, "type_matches": 0,
        "value_exists": 1, "value": 9,
        "local_id": answers.local_id, "target_id": answers.target_id,
    }  # fmt: skip
    target = target_btf(TARGET)
    assert target is not None
    assert target.types[answers.target_id].name == "record"


def test_loads_and_stores_follow_the_fields() -> None:
    outcome = run_object(CORE, "access", PACKET)
    assert outcome.value == int.from_bytes(PACKET[20:22], "little")
    last = PACKET[52:56]
    assert outcome.packet[24:28] == last
    assert outcome.packet[32:36] == b"\5\0\0\0"
    assert outcome.data["last_value"] == int.from_bytes(last, "little")
    changed = set(range(24, 28)) | set(range(32, 36))
    assert all(outcome.packet[i] == PACKET[i] for i in range(200) if i not in changed)


def test_a_load_that_cannot_be_resized_is_an_obstacle() -> None:
    program = load(CORE, btf=TARGET)["access"]
    assert program.obstacles == (
        "insn 0 asks CO-RE for record.last: the field has another size or sign there",
    )
    lines = program.disassemble().splitlines()
    assert "stxdw [r1+64], r2" in lines, "a u32 that has become a u64 at 24 + 2 * 16 + 8"
    assert "stxw [r1+16], r2" in lines


def test_what_is_not_there_faults_only_where_it_is_reached() -> None:
    missing = "asks CO-RE for record___other.missing, which is not in the given BTF"
    program = load(CORE, btf=TARGET)["reach_missing"]
    assert program.obstacles == (f"insn 3 {missing}",)
    reached = run_object(CORE, "reach_missing", b"\1\0\0\0" * 2, btf=TARGET)
    assert f"UnknownHelper: the instruction {missing} at insn 3 (./tests" in reached.error
    assert run_object(CORE, "reach_missing", bytes(8), btf=TARGET).value == 2
    assert run_object(CORE, "reach_missing", b"\1" + bytes(7)).value == 1


@pytest.mark.skipif(not RUNNING_KERNEL.exists(), reason="this kernel has no BTF")
def test_against_the_running_kernel() -> None:
    obj = load(CORE, btf="kernel")
    assert obj["ask_kernel"].obstacles == ()
    answers = run_object(CORE, "ask_kernel", b"", btf="kernel").data["kernel_answers"]
    kernel = target_btf("kernel")
    assert kernel is not None
    types = [kernel.types[type_id] for type_id in kernel.named("task_struct")]
    (task,) = [found for found in types if isinstance(found, Struct)]
    offsets = {member.name: member.offset // 8 for member in task.members}
    assert answers == (offsets["pid"], offsets["comm"], 0, task.size, 16, 1)
    assert any("record.last, which is not in the given BTF" in why for why in obj.unsupported)


def test_targets_of_every_form(tmp_path: Path) -> None:
    elf = TARGET.read_bytes()
    loaded = load(TARGET).file
    section = loaded.elf.section(".BTF")
    assert section is not None
    raw = tmp_path / "types.btf"
    raw.write_bytes(bytes(section.data))
    sizes = {
        run_object(CORE, "ask", PACKET, btf=target).data["answers"].type_size
        for target in (TARGET, str(TARGET), elf, bytes(section.data), raw, loaded.btf)
    }
    assert sizes == {112}
    with pytest.raises(ObjectError, match="cannot be read"):
        load(CORE, btf=tmp_path / "missing")
    with pytest.raises(ObjectError, match="has no section"):
        load(CORE, btf=one_program().build())
    with pytest.raises(ObjectError, match="magic"):
        load(CORE, btf=bytes(64))


# Types by hand


class Types:
    """The object's types and a target's, written side by side."""

    def __init__(self) -> None:
        self.local, self.target = BtfWriter(), BtfWriter()

    def answer(self, kind: Kind, type_id: int, access: str = "0") -> Answer | str:
        relocator = Relocator(read_btf(self.local.build()), read_btf(self.target.build()))
        return relocator.answer(Access(type_id, access, kind))

    def own(self, kind: Kind, type_id: int, access: str = "0") -> Answer | str:
        return Relocator(read_btf(self.local.build())).answer(Access(type_id, access, kind))


def ints(writer: BtfWriter) -> tuple[int, int, int]:
    """u32, s32 and u64."""
    return (
        writer.type(1, "u32", 4, [32]),
        writer.type(1, "s32", 4, [1 << 24 | 32]),
        writer.type(1, "u64", 8, [64]),
    )


def struct(
    writer: BtfWriter, name: str, size: int, *members: tuple[str, int, int], kind: int = 4,
    flag: int = 0,
) -> int:  # fmt: skip
    extra = [v for label, type_id, bit in members for v in (writer.string(label), type_id, bit)]
    return writer.type(kind, name, size, extra, vlen=len(members), flag=flag)


def test_flavours() -> None:
    assert without_flavour("task_struct___old") == "task_struct"
    assert without_flavour("a___b___c") == "a___b"
    assert [without_flavour(name) for name in ("___x", "x___", "x__y", "")] == [
        "___x", "x___", "x__y", "",
    ]  # fmt: skip


def test_fields_are_found_by_name_through_anonymous_members() -> None:
    t = Types()
    u32, *_ = ints(t.local)
    asked = struct(t.local, "s___mine", 4, ("x", u32, 0))
    u32, *_ = ints(t.target)
    inner = struct(t.target, "", 8, ("y", u32, 0), ("x", u32, 32))
    union = struct(t.target, "", 8, ("", inner, 0), kind=5)
    struct(t.target, "s", 24, ("before", u32, 0), ("", union, 64))
    assert t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:0") == Answer(12)
    assert t.answer(Kind.FIELD_EXISTS, asked, "0:0") == Answer(1)


def test_the_value_in_an_array_and_elements() -> None:
    t = Types()
    for writer, size, count in ((t.local, 16, 3), (t.target, 40, 4)):
        u32, *_ = ints(writer)
        array = writer.type(3, "", 0, [u32, u32, count])
        asked = struct(writer, "s", size, ("first", u32, 8 * (size - 16)), ("a", array, 32))
    assert t.answer(Kind.FIELD_BYTE_OFFSET, asked, "2:1:2") == Answer(2 * 40 + 4 + 8)
    assert t.own(Kind.FIELD_BYTE_OFFSET, asked, "2:1:2") == Answer(2 * 16 + 4 + 8)
    assert t.answer(Kind.FIELD_BYTE_SIZE, asked, "0:1") == Answer(16)
    with pytest.raises(ObjectError, match="leads nowhere"):
        t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:1:3")


def test_arrays_at_the_end_may_be_longer() -> None:
    t = Types()
    u32, *_ = ints(t.local)
    array = t.local.type(3, "", 0, [u32, u32, 0])
    flexible = struct(t.local, "s", 4, ("n", u32, 0), ("a", array, 32))
    middle = struct(t.local, "m", 8, ("a", array, 0), ("n", u32, 32))
    assert t.own(Kind.FIELD_BYTE_OFFSET, flexible, "0:1:7") == Answer(32)
    with pytest.raises(ObjectError, match="leads nowhere"):
        t.own(Kind.FIELD_BYTE_OFFSET, middle, "0:0:7")


@pytest.mark.parametrize(
    ("offset", "bits", "size", "unit"),
    [
        (0, 3, 4, (0, 4)),
        (35, 5, 4, (4, 4)),
        (30, 4, 4, (0, 8)),  # across two words
        (6, 4, 1, (0, 2)),
        (60, 5, 4, None),  # across what any load has
    ],
)
def test_bit_fields(offset: int, bits: int, size: int, unit: tuple[int, int] | None) -> None:
    t = Types()
    base = t.local.type(1, "int", size, [8 * size])
    asked = struct(t.local, "s", 16, ("f", base, bits << 24 | offset), flag=1)
    if unit is None:
        with pytest.raises(ObjectError, match="fits no load"):
            t.own(Kind.FIELD_BYTE_OFFSET, asked, "0:0")
        return
    byte, width = unit
    assert t.own(Kind.FIELD_BYTE_OFFSET, asked, "0:0") == Answer(byte)
    assert t.own(Kind.FIELD_BYTE_SIZE, asked, "0:0") == Answer(width)
    assert t.own(Kind.FIELD_LSHIFT_U64, asked, "0:0") == Answer(64 - (offset + bits - 8 * byte))
    assert t.own(Kind.FIELD_RSHIFT_U64, asked, "0:0") == Answer(64 - bits)


def test_several_types_of_a_name_must_agree() -> None:
    t = Types()
    u32, *_ = ints(t.local)
    asked = struct(t.local, "s", 4, ("x", u32, 0))
    u32, *_ = ints(t.target)
    struct(t.target, "s", 8, ("x", u32, 32))
    struct(t.target, "s", 12, ("y", u32, 0), ("x", u32, 32))
    struct(t.target, "s", 4, ("z", u32, 0))  # has none, and does not count
    assert t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:0") == Answer(4)
    assert (
        t.answer(Kind.TYPE_SIZE, asked)
        == "asks CO-RE for s, which is several things in the given BTF"
    )
    struct(t.target, "s", 4, ("x", u32, 0))
    assert "several things" in str(t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:0"))


def test_kinds_of_types_must_be_the_same() -> None:
    t = Types()
    u32, *_ = ints(t.local)
    asked = struct(t.local, "s", 4, ("x", u32, 0))
    other_kind = t.local.type(8, "s_t", asked)
    u32, *_ = ints(t.target)
    struct(t.target, "s", 4, ("x", u32, 0), kind=5)  # a union
    t.target.type(8, "s_t", u32)
    assert "not in the given BTF" in str(t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:0"))
    for kind in (Kind.TYPE_EXISTS, Kind.TYPE_SIZE, Kind.TYPE_ID_TARGET, Kind.TYPE_MATCHES):
        assert t.answer(kind, asked) == Answer(0)
    assert t.answer(Kind.TYPE_EXISTS, other_kind) == Answer(0), "of another kind behind its name"


FIELDS = {  # kinds of fields, in the object and in the target; whether the one may be the other
    "u32 s32": True, "u32 u64": True, "u32 pointer": False, "pointer pointer": True,
    "struct struct": True, "struct union": True, "struct u32": False, "u32 enum": False,
    "enum enum": True, "float float": True, "array array": True, "array u32": False,
}  # fmt: skip


def any_type(writer: BtfWriter, name: str) -> int:
    u32, s32, u64 = ints(writer)
    match name:
        case "u32" | "s32" | "u64":
            return {"u32": u32, "s32": s32, "u64": u64}[name]
        case "pointer":
            return writer.type(2, "", 0)
        case "struct":
            return struct(writer, "", 4, ("m", u32, 0))
        case "union":
            return struct(writer, "", 4, ("m", u32, 0), kind=5)
        case "enum":
            return writer.type(6, "e", 4, [writer.string("A"), 1], vlen=1)
        case "float":
            return writer.type(16, "double", 8)
        case _:
            return writer.type(3, "", 0, [u32, u32, 2])


@pytest.mark.parametrize(("kinds", "fits"), FIELDS.items())
def test_which_fields_are_the_same(kinds: str, fits: bool) -> None:
    t = Types()
    mine, its = kinds.split()
    asked = struct(t.local, "s", 8, ("x", any_type(t.local, mine), 0))
    struct(t.target, "s", 16, ("x", any_type(t.target, its), 64))
    found = t.answer(Kind.FIELD_BYTE_OFFSET, asked, "0:0")
    assert (isinstance(found, Answer) and found.value == 8) is fits
    assert t.answer(Kind.FIELD_EXISTS, asked, "0:0") == Answer(int(fits))


def test_enumerators() -> None:
    t = Types()
    asked = t.local.type(
        6, "e___old", 4, [t.local.string("A"), 1, t.local.string("GONE"), 2], vlen=2
    )
    t.target.type(19, "e", 8, [t.target.string("A"), 5, 7], vlen=1)
    assert t.answer(Kind.ENUMVAL_VALUE, asked) == Answer(7 << 32 | 5)
    assert t.answer(Kind.ENUMVAL_EXISTS, asked) == Answer(1)
    assert t.answer(Kind.ENUMVAL_EXISTS, asked, "1") == Answer(0)
    assert t.answer(Kind.ENUMVAL_VALUE, asked, "1") == (
        "asks CO-RE for GONE of enum e___old, which is not in the given BTF"
    )
    assert t.own(Kind.ENUMVAL_VALUE, asked, "1") == Answer(2)
    with pytest.raises(ObjectError, match="'2' is no value of 'e___old'"):
        t.own(Kind.ENUMVAL_VALUE, asked, "2")


def test_negative_enumerators() -> None:
    t = Types()
    asked = t.local.type(6, "e", 4, [t.local.string("A"), -5], vlen=1, flag=1)
    assert t.own(Kind.ENUMVAL_VALUE, asked) == Answer((1 << 64) - 5)


def matching(mine: str, its: str) -> bool:
    """Whether a structure with a member of one kind matches one with a member of another."""
    t = Types()
    asked = struct(t.local, "s", 8, ("x", any_type(t.local, mine), 0))
    struct(
        t.target, "s", 16, ("x", any_type(t.target, its), 0), ("y", any_type(t.target, "u32"), 64)
    )
    return t.answer(Kind.TYPE_MATCHES, asked) == Answer(1)


def test_what_matches() -> None:
    for kind in ("u32", "pointer", "struct", "enum", "float", "array"):
        assert matching(kind, kind)
    assert not matching("u32", "s32")
    assert not matching("u32", "u64")
    assert not matching("struct", "union")
    t = Types()
    lacking = struct(t.local, "s", 8, ("gone", any_type(t.local, "u32"), 0))
    struct(t.target, "s", 8, ("x", any_type(t.target, "u32"), 0))
    assert t.answer(Kind.TYPE_MATCHES, lacking) == Answer(0)
    assert t.answer(Kind.TYPE_EXISTS, lacking) == Answer(1)


def test_matching_of_types_that_lead_back_to_themselves_ends() -> None:
    t = Types()
    for writer in (t.local, t.target):
        pointer = writer.type(2, "", 2)
        asked = struct(writer, "node", 8, ("next", pointer, 0))
    assert t.answer(Kind.TYPE_MATCHES, asked) == Answer(1)
    t = Types()
    for writer in (t.local, t.target):
        asked = writer.type(2, "", 2)  # pointers to each other
        writer.type(2, "", 1)
    assert t.answer(Kind.TYPE_EXISTS, asked) == Answer(0), "without a name there is none"


def test_prototypes() -> None:
    t = Types()
    for writer, parameters in ((t.local, 2), (t.target, 2)):
        u32, s32, _ = ints(writer)
        extra = [v for _ in range(parameters) for v in (0, u32)]
        prototype = writer.type(13, "", s32, extra, vlen=parameters)
        asked = writer.type(8, "call_t", prototype)
    assert t.answer(Kind.TYPE_EXISTS, asked) == Answer(1)
    assert t.answer(Kind.TYPE_MATCHES, asked) == Answer(1)


def test_questions_that_make_no_sense() -> None:
    t = Types()
    u32, *_ = ints(t.local)
    asked = struct(t.local, "s", 4, ("x", u32, 0))
    assert t.own(Kind(6), asked) == Answer(asked)
    assert "nobody knows" in str(
        Relocator(read_btf(t.local.build())).answer(Access(asked, "0", 13))
    )
    for access in ("", "x", "0:1", "-1", "0:-1", "0:0:0", ":".join(["0"] * 100)):
        with pytest.raises(ObjectError, match="access"):
            t.own(Kind.FIELD_BYTE_OFFSET, asked, access)
    with pytest.raises(ObjectError, match="size"):
        t.own(Kind.FIELD_BYTE_OFFSET, 0, "1")


# Instructions


def insn(opcode: int, imm: int = 0, offset: int = 0) -> bytes:
    return encode([Instruction(opcode, 1, 0, offset, imm)])


def changed(before: bytes, value: int, resized: int = 0) -> Instruction:
    (instruction,) = decode(corrected(before, Answer(value, resized)))
    return instruction


@pytest.mark.parametrize("opcode", [0x07, 0x04, 0xB7, 0xB4, 0x57])
def test_immediates_of_arithmetic(opcode: int) -> None:
    assert changed(insn(opcode, 5), 77).imm == 77
    assert changed(insn(opcode, 5), (1 << 64) - 3).imm == -3
    with pytest.raises(ValueError, match="does not fit into an immediate"):
        changed(insn(opcode), 1 << 32)


def test_unsigned_immediates_only_of_32_bit_arithmetic() -> None:
    assert changed(insn(0xB4), 0xFFFF_FFFF).imm == -1
    with pytest.raises(ValueError, match="4294967295 does not fit"):
        changed(insn(0xB7), 0xFFFF_FFFF)


@pytest.mark.parametrize(
    "opcode", [0x61, 0x69, 0x71, 0x79, 0x63, 0x6B, 0x73, 0x7B, 0x62, 0x7A, 0x81]
)
def test_offsets_of_loads_and_stores(opcode: int) -> None:
    before = insn(opcode, 9, 4)
    after = changed(before, 32767)
    assert (after.offset, after.opcode, after.imm) == (32767, opcode, 9)
    assert changed(before, 0, 2).opcode == opcode & ~0x18 | 0x08
    assert changed(before, 0, 8).opcode == opcode & ~0x18 | 0x18
    with pytest.raises(ValueError, match="does not fit into an offset"):
        changed(before, 32768)
    for size in (-1, 3, 16):
        with pytest.raises(ValueError, match="another size or sign"):
            changed(before, 0, size)


def test_wide_immediates() -> None:
    lddw = encode([Instruction(0x18, 1, second=0)])
    assert changed(lddw, 0x1234_5678_9ABC_DEF0).imm64 == 0x1234_5678_9ABC_DEF0


@pytest.mark.parametrize("opcode", [0x05, 0x85, 0x95, 0x0F, 0x30, 0x15])
def test_instructions_without_a_place(opcode: int) -> None:
    with pytest.raises(ObjectError, match=f"opcode {opcode:#04x} has no place"):
        corrected(insn(opcode), Answer(1))


@pytest.mark.parametrize("slot", [0, 1, 2])
def test_half_an_lddw_has_no_place(slot: int) -> None:
    writer = one_program(encode([Instruction(0x18, 1, second=0), EXIT]))
    btf = BtfWriter()
    u32, *_ = ints(btf)
    asked = struct(btf, "s", 4, ("x", u32, 0))
    ext = btf.ext({}, {}, {"xdp": [(slot * 8, asked, btf.string("0:0"), 0)]})
    writer.section(".BTF", btf.build(), 0)
    writer.section(".BTF.ext", ext, 0)
    if slot:
        with pytest.raises(ObjectError, match="has no place"):
            load(writer.build())
    else:
        assert load(writer.build())["prog"].obstacles == ()


def test_many_relocations_take_linear_time() -> None:
    count = 50_000
    writer = one_program(encode([Instruction(0xB7, 0)] * count + [EXIT]))
    btf = BtfWriter()
    u32, *_ = ints(btf)
    asked = struct(btf, "s", 8, ("a", u32, 0), ("b", u32, 32))
    path = btf.string("0:1")
    ext = btf.ext({}, {}, {"xdp": [(slot * 8, asked, path, 0) for slot in range(count)]})
    writer.section(".BTF", btf.build(), 0)
    writer.section(".BTF.ext", ext, 0)
    data = writer.build()
    begin = process_time()
    program = load(data)["prog"]
    assert process_time() - begin < 5
    assert program.code.slots[count - 1] == Instruction(0xB7, 0, imm=4)


def test_deep_types_do_not_exhaust_the_stack() -> None:
    t = Types()
    for writer in (t.local, t.target):
        inner, *_ = ints(writer)
        for _ in range(sys.getrecursionlimit()):
            inner = struct(writer, "s", 4, ("x", inner, 0))
        asked = inner
    assert t.answer(Kind.TYPE_MATCHES, asked) in (Answer(0), Answer(1))
    btf: Btf = read_btf(t.local.build())
    assert walk(btf, asked, "0:0:0:0").bit == 0


def test_branching_signatures_are_given_up() -> None:
    """Functions of functions: every level would double the comparisons."""
    t = Types()
    for writer in (t.local, t.target):
        asked, *_ = ints(writer)
        for _ in range(31):
            asked = writer.type(13, "", asked, [0, asked], vlen=1)
        asked = writer.type(8, "f", asked)
    begin = process_time()
    with pytest.raises(ObjectError, match="comparisons"):
        t.answer(Kind.TYPE_EXISTS, asked)
    assert process_time() - begin < 20


def test_branching_anonymous_structures_are_searched_once() -> None:
    t = Types()
    number, *_ = ints(t.local)
    asked = struct(t.local, "s", 4, ("x", number, 0))
    inner, *_ = ints(t.target)
    for _ in range(30):
        inner = struct(t.target, "", 4, ("", inner, 0), ("", inner, 0))
    struct(t.target, "s", 4, ("", inner, 0))
    begin = process_time()
    assert t.answer(Kind.FIELD_EXISTS, asked, "0:0") == Answer(0)
    assert process_time() - begin < 5


def test_many_flavours_of_a_name() -> None:
    flavours = tuple(Struct(f"s___{index}", 4, (), union=False) for index in range(100_000))
    btf = Btf((Void(), *flavours), StringTable(b"\0", ""))
    begin = process_time()
    assert btf.essentially_named("s") == tuple(range(1, 100_001))
    assert process_time() - begin < 5
