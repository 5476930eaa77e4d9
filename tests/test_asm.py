"""What the assembler accepts, and how the disassembler writes it."""

from __future__ import annotations

import json
import time

import pytest

from drybpf.asm import (
    Dialect,
    assemble,
    disassemble,
    format_instruction,
    to_insn_vec,
    to_json,
)
from drybpf.asm.assembler import _parse_short
from drybpf.asm.trie import Node, _insert, classes_of
from drybpf.errors import DecodeError
from drybpf.isa import ROWS, Instruction, decode

README = """add64 r1, 0x605
            mov64 r2, 0x32
            mov64 r1, r0
            be16 r0
            neg64 r2
            exit"""
README_CODE = bytes.fromhex(
    "0701000005060000 b702000032000000 bf01000000000000"
    "dc00000010000000 8702000000000000 9500000000000000"
)

PRINTED = [  # bytes, ubpf, llvm
    ("6910020000000000", "ldxh r0, [r1+2]", "r0 = *(u16 *)(r1 + 2)"),
    ("7910000000000000", "ldxdw r0, [r1]", "r0 = *(u64 *)(r1 + 0)"),
    ("791af8ff00000000", "ldxdw r10, [r1-8]", "r10 = *(u64 *)(r1 - 8)"),
    ("9110050000000000", "ldxsb r0, [r1+5]", "r0 = *(s8 *)(r1 + 5)"),
    ("720affff80000000", "stb [r10-1], 0x80", "*(u8 *)(r10 - 1) = 128"),
    ("731affff00000000", "stxb [r10-1], r1", "*(u8 *)(r10 - 1) = r1"),
    ("0701000005060000", "add64 r1, 0x605", "r1 += 1541"),
    ("07010000fbffffff", "add64 r1, -0x5", "r1 += -5"),
    ("b700000000000080", "mov64 r0, -0x80000000", "r0 = -2147483648"),
    ("66010300ffffffff", "jsgt32 r1, -0x1, +3", "if w1 s> -1 goto +3"),
    ("1d21fdff00000000", "jeq r1, r2, -3", "if r1 == r2 goto -3"),
    ("0500000000000000", "ja +0", "goto +0"),
    ("06000000feffffff", "ja32 -2", "gotol -2"),
    ("8500000005000000", "call 0x5", "call 5"),
    ("85100000fdffffff", "call local -3", "call local -3"),
    ("8520000007000000", "call runtime 0x7", "call runtime 7"),
    ("8d02000000000000", "callx r2", "callx r2"),
    ("9500000000000000", "exit", "exit"),
    ("3010000004000000", ".quad 0x0000000400001030", ".quad 0x0000000400001030"),
    ("3000000004000000", "ldabsb 0x4", "r0 = *(u8 *)skb[4]"),
    ("50100000fbffffff", "ldindb r1, -0x5", "r0 = *(u8 *)skb[r1 - 5]"),
    ("db21000001000000", "lock fetch add [r1], r2", "r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)"),
    ("c321040000000000", "lock add32 [r1+4], r2", "lock *(u32 *)(r1 + 4) += w2"),
    ("c3210400f1000000", "lock cmpxchg32 [r1+4], r2", "w0 = cmpxchg32_32(r1 + 4, w0, w2)"),
    ("db210000e1000000", "lock xchg [r1], r2", "r2 = xchg_64(r1 + 0, r2)"),
    ("bf21080000000000", "movsx864 r1, r2", "r1 = (s8)r2"),
    ("3f21010000000000", "sdiv64 r1, r2", "r1 s/= r2"),
    ("8701000000000000", "neg64 r1", "r1 = -r1"),
    ("d701000010000000", "bswap16 r1", "r1 = bswap16 r1"),
    ("1811000005000000 0000000000000000", "lddw r1, map_by_fd(5)", "r1 = map_by_fd(5) ll"),
    (
        "1821000005000000 0000000008000000",
        "lddw r1, map_val(map_by_fd(5))+8",
        "r1 = map_val(map_by_fd(5))+8 ll",
    ),
    (
        "1861000005000000 0000000000000000",
        "lddw r1, map_val(map_by_idx(5))",
        "r1 = map_val(map_by_idx(5)) ll",
    ),
    ("18410000feffffff 0000000000000000", "lddw r1, code_addr(-2)", "r1 = code_addr(-2) ll"),
    (
        "18010000ffffffff 00000000ffffffff",
        "lddw r1, 0xffffffffffffffff",
        "r1 = 0x" + "f" * 16 + " ll",
    ),
    (
        "1801000005000000 0100000000000000",  # junk in the second slot
        ".quad 0x0000000500000118, 0x0000000000000001",
        ".quad 0x0000000500000118, 0x0000000000000001",
    ),
    ("1801000005000000", ".quad 0x0000000500000118", ".quad 0x0000000500000118"),  # half an lddw
    ("ff00000000000000", ".quad 0x00000000000000ff", ".quad 0x00000000000000ff"),
]

SAME = [  # text, and the ubpf text of the same program
    ("", ""),
    (" \t\r\n\f\v ", ""),
    ("mov r0, 1 exit", "mov64 r0, 0x1\nexit"),
    ("exit exit", "exit\nexit"),
    ("exit\nrsh r0, 1", "exit\nrsh64 r0, 0x1"),
    ("exit\r\nexit\r\n", "exit\nexit"),
    ("mov r0,\n1", "mov64 r0, 0x1"),
    ("mov # the\nr0 ; spread\n\n, // instruction\n1", "mov64 r0, 0x1"),
    ("mov r0,\n1 mov r1,\n2", "mov64 r0, 0x1\nmov64 r1, 0x2"),
    ("ldxh r0, [ r1 + 2 ]", "ldxh r0, [r1+2]"),
    ("ldxh r0, [ r1 ]", "ldxh r0, [r1]"),
    ("mov r0 , - 5", "mov64 r0, -0x5"),
    ("mov r0,+5", "mov64 r0, 0x5"),
    ("mov r0, 010", "mov64 r0, 0xa"),
    ("mov r0, " + "0" * 5000 + "7", "mov64 r0, 0x7"),
    ("mov r0, 0X1f", "mov64 r0, 0x1f"),
    ("mov r15, r11", "mov64 r15, r11"),
    ("mov r0, 0xffffffff", "mov64 r0, -0x1"),
    ("mov32 r0, 0x80000000", "mov32 r0, -0x80000000"),
    ("ldxdw r1, [r2+0xfff8]", "ldxdw r1, [r2-8]"),
    ("ldxdw r1, [r2-0x8000]", "ldxdw r1, [r2-32768]"),
    ("lddw r0, 18446744073709551615", "lddw r0, 0xffffffffffffffff"),
    ("lddw r0, -0x8000000000000000", "lddw r0, 0x8000000000000000"),
    ("lddw r0, -1", "lddw r0, 0xffffffffffffffff"),
    ("call -1", "call -0x1"),
    ("call %r2", "callx r2"),
    ("callx 5", "call local +5"),
    ("call helper 5", "call 0x5"),
    ("ja 5", "ja +5"),
    ("swap32 %r0", "bswap32 r0"),
    ("stxxaddw [r1+0x5], r2", "lock add32 [r1+5], r2"),
    ("exit # c\nexit // c\nexit ; exit\n#", "exit\nexit\nexit"),
    ("exit;", "exit"),
    ("w0 = *(u8 *)(r1 + 0)", "ldxb r0, [r1]"),
    ("*(u8 *)(r10 - 1) = w1", "stxb [r10-1], r1"),
    ("r0=*(u32*)(r1+4)", "ldxw r0, [r1+4]"),
    ("r0 = *(u8 *)skb[r1]", "ldindb r1, 0x0"),
    ("r0 = *(u8 *)skb[r1 + -5]", "ldindb r1, -0x5"),
    ("r1-=5 r1%=r2 r1 s>>=3", "sub64 r1, 0x5\nmod64 r1, r2\narsh64 r1, 0x3"),
    ("w1 = 5 ll_label: exit", "mov32 r1, 0x5\nexit"),
    ("r1 = 5 ll", "lddw r1, 0x5"),
    ("goto pc+3", "ja +3"),
    ("if r1==5 goto +1 <LBB0_2>\nr0=r1", "jeq r1, 0x5, +1\nmov64 r0, r1"),
    ("if r1<r2 goto -1", "jlt r1, r2, -1"),
    ("r1 = atomic64_fetch_add((u64 *)(r2 +0), r1)", "lock fetch add [r2], r1"),
    ("lock *(u32 *)(r1 +0) += r2", "lock add32 [r1], r2"),
    (".quad 1, -1\n.quad 0x95", ".quad 0x0000000000000001\n.quad 0xffffffffffffffff\nexit"),
    (".quad 1,\n2", ".quad 0x0000000000000001\n.quad 0x0000000000000002"),
    ("l: ja l", "ja -1"),
    ("l:\nja l", "ja -1"),
    ("l : ja l", "ja -1"),
    ("ja l lddw r0, 1\nl: exit", "ja +2\nlddw r0, 0x1\nexit"),
    ("ja32 l\nl: exit", "ja32 +0\nexit"),
    ("if w1 s> -1 goto l l: r0 = 1", "jsgt32 r1, -0x1, +0\nmov64 r0, 0x1"),
    ("call f\nexit\nf: exit", "call local +1\nexit\nexit"),
    ("call local f\nexit\nf: exit", "call local +1\nexit\nexit"),
    ("f: lddw r1, code_addr(f)", "lddw r1, code_addr(-1)"),
    ("jeq r1, 5, exit\nexit\nexit", "jeq r1, 0x5, +0\nexit\nexit"),
    ("ja exit\nexit\nexit: exit", "ja +1\nexit\nexit"),
    ("ja .L1$x@y_2\n.L1$x@y_2:", "ja +0"),
]


def test_the_example_of_rbpf() -> None:
    assert assemble(README) == README_CODE
    assert disassemble(README_CODE).split("\n") == [line.strip() for line in README.split("\n")]


@pytest.mark.parametrize(("code", "ubpf", "llvm"), PRINTED, ids=[row[1] for row in PRINTED])
def test_both_dialects(code: str, ubpf: str, llvm: str) -> None:
    program = bytes.fromhex(code)
    (instruction,) = decode(program)
    assert (format_instruction(instruction), format_instruction(instruction, "llvm")) == (
        ubpf,
        llvm,
    )
    assert assemble(ubpf) == assemble(llvm) == program


@pytest.mark.parametrize(("text", "same"), SAME)
def test_other_spellings(text: str, same: str) -> None:
    assert disassemble(assemble(text)) == same


def test_labels_name_targets_and_functions() -> None:
    text = "f: jeq r1, 0, +1\nja 1\ncall local -3\nja +0\nja 99\nlddw r1, 5\nja -2"
    expected = """\
function0:
    jeq r1, 0x0, L2
    ja L3
L2:
    call local function0
L3:
    ja L4
L4:
    ja +99
    lddw r1, 0x5
    ja -2"""
    assert disassemble(assemble(text), labels=True) == expected


def test_a_label_may_stand_behind_the_last_instruction() -> None:
    assert disassemble(assemble("ja 0"), labels=True) == "    ja L1\nL1:"
    assert disassemble(assemble("call local 0 ja 0"), labels=True).startswith("    call local f")


def test_instructions_may_be_given_instead_of_bytes() -> None:
    assert disassemble([Instruction(0x95), Instruction(0x95)]) == "exit\nexit"
    assert disassemble(b"") == ""


def test_an_unknown_dialect_is_a_value_error() -> None:
    dialect: Dialect = "intel"  # type: ignore[assignment]  # that is the mistake
    with pytest.raises(ValueError, match="ubpf or llvm, not 'intel'"):
        disassemble(b"", dialect=dialect)


def test_half_a_slot_cannot_be_disassembled() -> None:
    with pytest.raises(DecodeError):
        disassemble(b"\x95")
    with pytest.raises(DecodeError):
        to_insn_vec(b"\x95")


def test_high_level_instructions() -> None:
    program = assemble("lddw r1, 0x1122334455667788\nldxh r0, [r1-2]\n.quad 0xff")
    described = [insn.to_dict() for insn in to_insn_vec(program)]
    zero = {"dst": 0, "src": 0, "off": 0, "imm": 0}
    assert described == [
        zero
        | {
            "opc": 0x18,
            "name": "lddw",
            "desc": "lddw r1, 0x1122334455667788",
            "dst": 1,
            "imm": 0x1122334455667788,
        },
        zero | {"opc": 0x69, "name": "ldxh", "desc": "ldxh r0, [r1-2]", "src": 1, "off": -2},
        zero | {"opc": 0xFF, "name": ".quad", "desc": ".quad 0x00000000000000ff"},
    ]
    assert json.loads(to_json(program)) == {"size": 4, "insns": described}
    assert to_json(b"", indent=None) == '{"size": 0, "insns": []}'


@pytest.mark.parametrize("imm", [-1, -(2**63), 2**63 - 1, 0xFFFF_FFFF])
def test_the_immediate_of_lddw_is_whole_and_signed(imm: int) -> None:
    (insn,) = to_insn_vec(assemble(f"lddw r0, {imm}"))
    assert insn.imm == imm


def test_templates_that_contradict_each_other_are_refused() -> None:
    start = Node()
    add, sub = ROWS[0], ROWS[2]
    _insert(start, ["x", "{imm}"], add, ())
    with pytest.raises(ValueError, match="read the same"):
        _insert(start, ["x", "{imm}"], sub, ())
    with pytest.raises(ValueError, match="two templates disagree"):
        _insert(start, ["x", "{target}"], sub, ())
    assert classes_of("target:name") == (" a label",)


def test_time_is_linear_in_the_text() -> None:
    """Ten times the text takes about ten times as long, with labels, and in one long line."""

    def seconds(lines: int, separator: str) -> float:
        body = (f"l{at}: add64 r1, {at} jeq r1, {at}, l{lines - 1 - at}" for at in range(lines))
        text = separator.join(body)
        best = 9e9
        for _ in range(3):
            _parse_short.cache_clear()  # or one length would be parsed, the other not
            start = time.process_time()
            assemble(text)
            best = min(best, time.process_time() - start)
        return best

    for separator in ("\n", " "):
        assert seconds(10_000, separator) < 30 * seconds(1_000, separator)


LISTING = """
prog.o:\tfile format elf64-bpf

Disassembly of section xdp:

0000000000000000 <prog>:
; \tif (x > 1)
       0:\tb4 00 00 00 00 00 00 00\tw0 = 0
       1:\t2d 21 02 00 00 00 00 00\tif r1 > r2 goto +2 <prog+0x20>
       2:\t18 01 00 00 88 77 66 55 00 00 00 00 44 33 22 11\tr1 = 1234605616436508552 ll
       4:\t85 10 00 00 01 00 00 00\tcall 1
       5:\t95 00 00 00 00 00 00 00\texit

0000000000000030 <helper>:
       6:\t8d 02 00 00 00 00 00 00\t<unknown>
       7:\t95 00 00 00 00 00 00 00\texit
"""
LISTED = """
w0 = 0
if r1 > r2 goto +2
r1 = 0x1122334455667788 ll
call local +1
exit
callx r2
exit
"""


def test_a_listing_of_llvm_objdump_gives_its_bytes() -> None:
    """The bytes count: in the text a local call is that of a helper's, or there is none."""
    assert assemble(LISTING) == assemble(LISTED)


def test_numbered_lines_without_bytes() -> None:
    assert assemble("       0:\tw0 = 1\n       1:\texit") == assemble("w0 = 1 exit")
    log = "0: (b7) r0 = 1  ; R0_w=1\n1: (05) goto pc+0\n2: (95) exit"
    assert assemble(log) == assemble("r0 = 1 goto +0 exit")


def test_functions_of_a_listing_are_labels() -> None:
    text = "0000000000000000 <f>:\n 0:\tif r1 == 0 goto LBB0_1\n0000000000000008 <LBB0_1>:\n1: exit"
    assert assemble(text) == assemble("if r1 == 0 goto +0 exit")


@pytest.mark.parametrize(
    "text",
    [
        "/* one */ r0 = 1 /* two */ exit /**/",
        "r0 /**/ = /* * / **/ 1\nexit /* not closed",
        "r0 = 1 // /*\nexit # */",
        "/* a */ /* b */ mov r0, /* ; # // */ 1\nexit//* c",
    ],
)
def test_comments_within_lines(text: str) -> None:
    assert assemble(text) == assemble("r0 = 1 exit")
