"""A piece of the user's text with its place, for messages."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.asm.lexer import position
from drybpf.errors import AssemblyError

_SHOWN = 120  # characters of a line in a message


@dataclass(frozen=True, slots=True)
class Source:
    """A line, or several that are read as one, and the place where the text begins."""

    text: str
    line: int
    column: int = 1

    def continued(self, line: str) -> Source:
        """The same with one more line."""
        return Source(f"{self.text}\n{line}", self.line, self.column)

    def rest(self, token: int) -> Source:
        """The text from a token on."""
        start = position(self.text, token)
        line, column = self.place(start)
        return Source(self.text[start:], line, column)

    def place(self, at: int) -> tuple[int, int]:
        """Line and column of a character."""
        breaks = self.text.count("\n", 0, at)
        if not breaks:
            return self.line, self.column + at
        return self.line + breaks, at - self.text.rindex("\n", 0, at)

    def error(self, reason: str, token: int = -1) -> AssemblyError:
        """An error at a token, or behind the last one."""
        at = position(self.text, token)
        line, column = self.place(at)
        start = self.text.rfind("\n", 0, at) + 1
        end = self.text.find("\n", at)
        shown = self.text[max(start, at - _SHOWN // 2) : end if end >= 0 else len(self.text)]
        return AssemblyError(reason, line, column, shown[:_SHOWN].strip())
