"""A profile: how many instructions were executed where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drybpf.cached import cached_property
from drybpf.code import Code
from drybpf.coverage.analysis import places
from drybpf.meter import Counts

Stack = tuple[str, ...]  # functions from the outermost, the source line last


@dataclass(frozen=True, slots=True)
class LineProfile:
    """The instructions that one source line executed, over all programs."""

    file: str
    line: int
    text: str
    instructions: int

    @property
    def place(self) -> str:
        """`parser.c:12`; for instructions without a line, the function they are in."""
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True)
class Profile:
    """Counts of instructions, hot ones first in every list.

    `runs` has the instructions of each run, in order; `stacks` are there where a `Recorder`
    watched the calls.
    """

    lines: tuple[LineProfile, ...]
    functions: Mapping[str, int]
    runs: tuple[int, ...] = ()
    stacks: Mapping[Stack, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        counts: Iterable[Counts],
        runs: Iterable[int] = (),
        stacks: Mapping[Stack, int] | None = None,
    ) -> Profile:
        """Sum up the counts of a meter."""
        lines: Counter[tuple[str, int, str]] = Counter()
        functions: Counter[str] = Counter()
        for each in counts:
            for pc, _, place in places(each.code):
                count = each.executed.get(pc, 0)
                if count:
                    name = each.code.function_name(pc)
                    functions[name] += count
                    key = (place.file, place.line, place.text.strip()) if place else (name, 0, "")
                    lines[key] += count
        return cls(
            tuple(LineProfile(*key, count) for key, count in lines.most_common()),
            dict(functions.most_common()),
            tuple(runs),
            dict(stacks or {}),
        )

    @cached_property
    def instructions(self) -> int:
        """All instructions that were executed."""
        return sum(line.instructions for line in self.lines)

    @property
    def worst(self) -> int:
        """The most instructions that one run executed; 0 without runs."""
        return max(self.runs, default=0)

    def share(self, instructions: int) -> float:
        """A part of all instructions, 0 to 1."""
        return instructions / self.instructions if self.instructions else 0.0

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        runs = sorted(self.runs)
        return {
            "instructions": self.instructions,
            "runs": {
                "count": len(runs),
                "least": runs[0] if runs else 0,
                "median": runs[len(runs) // 2] if runs else 0,
                "most": self.worst,
                "instructions": list(self.runs),
            },
            "lines": [
                {
                    "file": line.file,
                    "line": line.line,
                    "text": line.text,
                    "instructions": line.instructions,
                }
                for line in self.lines
            ],
            "functions": dict(self.functions),
            "stacks": [
                {"stack": list(stack), "instructions": count}
                for stack, count in self.stacks.items()
            ],
        }

    def _repr_html_(self) -> str:
        """How a notebook shows it: the hottest lines."""
        from drybpf.markup import table  # noqa: PLC0415 (only for people)

        rows = [
            (line.place, line.text, line.instructions, f"{100 * self.share(line.instructions):.1f}")
            for line in self.lines[:20]
        ]
        return table(("place", "source", "instructions", "%"), rows)


def line_name(code: Code, pc: int) -> str:
    """What stands for an instruction at the end of a stack: its line, else its function."""
    line = code.line_at(pc)
    if line is None or not line.line:
        return f"[{code.function_name(pc)}]"
    return f"{line.file.rpartition('/')[2]}:{line.line} {line.text.strip()}"
