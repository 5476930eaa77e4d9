"""Where the blocks of a graph stand in a picture: in layers, each below those that lead to it.

Blocks are laid out by longest way from the entry, ways back left out; a way over several layers
gets a place in each, so that it runs between the blocks.  Within a layer all are ordered by where
their neighbours stand, in a few sweeps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from drybpf.cfg.graph import Edge, Graph

GAP_X, GAP_Y = 24, 46
_SWEEPS = 8
_LONGEST = 400  # layers that a way gets places in; a longer one runs straight
_WAY = 6.0  # the room that a way takes between blocks


@dataclass(frozen=True, slots=True)
class Box:
    """A place: the left upper corner and the size, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The horizontal middle."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Layout:
    """The boxes of blocks by their first slots, and the boxes that long ways run through."""

    boxes: Mapping[int, Box]
    ways: Mapping[Edge, tuple[Box, ...]]


@dataclass
class _Net:
    """Blocks and places on ways, numbered; blocks by their slots, places by negative numbers."""

    level: dict[int, int]
    above: dict[int, list[int]] = field(default_factory=dict)
    below: dict[int, list[int]] = field(default_factory=dict)
    ways: dict[Edge, list[int]] = field(default_factory=dict)

    def join(self, upper: int, lower: int) -> None:
        """Say that a way leads from one to the other."""
        self.below.setdefault(upper, []).append(lower)
        self.above.setdefault(lower, []).append(upper)


def place(graph: Graph, sizes: Mapping[int, tuple[float, float]]) -> Layout:
    """Lay out blocks of the given widths and heights."""
    net = _net(graph)
    layers = _ordered(net)
    widths = [
        sum(_width(node, sizes) for node in layer) + GAP_X * (len(layer) - 1) for layer in layers
    ]
    widest, y = max(widths, default=0.0), 0.0
    boxes: dict[int, Box] = {}
    for layer, width in zip(layers, widths, strict=True):
        x, height = (widest - width) / 2, max(sizes.get(node, (0, 0))[1] for node in layer)
        for node in layer:
            own = sizes.get(node, (_WAY, height))
            boxes[node] = Box(x, y, *own)
            x += own[0] + GAP_X
        y += height + GAP_Y
    ways = {edge: tuple(boxes[node] for node in nodes) for edge, nodes in net.ways.items()}
    return Layout({first: boxes[first] for first in graph.blocks}, ways)


def _width(node: int, sizes: Mapping[int, tuple[float, float]]) -> float:
    return sizes[node][0] if node in sizes else _WAY


def _net(graph: Graph) -> _Net:
    order = _order(graph)
    forward = [
        edge
        for edge in graph.edges
        if edge.kind != "call" and order[edge.source] < order[edge.target]
    ]
    net = _Net(_levels(graph, forward, sorted(order, key=order.__getitem__)))
    fresh = -1
    for edge in forward:
        top, bottom = net.level[edge.source], net.level[edge.target]
        last = edge.source
        if bottom - top <= _LONGEST:
            for level in range(top + 1, bottom):
                net.level[fresh] = level
                net.ways.setdefault(edge, []).append(fresh)
                net.join(last, fresh)
                last, fresh = fresh, fresh - 1
        net.join(last, edge.target)
    return net


def _order(graph: Graph) -> dict[int, int]:
    """The blocks in an order in which only a loop leads back (reverse postorder), by function."""
    following: dict[int, list[int]] = {first: [] for first in graph.blocks}
    for edge in graph.edges:
        if edge.kind != "call":
            following[edge.source].append(edge.target)
    finished: list[int] = []
    order: dict[int, int] = {}
    seen: set[int] = set()
    for root in sorted(graph.blocks):
        if root in seen:
            continue
        seen.add(root)
        work = [(root, iter(following[root]))]
        while work:
            block, others = work[-1]
            fresh = next((other for other in others if other not in seen), None)
            if fresh is None:
                finished.append(block)
                work.pop()
            else:
                seen.add(fresh)
                work.append((fresh, iter(following[fresh])))
        for block in reversed(finished):
            order[block] = len(order)
        finished = []
    return order


def _levels(graph: Graph, forward: Iterable[Edge], order: Iterable[int]) -> dict[int, int]:
    """The layer of each block: below all that lead to it, and below the functions before."""
    above: dict[int, list[int]] = {}
    for edge in forward:
        above.setdefault(edge.target, []).append(edge.source)
    level: dict[int, int] = {}
    base, function = 0, ""
    for first in order:
        if graph.blocks[first].function != function:
            function = graph.blocks[first].function
            base = max(level.values(), default=-1) + 1
        level[first] = max([base, *(level[block] + 1 for block in above.get(first, ()))])
    return level


def _ordered(net: _Net) -> list[list[int]]:
    layers: dict[int, list[int]] = {}
    for node, level in net.level.items():
        layers.setdefault(level, []).append(node)
    rows = [layers[number] for number in sorted(layers)]
    rank = {node: place for row in rows for node, place in _ranks(row)}
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        near = net.above if down else net.below
        for row in rows if down else reversed(rows):
            row.sort(key=lambda node: _mean(near.get(node, ()), rank, rank[node]))
            rank.update(_ranks(row))
    return rows


def _ranks(row: list[int]) -> Iterable[tuple[int, float]]:
    """How far right of the middle each stands."""
    return ((node, index - len(row) / 2) for index, node in enumerate(row))


def _mean(nodes: Iterable[int], rank: Mapping[int, float], otherwise: float) -> float:
    known = [rank[node] for node in nodes]
    return sum(known) / len(known) if known else otherwise
