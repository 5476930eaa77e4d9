"""Finding the text of source files, which objects name as their compiler saw them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from drybpf.coverage.model import SourceFile

LARGEST = 1 << 24  # bytes of a source file


@dataclass(frozen=True)
class Text:
    """The lines of a source file from the first; none where `note` says what became of it."""

    lines: tuple[str, ...]
    note: str = ""


def find_text(file: SourceFile, roots: Iterable[str | Path] = (".",)) -> Text:
    """The text of a file, looked for as it is named, then below each root.

    Below a root the leading folders of the name are dropped one after the other.  Where there is
    no file, or only others than was compiled, there is what the object itself quotes.
    """
    note = "the file was not found"
    for path in _candidates(file.path, roots):
        lines = read_lines(path)
        if lines is None:
            continue
        if _matches(file, lines):
            return Text(lines)
        if note == "the file was not found":
            note = f"{path} is not what was compiled"
    return Text((), f"{note}; the text is from the object")


def read_lines(path: Path) -> tuple[str, ...] | None:
    """The lines of a file as compilers count them; None where there is none of a sensible size.

    A form feed does not end a line, though `str.splitlines` thinks so.
    """
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        text = path.read_text("utf-8", errors="replace")  # which makes all line ends one
    except (OSError, ValueError):
        return None
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _candidates(name: str, roots: Iterable[str | Path]) -> Iterable[Path]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute():
        yield Path(path)
    parts = [part for part in path.parts if part not in ("/", "..")]
    for root in roots:
        for start in range(len(parts)):
            yield Path(root, *parts[start:])


def _matches(file: SourceFile, lines: tuple[str, ...]) -> bool:
    """Whether the lines that the object quotes stand in the file where it says."""
    return all(
        number <= len(lines) and lines[number - 1].strip() == line.text.strip()
        for number, line in file.lines.items()
        if line.text
    )
