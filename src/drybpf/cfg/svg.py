"""The graph as SVG, drawn here: no other program is needed."""

from __future__ import annotations

from drybpf.cfg.graph import Block, Edge, Graph
from drybpf.cfg.layout import Box, Layout, place
from drybpf.markup import xml

LETTER, ROW, PAD, MARGIN = 6.3, 14, 8, 24
_FILL = {"hit": "#dafbe1", "missed": "#ffebe9", "plain": "#f6f8fa"}
_LINE = {"hit": "#1a7f37", "missed": "#cf222e", "plain": "#57606a"}


def svg(graph: Graph) -> str:
    """The picture; green was executed, red never, grey where nothing was measured."""
    texts = {first: _text(block) for first, block in graph.blocks.items()}
    sizes = {
        first: (max(map(len, lines)) * LETTER + 2 * PAD, len(lines) * ROW + 2 * PAD)
        for first, lines in texts.items()
    }
    layout = place(graph, sizes)
    boxes = layout.boxes
    right = max((box.x + box.width for box in boxes.values()), default=0)
    width = right + 3 * MARGIN + 8 * _lanes(graph)
    height = max((box.y + box.height for box in boxes.values()), default=0) + 2 * MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"',
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-size="10.5"',
        'font-family="ui-monospace,Consolas,monospace"><defs>',
        *(_marker(kind) for kind in _LINE),
        "</defs>",
        '<rect width="100%" height="100%" fill="#fff"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">',
    ]
    lane = 0
    for edge in graph.edges:
        back = edge.kind != "call" and boxes[edge.target].y <= boxes[edge.source].y
        lane += back
        parts.append(_edge(graph, edge, layout, right + 8 * lane if back else None))
    parts += [_block(graph, graph.blocks[first], boxes[first], texts[first]) for first in boxes]
    return "\n".join([*parts, "</g></svg>"]) + "\n"


def _lanes(graph: Graph) -> int:
    return sum(edge.target <= edge.source for edge in graph.edges)


def _text(block: Block) -> list[str]:
    head = f"{block.function} " if block.is_entry else ""
    times = "" if block.count is None else f"{block.count:,} times"
    title = f"{head}{times}".strip()
    return [title, *block.text()] if title else block.text()


def _marker(kind: str) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0L8 4L0 8z" fill="{_LINE[kind]}"/></marker>'
    )


def _block(graph: Graph, block: Block, box: Box, lines: list[str]) -> str:
    colour = graph.colour(block.count)
    source = len(block.source)
    rows = []
    for index, line in enumerate(lines):
        weight = ' font-weight="600"' if index == 0 else ""
        shade = "#0550ae" if 0 < index <= source else "#1f2328"
        y = box.y + PAD + ROW * index + 10
        rows.append(
            f'<text x="{box.x + PAD:.1f}" y="{y:.1f}" fill="{shade}"{weight} '
            f'xml:space="preserve">{xml(line)}</text>'
        )
    return (
        f'<g><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="5" fill="{_FILL[colour]}" stroke="{_LINE[colour]}"/>'
        f"{''.join(rows)}</g>"
    )


def _edge(graph: Graph, edge: Edge, layout: Layout, lane: float | None) -> str:
    source, target = layout.boxes[edge.source], layout.boxes[edge.target]
    kind = graph.colour(edge.count)
    shift = {"taken": 14, "not taken": -14}.get(edge.kind, 0)
    x, y = source.middle + shift, source.y + source.height
    if lane is not None:  # back, along the right side
        right = source.x + source.width
        path = (
            f"M{right:.1f} {y - 10:.1f}H{lane + 16:.1f}V{target.y + 8:.1f}"
            f"H{target.x + target.width:.1f}"
        )
        label_x, label_y = right + 4, y - 13
    else:
        path = f"M{x:.1f} {y:.1f}"
        for way in layout.ways.get(edge, ()):
            path += f"{_curve(x, y, way.middle, way.y)}V{way.y + way.height:.1f}"
            x, y = way.middle, way.y + way.height
        path += _curve(x, y, target.middle + shift / 2, target.y)
        label_x = source.middle + shift + (4 if shift >= 0 else -4)
        label_y = source.y + source.height + 12
    dashed = ' stroke-dasharray="4 3"' if edge.kind == "call" else ""
    text = edge.kind if edge.count is None else f"{edge.kind} {edge.count:,}".strip()
    anchor = ' text-anchor="end"' if shift < 0 and lane is None else ""
    return (
        f'<path d="{path}" fill="none" stroke="{_LINE[kind]}" marker-end="url(#{kind})"{dashed}/>'
        f'<text x="{label_x:.1f}" y="{label_y:.1f}" font-size="9" fill="{_LINE[kind]}"{anchor}>'
        f"{text}</text>"
    )


def _curve(x1: float, y1: float, x2: float, y2: float) -> str:
    bend = max(18.0, (y2 - y1) / 2)
    return f"C{x1:.1f} {y1 + bend:.1f} {x2:.1f} {y2 - bend:.1f} {x2:.1f} {y2:.1f}"
