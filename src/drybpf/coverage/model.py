"""What was covered, seen from the source: files, lines, branches, instructions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from drybpf.cached import cached_property

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction and how often it was begun; `helper` is the number where it calls one."""

    program: str
    pc: int
    text: str
    count: int
    helper: int | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """A conditional jump: how often it was taken, and how often control fell through it."""

    program: str
    pc: int
    text: str
    taken: int
    passed: int

    @property
    def reached(self) -> bool:
        """Whether it was executed at all."""
        return bool(self.taken or self.passed)

    @property
    def outcomes(self) -> tuple[int, int]:
        """How often each of the two ways was gone: not taken, taken."""
        return self.passed, self.taken

    @property
    def missing(self) -> str:
        """Which way was never gone: `never taken`, `always taken`, `never reached`, or ""."""
        if not self.reached:
            return "never reached"
        return "never taken" if not self.taken else "always taken" if not self.passed else ""


@dataclass(slots=True)
class Line:
    """A source line that instructions were compiled from.

    `hits` is the largest count among a program's instructions of the line, summed over programs.
    """

    number: int
    text: str = ""
    hits: int = 0
    branches: list[Branch] = field(default_factory=list)
    instructions: list[Instruction] = field(default_factory=list)

    @property
    def partial(self) -> bool:
        """Whether the line was hit, but a branch on it went one way only."""
        return self.hits > 0 and any(branch.missing for branch in self.branches)

    @property
    def never_called(self) -> list[int]:
        """The helpers that none of the line's instructions has called, in order."""
        counts: dict[int, int] = {}
        for each in self.instructions:
            if each.helper is not None:
                counts[each.helper] = counts.get(each.helper, 0) + each.count
        return sorted(helper for helper, count in counts.items() if not count)


@dataclass(frozen=True, slots=True)
class Function:
    """A function that was not inlined: where it begins, how often it was entered."""

    name: str
    program: str
    line: int
    hits: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of a report: lines, and ways of branches, each in all and gone."""

    lines: int = 0
    lines_hit: int = 0
    ways: int = 0
    ways_gone: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Add them up."""
        return Tally(
            self.lines + other.lines,
            self.lines_hit + other.lines_hit,
            self.ways + other.ways,
            self.ways_gone + other.ways_gone,
        )

    @property
    def line_rate(self) -> float:
        """The share of lines that were hit, 0 to 1; 1 where there are none."""
        return self.lines_hit / self.lines if self.lines else 1.0

    @property
    def branch_rate(self) -> float:
        """The share of ways that were gone, 0 to 1; 1 where there are none."""
        return self.ways_gone / self.ways if self.ways else 1.0


@dataclass(frozen=True)
class SourceFile:
    """A source file as its compiler named it, with its lines in order."""

    path: str
    lines: Mapping[int, Line]
    functions: tuple[Function, ...]

    @cached_property
    def tally(self) -> Tally:
        """The file's numbers."""
        outcomes = [count for branch in self.branches() for count in branch.outcomes]
        hit = sum(line.hits > 0 for line in self.lines.values())
        return Tally(len(self.lines), hit, len(outcomes), sum(map(bool, outcomes)))

    def entries(self) -> list[Function]:
        """The functions by name, with the hits of all programs that they were linked into."""
        found: dict[str, Function] = {}
        for each in self.functions:
            known = found.get(each.name)
            hits = each.hits + (known.hits if known else 0)
            found[each.name] = replace(known or each, hits=hits)
        return list(found.values())

    def branches(self) -> Iterator[Branch]:
        """The branches of the file, by line."""
        for line in self.lines.values():
            yield from line.branches

    @property
    def missing(self) -> Ranges:
        """Lines never hit, as first and last; lines without instructions join two others."""
        ranges: list[tuple[int, int]] = []
        last_was_missed = False
        for number, line in self.lines.items():
            if not line.hits:
                first = ranges.pop()[0] if last_was_missed else number
                ranges.append((first, number))
            last_was_missed = not line.hits
        return tuple(ranges)

    def calls(self) -> Iterator[tuple[Line, Instruction]]:
        """The calls of helpers."""
        for line in self.lines.values():
            for instruction in line.instructions:
                if instruction.helper is not None:
                    yield line, instruction
