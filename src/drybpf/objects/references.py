"""What the instructions of each function refer to: other functions, or things outside the code.

A reference is a relocation, or a distance that the compiler had already put into a local call.
Everything is checked here, once for each function; linking then only copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from drybpf.errors import ObjectError
from drybpf.isa import Instruction, decode
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.isa.table import CALL, LDDW, ROWS
from drybpf.objects.elf import SHN_UNDEF, STB_WEAK, ElfFile, Relocation
from drybpf.objects.functions import Function

_R_BPF_NONE, _R_BPF_64_64, _R_BPF_64_32 = 0, 1, 10
_RELOCATIONS = {  # old clang wrote type 0 for every relocation
    LDDW: (_R_BPF_NONE, _R_BPF_64_64),
    CALL: (_R_BPF_NONE, _R_BPF_64_32),
}
NAMES_CODE = {  # the src field of an instruction that names a function by its distance
    row.opcode: row.pick[1]
    for row in ROWS
    if row.pick and row.semantics in ("call_local", "lddw_code_addr")
}


@dataclass(frozen=True, slots=True)
class Reference:
    """Something outside the code: a map, a variable, or what the object does not define.

    `offset` is its place in `section`, `section_index` 0 and `section` empty where undefined;
    `weak` means that it may stay undefined.  `symbol` is empty where the section itself is named.
    """

    kind: Literal["address", "call"]
    symbol: str
    section: str
    section_index: int
    offset: int
    weak: bool = False

    def __str__(self) -> str:
        """`'counters' in section 'maps'`, `the undefined function 'memset'`."""
        if self.section_index != SHN_UNDEF:
            what = repr(self.symbol) if self.symbol else f"offset {self.offset}"
            return f"{what} in section {self.section!r}"
        return f"the undefined {'function' if self.kind == 'call' else 'symbol'} {self.symbol!r}"


@dataclass(frozen=True)
class References:
    """Of one function, by the slot within it: indices of functions, and the rest."""

    functions: Mapping[int, int]
    outside: Mapping[int, Reference]


def find_references(elf: ElfFile, functions: Sequence[Function]) -> tuple[References, ...]:
    """The references of each function; raises `ObjectError` for one that makes no sense."""
    finder = _Finder(elf, functions)
    found = tuple(map(finder.references, functions))
    finder.check_all_used()
    return found


class _Finder:
    def __init__(self, elf: ElfFile, functions: Sequence[Function]) -> None:
        self._sections = elf.sections
        self._starts = {
            (function.section.index, function.start): index
            for index, function in enumerate(functions)
        }
        sections = {function.section.index for function in functions}
        self._relocations = {index: _by_slot(elf, index) for index in sections}

    def references(self, function: Function) -> References:
        inside: dict[int, int] = {}
        outside: dict[int, Reference] = {}
        relocations = self._relocations[function.section.index]
        for slot, instruction in _calls_and_addresses(function.bytecode):
            relocation = relocations.pop(function.start + slot, None)
            found = (
                self._distance(function, slot, instruction)
                if relocation is None
                else self._relocated(function, slot, instruction, relocation)
            )
            if isinstance(found, Reference):
                outside[slot] = found
            elif found is not None:
                inside[slot] = found
        return References(MappingProxyType(inside), MappingProxyType(outside))

    def check_all_used(self) -> None:
        for index, relocations in self._relocations.items():
            for slot, relocation in relocations.items():
                raise ObjectError(
                    f"section {self._sections[index].name!r}: a relocation by "
                    f"{relocation.symbol.name!r} changes slot {slot}, "
                    "which is neither a call nor an lddw"
                )

    def _relocated(
        self, function: Function, slot: int, instruction: Instruction, relocation: Relocation
    ) -> Reference | int:
        """What a relocation makes the instruction refer to; an int is a function's index."""
        symbol = relocation.symbol
        call = instruction.opcode == CALL
        if relocation.type not in _RELOCATIONS[instruction.opcode]:
            raise ObjectError(
                f"{_place(function, slot)}: a relocation of type {relocation.type} does not fit"
            )
        addend = relocation.addend
        if addend is None:
            addend = (instruction.imm + 1) * SLOT_SIZE if call else _signed(instruction.imm64)
        kind: Literal["address", "call"] = "call" if call else "address"
        weak = symbol.binding == STB_WEAK
        if symbol.section == SHN_UNDEF:
            if not symbol.name:
                raise ObjectError(f"{_place(function, slot)}: the relocation names no symbol")
            return Reference(kind, symbol.name, "", SHN_UNDEF, addend, weak)
        section, offset = self._sections[symbol.section], symbol.value + addend
        if not 0 <= offset <= section.size:
            raise ObjectError(
                f"{_place(function, slot)}: {symbol.name!r} is at offset {offset} "
                f"of section {section.name!r}, which has {section.size} bytes"
            )
        if section.executable:
            return self._function_at(function, slot, section.index, offset)
        if call:
            raise ObjectError(
                f"{_place(function, slot)}: a call of {symbol.name!r} in {section.name!r}, no code"
            )
        return Reference(kind, symbol.name, section.name, section.index, offset, weak)

    def _distance(self, function: Function, slot: int, instruction: Instruction) -> int | None:
        """The function that an instruction without a relocation names by its distance."""
        if instruction.src != NAMES_CODE[instruction.opcode]:
            return None
        target = function.start + slot + 1 + instruction.imm
        if function.start <= target < function.end:
            return None  # the distance stays the same
        return self._function_at(function, slot, function.section.index, target * SLOT_SIZE)

    def _function_at(self, function: Function, slot: int, section: int, offset: int) -> int:
        index = self._starts.get((section, offset // SLOT_SIZE))
        if index is None or offset % SLOT_SIZE:
            raise ObjectError(
                f"{_place(function, slot)}: no function begins at offset {offset} of section "
                f"{self._sections[section].name!r}"
            )
        return index


def _by_slot(elf: ElfFile, section: int) -> dict[int, Relocation]:
    slots: dict[int, Relocation] = {}
    for relocation in elf.relocations.get(section, ()):
        slot, rest = divmod(relocation.offset, SLOT_SIZE)
        if rest or relocation.offset >= elf.sections[section].size or slot in slots:
            raise ObjectError(
                f"section {elf.sections[section].name!r}: a relocation at offset "
                f"{relocation.offset} is not at an instruction, or the second at one"
            )
        slots[slot] = relocation
    return slots


def _calls_and_addresses(code: memoryview) -> Iterator[tuple[int, Instruction]]:
    """The instructions that can refer to something; half an lddw at the end cannot."""
    opcodes = bytes(code[::SLOT_SIZE])
    slot = 0
    while slot < len(opcodes):
        opcode = opcodes[slot]
        width = 2 if opcode == LDDW else 1
        if opcode in _RELOCATIONS and slot + width <= len(opcodes):
            yield slot, decode(code[slot * SLOT_SIZE : (slot + width) * SLOT_SIZE])[0]
        slot += width


def _place(function: Function, slot: int) -> str:
    return f"function {function.names[0]!r}, insn {slot}"


def _signed(value: int) -> int:
    return value - (value >> 63 << 64)
