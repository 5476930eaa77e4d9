"""What commands print: text without control characters, aligned tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def clean(text: str) -> str:
    """Show control characters as escapes: names from files must not steer the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, left: bool = False) -> str:
    """A table: the first column to the left, the others to the right unless all are `left`."""
    lines = [list(head), *([clean(str(cell)) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column and not left else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
