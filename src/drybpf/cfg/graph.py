"""Blocks of instructions and the ways between them, with source and counts where there are any."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from drybpf import flow
from drybpf.asm import format_instruction
from drybpf.code import Code
from drybpf.meter import Counts


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions that run one after the other; `rows` are their slots and texts.

    `count` is how often the block was entered, None where nothing was measured.
    """

    first: int
    last: int
    function: str
    rows: tuple[tuple[int, str], ...]
    source: tuple[str, ...]
    count: int | None = None
    is_entry: bool = False

    def text(self, most: int = 12, width: int = 56) -> list[str]:
        """Source lines, then instructions, each part cut to the most lines."""
        lines = [*_cut(self.source, most // 2), *_cut([f"{pc}: {t}" for pc, t in self.rows], most)]
        return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _cut(lines: Iterable[str], most: int) -> list[str]:
    shown = list(lines)
    more = len(shown) - most
    return [*shown[: most - 1], f"… {more + 1} more"] if more > 0 else shown


@dataclass(frozen=True, slots=True)
class Edge:
    """A way from one block to another: `taken`, `not taken`, `call`, or "" for the only one."""

    source: int
    target: int
    kind: str
    count: int | None = None


@dataclass(frozen=True)
class Graph:
    """The blocks of a program by their first slots, and the edges between them."""

    name: str
    blocks: Mapping[int, Block]
    edges: tuple[Edge, ...]
    counted: bool

    def _repr_svg_(self) -> str:
        """How a notebook shows it."""
        from drybpf.cfg.svg import svg  # noqa: PLC0415 (it builds on this module)

        return svg(self)

    def colour(self, count: int | None) -> str:
        """What a part's count looks like: `hit`, `missed`, or `plain` where nothing was counted."""
        return "plain" if count is None else "hit" if count else "missed"


def control_flow(code: Code, counts: Iterable[Counts] | None = None) -> Graph:
    """The graph of all functions of a program; those of the `counts` that are its own colour it."""
    executed, taken = _sum(code, counts)
    blocks = {}
    for first, last in _blocks(code):
        pcs = [pc for pc in range(first, last + 1) if code.slots[pc] is not None]
        rows = tuple((pc, _text(code, pc)) for pc in pcs)
        count = None if executed is None else executed.get(first, 0)
        name = code.function_name(first)
        source, is_entry = tuple(_source(code, pcs)), first in code.entries
        blocks[first] = Block(first, last, name, rows, source, count, is_entry)
    edges = tuple(_edges(code, blocks, executed, taken))
    return Graph(code.name or "program", blocks, edges, executed is not None)


def _sum(
    code: Code, counts: Iterable[Counts] | None
) -> tuple[dict[int, int] | None, dict[int, int]]:
    executed: dict[int, int] = {}
    taken: dict[int, int] = {}
    if counts is None:
        return None, taken
    for each in (each for each in counts if each.code == code):
        for total, more in ((executed, each.executed), (taken, each.taken)):
            for pc, count in more.items():
                total[pc] = total.get(pc, 0) + count
    return executed, taken


def _blocks(code: Code) -> Iterator[tuple[int, int]]:
    """First and last slot of each block; what nothing leads to is a block, too."""
    starts = [pc for pc, slot in enumerate(code.slots) if slot is not None]
    leaders = set(code.entries)
    for pc in starts:
        instruction = code.slots[pc]
        if instruction is not None and instruction.row and instruction.row.flow != "next":
            leaders.update(code.ways[pc])
            leaders.add(pc + instruction.slots)
    first = None
    previous = 0
    for pc in starts:
        if pc in leaders and first is not None:
            yield first, previous
            first = None
        first = pc if first is None else first
        previous = pc
    if first is not None:
        yield first, previous


def _text(code: Code, pc: int) -> str:
    instruction = code.slots[pc]
    if instruction is None:
        return ""
    text = format_instruction(instruction, "llvm")
    target = flow.target(pc, instruction)
    head, goto, _ = text.partition("goto ")
    return f"{head}{goto}{target}" if goto and target is not None else text


def _source(code: Code, pcs: Iterable[int]) -> Iterator[str]:
    last = None
    for pc in pcs:
        line = code.line_at(pc)
        if line is not None and line.line and (line.file, line.line) != last:
            last = line.file, line.line
            yield f"{line.line}  {line.text.strip()}"


def _edges(
    code: Code,
    blocks: Mapping[int, Block],
    executed: Mapping[int, int] | None,
    taken: Mapping[int, int],
) -> Iterator[Edge]:
    for first, block in blocks.items():
        for pc, _ in block.rows:
            instruction = code.slots[pc]
            if instruction and instruction.row and instruction.row.semantics == "call_local":
                callee = flow.target(pc, instruction)
                if callee is not None and callee in blocks:
                    count = None if executed is None else executed.get(pc, 0)
                    yield Edge(first, callee, "call", count)
        last = block.last
        times = None if executed is None else executed.get(last, 0)
        following = code.ways[last]
        for behind in dict.fromkeys(following):
            if behind not in blocks:
                continue
            kind, count = "", times
            if last in code.branches:
                jumped = behind == code.branches[last]
                kind = "taken" if jumped else "not taken"
                if times is not None:
                    count = taken.get(last, 0) if jumped else times - taken.get(last, 0)
            yield Edge(first, behind, kind, count)
