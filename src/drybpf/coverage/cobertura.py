"""Coverage as Cobertura's XML, which Jenkins, GitLab and Azure read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.sax.saxutils import quoteattr

from drybpf.coverage.analysis import source_files
from drybpf.coverage.data import Coverage
from drybpf.coverage.model import Line, SourceFile, Tally
from drybpf.coverage.terminal import total
from drybpf.markup import printable

_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">
"""


def cobertura(coverage: Coverage, *, timestamp: int = 0, source: str = ".") -> str:
    """The document: one package, a class a source file; `timestamp` in seconds since 1970."""
    return _HEAD + "\n".join(_document(coverage, timestamp, source)) + "\n"


def _document(coverage: Coverage, timestamp: int, source: str) -> Iterator[str]:
    files = source_files(coverage)
    tally = total(files)
    rates = _rates(tally)
    counts = (
        f'lines-covered="{tally.lines_hit}" lines-valid="{tally.lines}" '
        f'branches-covered="{tally.ways_gone}" branches-valid="{tally.ways}"'
    )
    yield (f'<coverage {rates} {counts} complexity="0" version="drybpf" timestamp="{timestamp}">')
    yield f"<sources><source>{quoteattr(source)[1:-1]}</source></sources>"
    yield f'<packages><package name="bpf" {rates} complexity="0"><classes>'
    for file in files:
        yield from _class(file)
    yield "</classes></package></packages></coverage>"


def _class(file: SourceFile) -> Iterator[str]:
    tally = file.tally
    name = quoteattr(printable(PurePosixPath(file.path).name))
    yield (
        f'<class name={name} filename={quoteattr(printable(file.path))} complexity="0" '
        f"{_rates(tally)}>"
    )
    yield "<methods>"
    for function in file.entries():
        yield (
            f'<method name={quoteattr(printable(function.name))} signature="" '
            f'line-rate="{int(function.hits > 0)}" branch-rate="1"><lines>'
            f'<line number="{function.line}" hits="{function.hits}"/></lines></method>'
        )
    yield "</methods><lines>"
    yield from map(_line, file.lines.values())
    yield "</lines></class>"


def _rates(tally: Tally) -> str:
    """The shares of lines and branches, rounded down: 1 only where nothing is missing."""
    rates = (int(rate * 10_000) / 10_000 for rate in (tally.line_rate, tally.branch_rate))
    return 'line-rate="{:g}" branch-rate="{:g}"'.format(*rates)


def _line(line: Line) -> str:
    start = f'<line number="{line.number}" hits="{line.hits}"'
    if not line.branches:
        return f'{start} branch="false"/>'
    gone = sum(bool(count) for branch in line.branches for count in branch.outcomes)
    ways = 2 * len(line.branches)
    share = f"{100 * gone // ways}% ({gone}/{ways})"
    conditions = "".join(
        f'<condition number="{number}" type="jump" '
        f'coverage="{50 * sum(map(bool, branch.outcomes))}%"/>'
        for number, branch in enumerate(line.branches)
    )
    return (
        f'{start} branch="true" condition-coverage="{share}">'
        f"<conditions>{conditions}</conditions></line>"
    )
