"""From counts by instruction to what was covered by source line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from drybpf import flow
from drybpf.asm import format_instruction
from drybpf.code import Code, SourceLine
from drybpf.coverage.data import Coverage, ProgramCoverage
from drybpf.coverage.model import Branch, Function, Instruction, Line, SourceFile
from drybpf.helpers.kfuncs import helper_name
from drybpf.isa import Instruction as Encoded


@dataclass
class _File:
    lines: dict[int, Line]
    functions: list[Function]


def source_files(coverage: Coverage) -> tuple[SourceFile, ...]:
    """The files that the programs were compiled from, by path; programs without lines have none."""
    files: dict[str, _File] = {}
    known: Counter[str] = Counter()
    for program in coverage:
        known[program.name] += 1
        count = known[program.name]  # two builds of a program have one name
        _add_program(files, program, f"{program.name} ({count})" if count > 1 else program.name)
    return tuple(
        SourceFile(path, dict(sorted(file.lines.items())), tuple(file.functions))
        for path, file in sorted(files.items())
    )


def places(code: Code) -> Iterator[tuple[int, Encoded, SourceLine | None]]:
    """Each instruction with its slot and source line.

    The line is the instruction's own or the last one given before it in its function; None where
    there is none, and where the compiler says (line 0) that it belongs to no line.
    """
    entries, current = set(code.entries), None
    for pc, instruction in enumerate(code.slots):
        if pc in entries:
            current = None
        current = code.lines.get(pc, current)
        if instruction is not None:
            yield pc, instruction, current if current and current.line else None


def _add_program(files: dict[str, _File], program: ProgramCoverage, name: str) -> None:
    code = program.code
    hits: dict[tuple[str, int], int] = {}
    for pc, encoded, place in places(code):
        if place is None:
            continue
        file = files.setdefault(place.file, _File({}, []))
        line = file.lines.setdefault(place.line, Line(place.line, place.text))
        count = program.executed.get(pc, 0)
        hits[place.file, place.line] = max(count, hits.get((place.file, place.line), 0))
        instruction = Instruction(
            name, pc, format_instruction(encoded, "llvm"), count, _helper(encoded)
        )
        line.instructions.append(instruction)
        if pc in code.branches:
            taken = program.taken.get(pc, 0)
            line.branches.append(Branch(name, pc, instruction.text, taken, count - taken))
        if pc in code.entries:
            function = Function(code.function_name(pc), name, place.line, count)
            file.functions.append(function)
    for (path, number), count in hits.items():
        files[path].lines[number].hits += count


def _helper(encoded: Encoded) -> int | None:
    if encoded.row is None or encoded.row.semantics != "call_helper":
        return None
    return encoded.imm & 0xFFFF_FFFF


def call_name(number: int) -> str:
    """What a helper or kfunc is called, by its number."""
    return helper_name(number) or f"helper {number}"


def unlined(program: ProgramCoverage) -> bool:
    """Whether a program has no line information, so that no source can be shown for it."""
    return not program.code.lines


def function_bounds(code: Code) -> Iterator[tuple[int, int]]:
    """First slot, and first slot behind, of each function."""
    for entry in code.entries:
        yield flow.function_bounds(code.entries, len(code), entry)
