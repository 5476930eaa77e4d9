"""A fault told with its place: the source around it, the instruction, the registers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from drybpf.asm import format_instruction
from drybpf.coverage.source import read_lines

if TYPE_CHECKING:
    from drybpf.code import Code
    from drybpf.errors import ExecutionError

_AROUND = 2  # lines of the source before and behind


def describe_fault(error: ExecutionError) -> list[str]:
    """A fault as lines: the instruction, the source around it, the registers."""
    lines, code = [f"{type(error).__name__}: {error}"], error.code
    if code is not None and 0 <= error.pc < len(code):
        lines += _place(code, error.pc)
    if error.registers:
        lines += _registers(error.registers)
    return lines


def _place(code: Code, pc: int) -> Iterator[str]:
    line = code.line_at(pc)
    if line is not None:
        yield f"in {code.function_name(pc)}, {line.file}:{line.line}"
        yield from _excerpt(line.file, line.line, line.text)
    instruction = code.slots[pc]
    if instruction is not None:
        yield f"insn {pc}: {format_instruction(instruction, 'llvm')}"


def _excerpt(file: str, number: int, text: str) -> Iterator[str]:
    """The line in its surroundings, where the source is here; else the line alone."""
    lines = read_lines(Path(file)) or ()
    if not 0 < number <= len(lines) or lines[number - 1].strip() != text.strip():
        yield f"> {number:5} {text.strip()}"
        return
    for near in range(max(1, number - _AROUND), min(len(lines), number + _AROUND) + 1):
        mark = ">" if near == number else " "
        yield f"{mark} {near:5} {lines[near - 1].expandtabs(4)}"


def _registers(values: tuple[int, ...]) -> Iterator[str]:
    cells = [f"r{number}={value:#x}" for number, value in enumerate(values)]
    yield " ".join(cells[:6])
    yield " ".join(cells[6:])
