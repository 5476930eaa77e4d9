"""Writing reports to files: the one place of this package that does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from time import time

from drybpf.coverage.analysis import source_files
from drybpf.coverage.cobertura import cobertura
from drybpf.coverage.data import Coverage
from drybpf.coverage.html import html
from drybpf.coverage.lcov import lcov
from drybpf.coverage.terminal import total

KINDS = ("html", "lcov", "cobertura", "json")


def write(coverage: Coverage, kind: str, path: Path, roots: Iterable[str | Path] = (".",)) -> None:
    """Write a report; its folder is made.  Raises `ValueError` for an unknown kind."""
    match kind:
        case "html":
            text = html(coverage, roots=roots)
        case "lcov":
            text = lcov(coverage)
        case "cobertura":
            text = cobertura(coverage, timestamp=int(time()))
        case "json":
            path.parent.mkdir(parents=True, exist_ok=True)
            coverage.save(path)
            return
        case _:
            raise ValueError(f"there is no report {kind!r}; there are {', '.join(KINDS)}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def append(coverage: Coverage, path: Path) -> None:
    """Add what a file of counts holds, if there is one, and write the sum back."""
    if path.exists():
        coverage.merge(Coverage.load(path))
    write(coverage, "json", path)


def shortfall(coverage: Coverage, least: float) -> str:
    """What to say where fewer than `least` per cent of all lines were hit; empty where enough were.

    Where no lines are known, nothing shows that any were hit.
    """
    tally = total(source_files(coverage))
    if not tally.lines and least > 0:
        return f"no BPF lines were measured, {least:g} % are demanded"
    got = 100 * tally.line_rate
    if got >= least:
        return ""
    return f"{got:.1f} % of the BPF lines are covered, {least:g} % are demanded"
