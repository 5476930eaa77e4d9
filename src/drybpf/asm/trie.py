"""One trie of tokens for both dialects, made from the templates of the instruction table.

An edge is a token or a class of tokens; a node where a template ends holds its pattern.  Matching
follows at most one edge a token and never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from drybpf.asm.aliases import aliases
from drybpf.asm.lexer import (
    HALF_REGISTER,
    NAME,
    NUMBER,
    REGISTER,
    SIGNED,
    classify,
    tokenize,
)
from drybpf.isa import ROWS, Row
from drybpf.isa.operands import RELATIVE
from drybpf.isa.table import OPERAND_FIELDS

_OPTIONAL = frozenset({"offset", "displacement", "value_offset"})
_LIMITS = {"name": (NAME,), "signed": (SIGNED,)}
NOTHING = "_"  # an operand that is read and forgotten


@dataclass(frozen=True, slots=True)
class Pattern:
    """A row, and the operand that each captured token fills; `r0` and `w0` stand for themselves."""

    row: Row
    operands: tuple[str, ...]


@dataclass(slots=True)
class Node:
    """The edges that go on from here, and the pattern that may end here."""

    edges: dict[str, Node] = field(default_factory=dict)
    pattern: Pattern | None = None


def classes_of(operand: str) -> tuple[str, ...]:
    """Name the classes of tokens that an operand of a template takes."""
    name, _, limit = operand.partition(":")
    if limit:
        return _LIMITS[limit]
    if name in _OPTIONAL:
        return (SIGNED,)
    if OPERAND_FIELDS[name][0] in ("dst", "src"):
        return (HALF_REGISTER if name.endswith("32") else REGISTER,)
    return (NUMBER, SIGNED, NAME) if name in RELATIVE else (NUMBER, SIGNED)


@cache
def root() -> Node:
    """Make the trie, once."""
    start = Node()
    for template, row in _templates():
        _insert(start, tokenize(template), row, ())
    return start


def _templates() -> Iterator[tuple[str, Row]]:
    for row in ROWS:
        yield row.ubpf, row
        yield row.llvm, row
    yield from aliases()


def _insert(node: Node, tokens: list[str], row: Row, operands: tuple[str, ...]) -> None:
    """Add the rest of a template below a node; an optional operand makes two ways."""
    if not tokens:
        if node.pattern and node.pattern.row is not row:
            message = f"{row.ubpf!r} and {node.pattern.row.ubpf!r} read the same"
            raise ValueError(message)
        node.pattern = Pattern(row, operands)
        return
    token, *rest = tokens
    if token[0] == "{":
        operand = token[1:-1]
        name = operand.partition(":")[0]
        _insert(_step(node, classes_of(operand)), rest, row, (*operands, name))
        if name in _OPTIONAL:
            _insert(node, rest, row, operands)
    elif classify(token) in (REGISTER, HALF_REGISTER):
        _insert(_step(node, (classify(token),)), rest, row, (*operands, token))
    else:
        _insert(_step(node, (token,)), rest, row, operands)


def _step(node: Node, classes: tuple[str, ...]) -> Node:
    """Give the one node behind all these edges."""
    known = [node.edges[key] for key in classes if key in node.edges]
    if not known:
        known = [Node()] * len(classes)
        node.edges.update(zip(classes, known, strict=True))
    if len(known) != len(classes) or any(child is not known[0] for child in known):
        message = f"two templates disagree on {classes}"
        raise ValueError(message)
    return known[0]
