"""Both builders give the bytes that the assembler gives for the same text."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from drybpf.asm import assemble, disassemble
from drybpf.builder import (
    FP,
    R0,
    R1,
    R2,
    R3,
    R10,
    Arch,
    AtomicOp,
    BpfCode,
    Builder,
    Cond,
    Endian,
    MemSize,
    PendingInstruction,
    Register,
    Source,
)
from drybpf.builder._arithmetic import Arithmetic
from drybpf.builder._control import Control
from drybpf.builder._memory import Memory
from drybpf.isa import ROWS, Row
from drybpf.isa.methods import METHODS, method_name

WRITTEN = {  # an operand as an argument, and as text
    "dst": (R3, "r3"),
    "src": (R2, "r2"),
    "imm": (5, "5"),
    "imm64": (1 << 40, str(1 << 40)),
    "offset": (6, "+6"),
    "value_offset": (8, "+8"),
    "number": (7, "7"),
    "target": (2, "+2"),
    "long_target": (2, "+2"),
    "function": (2, "+2"),
    "code": (2, "+2"),
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ubpf)
def test_every_row_has_a_method_with_the_same_bytes(row: Row) -> None:
    text = row.ubpf
    for operand in row.operands:
        text = text.replace(f"{{{operand}}}", WRITTEN[operand][1])
    method = getattr(Builder(), method_name(row))
    built = method(*(WRITTEN[operand][0] for operand in row.operands))
    assert built.to_bytes() == assemble(text)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_documented_and_chained(name: str) -> None:
    method = getattr(Builder, name)
    assert method.__doc__.startswith("`")
    assert inspect.signature(method).return_annotation == "Self"


def test_there_are_no_methods_beside_the_table() -> None:
    generated = {name for part in (Arithmetic, Control, Memory) for name in vars(part)}
    assert {name for name in generated if name[0] != "_"} == METHODS.keys()


def test_a_program_with_labels() -> None:
    program = (
        Builder()
        .mov64(R0, 0)
        .label("loop")
        .add64(R0, R1)
        .lock_fetch_add(R1, 8, R2)
        .ldxh(R0, R1, 2)
        .ldxb(R0, FP)
        .jeq(R1, 5, "done")
        .jsgt32(R1, R2, "loop")
        .lddw_code_addr(R1, "f")
        .call_local("f")
        .ja32("done")
        .label("f")
        .lddw_map_val_by_fd(R1, 4)
        .label("done")
        .exit()
    )
    text = """
        mov r0, 0
        loop: add r0, r1
        lock fetch add [r1+8], r2
        ldxh r0, [r1+2]
        ldxb r0, [r10]
        jeq r1, 5, done
        jsgt32 r1, r2, loop
        lddw r1, code_addr(f)
        call local f
        ja32 done
        f: lddw r1, map_val(map_by_fd(4))
        done: exit"""
    assert program.to_bytes() == bytes(program) == program.into_bytes() == assemble(text)
    assert len(program) == 14


def test_bytes_can_be_taken_while_the_program_grows() -> None:
    program = Builder().ja("end").label("end").exit()
    first = program.to_bytes()
    assert program.exit().to_bytes() == first + assemble("exit")


def test_raw_slots() -> None:
    assert Builder().raw(bytes(16)).to_bytes() == bytes(16)
    with pytest.raises(ValueError, match="7 bytes are no whole number of slots"):
        Builder().raw(bytes(7))


MISUSE: list[tuple[str, tuple[Any, ...], type[Exception], str]] = [
    ("mov64", (1, 2), TypeError, "dst is a Register, not 1"),
    ("mov64", (R1, "r2"), TypeError, "imm is a number, not 'r2'"),
    ("mov64", (R1, True), TypeError, "imm is a number, not True"),
    ("mov64", (R1, 1.5), TypeError, "imm is a number, not 1.5"),
    ("mov64", (R1, 1 << 31), ValueError, "imm 2147483648 is not in -2147483648 … 2147483647"),
    ("mov64", (R1, -(1 << 31) - 1), ValueError, "is not in"),
    ("lddw", (R1, 1 << 64), ValueError, "imm64 18446744073709551616 is not in"),
    ("ldxh", (R1, R2, 32768), ValueError, "offset 32768 is not in -32768 … 32767"),
    ("ldxh", (R1, R2, R3), TypeError, "offset is a number, not Register.R3"),
    ("ja", (32768,), ValueError, "target 32768 is not in"),
    ("ja", (R1,), TypeError, "target is a number"),
    ("stxw", (R1, 0, 5), TypeError, "src is a Register, not 5"),
    ("call", ("helper",), TypeError, "imm is a number, not 'helper'"),
    ("label", (5,), TypeError, "a label is a str, not 5"),
]


@pytest.mark.parametrize(("name", "arguments", "error", "message"), MISUSE)
def test_misuse(
    name: str, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    builder = Builder()
    with pytest.raises(error, match=message):
        getattr(builder, name)(*arguments)
    assert len(builder) == 0


def test_labels_are_checked() -> None:
    with pytest.raises(ValueError, match="the label 'a' is defined twice"):
        Builder().label("a").label("a")
    with pytest.raises(ValueError, match="there is no label 'b'"):
        Builder().ja("b").to_bytes()
    far = Builder().ja("far").raw(bytes(8 * 32768)).label("far")
    with pytest.raises(ValueError, match=r"\+32768 slots do not fit into 16 bits"):
        far.to_bytes()


def test_registers() -> None:
    assert FP is Register.R10 is R10
    assert [register.value for register in Register] == list(range(11))


def test_the_example_of_rbpf() -> None:
    program = BpfCode()
    # fmt: off
    (program.add(Source.IMM, Arch.X64).set_dst(1).set_imm(0x605).push()
            .mov(Source.IMM, Arch.X64).set_dst(2).set_imm(0x32).push()
            .mov(Source.REG, Arch.X64).set_src(0).set_dst(1).push()
            .swap_bytes(Endian.BIG).set_dst(0).set_imm(0x10).push()
            .negate(Arch.X64).set_dst(2).push()
            .exit().push())
    # fmt: on
    text = "add64 r1, 0x605\nmov64 r2, 0x32\nmov64 r1, r0\nbe16 r0\nneg64 r2\nexit"
    assert disassemble(program.to_bytes()) == text


C = BpfCode
CHAINED: list[tuple[PendingInstruction, str]] = [
    *(
        (getattr(C(), name)(source, arch).set_dst(3), f"{mnemonic}{arch.value} r3, {second}")
        for name, mnemonic in {
            "add": "add",
            "sub": "sub",
            "mul": "mul",
            "div": "div",
            "signed_div": "sdiv",
            "bit_or": "or",
            "bit_and": "and",
            "left_shift": "lsh",
            "right_shift": "rsh",
            "modulo": "mod",
            "signed_modulo": "smod",
            "bit_xor": "xor",
            "mov": "mov",
            "signed_right_shift": "arsh",
        }.items()
        for source, second in ((Source.IMM, "0x0"), (Source.REG, "r0"))
        for arch in Arch
    ),
    *(
        (
            C().jump_conditional(cond, source, arch).set_dst(3),
            f"{cond.value}{suffix} r3, {second}, +0",
        )
        for cond in Cond
        if cond is not Cond.ABS
        for source, second in ((Source.IMM, "0x0"), (Source.REG, "r0"))
        for arch, suffix in ((Arch.X64, ""), (Arch.X32, "32"))
    ),
    *(
        (C().atomic(op, arch, fetch=fetch).set_src(2), f"lock {f}{op.value}{suffix} [r0], r2")
        for op in AtomicOp
        for fetch, f in ((False, ""), (True, "fetch "))
        if not (fetch and "xchg" in op.value)
        for arch, suffix in ((Arch.X64, ""), (Arch.X32, "32"))
    ),
    *(
        (C().swap_bytes(endian).set_imm(width), f"{endian.value}{width} r0")
        for endian in Endian
        for width in (16, 32, 64)
    ),
    *((C().load_abs(size).set_imm(4), f"ldabs{size.value} 0x4") for size in MemSize),
    *((C().load_ind(size).set_src(1), f"ldind{size.value} r1, 0x0") for size in MemSize),
    *((C().load_x(size).set_off(-4), f"ldx{size.value} r0, [r0-4]") for size in MemSize),
    *((C().store(size).set_imm(-4), f"st{size.value} [r0], -0x4") for size in MemSize),
    *((C().store_x(size).set_src(R10), f"stx{size.value} [r0], r10") for size in MemSize),
    (C().load_x_signed(MemSize.BYTE), "ldxsb r0, [r0]"),
    (C().load_x_signed(MemSize.WORD), "ldxsw r0, [r0]"),
    (C().sign_extend(MemSize.BYTE, Arch.X32).set_src(2), "movsx832 r0, r2"),
    (C().sign_extend(MemSize.WORD, Arch.X64).set_src(2), "movsx3264 r0, r2"),
    (C().negate(Arch.X32), "neg32 r0"),
    (C().negate(Arch.X64), "neg64 r0"),
    (C().load(MemSize.DOUBLE_WORD).set_imm(-1), "lddw r0, 0xffffffffffffffff"),
    (C().load(MemSize.DOUBLE_WORD).set_imm(1 << 63), "lddw r0, 0x8000000000000000"),
    (C().load(MemSize.DOUBLE_WORD).set_src(1).set_imm(5), "lddw r0, map_by_fd(5)"),
    (C().jump_unconditional().set_off(-2), "ja -2"),
    (C().jump_conditional(Cond.ABS, Source.IMM).set_off(3), "ja +3"),
    (C().jump_long().set_imm(70000), "ja32 +70000"),
    (C().call().set_imm(5), "call 0x5"),
    (C().call_local().set_imm(-2), "call local -2"),
    (C().call_runtime().set_imm(7), "call runtime 0x7"),
    (C().call_register().set_dst(2), "callx r2"),
]


@pytest.mark.parametrize(("pending", "text"), CHAINED, ids=[text for _, text in CHAINED])
def test_every_instruction_in_the_way_of_rbpf(pending: PendingInstruction, text: str) -> None:
    assert pending.into_bytes() == assemble(text)
    assert pending.push().to_bytes() == assemble(text)
    assert pending.opt_code_byte() == assemble(text)[0]


def test_the_way_of_rbpf_reaches_every_row() -> None:
    reached = {pending.get_insn().row for pending, _ in CHAINED} | {C().exit().get_insn().row}
    missing = {row.mnemonic for row in ROWS if row not in reached}
    assert missing == {"lddw", "ldxsh", "movsx1632", "movsx864", "movsx1664"}


def test_fields_can_be_read_back() -> None:
    pending = BpfCode().load_x(MemSize.BYTE).set_dst(R1).set_src(2).set_off(-3).set_imm(4)
    fields = (pending.get_dst(), pending.get_src(), pending.get_off(), pending.get_imm())
    assert fields == (1, 2, -3, 4)


def test_labels_in_the_way_of_rbpf() -> None:
    program = BpfCode().label("top")
    program.jump_conditional(Cond.EQUALS, Source.REG).set_src(1).set_target("end").push()
    program.load(MemSize.DOUBLE_WORD).set_src(4).set_target("end").push()
    program.call_local().set_target("top").push().jump_long().set_target("top").push()
    program.label("end").exit().push()
    text = "top: jeq r0, r1, end lddw r0, code_addr(end) call local top ja32 top end: exit"
    assert program.to_bytes() == assemble(text)


@pytest.mark.parametrize(
    ("pending", "message"),
    [
        (C().exit().set_dst(1), "no exit has these fields"),
        (C().swap_bytes(Endian.BIG).set_imm(17), "no be16 has these fields"),
        (C().exit().set_target("l"), "exit leads to no label"),
    ],
)
def test_what_is_no_instruction_cannot_be_pushed(pending: PendingInstruction, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pending.push()


def test_setters_check_their_ranges() -> None:
    pending = BpfCode().mov(Source.IMM, Arch.X64)
    with pytest.raises(ValueError, match="there is no register r11"):
        pending.set_dst(11)
    with pytest.raises(ValueError, match="src -1 is not in 0 … 15"):
        pending.set_src(-1)
    with pytest.raises(TypeError, match="offset is a number, not None"):
        pending.set_off(None)  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(ValueError, match="offset 40000 is not in"):
        pending.set_off(40000)
    with pytest.raises(ValueError, match="imm 4294967295 is not in"):
        pending.set_imm(0xFFFF_FFFF)


def test_combinations_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="there is no instruction 'ldw'"):
        BpfCode().load(MemSize.WORD)
    with pytest.raises(ValueError, match="there is no instruction 'movsx3232'"):
        BpfCode().sign_extend(MemSize.WORD, Arch.X32)
    with pytest.raises(ValueError, match="there is no instruction 'lock fetch xchg'"):
        BpfCode().atomic(AtomicOp.XCHG, fetch=True)
