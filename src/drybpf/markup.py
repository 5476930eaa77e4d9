"""Text within markup, and the little HTML that notebooks are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def printable(text: str) -> str:
    """Text from an object without control characters, which break formats and steer terminals."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def xml(text: str) -> str:
    """Text as it may stand in XML and HTML, in attributes too."""
    return escape(printable(text))


def _html(text: str) -> str:
    """Text as it may stand in HTML, line breaks and all; what is no Unicode becomes `?`."""
    return escape(text.encode(errors="replace").decode())


def table(head: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table; the first column to the left, the others to the right."""
    title = f"<caption>{_html(caption)}</caption>" if caption else ""
    return (
        f'<table class="drybpf">{title}<thead>{_row(head, "th")}</thead>'
        f"<tbody>{''.join(_row(row, 'td') for row in rows)}</tbody></table>"
    )


def _row(cells: Sequence[object], tag: str) -> str:
    parts = []
    for column, cell in enumerate(cells):
        side = "right" if column else "left"
        parts.append(f'<{tag} style="text-align:{side}">{_html(str(cell))}</{tag}>')
    return f"<tr>{''.join(parts)}</tr>"


def code(text: str) -> str:
    """Preformatted text."""
    return f'<pre class="drybpf">{_html(text)}</pre>'
