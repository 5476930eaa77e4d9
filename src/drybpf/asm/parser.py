"""From a line of text to statements: instructions, labels and raw slots."""

from __future__ import annotations

from difflib import get_close_matches
from typing import NamedTuple

from drybpf.asm.lexer import (
    NAME,
    NUMBER,
    SIGNED,
    classify,
    looks_like_register,
    read_number,
    register_number,
    shorten,
    tokenize,
)
from drybpf.asm.trie import NOTHING, Node, Pattern, root
from drybpf.isa.operands import BITS, BOUNDS, RELATIVE, fill

QUAD = ".quad"
END = "the end of the line"
_LOW, _HIGH = -(1 << 63), (1 << 64) - 1  # of a raw slot


class Statement(NamedTuple):
    """The bytes of an instruction, and the label that its operand refers to, if one does.

    Without an operand, a label is one that is defined here.  `token` is the label's place in the
    tokens of the text.
    """

    data: bytes = b""
    mnemonic: str = ""
    label: str = ""
    operand: str = ""
    token: int = 0


class Parsed(NamedTuple):
    """The whole statements of a text, and the token that begins an unfinished one, or -1."""

    statements: tuple[Statement, ...]
    unfinished: int = -1
    complaint: str = ""


class BadTokenError(Exception):
    """A token that does not fit; never leaves the package."""

    def __init__(self, reason: str, token: int, start: int = -1) -> None:
        """Keep the reason, the token's index, and where its statement began if it has no end."""
        super().__init__(reason, token, start)
        self.reason, self.token, self.start = reason, token, start


def parse(text: str) -> Parsed:
    """Read one line, or several as one; blanks alone separate instructions."""
    tokens = tokenize(text)
    statements: list[Statement] = []
    start = 0
    while start < len(tokens):
        end, complaint = _read(tokens, start, statements)
        if complaint and end < len(tokens):
            raise BadTokenError(complaint, end, start)
        if complaint:
            return Parsed(tuple(statements), start, complaint)
        start = end
    return Parsed(tuple(statements))


def _read(tokens: list[str], start: int, statements: list[Statement]) -> tuple[int, str]:
    """Read one statement; give the index behind it, and what was missing there, if anything."""
    if tokens[start + 1 : start + 2] == [":"]:
        statements.append(_definition(tokens[start], start))
        return start + 2, ""
    if tokens[start] == QUAD:
        return _raw_slots(tokens, start, statements)
    node, end, captured = _match(tokens, start)
    if node.pattern is None:
        return end, _missing(node, tokens[end] if end < len(tokens) else "")
    statements.append(_instruction(node.pattern, tokens, captured))
    return end, ""


def _match(tokens: list[str], start: int) -> tuple[Node, int, list[int]]:
    """Follow the trie as far as it goes; give the node, the token there, and the operands'."""
    node = root()
    captured: list[int] = []
    index = start
    for index in range(start, len(tokens)):
        token = tokens[index]
        child = node.edges.get(token)
        if child is None:
            child = node.edges.get(classify(token))
            if child is None:
                return node, index, captured
            captured.append(index)
        node = child
    return node, len(tokens), captured


def _instruction(pattern: Pattern, tokens: list[str], captured: list[int]) -> Statement:
    """Fill the row of a pattern with the operands that were captured."""
    values: dict[str, int] = {}
    label = operand = ""
    place = 0
    for name, index in zip(pattern.operands, captured, strict=True):
        token = tokens[index]
        if name in ("r0", "w0"):
            if register_number(token):
                raise BadTokenError(f"this register must be {name}, not {token}", index)
        elif name in RELATIVE and classify(token) == NAME:
            values[name], label, operand, place = 0, token, name, index
        elif name != NOTHING:
            value = _value(name, token, index)
            if values.setdefault(name, value) != value:
                raise BadTokenError(f"{token} must be the same register as before", index)
    data = fill(pattern.row, values).to_bytes()
    return Statement(data, pattern.row.mnemonic, label, operand, place)


def _value(operand: str, token: str, index: int) -> int:
    if BITS[operand] == 4:
        return register_number(token)
    return _number(token, *BOUNDS[operand], BITS[operand], index)


def _number(token: str, low: int, high: int, bits: int, index: int) -> int:
    try:
        return read_number(token, low, high, bits)
    except ValueError as error:
        raise BadTokenError(str(error), index) from None


def _definition(name: str, index: int) -> Statement:
    if classify(name) != NAME or name == "pc":
        raise BadTokenError(f"{shorten(name)!r} cannot name a label", index)
    return Statement(label=name, token=index)


def _raw_slots(tokens: list[str], start: int, statements: list[Statement]) -> tuple[int, str]:
    """Read `.quad number, …`: slots as they are."""
    slots: list[Statement] = []
    index = start
    while index == start or tokens[index : index + 1] == [","]:
        index += 1
        token = tokens[index] if index < len(tokens) else ""
        if classify(token) not in (NUMBER, SIGNED):
            return index, _expected(["a number"], token)
        value = _number(token, _LOW, _HIGH, 64, index)
        slots.append(Statement((value % (1 << 64)).to_bytes(8, "little"), QUAD))
        index += 1
    statements += slots
    return index, ""


def _missing(node: Node, token: str) -> str:
    """Say what could have stood here instead of the token."""
    words = [edge for edge in node.edges if edge[0] != " "]
    if looks_like_register(token) and not classify(token):
        return f"there is no register {shorten(token)!r}, only r0 to r15 and w0 to w15"
    near = get_close_matches(token.lower(), words, 1) if len(token) <= 20 else []
    hint = f"; did you mean {near[0]!r}?" if near else ""
    if node is root():
        if classify(token) == NAME:
            return f"unknown instruction {shorten(token)!r}{hint}"
        return _expected(["an instruction"], token)
    classes = [edge.strip() for edge in node.edges if edge[0] == " "]
    if NUMBER in node.edges:
        classes.remove(SIGNED.strip())
    return _expected([*classes, *(repr(word) for word in sorted(words)[:12])], token) + hint


def _expected(what: list[str], token: str) -> str:
    found = repr(shorten(token)) if token else END
    return f"expected {' or '.join(what)}, not {found}"
