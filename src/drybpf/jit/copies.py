"""Loop versioning: the copies of a function's blocks, and the guards that choose between them.

The first copy is the function itself.  A loop with a plan (`loops`) gets a guard before its header,
and a copy of its body for when the guard holds.  That copy is left through blocks of its own with
an empty piece of assembly in them: else LLVM merges what lies behind both copies into them, and its
vectoriser gives up (internet checksum: 117 ns against 43 in the prototype).

The same at a header keeps LLVM from making vectors of a loop: of a checked one, which is for what
is rare, and of one that moves by a register, where it does not pay (sieve: 516 ns against 216).
A loop where the place of an access hangs on data that iterations hand on says the same in its
latches: its vectors would be gathered, each behind the last (search: 120 ns against 20).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drybpf.isa import Instruction
from drybpf.jit.affine import Symbol
from drybpf.jit.bounds import bounds, room
from drybpf.jit.graph import Block, Graph, Loop, graph
from drybpf.jit.guard import Guard
from drybpf.jit.implied import implied
from drybpf.jit.ir import Value
from drybpf.jit.loops import STILL, Analysis, Body, Plan
from drybpf.jit.provenance import SLOTS
from drybpf.jit.turns import Turns, left, turns

if TYPE_CHECKING:
    from drybpf.jit.function import FunctionText

MOST_LOOPS = 200  # of a function that is analysed
GROWTH, SMALL = 3, 400  # instructions that copies may have: so many times the function's, and more
FAST = "!prof !0"
REGULAR, IRREGULAR = "!llvm.loop !4", "!llvm.loop !3"
BARRIER = 'call void asm sideeffect "", ""()'


@dataclass
class Copy:
    """Blocks under names of their own, with what is known to hold in them."""

    suffix: str
    blocks: list[Block]
    loop: Loop | None = None
    parent: Copy | None = None
    proved: frozenset[int] = frozenset()  # accesses that need no check
    paid: frozenset[int] = frozenset()  # fuel points that need no test
    guarded: dict[Block, Copy] = field(default_factory=dict)  # by the headers in this copy
    turns: tuple[Turns, ...] = ()  # of loops around, and of this one at last
    counts: bool = False  # whether this one has any


class Copies:
    """The copies of one function, made as they are iterated."""

    def __init__(self, function: FunctionText) -> None:
        """Prepare; the analysis is made by `begin`."""
        self._f = function
        self._current = Copy("", list(function.blocks))
        self._work = [self._current]
        self._plans: dict[Block, Plan] = {}
        self._irregular: set[Block] = set()
        self._graph: Graph | None = None
        self._room = 0
        self._names = 0
        self.variables: list[Value] = []  # of the turns of loops

    @property
    def proved(self) -> frozenset[int]:
        """The accesses that need no check in the current copy."""
        return self._current.proved

    @property
    def paid(self) -> frozenset[int]:
        """The fuel points that need no test in the current copy."""
        return self._current.paid

    def owes(self, block: Block) -> bool:
        """Whether a fuel point of the current copy is paid behind its loop."""
        copy = self._current
        return copy.counts and block in copy.turns[-1].costs

    def fuel(self) -> Callable[[], Value]:
        """What computes the fuel that is left at the end of the current block, wherever it is."""
        turns, block = self._current.turns, self._f.block
        return lambda: self._left(turns, block)

    def _left(self, turns: tuple[Turns, ...], block: Block, *, rarely: bool = True) -> Value:
        if self._graph is None:
            return self._f.value("load i64, ptr %fuel")
        return left(self._f, self._graph, turns, block, rarely=rarely)

    def turn(self, block: Block) -> None:
        """Count an iteration, where a block is the header of a loop that counts them."""
        copy = self._current
        if copy.counts and copy.loop is not None and copy.loop.header == block:
            copy.turns[-1].turn(self._f)

    def label(self, block: Block) -> str:
        """The name of a block in the current copy."""
        return f"b{block}{self._current.suffix}"

    def is_plain(self, block: Block) -> bool:
        """Whether a block is the header of a loop that LLVM shall take as it is."""
        copy = self._current
        if copy.loop is not None and copy.loop.header == block:
            return _moves_by_register(self._plans[block])
        return block in copy.guarded

    def is_irregular(self, block: Block) -> bool:
        """Whether a block is in an irregular loop."""
        return any(block in self._loop_body(header) for header in self._irregular)

    def nature(self, block: Block, targets: Iterable[Block]) -> str:
        """What a branch says that leads from a loop's latch to its header."""
        loops = self._graph.loops if self._graph else {}
        for target in targets:
            if target in loops and block in loops[target].latches:
                return f", {IRREGULAR if target in self._irregular else REGULAR}"
        return ""

    def begin(self, entry: Block) -> None:
        """Analyse the loops, and go to the first block."""
        f = self._f
        self._analyse(entry)
        self._current.proved = implied(f)
        self._guard_loops(self._current)
        f.line(f"br label %{self._resolve(self._current, None, entry)}")

    def __iter__(self) -> Iterator[Copy]:
        """Each copy, as the current one; behind it its guards are emitted."""
        while self._work:
            self._current = self._work.pop()
            if self._current.parent is not None:
                self._guard_loops(self._current)
            yield self._current
            for header, fast in self._current.guarded.items():
                self._emit_guard(self._current, header, fast)

    def to(self, block: Block, target: Block) -> str:
        """The label that leads from a block of the current copy to a slot where one begins."""
        return self._resolve(self._current, block, target)

    def _resolve(self, copy: Copy, block: Block | None, target: Block) -> str:
        if copy.parent is not None and copy.loop is not None and target not in copy.loop.body:
            return self._way_out(copy, block, self._resolve(copy.parent, block, target))
        enters = target in copy.guarded and block not in copy.guarded[target].blocks
        return f"{'g' if enters else 'b'}{target}{copy.suffix}"

    def _loop_body(self, header: Block) -> frozenset[Block]:
        return self._graph.loops[header].body if self._graph else frozenset()

    def _way_out(self, copy: Copy, block: Block | None, label: str) -> str:
        self._names += 1
        name, f = f"x{self._names}", self._f

        def emit() -> None:
            f.label(name)
            f.line(BARRIER)
            if copy.counts and block is not None:
                fuel = self._left(copy.turns[-1:], block, rarely=False)
                f.line(f"store i64 {fuel}, ptr %fuel")
            f.line(f"br label %{label}")

        f.exits.append(emit)
        return name

    # Which loops

    def _analyse(self, entry: Block) -> None:
        f = self._f
        slots = f.code.slots
        following = {
            first: [to for to in f.code.ways[pcs[-1]] if to in f.blocks]
            for first, pcs in f.blocks.items()
        }
        if not any(to <= first for first, ways in following.items() for to in ways):
            return
        found = graph(entry, following)
        if not found.loops or len(found.loops) > MOST_LOOPS:
            return
        body = Body(
            found,
            {
                first: tuple((pc, i) for pc in pcs if (i := slots[pc]) is not None)
                for first, pcs in f.blocks.items()
            },
            f.code.fuel,
            f.region,
            lambda pc, i: f.code.references.get(pc, i.imm64 if not i.src else None),
            self._changes_limits,
            lambda region: room(f, region),
            f.calls_function,
        )
        analysis = Analysis(body)
        self._graph, self._plans, self._irregular = found, analysis.plans, analysis.irregular
        self._room = GROWTH * sum(map(len, f.blocks.values())) + SMALL

    def _changes_limits(self, instruction: Instruction) -> bool:
        """Whether an instruction may change what `bounds` gives: a call, where the packet moves."""
        row = instruction.row
        return self._f.options.moving and row is not None and row.semantics.startswith("call")

    def _guard_loops(self, copy: Copy) -> None:
        """Decide which loops of a copy have a guard in it, and queue the copies for these."""
        within = [
            plan
            for header, plan in self._plans.items()
            if header in copy.blocks and (copy.loop is None or header != copy.loop.header)
        ]
        outermost_first = sorted(within, key=lambda plan: -len(plan.loop.body))
        covered: set[Block] = set()
        for plan in outermost_first:
            if self._is_useful(plan, copy) and plan.loop.header not in covered:
                if self._is_all(plan):
                    covered |= plan.loop.body - {plan.loop.header}
                self._add(copy, plan)

    def _is_useful(self, plan: Plan, copy: Copy) -> bool:
        return not (plan.proved <= copy.proved and plan.points <= copy.paid)

    def _is_all(self, plan: Plan) -> bool:
        """Whether a guard does all that those of the loops within could do, and is as likely."""
        inner = [p for h, p in self._plans.items() if h in plan.loop.body and p is not plan]
        if not all(p.proved <= plan.proved and p.points <= plan.points for p in inner):
            return False
        found = self._graph
        ways_out = [
            block
            for block in plan.loop.body
            if found and any(to not in plan.loop.body for to in found.successors[block])
        ]
        return len(ways_out) <= len(plan.tests)

    def _add(self, copy: Copy, plan: Plan) -> None:
        blocks = [block for block in copy.blocks if block in plan.loop.body]
        size = sum(len(self._f.blocks[block]) for block in blocks)
        if size > self._room:
            return
        self._room -= size
        self._names += 1
        fast = Copy(
            f".{self._names}",
            blocks,
            plan.loop,
            copy,
            copy.proved | plan.proved,
            copy.paid | plan.points,
            turns=copy.turns,
        )
        self._count(fast, plan)
        copy.guarded[plan.loop.header] = fast
        self._work.append(fast)

    def _count(self, fast: Copy, plan: Plan) -> None:
        """Count the turns of a copy, where that helps."""
        f, loop = self._f, plan.loop
        within = frozenset[Block]().union(*(self._loop_body(inner) for inner in loop.inner))
        if self._graph is None:
            return
        instructions = {
            block: [i for pc in f.blocks[block] if (i := f.code.slots[pc]) is not None]
            for block in loop.body
        }
        found = turns(self._graph, plan, within, instructions, f.code.fuel, fast.suffix)
        if found is not None:
            fast.turns, fast.counts = (*fast.turns, found), True
            self.variables += found.variables

    # Guards

    def _emit_guard(self, copy: Copy, header: Block, fast: Copy) -> None:
        f, plan = self._f, self._plans[header]
        if self._graph is None:
            return
        f.label(f"g{header}{copy.suffix}")
        fuel = None if plan.points <= copy.paid else f.value("load i64, ptr %fuel")
        holds = Guard(f, self._graph, plan, self._load, lambda region: bounds(f, region)).condition(
            fuel
        )
        slow, quick = f"{header}{copy.suffix}", f"{header}{fast.suffix}"
        if isinstance(holds, bool):
            f.line(f"br label %i{quick if holds else slow}")
        else:
            f.line(f"br i1 {holds}, label %i{quick}, label %i{slow}, {FAST}")
        for name in (slow, quick):
            f.label(f"i{name}")
            if _moves_by_register(plan):
                self._hide(plan)
            if name == quick and fast.counts:
                fast.turns[-1].begin(f)
            f.line(f"br label %b{name}")

    def _hide(self, plan: Plan) -> None:
        """Keep from LLVM how what moves in a loop has come about in those around it.

        It would carry the start of each as one more sum through these (sieve: 197 ns against 170).
        """
        for which, movement in plan.moves.items():
            if which < 10 and movement != STILL:
                hidden = self._f.value(f'call i64 asm "", "=r,0"(i64 {self._load(which)})')
                self._f.line(f"store i64 {hidden}, ptr %r{which}")

    def _load(self, which: Symbol) -> Value:
        """What a register or slot of the frame holds."""
        f = self._f
        if which == 10:
            return "%top"
        if which < 10:
            return f.value(f"load i64, ptr %r{which}")
        place = 8 * (which - SLOTS.start)
        return f.value(f"load i64, ptr {f.value(f'getelementptr i8, ptr %frame, i64 {place}')}")


def _moves_by_register(plan: Plan) -> bool:
    return bool(plan.tests) and plan.tests[0].step.register is not None
