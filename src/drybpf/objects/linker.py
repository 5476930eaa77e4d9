"""One program out of an object's functions: its own first, behind it each that it needs, once."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from drybpf.code import SourceLine
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.isa.table import LDDW
from drybpf.objects.btf_ext import BtfExt
from drybpf.objects.core import Corrections
from drybpf.objects.functions import Function
from drybpf.objects.references import NAMES_CODE, Reference, References
from drybpf.objects.sections import ProgramType

_IMM = struct.Struct("<i")


@dataclass(frozen=True)
class LinkedProgram:
    """A program's whole code; the mappings are by slot in it.

    `functions` names each function at its first slot, `lines` has the source where a new place
    begins, `unresolved` what the code refers to outside itself and what is still to be filled in,
    `broken` why an instruction cannot be made to fit the types of the kernel that was asked for.
    """

    name: str
    section: str
    type: ProgramType
    bytecode: bytes
    functions: Mapping[int, str]
    lines: Mapping[int, SourceLine]
    unresolved: Mapping[int, Reference]
    broken: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def unsupported(self) -> tuple[str, ...]:
        """What keeps the program from running, a sentence each; empty for one that can run."""
        places: dict[str, int] = {}
        for pc, reference in self.unresolved.items():
            places.setdefault(str(reference), pc)
        return tuple(f"insn {pc} refers to {what}" for what, pc in places.items())

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle plain dictionaries: views of them cannot be pickled."""
        views = dict(self.functions), dict(self.lines), dict(self.unresolved), dict(self.broken)
        return _rebuild, (self.name, self.section, self.type, self.bytecode, *views)


def _rebuild(
    name: str,
    section: str,
    program_type: ProgramType,
    bytecode: bytes,
    functions: dict[int, str],
    lines: dict[int, SourceLine],
    unresolved: dict[int, Reference],
    broken: dict[int, str],
) -> LinkedProgram:
    return LinkedProgram(
        name,
        section,
        program_type,
        bytecode,
        MappingProxyType(functions),
        MappingProxyType(lines),
        MappingProxyType(unresolved),
        MappingProxyType(broken),
    )


@dataclass(frozen=True)
class Module:
    """All code of an object, checked: what `link` takes programs from."""

    functions: Sequence[Function]
    references: Sequence[References]
    ext: BtfExt
    corrections: Sequence[Corrections]

    def link(self, entry: int, name: str, program_type: ProgramType) -> LinkedProgram:
        """Link the program that begins with the function at index `entry`.

        Takes time in proportion to the program's length.
        """
        starts = self._layout(entry)
        code = bytearray()
        lines: dict[int, SourceLine] = {}
        unresolved: dict[int, Reference] = {}
        broken: dict[int, str] = {}
        for index, start in starts.items():
            function, references = self.functions[index], self.references[index]
            code += function.bytecode
            corrections = self.corrections[index]
            for slot, changed in corrections.changes.items():
                place = (start + slot) * SLOT_SIZE
                code[place : place + len(changed)] = changed
            for slot, reason in corrections.broken.items():
                broken[start + slot] = reason
            for slot, target in references.functions.items():
                _point(code, start + slot, starts[target])
            for slot, reference in references.outside.items():
                unresolved[start + slot] = reference
            known = self.ext.lines.get(function.section.name, {})
            for slot in range(function.start, function.end):
                if slot in known:
                    lines[start + slot - function.start] = known[slot]
        names = {start: self.functions[index].names[0] for index, start in starts.items()}
        return LinkedProgram(
            name=name,
            section=self.functions[entry].section.name,
            type=program_type,
            bytecode=bytes(code),
            functions=MappingProxyType({**names, 0: name}),
            lines=MappingProxyType(lines),
            unresolved=MappingProxyType(unresolved),
            broken=MappingProxyType(broken),
        )

    def _layout(self, entry: int) -> dict[int, int]:
        """The first slot of each function that is needed, by its index, in order."""
        starts = {entry: 0}
        waiting, end = [entry], 0
        for index in waiting:  # grows while it is walked
            function = self.functions[index]
            starts[index] = end
            end += function.end - function.start
            for target in self.references[index].functions.values():
                if target not in starts:
                    starts[target] = -1  # on the list, its place not yet known
                    waiting.append(target)
        return starts


def _point(code: bytearray, pc: int, target: int) -> None:
    """Make a call or an lddw of a function's address name the function at slot `target`."""
    place = pc * SLOT_SIZE
    opcode, registers = code[place], code[place + 1]
    code[place + 1] = NAMES_CODE[opcode] << 4 | registers & 0xF
    _IMM.pack_into(code, place + 4, target - pc - 1)
    if opcode == LDDW:
        _IMM.pack_into(code, place + SLOT_SIZE + 4, 0)
