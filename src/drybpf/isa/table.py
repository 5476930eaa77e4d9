"""The instruction set as a table: one row an instruction, families made by loops.

A row is read in both directions.  Its *form* and its *llvm* text are what the assembler reads
and what the disassembler prints; the operands they name are the fields the instruction uses, and
every field that they do not name must be zero.  Where several instructions share an opcode byte,
`pick` holds the one field and value that tell them apart.

Only data and the loops that make it may live here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from drybpf.cached import cached_property

OPERAND_FIELDS: dict[str, tuple[str, ...]] = {
    # operand in a text form: the instruction's fields that it fills
    "dst": ("dst",),  # r0 … r10
    "dst32": ("dst",),  # w0 … w10: the lower half, in the llvm dialect
    "src": ("src",),
    "src32": ("src",),
    "imm": ("imm",),  # signed 32 bits
    "number": ("imm",),  # the same where it names a map or a variable: written in decimal
    "displacement": ("imm",),  # the same where it is added to a register, in the llvm dialect
    "imm64": ("imm", "next_imm"),  # 64 bits over two slots
    "offset": ("offset",),  # signed 16 bits, added to an address
    "target": ("offset",),  # a jump of signed 16 bits, in slots, from the next slot
    "long_target": ("imm",),  # the same with 32 bits
    "function": ("imm",),  # a local call, relative like a jump
    "code": ("imm",),  # the address of a function, relative like a jump
    "value_offset": ("next_imm",),  # the offset within a map's value
}
_OPERAND = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Row:
    """One instruction of the instruction set."""

    opcode: int  # the first byte
    mnemonic: str  # "add32", as ubpf and bpf_conformance write it
    form: str  # "{dst}, {imm}": the operands after the mnemonic
    llvm: str  # "{dst32} += {imm}": the same as LLVM and the kernel's verifier log write it
    semantics: str  # "add32": the key into every table of meanings
    group: str  # the conformance group of RFC 9669, section 2.4
    version: int = 1  # the first clang -mcpu=vN that emits it
    pick: tuple[str, int] | None = None  # ("offset", 1) tells sdiv from div

    @cached_property
    def ubpf(self) -> str:
        """The whole text form in the ubpf dialect."""
        return f"{self.mnemonic} {self.form}".rstrip()

    @cached_property
    def operands(self) -> tuple[str, ...]:
        """Names of the operands, in the order of the ubpf form."""
        return tuple(dict.fromkeys(_OPERAND.findall(self.form)))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields that mean something; the others are reserved and must be zero."""
        used = {field for operand in self.operands for field in OPERAND_FIELDS[operand]}
        if self.pick:
            used.add(self.pick[0])
        return frozenset(used)

    @cached_property
    def reserved(self) -> tuple[str, ...]:
        """The fields of the first slot that must be zero."""
        return tuple(f for f in ("dst", "src", "offset", "imm") if f not in self.fields)

    @cached_property
    def registers(self) -> tuple[str, ...]:
        """The operands that are registers."""
        return tuple(operand for operand in self.operands if operand in ("dst", "src"))

    @cached_property
    def wide(self) -> bool:
        """Whether the instruction takes two slots."""
        return self.opcode == LDDW

    @cached_property
    def target(self) -> str:
        """The field with the relative target of a jump, a local call or a code address, or ""."""
        for operand in self.operands:
            if operand in ("target", "long_target", "function", "code"):
                return OPERAND_FIELDS[operand][0]
        return ""

    @cached_property
    def flow(self) -> str:
        """Where control goes on: `next`, `jump` (the target), `branch` (either) or `exit`."""
        if self.opcode == EXIT:
            return "exit"
        if self.opcode in (JA, JA32):
            return "jump"
        return "branch" if "target" in self.operands else "next"

    @cached_property
    def writes(self) -> str:
        """The register field that the instruction writes, `dst` or `src`, or ""."""
        if self.group.startswith("atomic"):
            return "src" if "fetch" in self.mnemonic or "lock xchg" in self.mnemonic else ""
        writes = self.form.startswith("{dst}") and self.flow == "next" and self.opcode != CALLX
        return "dst" if writes else ""

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The register fields that the instruction reads."""
        fresh = self.writes == "dst" and ("mov" in self.mnemonic or self.mnemonic[:2] == "ld")
        fields = ("src",) if fresh else ("dst", "src")
        return tuple(field for field in fields if field in self.operands)


LD, LDX, ST, STX, ALU32, JMP64, JMP32, ALU64 = range(8)  # instruction classes
K, X = 0x00, 0x08  # source: immediate or register
ABS, IND, MEM, MEMSX, ATOMIC = 0x20, 0x40, 0x60, 0x80, 0xC0  # modes of loads and stores
CALL, CALLX, EXIT, JA, JA32, LDDW = 0x85, 0x8D, 0x95, 0x05, 0x06, 0x18

# fmt: off
_BINARY = (  # name    code  offset  llvm    divmul  version
    ("add",  0x00, 0,      "+=",   "",     1),
    ("sub",  0x10, 0,      "-=",   "",     1),
    ("mul",  0x20, 0,      "*=",   "divmul", 1),
    ("div",  0x30, 0,      "/=",   "divmul", 1),
    ("sdiv", 0x30, 1,      "s/=",  "divmul", 4),
    ("or",   0x40, 0,      "|=",   "",     1),
    ("and",  0x50, 0,      "&=",   "",     1),
    ("lsh",  0x60, 0,      "<<=",  "",     1),
    ("rsh",  0x70, 0,      ">>=",  "",     1),
    ("mod",  0x90, 0,      "%=",   "divmul", 1),
    ("smod", 0x90, 1,      "s%=",  "divmul", 4),
    ("xor",  0xA0, 0,      "^=",   "",     1),
    ("mov",  0xB0, 0,      "=",    "",     1),
    ("arsh", 0xC0, 0,      "s>>=", "",     1),
)
_CONDITIONS = (  # name  code  llvm   version (64 bits)
    ("jeq",  0x10, "==",  1),
    ("jgt",  0x20, ">",   1),
    ("jge",  0x30, ">=",  1),
    ("jset", 0x40, "&",   1),
    ("jne",  0x50, "!=",  1),
    ("jsgt", 0x60, "s>",  1),
    ("jsge", 0x70, "s>=", 1),
    ("jlt",  0xA0, "<",   2),
    ("jle",  0xB0, "<=",  2),
    ("jslt", 0xC0, "s<",  2),
    ("jsle", 0xD0, "s<=", 2),
)
_SIZES = (  # suffix  code  bits
    ("w",  0x00, 32),
    ("h",  0x08, 16),
    ("b",  0x10, 8),
    ("dw", 0x18, 64),
)
_ATOMICS = (  # name        imm   llvm
    ("add",       0x00, "lock *(u{bits} *)({{dst}}{{offset}}) += {{src}}"),
    ("or",        0x40, "lock *(u{bits} *)({{dst}}{{offset}}) |= {{src}}"),
    ("and",       0x50, "lock *(u{bits} *)({{dst}}{{offset}}) &= {{src}}"),
    ("xor",       0xA0, "lock *(u{bits} *)({{dst}}{{offset}}) ^= {{src}}"),
    ("fetch add", 0x01, "{{src}} = atomic_fetch_add((u{bits} *)({{dst}}{{offset}}), {{src}})"),
    ("fetch or",  0x41, "{{src}} = atomic_fetch_or((u{bits} *)({{dst}}{{offset}}), {{src}})"),
    ("fetch and", 0x51, "{{src}} = atomic_fetch_and((u{bits} *)({{dst}}{{offset}}), {{src}})"),
    ("fetch xor", 0xA1, "{{src}} = atomic_fetch_xor((u{bits} *)({{dst}}{{offset}}), {{src}})"),
    ("xchg",      0xE1, "{{src}} = xchg{tail}({{dst}}{{offset}}, {{src}})"),
    ("cmpxchg",   0xF1, "{r0} = cmpxchg{tail}({{dst}}{{offset}}, {r0}, {{src}})"),
)
_LDDW = (  # src  form after "lddw {dst}, "  (RFC 9669, section 5.4)
    (0, "{imm64}",                                 "imm64"),
    (1, "map_by_fd({number})",                     "map_by_fd"),
    (2, "map_val(map_by_fd({number})){value_offset}", "map_val_by_fd"),
    (3, "var_addr({number})",                      "var_addr"),
    (4, "code_addr({code})",                       "code_addr"),
    (5, "map_by_idx({number})",                    "map_by_idx"),
    (6, "map_val(map_by_idx({number})){value_offset}", "map_val_by_idx"),
)
# fmt: on


_SHARED = {(name, origin) for name in ("div", "sdiv", "mod", "smod") for origin in (K, X)}
_SHARED.add(("mov", X))


def _alu(bits: int, klass: int) -> Iterator[Row]:
    suffix = "32" if bits == 32 else ""
    dst, src = f"{{dst{suffix}}}", f"{{src{suffix}}}"
    for name, code, offset, llvm, divmul, version in _BINARY:
        for origin, operand, text in ((K, "imm", "{imm}"), (X, "src", src)):
            yield Row(
                opcode=klass | origin | code,
                mnemonic=f"{name}{bits}",
                form=f"{{dst}}, {{{operand}}}",
                llvm=f"{dst} {llvm} {text}",
                semantics=f"{name}{bits}",
                group=f"{divmul or 'base'}{bits}",
                version=version,
                pick=("offset", offset) if (name, origin) in _SHARED else None,
            )
    for width in (8, 16, 32)[: 2 if bits == 32 else 3]:
        name = f"movsx{width}{bits}"
        yield Row(
            klass | X | 0xB0,
            name,
            "{dst}, {src}",
            f"{dst} = (s{width}){src}",
            name,
            f"base{bits}",
            4,
            ("offset", width),
        )
    yield Row(
        klass | 0x80, f"neg{bits}", "{dst}", f"{dst} = -{dst}", f"neg{bits}", f"base{bits}"
    )


def _swaps() -> Iterator[Row]:
    for name, opcode, version in (("le", 0xD4, 1), ("be", 0xDC, 1), ("bswap", 0xD7, 4)):
        for width in (16, 32, 64):
            text = f"{name}{width}"
            group = "base64" if width == 64 else "base32"
            llvm = f"{{dst}} = {text} {{dst}}"
            yield Row(opcode, text, "{dst}", llvm, text, group, version, ("imm", width))


def _jumps(bits: int, klass: int) -> Iterator[Row]:
    suffix = "32" if bits == 32 else ""
    dst, src = f"{{dst{suffix}}}", f"{{src{suffix}}}"
    for name, code, llvm, version in _CONDITIONS:
        for origin, operand, text in ((K, "imm", "{imm}"), (X, "src", src)):
            yield Row(
                opcode=klass | origin | code,
                mnemonic=f"{name}{suffix}",
                form=f"{{dst}}, {{{operand}}}, {{target}}",
                llvm=f"if {dst} {llvm} {text} goto {{target}}",
                semantics=f"{name}{bits}",
                group=f"base{bits}",
                version=3 if bits == 32 else version,
            )


def _control() -> Iterator[Row]:
    yield Row(JA, "ja", "{target}", "goto {target}", "ja", "base32")
    yield Row(JA32, "ja32", "{long_target}", "gotol {long_target}", "ja", "base32", 4)
    yield Row(CALL, "call", "{imm}", "call {imm}", "call_helper", "base32", 1, ("src", 0))
    local = "call local {function}"
    yield Row(CALL, "call local", "{function}", local, "call_local", "base32", 3, ("src", 1))
    runtime = "call runtime {imm}"
    yield Row(CALL, "call runtime", "{imm}", runtime, "call_runtime", "base32", 3, ("src", 2))
    yield Row(CALLX, "callx", "{dst}", "callx {dst}", "callx", "callx")
    yield Row(EXIT, "exit", "", "exit", "exit", "base32")


def _memory() -> Iterator[Row]:
    for suffix, code, bits in _SIZES:
        group = "base64" if bits == 64 else "base32"
        at_src, at_dst = "[{src}{offset}]", "[{dst}{offset}]"
        loaded = f"{{dst}} = *(u{bits} *)({{src}}{{offset}})"
        store_imm = f"*(u{bits} *)({{dst}}{{offset}}) = {{imm}}"
        store_reg = f"*(u{bits} *)({{dst}}{{offset}}) = {{src}}"
        load, store = f"ldx{bits}", f"st{bits}"
        # fmt: off
        yield Row(LDX | MEM | code, f"ldx{suffix}", f"{{dst}}, {at_src}", loaded, load, group)
        yield Row(ST | MEM | code, f"st{suffix}", f"{at_dst}, {{imm}}", store_imm, store, group)
        yield Row(STX | MEM | code, f"stx{suffix}", f"{at_dst}, {{src}}", store_reg, store, group)
        # fmt: on
        if bits < 64:
            name, signed = f"ldxs{suffix}", f"{{dst}} = *(s{bits} *)({{src}}{{offset}})"
            key = f"ldxs{bits}"
            yield Row(LDX | MEMSX | code, name, f"{{dst}}, {at_src}", signed, key, "base64", 4)


def _packet() -> Iterator[Row]:
    """Legacy packet loads.  The 8-byte ones are not in RFC 9669; rbpf has them, so has drybpf."""
    for suffix, code, bits in _SIZES:
        group = "packet" if bits < 64 else "extension"
        llvm = f"r0 = *(u{bits} *)skb"
        absolute, indirect = f"ldabs{bits}", f"ldind{bits}"
        yield Row(LD | ABS | code, f"ldabs{suffix}", "{imm}", llvm + "[{imm}]", absolute, group)
        yield Row(
            LD | IND | code,
            f"ldind{suffix}",
            "{src}, {imm}",
            llvm + "[{src}{displacement}]",
            indirect,
            group,
        )


def _atomics() -> Iterator[Row]:
    for bits, code, suffix in ((32, 0x00, "32"), (64, 0x18, "")):
        tail, r0 = ("32_32", "w0") if bits == 32 else ("_64", "r0")
        for name, imm, template in _ATOMICS:
            llvm = template.format(bits=bits, tail=tail, r0=r0)
            if bits == 32:
                llvm = llvm.replace("{src}", "{src32}")
            yield Row(
                opcode=STX | ATOMIC | code,
                mnemonic=f"lock {name}{suffix}",
                form="[{dst}{offset}], {src}",
                llvm=llvm,
                semantics=f"{name.replace(' ', '_')}{bits}_atomic",
                group=f"atomic{bits}",
                version=1 if name == "add" else 3,
                pick=("imm", imm),
            )


def _lddw() -> Iterator[Row]:
    for src, form, key in _LDDW:
        llvm = f"{{dst}} = {form} ll"
        yield Row(LDDW, "lddw", f"{{dst}}, {form}", llvm, f"lddw_{key}", "base64", 1, ("src", src))


ROWS: tuple[Row, ...] = (
    *_alu(32, ALU32),
    *_alu(64, ALU64),
    *_swaps(),
    *_jumps(32, JMP32),
    *_jumps(64, JMP64),
    *_control(),
    *_memory(),
    *_packet(),
    *_atomics(),
    *_lddw(),
)
"""Every instruction: the 170 of RFC 9669, `callx`, and rbpf's two 8-byte packet loads."""


def _index(rows: tuple[Row, ...]) -> dict[int, tuple[str, dict[int, Row]]]:
    """For each opcode byte the field that picks the row, and the rows by that field's value."""
    index: dict[int, tuple[str, dict[int, Row]]] = {}
    for row in rows:
        field, value = row.pick or ("", 0)
        known, choices = index.setdefault(row.opcode, (field, {}))
        if known != field or value in choices:
            message = f"opcode {row.opcode:#04x} is described twice"
            raise ValueError(message)
        choices[value] = row
    return index


BY_OPCODE = _index(ROWS)


def lookup(opcode: int, src: int, offset: int, imm: int) -> Row | None:
    """Find the row of an instruction; None where the bytes are no instruction."""
    entry = BY_OPCODE.get(opcode)
    if entry is None:
        return None
    field, choices = entry
    if not field:
        return choices[0]
    return choices.get({"src": src, "offset": offset, "imm": imm}[field])
