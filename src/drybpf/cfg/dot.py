"""The graph in the language of Graphviz."""

from __future__ import annotations

from drybpf.cfg.graph import Graph
from drybpf.markup import printable

_FILL = {"hit": "#dafbe1", "missed": "#ffebe9", "plain": "#f6f8fa"}
_LINE = {"hit": "#116329", "missed": "#a40e26", "plain": "#57606a"}


def dot(graph: Graph) -> str:
    """The picture as DOT; functions are clusters, calls are dashed."""
    lines = [f"digraph {_quoted(graph.name)} {{"]
    lines.append('  node [shape=box, style=filled, fontname="monospace", fontsize=10];')
    lines.append('  edge [fontname="sans-serif", fontsize=9];')
    functions: dict[str, list[int]] = {}
    for first, block in graph.blocks.items():
        functions.setdefault(block.function, []).append(first)
    for index, (name, members) in enumerate(functions.items()):
        lines.append(f"  subgraph cluster_{index} {{")
        lines.append(f"    label={_quoted(name)}; fontname=monospace; color=gray;")
        for first in members:
            block = graph.blocks[first]
            colour = graph.colour(block.count)
            head = [] if block.count is None else [f"{block.count:,} times"]
            label = "".join(f"{_escaped(line)}\\l" for line in [*head, *block.text()])
            style = f'fillcolor="{_FILL[colour]}", color="{_LINE[colour]}"'
            lines.append(f'    b{first} [label="{label}", {style}];')
        lines.append("  }")
    for edge in graph.edges:
        colour = _LINE[graph.colour(edge.count)]
        label = edge.kind if edge.count is None else f"{edge.kind} {edge.count:,}".strip()
        dashed = ", style=dashed, constraint=false" if edge.kind == "call" else ""
        lines.append(
            f'  b{edge.source} -> b{edge.target} [label="{label}", color="{colour}"{dashed}];'
        )
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return printable(text).replace("\\", "\\\\").replace('"', '\\"')
