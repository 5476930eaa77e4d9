"""The builder with rbpf's names: each instruction is begun, filled by setters, and pushed."""

from __future__ import annotations

from typing import Self

from drybpf.builder.choices import Arch, AtomicOp, Cond, Endian, MemSize, Source
from drybpf.builder.code import Code, Register, number
from drybpf.isa import ROWS, Instruction, Row
from drybpf.isa.operands import low_half, well_formed

_ROWS = {(row.mnemonic, "src" in row.operands): row for row in reversed(ROWS)}
_BITS = {MemSize.BYTE: 8, MemSize.HALF_WORD: 16, MemSize.WORD: 32, MemSize.DOUBLE_WORD: 64}
_SUFFIX = {Arch.X64: "", Arch.X32: "32"}


class PendingInstruction:
    """An instruction that is being filled; `push` appends it to its program."""

    def __init__(self, code: BpfCode, row: Row, *, pick: bool = True) -> None:
        """Begin with all fields zero but the one that picks the row."""
        self._code, self._row = code, row
        self._fields = {"dst": 0, "src": 0, "offset": 0, "imm": 0}
        self._label = ""
        if row.pick and pick:
            self._fields[row.pick[0]] = row.pick[1]

    def set_dst(self, dst: Register | int) -> Self:
        """Set the first register.  `ValueError`: not 0 … 10."""
        self._fields["dst"] = _register("dst", dst)
        return self

    def set_src(self, src: Register | int) -> Self:
        """Set the second register, or the kind of an `lddw`.  `ValueError`: not 0 … 10."""
        self._fields["src"] = _register("src", src)
        return self

    def set_off(self, off: int) -> Self:
        """Set the offset.  `ValueError`: not 16 bits, signed."""
        self._fields["offset"] = number("offset", off)
        return self

    def set_imm(self, imm: int) -> Self:
        """Set the immediate.  `ValueError`: not 32 bits, signed; for `lddw` not 64 bits."""
        self._fields["imm"] = number("imm64" if self._row.wide else "imm", imm)
        return self

    def set_target(self, label: str) -> Self:
        """Lead to a label instead of over a distance."""
        self._label = label
        return self

    def get_dst(self) -> int:
        """The first register's number."""
        return self._fields["dst"]

    def get_src(self) -> int:
        """The second register's number."""
        return self._fields["src"]

    def get_off(self) -> int:
        """The offset."""
        return self._fields["offset"]

    def get_imm(self) -> int:
        """The immediate, as it was set."""
        return self._fields["imm"]

    def opt_code_byte(self) -> int:
        """The first byte of the instruction."""
        return self._row.opcode

    def get_insn(self) -> Instruction:
        """The instruction as it is now."""
        imm = self._fields["imm"]
        fields = self._fields | {"imm": low_half(imm)}
        second = ((imm >> 32) & 0xFFFF_FFFF) << 32 if self._row.wide else None
        return Instruction(self._row.opcode, **fields, second=second)

    def into_bytes(self) -> bytes:
        """The bytes of the instruction as it is now."""
        return self.get_insn().to_bytes()

    def push(self) -> BpfCode:
        """Append it.  `ValueError`: no instruction has these fields."""
        instruction = self.get_insn()
        row = instruction.row
        if row is None or not well_formed(instruction):
            raise ValueError(f"no {self._row.mnemonic} has these fields: {instruction}")
        if self._label and not row.target:
            raise ValueError(f"{row.mnemonic} leads to no label")
        return self._code.append(instruction, row.operands[-1] if self._label else "", self._label)


def _register(field: str, register: Register | int) -> int:
    if isinstance(register, Register):
        return int(register.value)
    value = number(field, register)
    if value > 10:
        raise ValueError(f"there is no register r{value}")
    return value


class BpfCode(Code):
    """A program in rbpf's way: `code.exit().push()`.

    Beyond rbpf: labels, 32-bit jumps, atomics, sign extension, and `lddw` as one instruction.
    Each method begins an instruction; `push` gives the program back.
    """

    def add(self, source: Source, arch: Arch) -> PendingInstruction:
        """`add`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"add{arch.value}", source)

    def sub(self, source: Source, arch: Arch) -> PendingInstruction:
        """`sub`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"sub{arch.value}", source)

    def mul(self, source: Source, arch: Arch) -> PendingInstruction:
        """`mul`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"mul{arch.value}", source)

    def div(self, source: Source, arch: Arch) -> PendingInstruction:
        """`div`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"div{arch.value}", source)

    def signed_div(self, source: Source, arch: Arch) -> PendingInstruction:
        """`sdiv`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"sdiv{arch.value}", source)

    def bit_or(self, source: Source, arch: Arch) -> PendingInstruction:
        """`or`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"or{arch.value}", source)

    def bit_and(self, source: Source, arch: Arch) -> PendingInstruction:
        """`and`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"and{arch.value}", source)

    def left_shift(self, source: Source, arch: Arch) -> PendingInstruction:
        """`lsh`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"lsh{arch.value}", source)

    def right_shift(self, source: Source, arch: Arch) -> PendingInstruction:
        """`rsh`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"rsh{arch.value}", source)

    def modulo(self, source: Source, arch: Arch) -> PendingInstruction:
        """`mod`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"mod{arch.value}", source)

    def signed_modulo(self, source: Source, arch: Arch) -> PendingInstruction:
        """`smod`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"smod{arch.value}", source)

    def bit_xor(self, source: Source, arch: Arch) -> PendingInstruction:
        """`xor`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"xor{arch.value}", source)

    def mov(self, source: Source, arch: Arch) -> PendingInstruction:
        """`mov`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"mov{arch.value}", source)

    def signed_right_shift(self, source: Source, arch: Arch) -> PendingInstruction:
        """`arsh`, with `set_dst` and `set_src` or `set_imm`."""
        return self._begin(f"arsh{arch.value}", source)

    def sign_extend(self, size: MemSize, arch: Arch) -> PendingInstruction:
        """`movsx`: dst is src, read as a signed number of that size."""
        return self._begin(f"movsx{_BITS[size]}{arch.value}", Source.REG)

    def negate(self, arch: Arch) -> PendingInstruction:
        """`neg`, with `set_dst`."""
        return self._begin(f"neg{arch.value}")

    def swap_bytes(self, endian: Endian) -> PendingInstruction:
        """`le`, `be` or `bswap`, with `set_dst`, and the width 16, 32 or 64 by `set_imm`."""
        return self._begin(f"{endian.value}16", pick=False)

    def load(self, size: MemSize) -> PendingInstruction:
        """`lddw`, with `set_dst` and 64 bits by `set_imm`; there is only `DOUBLE_WORD`."""
        return self._begin(f"ld{size.value}", pick=False)

    def load_abs(self, size: MemSize) -> PendingInstruction:
        """`ldabs`, with `set_imm`."""
        return self._begin(f"ldabs{size.value}")

    def load_ind(self, size: MemSize) -> PendingInstruction:
        """`ldind`, with `set_src` and `set_imm`."""
        return self._begin(f"ldind{size.value}", Source.REG)

    def load_x(self, size: MemSize) -> PendingInstruction:
        """`ldx`, with `set_dst`, `set_src` and `set_off`."""
        return self._begin(f"ldx{size.value}", Source.REG)

    def load_x_signed(self, size: MemSize) -> PendingInstruction:
        """`ldxs`, with `set_dst`, `set_src` and `set_off`."""
        return self._begin(f"ldxs{size.value}", Source.REG)

    def store(self, size: MemSize) -> PendingInstruction:
        """`st`, with `set_dst`, `set_off` and `set_imm`."""
        return self._begin(f"st{size.value}")

    def store_x(self, size: MemSize) -> PendingInstruction:
        """`stx`, with `set_dst`, `set_off` and `set_src`."""
        return self._begin(f"stx{size.value}", Source.REG)

    def atomic(
        self, operation: AtomicOp, arch: Arch = Arch.X64, *, fetch: bool = False
    ) -> PendingInstruction:
        """`lock …`, with `set_dst`, `set_off` and `set_src`; with `fetch`, src gets the old value.

        `XCHG` and `CMPXCHG` always fetch and know no such choice.
        """
        fetching = "fetch " if fetch else ""
        return self._begin(f"lock {fetching}{operation.value}{_SUFFIX[arch]}", Source.REG)

    def jump_unconditional(self) -> PendingInstruction:
        """`ja`, with `set_off` or `set_target`."""
        return self._begin("ja")

    def jump_long(self) -> PendingInstruction:
        """`ja32`, with a distance of 32 bits by `set_imm`, or `set_target`."""
        return self._begin("ja32")

    def jump_conditional(
        self, cond: Cond, source: Source, arch: Arch = Arch.X64
    ) -> PendingInstruction:
        """A jump, with `set_dst`, `set_src` or `set_imm`, and `set_off` or `set_target`."""
        if cond is Cond.ABS:
            return self.jump_unconditional()
        return self._begin(f"{cond.value}{_SUFFIX[arch]}", source)

    def call(self) -> PendingInstruction:
        """`call`, with the helper's number by `set_imm`."""
        return self._begin("call")

    def call_local(self) -> PendingInstruction:
        """`call local`, with a distance by `set_imm`, or `set_target`."""
        return self._begin("call local")

    def call_runtime(self) -> PendingInstruction:
        """`call runtime`, with `set_imm`."""
        return self._begin("call runtime")

    def call_register(self) -> PendingInstruction:
        """`callx`, with the register that holds the helper's number by `set_dst`."""
        return self._begin("callx")

    def exit(self) -> PendingInstruction:
        """`exit`."""
        return self._begin("exit")

    def _begin(
        self, mnemonic: str, source: Source = Source.IMM, *, pick: bool = True
    ) -> PendingInstruction:
        row = _ROWS.get((mnemonic, source.value))
        if row is None:
            raise ValueError(f"there is no instruction {mnemonic!r}")
        return PendingInstruction(self, row, pick=pick)
