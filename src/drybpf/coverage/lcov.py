"""Coverage in the tracefile format of LCOV, for genhtml, editors and services."""

from __future__ import annotations

from collections.abc import Iterator

from drybpf.coverage.analysis import source_files
from drybpf.coverage.data import Coverage
from drybpf.coverage.model import SourceFile
from drybpf.markup import printable


def lcov(coverage: Coverage, test_name: str = "") -> str:
    """The tracefile, a section a source file.

    A conditional jump is a block of its own on its line (BRDA), with the branches 0, not taken,
    and 1, taken; `-` says that it was never reached.
    """
    lines = [f"TN:{test_name}"]
    for file in source_files(coverage):
        lines += _section(file)
    return "\n".join(lines) + "\n"


def _section(file: SourceFile) -> Iterator[str]:
    yield f"SF:{printable(file.path)}"
    functions = [(function, printable(function.name)) for function in file.entries()]
    yield from (f"FN:{function.line},{name}" for function, name in functions)
    yield from (f"FNDA:{function.hits},{name}" for function, name in functions)
    yield f"FNF:{len(functions)}"
    yield f"FNH:{sum(function.hits > 0 for function, _ in functions)}"
    for number, line in file.lines.items():
        for block, branch in enumerate(line.branches):
            for way, count in enumerate(branch.outcomes):
                yield f"BRDA:{number},{block},{way},{count if branch.reached else '-'}"
    tally = file.tally
    yield f"BRF:{tally.ways}"
    yield f"BRH:{tally.ways_gone}"
    yield from (f"DA:{number},{line.hits}" for number, line in file.lines.items())
    yield f"LF:{tally.lines}"
    yield f"LH:{tally.lines_hit}"
    yield "end_of_record"
