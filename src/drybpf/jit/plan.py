"""Where compiled code counts, so that as few counters as possible tell everything.

A function is a graph of blocks, closed by a node for the world outside: entries come from it,
returns go to it.  What flows into a block flows out of it.  So the edges of one spanning tree need
no counter: their counts follow from the others (Knuth's placement).  The tree takes the edges that
look frequent; a loop's counters live in registers and are written when the function ends.

Where a run leaves compiled code in the middle of a block, Python knows the place: such an exit is
an edge to the world outside, counted by Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from drybpf.code import Code
from drybpf.isa import Instruction
from drybpf.isa.semantics import PACKET_LOADS
from drybpf.meter import Counts

OUTSIDE = -1  # the node for what is not this function
TAIL_CALL = 12  # the number of the kernel's helper
MAX_LOCAL = 24  # counters of one function that are kept in registers

Edge = tuple[int, int]  # from the block at a slot to that at another, or OUTSIDE


@dataclass
class Plan:
    """The graph of one emitted function, and the counter of each edge that has one.

    Blocks are known by their first slot.  `points` are blocks that are counted themselves, with
    their counters, in place of an edge back to them: a counter on such an edge would give the loop
    a block more, and LLVM another loop.  `ends` are places that end the program in the middle of
    a block, by slot, with their counters; `local` are the counters that are kept in registers.
    """

    entry: int  # the block that the function begins with
    starts: bool  # whether that is in the middle: the way in of a run that goes on
    blocks: dict[int, int]  # last slot of each block by its first
    edges: dict[Edge, int]  # the counter, or -1 on the tree
    ends: dict[int, int] = field(default_factory=dict)
    points: dict[int, int] = field(default_factory=dict)
    local: tuple[int, ...] = ()

    def to_json(self) -> list[object]:
        """As data, for the cache of compiled code."""
        return [
            self.entry,
            self.starts,
            list(self.blocks.items()),
            [[*edge, counter] for edge, counter in self.edges.items()],
            list(self.ends.items()),
            list(self.points.items()),
        ]

    @classmethod
    def from_json(cls, data: Sequence[object]) -> Plan:
        """The inverse of `to_json`, but for what only the emitter needs."""
        entry, starts, blocks, edges, ends, points = data
        return cls(
            entry,  # type: ignore[arg-type]  # we wrote it
            bool(starts),
            dict(blocks),  # type: ignore[call-overload]  # as above
            {(a, b): counter for a, b, counter in edges},  # type: ignore[attr-defined]  # as above
            dict(ends),  # type: ignore[call-overload]  # as above
            dict(points),  # type: ignore[call-overload]  # as above
        )


def make_plan(
    code: Code, entry: int, starts: bool, leaders: Iterable[int], reached: Sequence[int], first: int
) -> tuple[Plan, int]:
    """Place the counters of a function, numbered from `first`; gives the next number, too."""
    blocks = _blocks(code, set(leaders), reached)
    edges = [(OUTSIDE, entry), *_edges(code, blocks)]
    frequency = _frequencies(code, blocks, entry)
    weights = {edge: _weight(code, blocks, frequency, edge) for edge in edges}
    tree = _spanning_tree(sorted(weights, key=lambda edge: -weights[edge]))
    counters, number = {}, first
    for edge in weights:
        counters[edge] = -1
        if edge not in tree:
            counters[edge] = number
            number += 1
    ends = {}
    for pc in reached:
        instruction = code.slots[pc]
        if instruction is not None and _may_end(instruction):
            ends[pc], number = number, number + 1
    plan = Plan(entry, starts, blocks, counters, ends)
    for edge in sorted(weights, key=lambda edge: -weights[edge]):
        if OUTSIDE < edge[1] <= edge[0] and counters[edge] >= 0:
            _count_at_head(plan, edge, number)
    loops = _depths(blocks, edges)
    inner = [
        (-weights[edge], counter)
        for edge, counter in plan.edges.items()
        if counter >= 0 and min(loops.get(edge[0], 0), loops.get(edge[1], 0)) > 0
    ]
    inner += [(-frequency[first], counter) for first, counter in plan.points.items()]
    plan.local = tuple(counter for _, counter in sorted(inner)[:MAX_LOCAL])
    return plan, number


def _count_at_head(plan: Plan, edge: Edge, numbers: int) -> None:
    """Count the block that an edge leads back to in place of the edge, if that tells the same."""
    counter, head = plan.edges[edge], edge[1]
    if head in plan.points:
        return
    plan.points[head], plan.edges[edge] = counter, -1
    if len(_flows(plan, [0] * numbers, {})) < len(plan.edges):
        del plan.points[head]
        plan.edges[edge] = counter


def _may_end(instruction: Instruction) -> bool:
    """Whether a program may end in compiled code at an instruction that is no exit."""
    semantics = instruction.row.semantics if instruction.row else ""
    is_tail_call = semantics == "call_helper" and instruction.imm == TAIL_CALL
    return is_tail_call or semantics in PACKET_LOADS


def _blocks(code: Code, leaders: set[int], reached: Sequence[int]) -> dict[int, int]:
    """The last slot of each block, by its first."""
    starts = [pc for pc in reached if pc in leaders]
    blocks = {}
    for index, first in enumerate(starts):
        behind = starts[index + 1] if index + 1 < len(starts) else len(code)
        pc = first
        for pc in slots_of(code, first, behind - 1):
            instruction = code.slots[pc]
            if instruction and instruction.row and instruction.row.flow != "next":
                break
        blocks[first] = pc
    return blocks


def slots_of(code: Code, first: int, last: int) -> Iterator[int]:
    """The slots from one to another at which instructions begin."""
    return (pc for pc in range(first, last + 1) if code.slots[pc] is not None)


def _edges(code: Code, blocks: Mapping[int, int]) -> Iterator[Edge]:
    for first, last in blocks.items():
        following = code.ways[last]
        if not following:
            yield first, OUTSIDE
        for behind in dict.fromkeys(following):
            yield first, behind


def _depths(blocks: Mapping[int, int], edges: Sequence[Edge]) -> dict[int, int]:
    """How many loops a block lies in, by its place: between a jump back and its target."""
    steps: Counter[int] = Counter()
    for source, target in edges:
        if OUTSIDE < target <= source:
            steps[target] += 1
            steps[source + 1] -= 1
    depths, depth, changes = {}, 0, sorted(steps.items(), reverse=True)
    for first in blocks:
        while changes and changes[-1][0] <= first:
            depth += changes.pop()[1]
        depths[first] = depth
    return depths


def _frequencies(code: Code, blocks: Mapping[int, int], entry: int) -> dict[int, float]:
    """How often each block may run, a guess: loops go round, few jumps forward are taken."""
    edges = list(_edges(code, blocks))
    depths = _depths(blocks, edges)
    share = dict.fromkeys(blocks, 0.0)
    share[entry] = 1.0
    for first, last in blocks.items():
        following = dict.fromkeys(code.ways[last])
        for behind in following:
            if behind > first:
                odds = 1.0 if len(following) == 1 else 0.3 if behind != last + 1 else 0.7
                share[behind] += share[first] * odds
    return {first: share[first] * 8.0 ** min(depths[first], 6) for first in blocks}


def _weight(
    code: Code, blocks: Mapping[int, int], frequency: Mapping[int, float], edge: Edge
) -> float:
    source, target = edge
    if source == OUTSIDE:
        return frequency[target]
    weight = frequency[source]
    last = blocks[source]
    if len(set(code.ways[last])) == 2:
        back = OUTSIDE < target <= source
        weight *= 0.9 if back else 0.7 if target == last + 1 else 0.3
    return weight


def _spanning_tree(edges: Iterable[Edge]) -> set[Edge]:
    """Kruskal's: the edges in this order, but for those that close a circle."""
    parents: dict[int, int] = {}

    def root(node: int) -> int:
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    tree = set()
    for edge in edges:
        source, target = map(root, edge)
        if source != target:
            parents[source] = target
            tree.add(edge)
    return tree


def solve(
    code: Code,
    plan: Plan,
    counters: Sequence[int],
    before: Mapping[int, int],
    behind: Mapping[int, int],
) -> Counts:
    """What a function executed, from its counters and from where runs left it.

    `before` and `behind` count the exits by slot: before the instruction there, or behind it.
    """
    behind = Counter(behind) + Counter({pc: counters[n] for pc, n in plan.ends.items()})
    exits = {
        first: [(pc, before.get(pc, 0), behind.get(pc, 0)) for pc in slots_of(code, first, last)]
        for first, last in plan.blocks.items()
    }
    gone = {first: sum(a + b for _, a, b in places) for first, places in exits.items()}
    flows = _flows(plan, counters, gone)
    arriving: Counter[int] = Counter()
    for (_, target), count in flows.items():
        arriving[target] += count
    counts = Counts(code)
    executed: dict[int, int] = {}
    taken: dict[int, int] = {}
    for first, last in plan.blocks.items():
        running = arriving[first]
        for pc, left_before, left_behind in exits[first]:
            running -= left_before
            executed[pc] = running
            running -= left_behind
        if last in code.branches:
            taken[last] = flows[first, code.branches[last]]
    counts.add(executed, taken)
    return counts


def _flows(plan: Plan, counters: Sequence[int], gone: Mapping[int, int]) -> dict[Edge, int]:
    """The count of every edge: what goes into a block comes out of it, or is gone within it.

    One equation after the other has a single unknown left; that `make_plan` has made sure of.
    """
    known = {edge: counters[number] for edge, number in plan.edges.items() if number >= 0}
    equations = _equations(plan, counters, gone)
    uses: dict[Edge, list[int]] = {}
    for index, (terms, _) in enumerate(equations):
        for edge in terms:
            uses.setdefault(edge, []).append(index)
    for edge, count in known.items():
        _put_in(equations, uses, edge, count)
    work = [index for index, (terms, _) in enumerate(equations) if len(terms) == 1]
    while work:
        terms, total = equations[work.pop()]
        if len(terms) == 1:
            ((edge, sign),) = terms.items()
            known[edge] = sign * total[0]
            _put_in(equations, uses, edge, known[edge])
            work += [index for index in uses[edge] if len(equations[index][0]) == 1]
    return known


Equation = tuple[dict[Edge, int], list[int]]  # signs of the unknown edges, and what they sum up to


def _equations(plan: Plan, counters: Sequence[int], gone: Mapping[int, int]) -> list[Equation]:
    arriving: dict[int, list[Edge]] = {node: [] for node in (OUTSIDE, *plan.blocks)}
    leaving: dict[int, list[Edge]] = {node: [] for node in (OUTSIDE, *plan.blocks)}
    for edge in plan.edges:
        leaving[edge[0]].append(edge)
        arriving[edge[1]].append(edge)
    lost = {**gone, OUTSIDE: -sum(gone.values())}
    equations: list[Equation] = []
    for node, coming in arriving.items():
        if node in plan.points:
            count = counters[plan.points[node]]
            equations.append((dict.fromkeys(coming, 1), [count]))
            equations.append((dict.fromkeys(leaving[node], 1), [count - lost.get(node, 0)]))
            continue
        terms = Counter(dict.fromkeys(coming, 1))
        terms.subtract(leaving[node])
        signs = {edge: sign for edge, sign in terms.items() if sign}
        equations.append((signs, [lost.get(node, 0)]))
    return equations


def _put_in(
    equations: list[Equation], uses: Mapping[Edge, Iterable[int]], edge: Edge, count: int
) -> None:
    for index in uses.get(edge, ()):
        terms, total = equations[index]
        total[0] -= terms.pop(edge, 0) * count
