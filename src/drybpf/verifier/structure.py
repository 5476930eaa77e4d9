"""The checks that are always on: fields, registers, targets, and the ends of functions.

A check yields (slot, reason) pairs and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from weakref import WeakSet

from drybpf import flow
from drybpf.code import Code
from drybpf.isa import Instruction
from drybpf.isa.table import BY_OPCODE, CALL, LDDW

MAX_SLOTS = 1_000_000
FRAME_POINTER = 10

Objections = Iterator[tuple[int, str]]


_sound: WeakSet[Code] = WeakSet()  # what has been found to be right


def is_sound(code: Code) -> bool:
    """Whether there is no objection to a program; it is checked once."""
    return code in _sound or next(check(code), None) is None


def check(code: Code) -> Objections:
    """Yield every objection to a program."""
    sound = True
    for objection in _check(code):
        sound = False
        yield objection
    if sound:
        _sound.add(code)


def _check(code: Code) -> Objections:
    if not len(code):
        yield 0, "the program is empty"
    elif len(code) > MAX_SLOTS:
        yield 0, f"the program has {len(code)} instructions, more than {MAX_SLOTS}"
    else:
        yield from _check_instructions(code)
        yield from _check_targets(code)
        yield from _check_ends(code)


def _check_instructions(code: Code) -> Objections:
    known: dict[int, tuple[str, ...]] = {}  # equal instructions share one value
    for pc, instruction in enumerate(code.slots):
        if instruction is None:
            continue
        reasons = known.get(id(instruction))
        if reasons is None:
            reasons = known[id(instruction)] = tuple(_check_fields(instruction))
        for reason in reasons:
            yield pc, reason
        if instruction.opcode == LDDW:
            yield from _check_reference(code, pc, instruction)


def _check_fields(instruction: Instruction) -> Iterator[str]:
    row = instruction.row
    if row is None:
        yield _unknown(instruction)
        return
    for field in row.reserved:
        if value := getattr(instruction, field):
            yield f"the reserved field {field} is {value}, not 0"
    for field in row.registers:
        if (value := getattr(instruction, field)) > FRAME_POINTER:
            yield f"there is no register r{value}"
    if row.writes and getattr(instruction, row.writes) == FRAME_POINTER:
        yield "r10 is read-only"
    if row.wide:
        yield from _check_second_slot(instruction)


def _unknown(instruction: Instruction) -> str:
    opcode = instruction.opcode
    if opcode not in BY_OPCODE:
        return f"opcode {opcode:#04x} is no instruction"
    field, choices = BY_OPCODE[opcode]
    value = getattr(instruction, field)
    names = ", ".join(f"{known:#x}" for known in choices)
    if opcode == CALL:
        return f"there is no call of kind {value} (src); there are {names}"
    return f"opcode {opcode:#04x} does not have the {field} {value:#x}; it has {names}"


def _check_second_slot(instruction: Instruction) -> Iterator[str]:
    second = instruction.second
    if second is None:
        yield "the second half of the 64-bit immediate is missing"
    elif second & 0xFF:
        yield "the second half of the 64-bit immediate has an opcode"
    elif second & 0xFFFF_FF00:
        yield "the second half of the 64-bit immediate has registers or an offset"
    elif instruction.row and "next_imm" not in instruction.row.fields and second:
        yield f"the reserved field next_imm is {instruction.next_imm}, not 0"


def _check_reference(code: Code, pc: int, instruction: Instruction) -> Objections:
    row = instruction.row
    if row and instruction.src and not row.target and pc not in code.references:
        yield pc, "nothing says which map or variable this means; load it from its object"


def _check_targets(code: Code) -> Objections:
    entries, size = code.entries, len(code)
    first, behind = 0, -1
    for pc, instruction in enumerate(code.slots):
        if pc >= behind:
            first, behind = flow.function_bounds(entries, size, pc)
        row = instruction.row if instruction else None
        if instruction is None or row is None or not row.target:
            continue
        target = flow.target(pc, instruction)
        kind = "jump" if row.flow != "next" else "call" if row.opcode == CALL else "address"
        if target is None or not 0 <= target < size:
            yield pc, f"{kind} to {target}, outside the program"
        elif code.slots[target] is None:
            yield pc, f"{kind} to {target}, into the middle of a 64-bit immediate"
        elif kind == "jump" and not first <= target < behind:
            yield pc, f"jump to {target}, into another function"


def _check_ends(code: Code) -> Objections:
    for first in code.entries:
        _, behind = flow.function_bounds(code.entries, len(code), first)
        pc = behind - 1 if code.slots[behind - 1] else behind - 2
        row = (code.slots[pc] or Instruction(0)).row
        if row and row.flow not in ("exit", "jump"):
            yield pc, "control can run past the end of the function"
