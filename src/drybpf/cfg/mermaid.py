"""The graph in the language of Mermaid, which GitHub draws."""

from __future__ import annotations

from drybpf.cfg.graph import Graph

_MOST = 6  # lines of a block: GitHub's room is small


def mermaid(graph: Graph) -> str:
    """The picture as a flowchart."""
    lines = ["flowchart TD"]
    for first, block in graph.blocks.items():
        head = [] if block.count is None else [f"{block.count:,} times"]
        text = "<br/>".join(map(_escaped, [*head, *block.text(_MOST, 48)]))
        lines.append(f'  b{first}["{text}"]:::{graph.colour(block.count)}')
    for edge in graph.edges:
        label = edge.kind if edge.count is None else f"{edge.kind} {edge.count:,}".strip()
        arrow = "-.->" if edge.kind == "call" else "-->"
        lines.append(f"  b{edge.source} {arrow}{f'|{label}|' if label else ''} b{edge.target}")
    lines += [
        "  classDef hit fill:#dafbe1,stroke:#116329,color:#1f2328,text-align:left",
        "  classDef missed fill:#ffebe9,stroke:#a40e26,color:#1f2328,text-align:left",
        "  classDef plain fill:#f6f8fa,stroke:#57606a,color:#1f2328,text-align:left",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    """Text without what Mermaid or HTML would read: entities by number, with `#` for `&`."""
    return "".join(
        char if char.isalnum() or char in " _.,:=+-*/" else f"#{ord(char)};"
        for char in text
        if char.isprintable()
    )
