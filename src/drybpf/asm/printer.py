"""The disassembler: the templates of the instruction table, filled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Literal, NamedTuple, get_args

from drybpf.asm.parser import QUAD
from drybpf.isa import ROWS, Instruction, decode
from drybpf.isa.operands import RELATIVE, well_formed

Dialect = Literal["ubpf", "llvm"]


def _hex(value: int) -> str:
    return f"-{-value:#x}" if value < 0 else f"{value:#x}"


def _distance(value: int) -> str:
    return f"{value:+}"


def _behind(value: int) -> str:
    return f"{value:+}" if value else ""


def _spaced(value: int) -> str:
    return f" - {-value}" if value < 0 else f" + {value}"


_Printer = tuple[str, Callable[[int], str]]  # the attribute of the instruction, and how it looks
_UBPF: dict[str, _Printer] = {
    "dst": ("dst", "r{}".format),
    "dst32": ("dst", "w{}".format),
    "src": ("src", "r{}".format),
    "src32": ("src", "w{}".format),
    "imm": ("imm", _hex),
    "number": ("imm", str),
    "imm64": ("imm64", _hex),
    "offset": ("offset", _behind),
    "target": ("offset", _distance),
    "long_target": ("imm", _distance),
    "function": ("imm", _distance),
    "code": ("imm", _distance),
    "value_offset": ("next_imm", _behind),
}
_LLVM = _UBPF | {
    "imm": ("imm", str),
    "displacement": ("imm", _spaced),
    "offset": ("offset", _spaced),
}


class _Plan(NamedTuple):
    """A template, and what fills it."""

    template: str
    operands: tuple[tuple[str, str, Callable[[int], str]], ...]


@cache
def _plans(dialect: Dialect) -> dict[int, _Plan]:
    """The plan of each row, by the row's identity."""
    if dialect not in get_args(Dialect):
        message = f"the dialect is {' or '.join(get_args(Dialect))}, not {dialect!r}"
        raise ValueError(message)
    plans = {}
    for row in ROWS:
        template, printers = (row.ubpf, _UBPF) if dialect == "ubpf" else (row.llvm, _LLVM)
        used = [(name, *how) for name, how in printers.items() if f"{{{name}}}" in template]
        plans[id(row)] = _Plan(template, tuple(used))
    return plans


def format_instruction(instruction: Instruction, dialect: Dialect = "ubpf") -> str:
    """Write one instruction; `.quad` and its slots where no text form holds every bit of it."""
    return _format(instruction, _plans(dialect), "")


def _format(instruction: Instruction, plans: Mapping[int, _Plan], label: str) -> str:
    if not well_formed(instruction):
        data = instruction.to_bytes()
        words = (int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8))
        return f"{QUAD} {', '.join(f'{word:#018x}' for word in words)}"
    template, operands = plans[id(instruction.row)]
    return template.format_map(
        {
            name: label if label and name in RELATIVE else write(getattr(instruction, attribute))
            for name, attribute, write in operands
        }
    )


def as_instructions(program: bytes | Sequence[Instruction]) -> Sequence[Instruction]:
    """Decode a program that is bytes."""
    if isinstance(program, bytes | bytearray | memoryview):
        return decode(program)
    for instruction in program:
        if not isinstance(instruction, Instruction):
            found = type(program if isinstance(program, str) else instruction).__name__
            raise TypeError(f"a program is bytes, or a sequence of Instruction, not {found}")
    return program


def disassemble(
    program: bytes | Sequence[Instruction], *, dialect: Dialect = "ubpf", labels: bool = False
) -> str:
    """Write a program, a line an instruction; `assemble` gives the same bytes back.

    With `labels`, the targets of jumps and calls are labels, on lines of their own, and the
    instructions are indented.  Raises `DecodeError` where bytes are no sequence of slots.
    """
    instructions = as_instructions(program)
    plans = _plans(dialect)
    if labels:
        return "\n".join(_labelled(instructions, plans))
    return "\n".join([_format(instruction, plans, "") for instruction in instructions])


def _labelled(instructions: Sequence[Instruction], plans: Mapping[int, _Plan]) -> Iterator[str]:
    slots = [0]
    for instruction in instructions:
        slots.append(slots[-1] + instruction.slots)
    targets = [_target(*pair) for pair in zip(instructions, slots, strict=False)]
    names = _names(instructions, targets, frozenset(slots))
    for slot, instruction, target in zip(slots, instructions, targets, strict=False):
        if slot in names:
            yield f"{names[slot]}:"
        yield "    " + _format(instruction, plans, names.get(target, ""))
    if slots[-1] in names:
        yield f"{names[slots[-1]]}:"


def _target(instruction: Instruction, slot: int) -> int:
    """The slot that a jump, call or code address leads to; -1 for other instructions."""
    row = instruction.row
    if row is None or not row.target:
        return -1
    distance: int = getattr(instruction, row.target)
    return slot + 1 + distance


def _names(
    instructions: Sequence[Instruction], targets: Sequence[int], starts: frozenset[int]
) -> dict[int, str]:
    """Name the targets that are the start of an instruction, or the end; functions apart."""
    names: dict[int, str] = {}
    for instruction, target in zip(instructions, targets, strict=True):
        if target in starts and well_formed(instruction):
            function = instruction.row is not None and instruction.row.flow == "next"
            if function or target not in names:
                names[target] = f"{'function' if function else 'L'}{target}"
    return names
