"""Coverage as one HTML file: the source with hits, under each line its instructions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from drybpf.coverage.analysis import call_name, source_files, unlined
from drybpf.coverage.data import Coverage
from drybpf.coverage.model import Branch, Line, SourceFile, Tally
from drybpf.coverage.page import SCRIPT, STYLE
from drybpf.coverage.source import find_text
from drybpf.coverage.terminal import percent, ranges, total
from drybpf.markup import xml


def html(
    coverage: Coverage, *, title: str = "BPF coverage", roots: Iterable[str | Path] = (".",)
) -> str:
    """The page; source files are looked for below the `roots`.  It needs nothing but itself."""
    return "\n".join(_page(coverage, title, tuple(roots)))


def _page(coverage: Coverage, title: str, roots: tuple[str | Path, ...]) -> Iterator[str]:
    files = source_files(coverage)
    yield '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>{xml(title)}</title><style>{STYLE}</style></head><body>"
    yield f"<header><h1>{xml(title)}</h1>{_numbers(coverage, total(files))}</header><main>"
    yield from _overview(files)
    yield (
        '<div class="tools"><label><input type="checkbox" id="only"> only what was missed</label>'
        "<span><kbd>n</kbd> <kbd>p</kbd> next, previous gap</span>"
        "<span>click a line for its instructions</span></div>"
    )
    for index, file in enumerate(files):
        yield from _file(index, file, roots)
    for program in coverage:
        if unlined(program):
            yield (
                f'<p class="note">{xml(program.name)} has no line information: '
                f"{program.instructions} instructions were executed.</p>"
            )
    yield f"</main><footer>Made by drybpf.</footer><script>{SCRIPT}</script></body></html>"


def _numbers(coverage: Coverage, tally: Tally) -> str:
    executed = sum(program.instructions for program in coverage)
    return (
        '<div class="numbers">'
        + _rate("lines", tally.lines_hit, tally.lines, tally.line_rate)
        + _rate("ways of branches", tally.ways_gone, tally.ways, tally.branch_rate)
        + f'<div class="number"><b>{executed:,}</b><span>instructions executed</span></div></div>'
    )


def _rate(name: str, part: int, whole: int, rate: float) -> str:
    bar = f'<div class="bar"><i style="width:{100 * rate:.1f}%"></i></div>'
    return (
        f'<div class="number"><b>{percent(rate)}</b><span>{name}: {part} of {whole}</span>{bar}'
        "</div>"
    )


def _overview(files: tuple[SourceFile, ...]) -> Iterator[str]:
    if len(files) < 2:
        return
    yield '<table class="files"><tr><th>file</th><th>lines</th><th>branches</th></tr>'
    for index, file in enumerate(files):
        yield (
            f'<tr><td><a href="#f{index}">{xml(file.path)}</a></td>'
            f"<td>{percent(file.tally.line_rate)}</td><td>{percent(file.tally.branch_rate)}</td></tr>"
        )
    yield "</table>"


def _file(index: int, file: SourceFile, roots: tuple[str | Path, ...]) -> Iterator[str]:
    text, tally = find_text(file, roots), file.tally
    yield f'<section class="file" id="f{index}"><div class="title"><h2>{xml(file.path)}</h2>'
    yield (
        f"<div>{percent(tally.line_rate)} of lines, {percent(tally.branch_rate)} of ways</div>"
        "</div>"
    )
    if text.note:
        yield f'<div class="note">{xml(text.note)}</div>'
    yield '<table class="source">'
    if text.note:
        for number, line in file.lines.items():
            yield from _line(index, number, line.text, line)
    for number, source in enumerate(text.lines, 1):
        yield from _line(index, number, source, file.lines.get(number))
    yield "</table>"
    yield from _gaps(index, file)
    yield "</section>"


def _line(index: int, number: int, source: str, line: Line | None) -> Iterator[str]:
    if line is None:
        yield (
            f'<tr class="plain"><td class="no">{number}</td><td class="hits"></td>'
            f'<td class="text">{xml(source.expandtabs(4))}</td></tr>'
        )
        return
    kind = "miss" if not line.hits else "part" if line.partial else "hit"
    badges = "".join(_badges(line.branches)) if line.hits else ""
    badges += "".join(
        f'<span class="badge never">{xml(call_name(helper))} never called</span>'
        for helper in line.never_called
    )
    yield (
        f'<tr class="code {kind}" id="f{index}-{number}" tabindex="0" role="button" '
        f'aria-expanded="false"><td class="no">{number}</td><td class="hits">{line.hits:,}</td>'
        f'<td class="text">{xml(source.expandtabs(4))}{badges}</td></tr>'
    )
    yield f'<tr class="under" hidden><td colspan="3">{_instructions(line)}</td></tr>'


def _badges(branches: list[Branch]) -> Iterator[str]:
    """What is missing of a line's branches, a badge for each kind of gap."""
    gaps: dict[str, list[str]] = {}
    for branch in branches:
        if branch.missing:
            ways = f"taken {branch.taken}, not taken {branch.passed}"
            gaps.setdefault(branch.missing, []).append(f"insn {branch.pc} {branch.text}: {ways}")
    for what, details in gaps.items():
        times = f" ×{len(details)}" if len(details) > 1 else ""
        hint = xml("; ".join(details))
        yield f'<span class="badge" title="{hint}">{what}{times}</span>'


def _instructions(line: Line) -> str:
    branches = {(branch.program, branch.pc): branch for branch in line.branches}
    several = len({instruction.program for instruction in line.instructions}) > 1
    rows = []
    for instruction in line.instructions:
        branch = branches.get((instruction.program, instruction.pc))
        ways = f"taken {branch.taken:,}, not taken {branch.passed:,}" if branch else ""
        if instruction.helper is not None:
            ways = call_name(instruction.helper)
        program = f'<td class="program">{xml(instruction.program)}</td>' if several else ""
        rows.append(
            f'<tr class="{"" if instruction.count else "zero"}">{program}'
            f'<td class="count">{instruction.pc}</td><td class="count">{instruction.count:,}</td>'
            f"<td>{xml(instruction.text)}</td><td>{ways}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _gaps(index: int, file: SourceFile) -> Iterator[str]:
    items = []
    if file.missing:
        items.append(f"lines never hit: {ranges(file.missing)}")
    for line in file.lines.values():
        items += [
            f'<a href="#f{index}-{line.number}">line {line.number}</a>: '
            f"<code>{xml(branch.text)}</code> {branch.missing}"
            for branch in line.branches
            if line.hits and branch.missing
        ]
    items += [
        f'<a href="#f{index}-{line.number}">line {line.number}</a>: '
        f"<code>{xml(call_name(helper))}</code> never called"
        for line in file.lines.values()
        for helper in line.never_called
    ]
    items += [
        f"<code>{xml(function.name)}</code> never entered"
        for function in file.entries()
        if not function.hits
    ]
    if items:
        yield "<ul class='gaps'>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
