"""Coverage as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from drybpf.coverage.analysis import call_name, source_files, unlined
from drybpf.coverage.data import Coverage
from drybpf.coverage.model import Branch, Instruction, Line, Ranges, SourceFile, Tally

HEAD = ("file", "lines", "hit", "ways", "gone", "cover", "missing")


def percent(rate: float) -> str:
    """A share as text; 100 % only where nothing is missing."""
    return "100 %" if rate >= 1 else f"{min(int(rate * 100), 99)} %"


def ranges(missing: Ranges) -> str:
    """`12-14, 20`."""
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in missing)


def file_rows(coverage: Coverage) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of the table of files, the sum last where there are several."""
    files = source_files(coverage)
    rows = [_row(file.path, file.tally, ranges(file.missing)) for file in files]
    if len(files) > 1:
        rows.append(_row("total", total(files), ""))
    return HEAD, rows


def _row(name: str, tally: Tally, missing: str) -> tuple[str, ...]:
    numbers = tally.lines, tally.lines_hit, tally.ways, tally.ways_gone
    return name, *map(str, numbers), percent(tally.line_rate), missing


def summary(coverage: Coverage) -> list[dict[str, object]]:
    """The table as plain data."""
    return [
        {
            "file": file.path,
            "lines": file.tally.lines,
            "lines_hit": file.tally.lines_hit,
            "ways": file.tally.ways,
            "ways_gone": file.tally.ways_gone,
            "missing": [list(part) for part in file.missing],
        }
        for file in source_files(coverage)
    ]


def total(files: Iterable[SourceFile]) -> Tally:
    """The numbers of all files together."""
    return sum((file.tally for file in files), Tally())


def report(coverage: Coverage, *, details: bool = True) -> str:
    """The report: files, then with `details` the ways never gone and the helpers never called.

    A way is one of the two outcomes of a conditional jump.
    """
    head, rows = file_rows(coverage)
    lines = [_aligned((head, *rows))] if rows else []
    for program in coverage:
        if unlined(program):
            reached = sum(map(bool, program.executed.values()))
            known = sum(slot is not None for slot in program.code.slots)
            lines.append(
                f"{program.name}: no line information; {reached} of {known} instructions reached"
            )
    if details:
        for file in source_files(coverage):
            lines += _details(file)
    return "\n".join(lines) if lines else "no program was run"


def _details(file: SourceFile) -> Iterator[str]:
    several = len({each.program for line in file.lines.values() for each in line.instructions}) > 1

    def place(line: Line, what: Branch | Instruction) -> str:
        program = f"{what.program} " if several else ""
        return f"{file.path}:{line.number}: {program}insn {what.pc}"

    for line in file.lines.values():
        for branch in line.branches if line.hits else ():
            if branch.missing:
                times = f", {branch.taken + branch.passed} times" if branch.reached else ""
                yield f"{place(line, branch)} {branch.text}: {branch.missing}{times}"
    for line, call in file.calls():
        if call.helper is not None and not call.count:
            yield f"{place(line, call)} {call_name(call.helper)}: never called"
    for function in file.entries():
        if not function.hits:
            yield f"{file.path}:{function.line}: {function.name}: never entered"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns: the first and the last to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 0 < column < last else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
