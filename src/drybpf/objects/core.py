"""CO-RE: instructions that depend on the layout of types, made to fit a target's types.

By default the target is the object itself: every type is there and as the object knows it.  With
the BTF of a kernel, fields are looked up there by name, and what is not there is told apart from
what is: a question (`bpf_core_field_exists`) is answered with 0, an access becomes an obstacle.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType

from drybpf.errors import ObjectError
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.isa.table import LDDW
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf
from drybpf.objects.btf_ext import Access
from drybpf.objects.core_access import Walk, follow, walk
from drybpf.objects.core_types import Relations, candidates
from drybpf.objects.functions import Function


class Kind(IntEnum):
    """What a relocation asks for (`enum bpf_core_relo_kind`)."""

    FIELD_BYTE_OFFSET = 0
    FIELD_BYTE_SIZE = 1
    FIELD_EXISTS = 2
    FIELD_SIGNED = 3
    FIELD_LSHIFT_U64 = 4
    FIELD_RSHIFT_U64 = 5
    TYPE_ID_LOCAL = 6
    TYPE_ID_TARGET = 7
    TYPE_EXISTS = 8
    TYPE_SIZE = 9
    ENUMVAL_EXISTS = 10
    ENUMVAL_VALUE = 11
    TYPE_MATCHES = 12


_TYPES = (Kind.TYPE_ID_TARGET, Kind.TYPE_EXISTS, Kind.TYPE_SIZE, Kind.TYPE_MATCHES)
_VALUES = (Kind.ENUMVAL_EXISTS, Kind.ENUMVAL_VALUE)
_QUESTIONS = (Kind.FIELD_EXISTS, Kind.ENUMVAL_EXISTS, *_TYPES)  # 0 where there is nothing
_LARGEST_UNIT = 8  # bytes of a load
_M64, _M32 = (1 << 64) - 1, (1 << 32) - 1
_MEMORY, _ALU32, _ARITHMETIC = (1, 2, 3), 4, (4, 7)  # classes: LDX, ST, STX; ALU, ALU64
_SIZE_BITS = 0x18
_SIZES = {4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18}
_IMM, _OFFSET = struct.Struct("<I"), struct.Struct("<h")


@dataclass(frozen=True, slots=True)
class Answer:
    """The value for an instruction.

    `resized` is the size of the field at that offset where it is not the one that the object
    knows, 0 where it is, -1 where a load of the one cannot be made one of the other.
    """

    value: int
    resized: int = 0


@dataclass(frozen=True, slots=True)
class Corrections:
    """Of one function, by the slot within it: new bytes, or why there are none."""

    changes: Mapping[int, bytes]
    broken: Mapping[int, str]


NO_CORRECTIONS = Corrections(MappingProxyType({}), MappingProxyType({}))


def corrections(
    functions: Sequence[Function],
    accesses: Mapping[str, Mapping[int, Access]],
    btf: Btf | None,
    target: Btf | None,
) -> tuple[Corrections, ...]:
    """What each function's instructions become; no `target` is the object's own types."""
    if btf is None or not accesses:
        return (NO_CORRECTIONS,) * len(functions)
    slots = {section: list(facts) for section, facts in accesses.items()}  # in order
    relocator = Relocator(btf, target)
    found = []
    for function in functions:
        known = slots.get(function.section.name, [])
        begin, end = bisect_left(known, function.start), bisect_left(known, function.end)
        facts = accesses.get(function.section.name, {})
        wanted = {slot - function.start: facts[slot] for slot in known[begin:end]}
        found.append(relocator.corrections(function, wanted))
    return tuple(found)


@dataclass
class Relocator:
    """Answers relocations, each question once."""

    local: Btf
    target: Btf | None = None
    _answers: dict[Access, Answer | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Prepare to compare types."""
        self._relations = Relations(self.local, self.target or self.local)

    def corrections(self, function: Function, wanted: Mapping[int, Access]) -> Corrections:
        """What becomes of a function's instructions, by slot."""
        changes: dict[int, bytes] = {}
        broken: dict[int, str] = {}
        for slot, access in wanted.items():
            answer = self.answer(access)
            if isinstance(answer, str):
                broken[slot] = answer
                continue
            place = slot * SLOT_SIZE
            before = bytes(function.bytecode[place : place + 2 * SLOT_SIZE])
            try:
                changes[slot] = corrected(before, answer)
            except ValueError as error:
                broken[slot] = f"{self._title(access)}: {error}"
        return Corrections(MappingProxyType(changes), MappingProxyType(broken))

    def answer(self, access: Access) -> Answer | str:
        """The value that a relocation asks for, or why there is none.

        Raises `ObjectError` for a relocation that makes no sense.
        """
        if access not in self._answers:
            self._answers[access] = self._answer(access)
        return self._answers[access]

    def _answer(self, access: Access) -> Answer | str:
        try:
            kind = Kind(access.kind)
        except ValueError:
            return f"asks CO-RE for {access.kind}, which nobody knows"
        if kind == Kind.TYPE_ID_LOCAL:
            return Answer(access.type)
        local = self.local.types[access.type]
        answers = set(self._candidates(kind, access, local))
        if not answers:
            missing = f"{self._title(access)}, which is not in the given BTF"
            return Answer(0) if kind in _QUESTIONS else missing
        if len(answers) > 1:
            return f"{self._title(access)}, which is several things in the given BTF"
        return answers.pop()

    def _candidates(self, kind: Kind, access: Access, local: t.BtfType) -> Iterator[Answer]:
        """An answer for each type of the target that has what is asked for."""
        btf = self.target or self.local
        ids = [access.type] if self.target is None else list(candidates(local, self.target))
        if kind in _TYPES:
            related = self._relations.match if kind == Kind.TYPE_MATCHES else self._relations.exist
            for type_id in ids:
                if related(access.type, type_id):
                    yield _of_type(kind, btf, type_id)
        elif kind in _VALUES:
            name = _enumerator(self.local, access)
            for type_id in ids:
                found = btf.resolve(type_id)
                values = dict(found.values) if isinstance(found, t.Enum) else {}
                if name in values:
                    yield Answer(1 if kind == Kind.ENUMVAL_EXISTS else values[name] & _M64)
        else:
            way = walk(self.local, access.type, access.access)
            for type_id in ids:
                end = way if self.target is None else follow(way.steps, self._relations, type_id)
                if end is not None:
                    yield self._of_field(kind, way, end)

    def _of_field(self, kind: Kind, local: Walk, end: Walk) -> Answer:
        btf = self.target or self.local
        value, size = _field(kind, btf, end)
        if kind != Kind.FIELD_BYTE_OFFSET or self.target is None:
            return Answer(value)
        _, known = _field(kind, self.local, local)
        resizable = _is_pointer_or_unsigned(self.local, local.type) and _is_pointer_or_unsigned(
            btf, end.type
        )
        return Answer(value, 0 if size == known else size if resizable else -1)

    def _title(self, access: Access) -> str:
        """`asks CO-RE for task_struct.pid`."""
        name = self.local.types[access.type].name or "a type without a name"
        if access.kind in _VALUES:
            return f"asks CO-RE for {_enumerator(self.local, access)} of enum {name}"
        if access.kind in _TYPES:
            return f"asks CO-RE for {name}"
        steps = walk(self.local, access.type, access.access).steps[1:]
        path = "".join(f".{step.name}" if step.name else f"[{step.index}]" for step in steps)
        return f"asks CO-RE for {name}{path}"


def _of_type(kind: Kind, btf: Btf, type_id: int) -> Answer:
    if kind == Kind.TYPE_ID_TARGET:
        return Answer(type_id)
    return Answer(btf.size_of(type_id) if kind == Kind.TYPE_SIZE else 1)


def _enumerator(btf: Btf, access: Access) -> str:
    found = btf.resolve(access.type)
    if isinstance(found, t.Enum) and access.access.isascii() and access.access.isdigit():
        index = int(access.access[:9])
        if index < len(found.values):
            return found.values[index][0]
    raise ObjectError(f".BTF.ext: {access.access!r} is no value of {found.name!r}")


def _is_pointer_or_unsigned(btf: Btf, type_id: int) -> bool:
    found = btf.resolve(type_id)
    return isinstance(found, t.Pointer) or (isinstance(found, t.Int) and not found.signed)


def _field(kind: Kind, btf: Btf, end: Walk) -> tuple[int, int]:
    """What is asked about a field, and the size of a load of it."""
    if kind == Kind.FIELD_EXISTS:
        return 1, 0
    found = btf.resolve(end.type)
    if kind == Kind.FIELD_SIGNED:
        return int(isinstance(found, t.Int | t.Enum) and found.signed), 0
    size = btf.size_of(end.type)
    bits, byte = end.bits or 8 * size, end.bit // 8
    if isinstance(found, t.Int) and not end.bits and found.bits != 8 * found.size:
        bits = found.bits  # as bit fields were once written
    if bits != 8 * size or end.bit % 8:
        byte, size = _unit(end.bit, bits, size)
    match kind:
        case Kind.FIELD_BYTE_OFFSET:
            return byte, size
        case Kind.FIELD_BYTE_SIZE:
            return size, size
        case Kind.FIELD_LSHIFT_U64:
            return 64 - (end.bit + bits - 8 * byte) & _M64, size
        case _:
            return 64 - bits & _M64, size


def _unit(bit: int, bits: int, size: int) -> tuple[int, int]:
    """Offset and size of the smallest aligned load, of at least `size`, that has a bit field."""
    size = max(size, 1)
    while True:
        byte = bit // 8 // size * size
        if bit + bits <= 8 * (byte + size):
            return byte, size
        if size >= _LARGEST_UNIT:
            raise ObjectError(f".BTF: a bit field of {bits} bits at bit {bit} fits no load")
        size *= 2


def corrected(before: bytes, answer: Answer) -> bytes:
    """The instruction, of one slot or two, with a value in the place where its class has one.

    Raises `ValueError` where the value does not fit there, `ObjectError` where there is no place.
    """
    code = bytearray(before)
    opcode = code[0]
    if opcode == LDDW and len(code) == 2 * SLOT_SIZE:
        _IMM.pack_into(code, 4, answer.value & _M32)
        _IMM.pack_into(code, SLOT_SIZE + 4, answer.value >> 32 & _M32)
        return bytes(code)
    del code[SLOT_SIZE:]
    if opcode & 7 in _ARITHMETIC and not opcode & 8:
        signed = answer.value - (answer.value >> 63 << 64)
        if not -(1 << 31) <= signed < 1 << (32 if opcode & 7 == _ALU32 else 31):
            raise ValueError(f"the value {signed} does not fit into an immediate")
        _IMM.pack_into(code, 4, answer.value & _M32)
    elif opcode & 7 in _MEMORY:
        if answer.value >= 1 << 15:
            raise ValueError(f"the value {answer.value} does not fit into an offset")
        _OFFSET.pack_into(code, 2, answer.value)
        if answer.resized:
            if answer.resized not in _SIZES:
                raise ValueError("the field has another size or sign there")
            code[0] = opcode & ~_SIZE_BITS | _SIZES[answer.resized]
    else:
        raise ObjectError(f".BTF.ext: opcode {opcode:#04x} has no place for a CO-RE value")
    return bytes(code)
