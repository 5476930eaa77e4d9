"""A flame graph as SVG: width is instructions, depth is calls, the source line on top."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from zlib import crc32

from drybpf.markup import xml
from drybpf.profile.data import Profile, Stack

WIDTH, ROW, SIDE, TOP = 1200, 20, 12, 44
_LEAST = 0.4  # pixels, below which a box is left out
_LETTER = 6.6  # pixels of a letter


@dataclass
class _Box:
    instructions: int = 0
    inner: dict[str, _Box] = field(default_factory=dict)

    def depth(self) -> int:
        """How many boxes are stacked at the most."""
        return 1 + max((box.depth() for box in self.inner.values()), default=0)


def flame_graph(profile: Profile, title: str = "Instructions") -> str:
    """The picture; boxes tell their counts when one points at them.  It needs no script."""
    root = _tree(profile.stacks)
    depth = min(root.depth(), 64)
    height = TOP + depth * ROW + SIDE
    head = f"{xml(title)}: {root.instructions:,} instructions"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        f'width="{WIDTH}" height="{height}" font-family="ui-monospace,Consolas,monospace"',
        'font-size="11"><style>g:hover rect{stroke:#000;stroke-width:1}</style>',
        f'<rect width="{WIDTH}" height="{height}" fill="#fffdf8"/>',
        f'<text x="{SIDE}" y="26" font-size="15" font-family="system-ui">{head}</text>',
    ]
    if root.instructions:
        scale = (WIDTH - 2 * SIDE) / root.instructions
        parts += _boxes(root, "all", SIDE, 0, scale, height, root.instructions)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _tree(stacks: Mapping[Stack, int]) -> _Box:
    root = _Box()
    for stack, count in stacks.items():
        box = root
        box.instructions += count
        for name in stack:
            box = box.inner.setdefault(name, _Box())
            box.instructions += count
    return root


def _boxes(
    box: _Box, name: str, left: float, level: int, scale: float, height: int, whole: int
) -> Iterator[str]:
    width = box.instructions * scale
    if width < _LEAST or level >= 64:
        return
    top = height - SIDE - (level + 1) * ROW
    share = f"{100 * box.instructions / whole:.1f} %"
    letters = int((width - 6) / _LETTER)
    shown = name if len(name) <= letters else name[: letters - 1] + "…" if letters > 3 else ""
    label = f'<text x="{left + 3:.1f}" y="{top + 14}">{xml(shown)}</text>' if shown else ""
    yield (
        f"<g><title>{xml(name)}: {box.instructions:,} instructions, {share}</title>"
        f'<rect x="{left:.1f}" y="{top}" width="{max(width - 0.5, 0.2):.1f}" height="{ROW - 1}" '
        f'rx="2" fill="{_colour(name, level)}"/>{label}</g>'
    )
    for inner, below in sorted(box.inner.items(), key=lambda item: -item[1].instructions):
        yield from _boxes(below, inner, left, level + 1, scale, height, whole)
        left += below.instructions * scale


def _colour(name: str, level: int) -> str:
    """Warm, and always the same for a name."""
    if level == 0:
        return "hsl(40 20% 85%)"
    mark = crc32(name.encode(errors="replace"))
    return f"hsl({20 + mark % 36} {70 + mark // 64 % 20}% {62 + mark // 4096 % 12}%)"
