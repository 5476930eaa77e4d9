"""What was measured, beside what must be reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number; `target` is the most that it may be, or the least with `at_least`."""

    topic: str
    what: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def row(self) -> list[str]:
        """The cells of its line in a table."""
        number = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:,.2f}"
        wanted = ""
        if self.target is not None:
            wanted = f"{'≥' if self.at_least else '≤'} {self.target:g}"
        verdict = {None: "", True: "yes", False: "**no**"}[self.reached]
        return [self.what, number, self.unit, wanted, verdict]


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown, the first column to the left."""
    rules = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rules, *rows))


def topics(figures: list[Figure]) -> str:
    """A table a topic, in the order measured."""
    parts = []
    for topic in dict.fromkeys(figure.topic for figure in figures):
        rows = [figure.row() for figure in figures if figure.topic == topic]
        parts.append(
            f"## {topic}\n\n" + table(["what", "figure", "unit", "target", "reached"], rows)
        )
    return "\n\n".join(parts)
