"""The second pass of the assembler: where labels are, and the distances to them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from drybpf.asm.lexer import shorten
from drybpf.asm.parser import Statement
from drybpf.asm.source import Source
from drybpf.isa.operands import set_distance

_SUGGESTIONS = 1000  # among more labels, or longer ones, no similar one is looked for
_LONGEST_NAME = 40


class _Reference(NamedTuple):
    """A statement that needs a label, its slot, and where it stands."""

    slot: int
    statement: Statement
    source: Source


class Linker:
    """Collects statements; `link` gives the program."""

    def __init__(self) -> None:
        """Begin with an empty program."""
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._references: list[_Reference] = []
        self._exit = -1

    def add(self, statements: tuple[Statement, ...], source: Source) -> None:
        """Append statements of one source; raises `AssemblyError` for a label defined twice."""
        for statement in statements:
            slot = len(self._code) // 8
            if statement.operand:
                self._references.append(_Reference(slot, statement, source))
            elif statement.label:
                self._define(statement, slot, source)
            elif statement.mnemonic == "exit" and self._exit < 0:
                self._exit = slot
            self._code += statement.data

    def _define(self, statement: Statement, slot: int, source: Source) -> None:
        if statement.label in self._labels:
            reason = f"the label {shorten(statement.label)!r} is defined twice"
            raise source.error(reason, statement.token)
        self._labels[statement.label] = slot

    def link(self) -> bytes:
        """Resolve the labels; raises `AssemblyError` for one that is unknown or too far away."""
        if self._exit >= 0:
            self._labels.setdefault("exit", self._exit)
        for slot, statement, source in self._references:
            target = self._labels.get(statement.label)
            if target is None:
                raise source.error(self._unknown(statement.label), statement.token)
            try:
                set_distance(self._code, slot, statement.operand, target)
            except ValueError as error:
                reason = f"the label {shorten(statement.label)!r} is too far away: {error}"
                raise source.error(reason, statement.token) from None
        return bytes(self._code)

    def _unknown(self, label: str) -> str:
        few = len(self._labels) <= _SUGGESTIONS and len(label) <= _LONGEST_NAME
        names = [name for name in self._labels if len(name) <= _LONGEST_NAME] if few else []
        near = get_close_matches(label, names, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"there is no label {shorten(label)!r}{hint}"
