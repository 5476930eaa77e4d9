"""From object files to linked programs: written by hand, real ones, hostile ones."""
# ruff: noqa: N802 -- tests of hostile input carry the name of their row, in its capitals

from __future__ import annotations

import contextlib
import copy
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from btf_writer import BtfWriter, Groups
from drybpf.code import SourceLine
from drybpf.engine import Engine
from drybpf.errors import ObjectError, UnknownHelper, VerifierError
from drybpf.isa import Instruction, decode, encode
from drybpf.objects import (
    LinkedProgram,
    ObjectFile,
    ObjectProgram,
    ProgramType,
    Reference,
    program_type,
    read_object,
)
from drybpf.objects.elf import STB_LOCAL, STB_WEAK, STT_NOTYPE, STT_OBJECT, STT_SECTION
from drybpf.objects.loader import LARGEST_FILE
from elf_writer import (
    CALL_OUT,
    DATA,
    EXIT,
    LDDW_R1_0,
    MOV_R0_1,
    RETURN_1,
    ElfWriter,
    call,
    one_program,
)
from support import fixture, shared_or_none

ENGINES: tuple[Engine, ...] = ("interpreter", "jit")
SLOW = settings(max_examples=400, deadline=None, derandomize=True, database=None)
SHARED = shared_or_none("objects")
REAL = sorted(SHARED.glob("*/*.o")) if SHARED else []
INVALID = sorted((SHARED / "invalid").iterdir()) if SHARED else []

CALLING = encode([CALL_OUT, EXIT])  # 16 bytes, a call at slot 0
ADDRESSING = encode([LDDW_R1_0, EXIT])  # 24 bytes, an lddw at slot 0
R_BPF_NONE, R_BPF_64_64, R_BPF_64_32 = 0, 1, 10


def only(writer: ElfWriter) -> LinkedProgram:
    """The one program of an object."""
    (program,) = read_object(writer.build()).programs.values()
    return program


def refused(writer: ElfWriter) -> str:
    """Why the object is refused."""
    with pytest.raises(ObjectError) as caught:
        read_object(writer.build())
    return str(caught.value)


def instructions(*values: Instruction) -> bytes:
    return encode(values)


# Objects and their names


def test_a_program_and_its_licence() -> None:
    writer = one_program()
    writer.section("license", b"Dual MIT/GPL\0junk", DATA)
    loaded = read_object(writer.build())
    assert loaded.license == "Dual MIT/GPL"
    program = loaded["prog"]
    assert (program.name, program.section, program.type) == ("prog", "xdp", ProgramType.XDP)
    assert program.bytecode == RETURN_1
    assert program.functions == {0: "prog"}
    assert program.unsupported == ()
    assert program is loaded.programs.prog


def test_names_and_what_is_said_of_missing_ones() -> None:
    writer = one_program()
    writer.symbol("other", writer.section("tc"), size=16)
    loaded = read_object(writer.build())
    assert list(loaded.programs) == ["prog", "other"]
    assert repr(loaded) == "<ObjectFile : 2 programs: prog, other>"
    assert {"prog", "other", "items"} <= set(dir(loaded.programs))
    with pytest.raises(KeyError, match="no program 'third'; there is prog, other"):
        loaded["third"]
    with pytest.raises(AttributeError, match="no program 'third'"):
        _ = loaded.programs.third
    assert list(copy.copy(loaded.programs)) == ["prog", "other"]


def test_an_object_without_programs() -> None:
    loaded = read_object(ElfWriter().build())
    assert (repr(loaded.programs), loaded.license, loaded.btf) == ("<0 programs: none>", "", None)


def test_loading_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "firewall.o"
    path.write_bytes(one_program().build())
    assert repr(read_object(path)) == "<ObjectFile firewall: 1 program: prog>"
    assert list(read_object(str(path)).programs) == ["prog"]


# Types


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("xdp", "XDP"), ("xdp/devmap", "XDP"), ("xdp.frags", "XDP"), ("xdp.frags/cpumap", "XDP"),
        ("xdp1", "XDP"), ("xdp_prog", "XDP"), ("xdp_prog/0", "XDP"), ("?xdp", "XDP"),
        ("xdpump", "UNSPEC"), ("test", "UNSPEC"), (".text", "UNSPEC"), ("", "UNSPEC"),
        ("tc", "SCHED_CLS"), ("tc/ingress", "SCHED_CLS"), ("tcx/egress", "SCHED_CLS"),
        ("classifier/a", "SCHED_CLS"), ("ingress_redirect", "SCHED_CLS"), ("tc_mark", "SCHED_CLS"),
        ("action", "SCHED_ACT"), ("2/16", "SCHED_CLS"), ("1/0xdc06", "SCHED_CLS"),
        ("tail-32", "SCHED_CLS"), ("downcall", "SCHED_CLS"), ("from-netdev", "SCHED_CLS"),
        ("socket", "SOCKET_FILTER"), ("socket1", "SOCKET_FILTER"), ("socket/3", "SOCKET_FILTER"),
        ("socket_filter", "SOCKET_FILTER"), ("filter", "SOCKET_FILTER"),
        ("kprobe/sys_write", "KPROBE"), ("kprobe.multi/tcp_*", "KPROBE"), ("uprobe.s/f", "KPROBE"),
        ("kretprobe/f", "KPROBE"), ("uretprobe/f", "KPROBE"), ("ksyscall/open", "KPROBE"),
        ("usdt/a:b:c", "KPROBE"), ("tracepoint/a/b", "TRACEPOINT"), ("tp/a/b", "TRACEPOINT"),
        ("raw_tracepoint/a", "RAW_TRACEPOINT"), ("raw_tp/a", "RAW_TRACEPOINT"),
        ("raw_tracepoint.w/a", "RAW_TRACEPOINT_WRITABLE"), ("raw_tp.w", "RAW_TRACEPOINT_WRITABLE"),
        ("tp_btf/a", "TRACING"), ("fentry/f", "TRACING"), ("fexit.s/f", "TRACING"),
        ("fmod_ret/f", "TRACING"), ("iter/task", "TRACING"), ("freplace/f", "EXT"),
        ("lsm/hook", "LSM"), ("lsm.s/hook", "LSM"), ("lsm_cgroup/hook", "LSM"),
        ("struct_ops/f", "STRUCT_OPS"), ("syscall", "SYSCALL"), ("perf_event", "PERF_EVENT"),
        ("cgroup_skb/ingress", "CGROUP_SKB"), ("cgroup/skb", "CGROUP_SKB"),
        ("cgroup/sock", "CGROUP_SOCK"), ("cgroup/sock1", "CGROUP_SOCK"),
        ("cgroup/sock_create", "CGROUP_SOCK"), ("cgroup/post_bind4", "CGROUP_SOCK"),
        ("cgroup/bind6", "CGROUP_SOCK_ADDR"), ("cgroup/connect_unix", "CGROUP_SOCK_ADDR"),
        ("cgroup/dev", "CGROUP_DEVICE"), ("cgroup/sysctl", "CGROUP_SYSCTL"),
        ("cgroup/getsockopt", "CGROUP_SOCKOPT"), ("sockops", "SOCK_OPS"),
        ("sk_skb/stream_parser", "SK_SKB"), ("sk_skb1", "SK_SKB"), ("sk_msg", "SK_MSG"),
        ("sk_lookup", "SK_LOOKUP"), ("sk_reuseport/migrate", "SK_REUSEPORT"),
        ("lwt_in", "LWT_IN"), ("lwt_out", "LWT_OUT"), ("lwt_xmit", "LWT_XMIT"),
        ("lwt_seg6local", "LWT_SEG6LOCAL"), ("lirc_mode2", "LIRC_MODE2"),
        ("flow_dissector", "FLOW_DISSECTOR"), ("netfilter", "NETFILTER"),
    ],
)  # fmt: skip
def test_the_type_that_a_section_names(section: str, wanted: str) -> None:
    assert program_type(section).name == wanted


def test_types_asked_for() -> None:
    writer = one_program()
    writer.symbol("other", writer.section("tc"), size=16)
    data = writer.build()

    def types(loaded: ObjectFile) -> list[ProgramType]:
        return [program.type for program in loaded.programs.values()]

    xdp, tc, unspec = ProgramType.XDP, ProgramType.SCHED_CLS, ProgramType.UNSPEC
    assert types(read_object(data)) == [xdp, tc]
    assert types(read_object(data, types=tc)) == [tc, tc]
    assert types(read_object(data, types={"other": xdp})) == [xdp, xdp]
    assert types(read_object(data, types={"tc": unspec})) == [xdp, unspec]
    with pytest.raises(ValueError, match="no program or section of one is called 'license'"):
        read_object(data, types={"license": tc})


# What is a program


def test_several_functions_in_a_section() -> None:
    writer = ElfWriter()
    section = writer.section("tc", RETURN_1 + instructions(EXIT))
    writer.symbol("second", section, 16, 8)
    writer.symbol("first", section, 0, 16)
    programs = read_object(writer.build()).programs
    assert list(programs) == ["first", "second"]
    assert programs.second.bytecode == instructions(EXIT)


def test_old_clang_wrote_symbols_without_type_and_size() -> None:
    writer = ElfWriter()
    section = writer.section("xdp1", RETURN_1 * 2)
    writer.symbol("LBB0_1", section, 8, kind=STT_NOTYPE, binding=STB_LOCAL)
    writer.symbol("first", section, 0, kind=STT_NOTYPE)
    writer.symbol("second", section, 16, kind=STT_NOTYPE)
    programs = read_object(writer.build()).programs
    assert {name: len(program.bytecode) for name, program in programs.items()} == {
        "first": 16,
        "second": 16,
    }


def test_functions_overrule_labels() -> None:
    writer = one_program()
    writer.symbol("label", 1, 8, kind=STT_NOTYPE)
    assert only(writer).bytecode == RETURN_1


@pytest.mark.parametrize("name", ["", "LBB0_1"])
def test_code_that_no_symbol_names(name: str) -> None:
    writer = ElfWriter()
    writer.symbol(name, writer.section("tail-3"), 8, kind=STT_NOTYPE, binding=STB_LOCAL)
    assert (only(writer).name, only(writer).bytecode) == ("tail-3", RETURN_1)


def test_a_symbol_without_a_name() -> None:
    writer = ElfWriter()
    writer.symbol("", writer.section("xdp"), size=16)
    assert only(writer).name == "xdp"


def test_two_names_of_one_function() -> None:
    writer = one_program()
    writer.symbol("alias", 1, size=16)
    programs = read_object(writer.build()).programs
    assert programs.alias.functions == {0: "alias"}
    assert programs.alias.bytecode == programs.prog.bytecode


def test_the_library_is_no_program_where_there_is_another() -> None:
    writer = one_program()
    writer.symbol("helper", writer.section(".text"), size=16)
    writer.symbol("hidden", writer.section("tc"), size=16, binding=STB_LOCAL)
    assert list(read_object(writer.build()).programs) == ["prog"]


@pytest.mark.parametrize("section", [".text.unlikely.", ".text.helper"])
def test_a_section_of_its_own_makes_no_program(section: str) -> None:
    """Of a cold function, and of each with -ffunction-sections."""
    writer = one_program()
    writer.symbol("helper", writer.section(section), size=16)
    assert list(read_object(writer.build()).programs) == ["prog"]


def test_the_library_alone() -> None:
    writer = one_program(section=".text")
    writer.symbol("hidden", writer.section("tc"), size=16, binding=STB_LOCAL)
    assert list(read_object(writer.build()).programs) == ["prog"]


def test_static_functions_alone() -> None:
    writer = ElfWriter()
    writer.symbol("hidden", writer.section("tc"), size=16, binding=STB_LOCAL)
    assert list(read_object(writer.build()).programs) == ["hidden"]


def test_two_programs_of_one_name() -> None:
    writer = one_program()
    writer.symbol("prog", writer.section("tc"), size=16)
    assert refused(writer) == "two programs are called 'prog'"


@pytest.mark.parametrize(
    ("value", "size", "reason"),
    [
        (4, 12, "bytes 4 to 16 are no whole instructions"),
        (0, 12, "bytes 0 to 12 are no whole instructions"),
        (16, 0, "run into what follows at 16"),
        (24, 8, "run into what follows at 16"),
        (8, 16, "bytes 8 to 24 run into what follows at 16"),
        (0, 2**64 - 8, "run into what follows at 16"),
        (2**64 - 8, 16, "run into what follows at 16"),
    ],
)
def test_L6_functions_out_of_place(value: int, size: int, reason: str) -> None:
    writer = ElfWriter()
    writer.symbol("prog", writer.section("xdp"), value, size)
    assert reason in refused(writer)


def test_L6_functions_that_overlap() -> None:
    writer = one_program()
    writer.symbol("other", 1, 8, 8)
    assert "bytes 0 to 16 run into what follows at 8" in refused(writer)


def test_L6_code_that_is_no_whole_instructions() -> None:
    writer = ElfWriter()
    writer.section("xdp", RETURN_1[:-1])
    assert refused(writer) == "section 'xdp': 15 bytes are no whole instructions"


# Linking


def with_library(code: bytes, *functions: tuple[str, bytes]) -> ElfWriter:
    """A program in section 1, and functions one behind the other in .text, section 2."""
    writer = one_program(code)
    section = writer.section(".text", b"".join(body for _, body in functions))
    position = 0
    for name, body in functions:
        writer.symbol(name, section, position, len(body), binding=STB_LOCAL)
        position += len(body)
    return writer


def test_a_call_across_sections() -> None:
    writer = with_library(CALLING, ("unused", RETURN_1), ("used", RETURN_1))
    writer.relocate(1, 0, R_BPF_64_32, 3)
    program = only(writer)
    assert program.bytecode == instructions(call(1), EXIT) + RETURN_1
    assert program.functions == {0: "prog", 2: "used"}


def test_a_call_by_the_section_and_a_distance() -> None:
    writer = with_library(instructions(call(1), EXIT), ("a", RETURN_1), ("b", instructions(EXIT)))
    text = writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_32, text)
    assert only(writer).bytecode == instructions(call(1), EXIT, EXIT)


def test_a_call_with_an_addend() -> None:
    writer = with_library(CALLING, ("a", RETURN_1), ("b", instructions(EXIT)))
    text = writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_32, text, addend=16)
    assert only(writer).bytecode == instructions(call(1), EXIT, EXIT)


def test_a_call_within_a_section_needs_no_relocation() -> None:
    writer = ElfWriter()
    section = writer.section("xdp", instructions(call(2), EXIT) + RETURN_1 + instructions(EXIT))
    writer.symbol("prog", section, 0, 16)
    writer.symbol("between", section, 16, 8, binding=STB_LOCAL)
    writer.symbol("last", section, 24, 16, binding=STB_LOCAL)
    program = only(writer)
    assert program.bytecode == instructions(call(1), EXIT, EXIT, EXIT)
    assert program.functions == {0: "prog", 2: "last"}


def test_a_call_within_a_function_stays() -> None:
    code = instructions(call(1), EXIT, MOV_R0_1, EXIT)
    assert only(one_program(code)).bytecode == code


def test_recursion_and_shared_functions() -> None:
    writer = with_library(instructions(CALL_OUT, CALL_OUT, EXIT), ("a", CALLING), ("b", CALLING))
    writer.relocate(1, 0, R_BPF_64_32, 2)
    writer.relocate(1, 8, R_BPF_64_32, 3)
    writer.relocate(2, 0, R_BPF_64_32, 3)  # a calls b
    writer.relocate(2, 16, R_BPF_64_32, 2)  # b calls a
    program = only(writer)
    assert program.functions == {0: "prog", 3: "a", 5: "b"}
    assert program.bytecode == instructions(call(2), call(3), EXIT, call(1), EXIT, call(-3), EXIT)


def test_a_program_that_calls_another() -> None:
    writer = one_program(CALLING)
    other = writer.symbol("other", writer.section("tc"), size=16)
    writer.relocate(1, 0, R_BPF_64_32, other)
    programs = read_object(writer.build()).programs
    assert programs.prog.bytecode == instructions(call(1), EXIT) + RETURN_1
    assert programs.other.bytecode == RETURN_1


def test_the_address_of_a_function() -> None:
    lddw = Instruction(0x18, dst=2, imm=16, second=0)
    writer = with_library(instructions(lddw, EXIT), ("a", RETURN_1), ("b", RETURN_1))
    text = writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_64, text)
    program = only(writer)
    wanted = Instruction(0x18, dst=2, src=4, imm=2, second=0)
    assert program.bytecode == instructions(wanted, EXIT) + RETURN_1
    assert program.functions == {0: "prog", 3: "b"}


def test_a_chain_of_ten_thousand_functions() -> None:
    writer = with_library(CALLING, *((f"f{index}", CALLING) for index in range(10_000)))
    writer.relocate(1, 0, R_BPF_64_32, 2)
    for index in range(9_999):
        writer.relocate(2, index * 16, R_BPF_64_32, index + 3)
    writer.relocate(2, 9_999 * 16, R_BPF_64_32, 1)
    begin = time.process_time()
    program = only(writer)
    assert time.process_time() - begin < 3
    assert len(program.functions) == 10_001
    last = decode(program.bytecode)[-2]
    assert last == call(-20_001)


def test_ten_thousand_programs_with_one_large_function_load_at_once() -> None:
    writer = ElfWriter()
    large = writer.symbol("large", writer.section(".text", RETURN_1 * 50_000), size=800_000)
    section = writer.section("tc", CALLING * 10_000)
    for index in range(10_000):
        writer.symbol(f"p{index}", section, index * 16, 16)
        writer.relocate(section, index * 16, R_BPF_64_32, large)
    begin = time.process_time()
    program = read_object(writer.build()).programs.p9999
    assert time.process_time() - begin < 3
    assert len(program.bytecode) == 800_016


def test_L11_a_hundred_thousand_functions_and_relocations() -> None:
    writer = ElfWriter()
    section = writer.section("xdp", CALLING * 50_000)
    for index in range(50_000):
        writer.symbol(f"f{index}", section, index * 16, 16)
        writer.relocate(section, index * 16, R_BPF_64_32, index + 1)
    begin = time.process_time()
    programs = read_object(writer.build()).programs
    assert len(programs) == 50_000
    assert programs.f49999.bytecode == instructions(call(-1), EXIT)
    assert time.process_time() - begin < 10  # takes 1 to 3; a quadratic way takes minutes


# What is outside the code


def referring(
    code: bytes, kind: int, name: str = "thing", section: str = "maps", *, value: int = 0,
    binding: int = 1, addend: int | None = None, symbol_type: int = STT_OBJECT,
) -> ElfWriter:  # fmt: skip
    """A program whose first instruction refers to a symbol in a section of 28 bytes."""
    writer = one_program(code)
    index = writer.section(section, bytes(28), DATA) if section else 0
    symbol = writer.symbol(name, index, value, kind=symbol_type, binding=binding)
    writer.relocate(1, 0, kind, symbol, addend)
    return writer


def test_a_map() -> None:
    program = only(referring(ADDRESSING, R_BPF_64_64))
    assert program.unresolved == {0: Reference("address", "thing", "maps", 2, 0)}
    assert program.unsupported == ("insn 0 refers to 'thing' in section 'maps'",)


def test_a_map_as_old_clang_refers_to_it() -> None:
    writer = referring(ADDRESSING, R_BPF_NONE, value=8, addend=16, symbol_type=STT_NOTYPE)
    assert only(writer).unresolved == {0: Reference("address", "thing", "maps", 2, 24)}


def test_a_variable_by_its_section_and_offset() -> None:
    code = instructions(Instruction(0x18, dst=1, imm=12, second=0), EXIT)
    program = only(referring(code, R_BPF_64_64, "", ".bss", symbol_type=STT_SECTION))
    assert program.unresolved == {0: Reference("address", "", ".bss", 2, 12)}
    assert program.unsupported == ("insn 0 refers to offset 12 in section '.bss'",)


def test_a_function_that_is_not_there() -> None:
    program = only(referring(CALLING, R_BPF_64_32, "memset", ""))
    assert program.unresolved == {0: Reference("call", "memset", "", 0, 0)}
    assert program.unsupported == ("insn 0 refers to the undefined function 'memset'",)
    assert program.bytecode == CALLING
    bound = ObjectProgram(program)
    bound.verify()  # but for what it cannot have
    with pytest.raises(VerifierError, match="undefined function 'memset'"):
        bound.verify(strict=True)
    for engine in ENGINES:
        with pytest.raises(UnknownHelper, match="undefined function 'memset' at insn 0") as caught:
            bound.run(engine=engine)
        assert caught.value.pc == 0


def test_a_program_that_is_wrong_says_so() -> None:
    bound = ObjectProgram(only(referring(CALLING, R_BPF_64_32, "memset", "")))
    with pytest.raises(VerifierError, match="r0 is read but was never written"):
        ObjectProgram(replace(bound.linked, bytecode=b"\x95" + bytes(7), unresolved={})).verify(
            strict=True
        )


def test_a_symbol_that_may_stay_undefined() -> None:
    program = only(referring(ADDRESSING, R_BPF_64_64, "CONFIG_HZ", "", binding=STB_WEAK))
    assert program.unresolved == {0: Reference("address", "CONFIG_HZ", "", 0, 0, weak=True)}
    assert program.unsupported == ("insn 0 refers to the undefined symbol 'CONFIG_HZ'",)


def test_references_are_by_slot_of_the_linked_program_and_named_once() -> None:
    writer = with_library(CALLING, ("f", ADDRESSING + ADDRESSING))
    thing = writer.symbol("thing", writer.section("maps", bytes(28), DATA), kind=STT_OBJECT)
    writer.relocate(1, 0, R_BPF_64_32, 2)
    writer.relocate(2, 0, R_BPF_64_64, thing)
    writer.relocate(2, 24, R_BPF_64_64, thing)
    program = only(writer)
    assert list(program.unresolved) == [2, 5]
    assert program.unsupported == ("insn 2 refers to 'thing' in section 'maps'",)


@pytest.mark.parametrize("offset", [16, 24, 2**64 - 8, 1, 7, 12])
def test_L5_relocation_beyond_the_code_or_not_at_a_slot(offset: int) -> None:
    writer = one_program()
    writer.relocate(1, offset, R_BPF_64_64, 1)
    assert f"a relocation at offset {offset} is not at an instruction" in refused(writer)


@pytest.mark.parametrize(
    ("code", "offset"),
    [
        (ADDRESSING, 8),  # the second half of an lddw
        (ADDRESSING, 16),  # an exit
        (instructions(MOV_R0_1, LDDW_R1_0)[:16], 8),  # half an lddw at the end
    ],
)
def test_L5_relocation_of_what_is_no_reference(code: bytes, offset: int) -> None:
    writer = one_program(code)
    writer.relocate(1, offset, R_BPF_64_64, 1)
    assert f"slot {offset // 8}, which is neither a call nor an lddw" in refused(writer)


def test_L5_two_relocations_of_one_instruction() -> None:
    writer = referring(ADDRESSING, R_BPF_64_64)
    writer.relocate(1, 0, R_BPF_64_64, 1)
    assert "or the second at one" in refused(writer)


@pytest.mark.parametrize(
    ("code", "kind"), [(ADDRESSING, R_BPF_64_32), (ADDRESSING, 2), (CALLING, R_BPF_64_64)]
)
def test_relocations_of_types_that_do_not_fit(code: bytes, kind: int) -> None:
    reason = f"function 'prog', insn 0: a relocation of type {kind} does not fit"
    assert refused(referring(code, kind)) == reason


@pytest.mark.parametrize("addend", [29, -1, 2**63 - 1, -(2**63)])
def test_L6_addresses_outside_their_section(addend: int) -> None:
    writer = referring(ADDRESSING, R_BPF_64_64, addend=addend)
    assert f"is at offset {addend} of section 'maps', which has 28 bytes" in refused(writer)


def test_L6_value_and_addend_do_not_wrap() -> None:
    writer = referring(ADDRESSING, R_BPF_64_64, value=2**64 - 8, addend=16)
    assert "offset 18446744073709551624 of section" in refused(writer)


def test_L6_an_addend_in_the_instruction_has_64_bits() -> None:
    code = instructions(Instruction(0x18, dst=1, imm=-1, second=0xFFFF_FFFF << 32), EXIT)
    assert "is at offset -1 of" in refused(referring(code, R_BPF_64_64))
    assert only(referring(code, R_BPF_64_64, section=".bss", value=2)).unresolved[0].offset == 1


@pytest.mark.parametrize(
    ("distance", "offset"), [(-4, -8), (-2, 8), (2, 40), (3, 48), (2**31 - 1, 2**34 + 16)]
)
def test_L6_calls_of_what_is_no_function(distance: int, offset: int) -> None:
    """A function of two instructions before the call at slot 2, another from slot 4 on."""
    writer = ElfWriter()
    section = writer.section("xdp", RETURN_1 + instructions(call(distance), EXIT) + RETURN_1)
    for name, start in (("before", 0), ("prog", 16), ("after", 32)):
        writer.symbol(name, section, start, 16)
    assert f"insn 0: no function begins at offset {offset} of section 'xdp'" in refused(writer)


def test_L6_a_call_into_the_middle_of_a_function() -> None:
    writer = with_library(instructions(call(0), EXIT), ("f", RETURN_1))
    text = writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_32, text)
    assert "no function begins at offset 8 of section '.text'" in refused(writer)


def test_L6_the_address_of_half_an_instruction() -> None:
    writer = with_library(ADDRESSING, ("f", RETURN_1))
    writer.relocate(1, 0, R_BPF_64_64, 2, addend=4)
    assert "no function begins at offset 4 of section '.text'" in refused(writer)


def test_a_call_of_data() -> None:
    assert "a call of 'thing' in 'maps', no code" in refused(referring(CALLING, R_BPF_64_32))


def test_a_relocation_that_names_nothing() -> None:
    writer = one_program(CALLING)
    writer.relocate(1, 0, R_BPF_64_32, 0)
    assert "the relocation names no symbol" in refused(writer)


# Source lines and types


def with_btf() -> tuple[ElfWriter, BtfWriter]:
    writer = with_library(CALLING, ("unused", RETURN_1), ("used", RETURN_1))
    writer.relocate(1, 0, R_BPF_64_32, 3)
    return writer, BtfWriter()


def test_source_lines_follow_the_functions() -> None:
    writer, btf = with_btf()
    ext = btf.ext(
        lines={
            "xdp": [btf.line(0, "return used();", 9)],
            ".text": [btf.line(0, "no", 1), btf.line(2, "one", 2), btf.line(9, "beyond", 3)],
        }
    )
    writer.section(".BTF", btf.build(), 0)
    writer.section(".BTF.ext", ext, 0)
    loaded = read_object(writer.build())
    assert loaded.btf is not None
    assert loaded["prog"].lines == {
        0: SourceLine("prog.c", 9, 1, "return used();"),
        2: SourceLine("prog.c", 2, 1, "one"),
    }


def test_lines_without_types_are_ignored() -> None:
    writer, btf = with_btf()
    writer.section(".BTF.ext", btf.ext(), 0)
    assert only(writer).lines == {}


@pytest.mark.parametrize("section", [".BTF", ".BTF.ext"])
def test_L14_malformed_btf(section: str) -> None:
    writer, btf = with_btf()
    contents = {".BTF": btf.build(), ".BTF.ext": btf.ext()}
    for name, data in contents.items():
        writer.section(name, data[:7] if name == section else data, 0)
    assert refused(writer) == f"{section}: the header is truncated"


# Files


def unreadable(path: Path) -> str:
    begin = time.process_time()
    with pytest.raises(ObjectError) as caught:
        read_object(path)
    assert time.process_time() - begin < 1
    return str(caught.value)


def test_L15_a_directory(tmp_path: Path) -> None:
    assert unreadable(tmp_path) == f"{str(tmp_path)!r} is not a regular file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_L15_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    assert unreadable(tmp_path / "fifo").endswith("is not a regular file")


def test_L15_ten_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "large.o"
    with path.open("wb") as file:
        file.truncate(10_000_000_000)
    assert unreadable(path).endswith("is 10000000000 bytes; 67108864 are allowed")


def test_L15_bytes_larger_than_a_file_may_be() -> None:
    with pytest.raises(ObjectError, match="the object is 67108865 bytes"):
        read_object(bytes(LARGEST_FILE + 1))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in unreadable(tmp_path / "absent.o")


# Real objects


def test_what_clang_made_of_local_calls() -> None:
    """Line numbers as in tests/fixtures/src/xdp_local_calls.c."""
    program = read_object(fixture("xdp_local_calls")).programs.xdp_local_calls
    assert list(program.functions.values()) == ["xdp_local_calls", "sum16", "sum8", "sum4"]
    assert program.unsupported == ()
    for pc, name in program.functions.items():
        assert f"{name}(" in program.lines[pc].text or name == "sum4"
    entries = {
        pc + 1 + instruction.imm
        for pc, instruction in enumerate(decode(program.bytecode))  # no lddw: slots are indices
        if instruction.opcode == 0x85
    }
    assert entries == set(program.functions) - {0}


def test_L1_a_whole_object_truncated_at_every_byte() -> None:
    data = with_btf()[0].build()
    for length in range(len(data)):
        with pytest.raises(ObjectError):
            read_object(data[:length])


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_objects_link_or_say_what_is_missing(path: Path) -> None:
    loaded = read_object(path)
    assert loaded.programs
    for program in loaded.programs.values():
        code = decode(program.bytecode)
        slots = [None, *(i for i in code for _ in range(i.slots))][1:]
        for pc, reference in program.unresolved.items():
            instruction = slots[pc]
            assert instruction is not None
            assert instruction.opcode == (0x85 if reference.kind == "call" else 0x18)
            assert reference.symbol
        assert len(program.unsupported) == len(set(map(str, program.unresolved.values())))


def test_what_real_objects_miss() -> None:
    """As llvm-objdump shows it."""
    if SHARED is None:
        pytest.skip("the shared objects are not here (DRYBPF_SHARED)")
    program = read_object(SHARED / "linux/xdp_rxq_info_kern.o").programs.xdp_prognum0
    assert list(program.unresolved) == [9, 20, 38]
    assert [reference.symbol for reference in program.unresolved.values()] == [
        "stats_global_map",
        "config_map",
        "rx_queue_index_map",
    ]
    assert len(read_object(SHARED / "ovs/datapath.o").programs) == 19


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name[:12])
def test_invalid_objects_give_a_result_or_an_object_error(path: Path) -> None:
    begin = time.process_time()
    with contextlib.suppress(ObjectError):
        list(read_object(path).programs.values())
    assert time.process_time() - begin < 2


def rich() -> bytes:
    """An object of about 2 KiB with everything in it."""
    writer, btf = with_btf()
    thing = writer.symbol("thing", writer.section("maps", bytes(28), DATA), kind=STT_OBJECT)
    writer.symbol("second", writer.section("tc", ADDRESSING), size=24)
    writer.relocate(4, 0, R_BPF_64_64, thing, 4)
    name = btf.string("name")
    btf.type(1, "u32", 4, [32])
    btf.type(4, "pair", 8, [name, 1, 32], vlen=1)
    relocated: Groups = {"core": [(0, 2, btf.string("0:0"), 0)]}
    ext = btf.ext({"xdp": [(0, 1)]}, {"xdp": [btf.line(0, "text", 9)]}, relocated)
    writer.symbol("third", writer.section("core"), size=16)
    writer.section(".BTF", btf.build(), 0)
    writer.section(".BTF.ext", ext, 0)
    return writer.build()


RICH = rich()


@SLOW
@given(
    st.lists(
        st.tuples(st.integers(0, len(RICH) - 1), st.sampled_from([0, 1, 8, 0x7F, 0x80, 0xFF])),
        max_size=4,
    )
)
@example([])
def test_mutated_objects_give_a_result_or_an_object_error(changes: list[tuple[int, int]]) -> None:
    data = bytearray(RICH)
    for position, value in changes:
        data[position] = value
    if not changes:
        loaded = read_object(data)
        assert list(loaded.programs) == ["prog", "second", "third"]
        assert loaded.programs.third.bytecode == instructions(Instruction(0xB7, imm=4), EXIT)
    with contextlib.suppress(ObjectError):
        for program in read_object(data).programs.values():
            assert len(program.bytecode) % 8 == 0
