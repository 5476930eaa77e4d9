"""The blocks of a function, what dominates what, and its natural loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Block = int  # a block is named by its first slot


@dataclass(frozen=True)
class Loop:
    """A natural loop: every way into it leads through its header, which dominates its body."""

    header: Block
    body: frozenset[Block]
    latches: frozenset[Block]  # those that jump back to the header
    inner: frozenset[Block] = frozenset()  # the headers of the loops directly within


@dataclass(frozen=True)
class Graph:
    """The control flow of one function, from its entry; what is not reached is left out."""

    entry: Block
    order: tuple[Block, ...]  # reverse postorder: but for ways back, all ways lead forward
    successors: Mapping[Block, tuple[Block, ...]]
    predecessors: Mapping[Block, tuple[Block, ...]]
    loops: Mapping[Block, Loop]  # by header; empty where a cycle can be entered at two places
    _dominators: Mapping[Block, Block] = field(repr=False)  # the nearest other one of each block

    def dominates(self, above: Block, below: Block) -> bool:
        """Whether every way from the entry to `below` leads through `above`."""
        while below != above:
            if below == self.entry:
                return False
            below = self._dominators[below]
        return True


def graph(entry: Block, successors: Mapping[Block, Sequence[Block]]) -> Graph:
    """Make the graph of the blocks that are reached from the entry."""
    order = _reverse_postorder(entry, successors)
    after = {block: tuple(dict.fromkeys(successors[block])) for block in order}
    before: dict[Block, list[Block]] = {block: [] for block in order}
    for block in order:
        for following in after[block]:
            before[following].append(block)
    dominators = _dominators(order, before)
    bare = Graph(entry, order, after, {b: tuple(p) for b, p in before.items()}, {}, dominators)
    loops = _loops(bare)
    return Graph(entry, order, after, bare.predecessors, loops, dominators)


def _reverse_postorder(
    entry: Block, successors: Mapping[Block, Sequence[Block]]
) -> tuple[Block, ...]:
    done: list[Block] = []
    seen, stack = {entry}, [(entry, iter(successors[entry]))]
    while stack:
        block, rest = stack[-1]
        for following in rest:
            if following not in seen:
                seen.add(following)
                stack.append((following, iter(successors[following])))
                break
        else:
            done.append(block)
            stack.pop()
    return tuple(reversed(done))


def _dominators(
    order: Sequence[Block], before: Mapping[Block, Sequence[Block]]
) -> dict[Block, Block]:
    """The immediate dominators, after Cooper, Harvey and Kennedy."""
    place = {block: index for index, block in enumerate(order)}
    nearest = {order[0]: order[0]}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [other for other in before[block] if other in nearest]
            found = known[0]
            for other in known[1:]:
                found = _common(found, other, nearest, place)
            if nearest.get(block) != found:
                nearest[block], changed = found, True
    return nearest


def _common(
    a: Block, b: Block, nearest: Mapping[Block, Block], place: Mapping[Block, int]
) -> Block:
    while a != b:
        while place[a] > place[b]:
            a = nearest[a]
        while place[b] > place[a]:
            b = nearest[b]
    return a


def _loops(graph: Graph) -> dict[Block, Loop]:
    """The natural loops, or none where the graph has a cycle that is no natural loop."""
    place = {block: index for index, block in enumerate(graph.order)}
    latches: dict[Block, set[Block]] = {}
    for block in graph.order:
        for following in graph.successors[block]:
            if place[following] <= place[block]:
                if not graph.dominates(following, block):
                    return {}
                latches.setdefault(following, set()).add(block)
    bodies = {header: _body(graph, header, latches[header]) for header in latches}
    inner: dict[Block, set[Block]] = {header: set() for header in bodies}
    for header in bodies:
        around = [other for other in bodies if other != header and header in bodies[other]]
        if around:
            inner[min(around, key=lambda other: len(bodies[other]))].add(header)
    return {
        header: Loop(header, body, frozenset(latches[header]), frozenset(inner[header]))
        for header, body in bodies.items()
    }


def _body(graph: Graph, header: Block, latches: set[Block]) -> frozenset[Block]:
    body, work = {header}, list(latches)
    while work:
        block = work.pop()
        if block not in body:
            body.add(block)
            work.extend(graph.predecessors[block])
    return frozenset(body)
