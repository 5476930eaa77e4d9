"""Range hoisting: which checks and fuel tests of a loop one guard at its head can stand for.

A loop whose guard holds runs in a copy without those checks.  This is trusted: here is why the
guard is enough.

*Ideal run.*  Number the iterations of a loop from 0 and let a symbol be what a register or slot of
the frame holds when the header is first reached.  `affine` evaluates one iteration without cutting
results to 32 bits (or less).  A symbol whose value at every latch is itself is *invariant*, one
whose value is itself plus a constant, or plus an invariant register, is an *induction*: in
iteration t it holds symbol + t x step modulo 2^64.  So, as long as no result would have been cut,
any value of iteration t is base + t x (Σ coefficient x step) + d with 0 <= d <= spread.  A symbol
whose value at every latch is an induction's plus a constant *follows* it: it is one itself, by the
same step, if it is what that one was an iteration earlier when the loop begins too; that is a
`Fact` of no bits, about the beginning alone.  A symbol whose value at every latch lies in a range
of numbers, whatever the symbols are, is *bounded*: it lies there in every iteration if it does when
the loop begins, which is such a fact, too.

*Curves.*  A register that moves by what another one holds, and a constant more, where that one is
an induction by a constant `by`, and neither rests on a fact: after t iterations it holds symbol +
t x (that one's symbol + more) + t (t - 1) / 2 x by, modulo 2^64.

*Trips.*  A test that dominates every latch, leaves the loop by one of its ways, and compares a
value that moves by a step with one that does not, passes at most P times (`passes`, in integers:
its conditions exclude every wrap).  So there are at most P + 1 iterations; and what the test's way
on dominates runs in iterations 0 to P - 1 only.  With several tests the least P counts.  A bound
that is a range counts as its largest number; where the test is unsigned, a `Fact` says that no
other one, below 0, is larger.  Where both sides move by constants, one gains on the other by their
difference in each iteration, in integers, as long as no side falls below 0 (`Test.passes`).

*Guard.*  For an access in iterations 0 to n, reach = |movement| x n + spread; the guard demands, in
numbers below 2^63, that the first offset and all up to reach beyond it (before it, if it moves
down) lie below the region's limit.  Each `Fact`, that a result is not cut, is demanded in the same
way, as an access to the numbers below 2^bits.  Then the real run is the ideal run: by induction
over its steps, a step of an iteration that takes place finds ideal values, its results are not cut
since the guard says so for this iteration, and the tests leave no later than P says.  Facts on
which invariants, inductions and tests rest are demanded with everything that uses these.

*Fuel.*  One iteration pays at most the sum of its fuel points, those of inner loops as often as the
inner loop's own P, found the same way from numbers, allows.  With that times P + 1 at hand, no
test at those points can fail.

*Memory.*  Slots of the frame are followed only where nothing in the loop can write the frame but
stores at r10 plus a constant: stores known (by a check, or by the guard) to lie in another region,
no calls.  Limits of regions do not change within a loop; a loop that can change them is left out.

*Inner loops.*  In the outer loop's iteration an inner loop is one step: at its header an induction
with a constant step holds its first value + [0, P x step], other things that it changes are
unknown.  If a register's value in the last iteration is wanted, behind the test that ends the inner
loop, it is evaluated with first value + P x step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from drybpf.isa import Instruction
from drybpf.isa.semantics import (
    ACCESSES,
    ATOMICS,
    COMPARE_EXCHANGE,
    CONVERSIONS,
    LOADS,
    M64,
    PACKET_LOADS,
    STORES,
    signed,
)
from drybpf.jit.affine import (
    Fact,
    Known,
    State,
    Symbol,
    Value,
    add,
    below,
    constant,
    convert,
    cut,
    join_states,
    operate,
    scale,
    shifted,
    substitute,
    symbol,
)
from drybpf.jit.graph import Block, Graph, Loop
from drybpf.jit.provenance import SLOTS
from drybpf.jit.trips import MOST_COMPARED, Number, Numbers, Truth, passes
from drybpf.memory import FRAME_SIZE, STACK

MOST_STEP = 1 << 20  # of an induction by a constant
MOST_TESTS = 3  # of one loop
MOST_COST = 1 << 28  # fuel of an iteration
MOST_BOUNDED = 32  # bits of the numbers that a symbol may be that data decides
MOST_BOUND = 1 << 16  # up to which an inner loop may count from an unknown number
MOST_WORK = 40  # evaluations of each instruction, before a function is left as it is


@dataclass(frozen=True, slots=True)
class Touch:
    """An access to memory, evaluated."""

    pc: int
    block: Block
    address: Known
    size: int
    region: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """By how much a value moves in an iteration: a constant, or a multiple of a register."""

    by: int
    register: Symbol | None = None


STILL = Movement(0)


@dataclass(frozen=True, slots=True)
class Curve:
    """By how much a value moves that moves by what another register holds, and a constant more."""

    register: Symbol
    more: int
    by: int  # by which that register moves itself


@dataclass(frozen=True, slots=True)
class Test:
    """A test that ends a loop: it goes on as long as left `relation` right."""

    block: Block
    left: Value
    relation: str  # "lt", "le", "gt", "ge" or "ne"
    right: Value
    signed: bool
    step: Movement = STILL  # of what is on the left, as seen from the right
    chased: int = 0  # by how much the right moves itself, in an ordering test
    exact: bool = False  # whether it fails in the very iteration that the numbers say
    most: int | None = None  # how often it passes at most, where that does not depend on numbers

    def passes(self, n: Numbers, left: Number, right: Number) -> tuple[Number, Truth]:
        """How often it passes, and whether that is right, where it moves by a constant."""
        falls = max(0, -self.step.by - self.chased), max(0, -self.chased)
        count, fine = passes(n, self.relation, self.step.by, left, right, is_signed=self.signed)
        if self.chased and not self.signed:  # no side may fall below 0
            for side, fall in zip((left, right), falls, strict=True):
                fine = n.both(fine, n.less(n.mul(count, fall), n.add(side, 1)) if fall else True)
        return count, fine


@dataclass
class Walk:
    """One iteration of a loop, evaluated."""

    touches: list[Touch] = field(default_factory=list)
    tests: list[Test] = field(default_factory=list)
    edges: dict[tuple[Block, Block], State] = field(default_factory=dict)
    cost: int | None = 0  # fuel at most; None where inner loops have no bound
    facts: set[Fact] = field(default_factory=set)  # that the cost rests on


@dataclass(frozen=True)
class Plan:
    """What a guard at the head of a loop is for."""

    loop: Loop
    moves: Mapping[Symbol, Movement]  # of invariants and inductions
    tests: tuple[Test, ...]
    touches: tuple[Touch, ...]
    facts: frozenset[Fact]
    cost: int | None  # fuel of an iteration, where the guard is for fuel too
    points: frozenset[Block]  # the fuel points that it is for
    rests: Mapping[Symbol, frozenset[Fact]]  # what each movement rests on, where that is known
    tested: frozenset[Fact]  # those that the tests rest on
    regular: bool = True  # whether no access's place hangs on data that iterations hand on
    bounded: State = field(default_factory=dict)  # symbols that stay within a range
    curves: Mapping[Symbol, Curve] = field(default_factory=dict)  # registers, on no condition

    @property
    def proved(self) -> frozenset[int]:
        """The slots whose checks it stands for."""
        return frozenset(touch.pc for touch in self.touches)


@dataclass(frozen=True)
class Body:
    """What the analysis must know of a function."""

    graph: Graph
    blocks: Mapping[Block, tuple[tuple[int, Instruction], ...]]
    fuel: Mapping[int, int]
    region: Callable[[int, Instruction], int | None]  # of an access, where it is guessed
    wide: Callable[[int, Instruction], int | None]  # the number that an lddw loads
    changes_limits: Callable[[Instruction], bool]  # whether a call may move a region's end
    room: Callable[[int], int]  # the most bytes that may lie together in a region
    calls_function: Callable[[int, Instruction], bool]  # which pays fuel that is not known here


class Analysis:
    """Finds the plans of all loops of one function, innermost loops first."""

    def __init__(self, body: Body) -> None:
        """Analyse; `plans` is empty where there is nothing to gain, or too much to do."""
        self.body, self.graph = body, body.graph
        self.plans: dict[Block, Plan] = {}
        self.irregular: set[Block] = set()  # headers of loops that are not `regular`
        self._facts: dict[Block, Plan] = {}
        self._slots_lost = False
        self._work = MOST_WORK * sum(map(len, body.blocks.values())) + 1000
        loops = sorted(self.graph.loops.values(), key=lambda loop: len(loop.body))
        for loop in loops:
            plan = self._plan(loop)
            if plan is None:
                self.plans, self.irregular = {}, set()
                return
            self._facts[loop.header] = plan
            if not plan.regular or not self.irregular.isdisjoint(loop.inner):
                self.irregular.add(loop.header)
            if plan.touches or plan.points:
                self.plans[loop.header] = plan

    def _plan(self, loop: Loop) -> Plan | None:
        if any(
            self.body.changes_limits(instruction)
            for block in loop.body
            for _, instruction in self.body.blocks[block]
        ):
            return Plan(loop, {}, (), (), frozenset(), None, frozenset(), {}, frozenset())
        initial: State = {which: symbol(which) for which in (*range(11), *SLOTS)}
        self._slots_lost = False
        walk = self._walk(loop, initial)
        if self._slots_lost and self._work > 0:
            initial = {which: symbol(which) for which in range(11)}
            walk = self._walk(loop, initial)
        if self._work <= 0:
            return None
        choice = _Choice(self.body, loop, initial, _latch(loop, walk))
        regular, bounded = choice.is_regular(walk), State()
        if not regular:
            bounded = _bounded(loop, initial, _latch(loop, walk))
        if bounded:
            initial |= bounded
            walk = self._walk(loop, initial)
            if self._work <= 0:
                return None
            choice = _Choice(self.body, loop, initial, _latch(loop, walk))
        plan = choice.plan(walk, self._points(loop))
        return replace(plan, regular=regular, bounded=bounded)

    def _points(self, loop: Loop) -> frozenset[Block]:
        return frozenset(block for block in loop.body if block in self.body.fuel)

    # One iteration

    def _walk(self, loop: Loop, state: State) -> Walk:
        walk, header = Walk(), loop.header
        arriving: dict[Block, list[State]] = {header: [state]}
        inside = {block for inner in loop.inner for block in self.graph.loops[inner].body}
        inside -= loop.inner
        for block in self.graph.order:
            if block not in loop.body or block in inside or block not in arriving:
                continue
            state = join_states(arriving[block])
            if block in loop.inner:
                leaving = self._enter(walk, self.graph.loops[block], state)
            else:
                leaving = self._block(walk, loop, block, state)
            for (source, following), left in leaving.items():
                walk.edges[source, following] = left
                if following in loop.body and following != header:
                    arriving.setdefault(following, []).append(left)
        return walk

    def _enter(self, walk: Walk, inner: Loop, state: State) -> dict[tuple[Block, Block], State]:
        """An inner loop as one step; gives the states in which it is left."""
        plan = self._facts[inner.header]
        progress = _progress(plan, state)
        inside = self._walk(inner, progress.anywhere)
        walk.touches += inside.touches
        count = progress.count
        if count is None or inside.cost is None or walk.cost is None:
            walk.cost = None
        else:
            walk.cost += inside.cost * (count.passes + 1)
            walk.facts |= inside.facts | progress.facts
        leaving = {edge: left for edge, left in inside.edges.items() if edge[1] not in inner.body}
        if count is not None and count.exact and not inner.inner:
            last, block = self._walk(inner, progress.last), plan.tests[0].block
            for edge in leaving:
                if edge[0] == block and edge in last.edges:
                    leaving[edge] = last.edges[edge]
        return leaving

    def _block(
        self, walk: Walk, loop: Loop, block: Block, state: State
    ) -> dict[tuple[Block, Block], State]:
        state = dict(state)
        instructions = self.body.blocks[block]
        self._work -= len(instructions)
        if walk.cost is not None:
            walk.cost += self.body.fuel.get(block, 0)
        for pc, instruction in instructions:
            self._step(walk, block, pc, instruction, state)
        following = self.graph.successors[block]
        staying = [target for target in following if target in loop.body]
        if len(following) == 2 and len(staying) == 1:
            test = _test(block, *instructions[-1], state, staying[0])
            if test is not None:
                walk.tests.append(test)
        return {(block, target): state for target in following}

    def _step(
        self, walk: Walk, block: Block, pc: int, instruction: Instruction, state: State
    ) -> None:
        row = instruction.row
        semantics = row.semantics if row else ""
        if semantics in LOADS:
            self._load(walk, block, pc, instruction, state)
        elif semantics in STORES or semantics in ATOMICS or semantics in COMPARE_EXCHANGE:
            self._write(walk, block, pc, instruction, state)
        elif semantics.startswith("call") or semantics in PACKET_LOADS:
            self._slots_lost |= semantics.startswith("call")
            if self.body.calls_function(pc, instruction):
                walk.cost = None
            state.pop(0, None)
            state.update({number: constant(0) for number in range(1, 6)})
        elif row is not None and row.writes:
            dst = instruction.dst
            if semantics.startswith("lddw"):
                number = self.body.wide(pc, instruction)
                value: Known = None if number is None else constant(number)
            elif semantics in CONVERSIONS:
                value = convert(semantics, state.get(dst), block)
            else:
                register = "src" in row.operands
                source = state.get(instruction.src) if register else constant(instruction.imm)
                value = operate(semantics, state.get(dst), source, block)
            _put(state, dst, value)

    def _load(
        self, walk: Walk, block: Block, pc: int, instruction: Instruction, state: State
    ) -> None:
        size, extends = LOADS[instruction.row.semantics if instruction.row else ""]
        address, _ = self._touch(walk, block, pc, instruction, state)
        slot = _slot(address, size) if size == 8 else None
        value = None if extends else below(8 * size)
        if slot is not None:
            value = state.get(slot)
        _put(state, instruction.dst, value)

    def _touch(
        self, walk: Walk, block: Block, pc: int, instruction: Instruction, state: State
    ) -> tuple[Known, int | None]:
        """Note an access, unless it is relative to r10 and needs no check; address and region."""
        row = instruction.row
        semantics = row.semantics if row else ""
        base = instruction.src if semantics in LOADS else instruction.dst
        address = add(state.get(base), constant(instruction.offset))
        region = self.body.region(pc, instruction)
        if base != 10:
            walk.touches.append(Touch(pc, block, address, ACCESSES[semantics], region))
        return address, region

    def _write(
        self, walk: Walk, block: Block, pc: int, instruction: Instruction, state: State
    ) -> None:
        row = instruction.row
        semantics = row.semantics if row else ""
        size = ACCESSES[semantics]
        address, region = self._touch(walk, block, pc, instruction, state)
        place = _place(address)
        if region in (None, STACK) and place is None:
            self._slots_lost = True
        if place is not None:
            for byte in (place, place + size - 1):
                state.pop(_slot_at(byte), None)
        if semantics in STORES:
            slot = _slot(address, size) if size == 8 else None
            register = row is not None and "src" in row.operands
            value = state.get(instruction.src) if register else constant(instruction.imm)
            if slot is not None and not self._slots_lost and slot in SLOTS:
                _put(state, slot, value)
        elif semantics in COMPARE_EXCHANGE:
            state.pop(0, None)
        elif row is not None and row.writes:
            state.pop(instruction.src, None)


def _latch(loop: Loop, walk: Walk) -> State:
    """What holds when an iteration ends, wherever it does."""
    return join_states([walk.edges[block, loop.header] for block in sorted(loop.latches)])


def _bounded(loop: Loop, initial: State, latch: State) -> State:
    """The symbols that lie in a range of numbers at every latch, as if they did at first."""
    found: State = {}
    for which in initial:
        value = latch.get(which)
        if value is None or value.assumed or value.most is None:
            continue
        least, bits = value.constant, value.spread.bit_length()
        if bits <= MOST_BOUNDED:
            start = Value(((which, 1),), -least & M64)
            fact = Fact(start, bits, loop.header, first=True)
            found[which] = Value((), least, (1 << bits) - 1, frozenset({fact}))
    return found


def _put(state: State, which: Symbol, value: Known) -> None:
    if value is None:
        state.pop(which, None)
    else:
        state[which] = value


def _place(address: Known) -> int | None:
    """The offset from r10 of an address that is known to lie at r10 plus a constant."""
    if address is None or address.terms != ((10, 1),) or address.spread or address.assumed:
        return None
    place = signed(address.constant, 64)
    return place if -FRAME_SIZE <= place < 0 else None


def _slot_at(place: int) -> Symbol:
    return SLOTS.start + (place + FRAME_SIZE) // 8


def _slot(address: Known, size: int) -> Symbol | None:
    place = _place(address)
    return _slot_at(place) if place is not None and place % 8 == 0 and size == 8 else None


# Inner loops


def _substituted(facts: Iterable[Fact], values: State, first: State) -> frozenset[Fact] | None:
    """An inner loop's facts in terms of the outer one's; None where one is about the unknown.

    What must hold when the inner loop begins is about the `first` values.
    """
    found: set[Fact] = set()
    for fact in facts:
        value = substitute(fact.value, first if fact.first else values)
        if value is None or (not fact.bits and not value.exact):
            return None
        if not fact.bits and value.constant and not value.terms:
            return None
        found |= value.assumed
        if value.most is None or value.most >> fact.bits:
            found.add(Fact(value.bare(), fact.bits, fact.block))
    return frozenset(found)


@dataclass(frozen=True)
class _Count:
    """How often an inner loop's tests pass at most; `exact` if it is left in that iteration."""

    passes: int
    exact: bool = False
    facts: frozenset[Fact] = frozenset()


def _count(plan: Plan, state: State) -> _Count | None:
    """The count of an inner loop, where that is a number."""
    counts = [count for test in plan.tests if (count := _count_of(test, plan, state)) is not None]
    return min(counts, key=lambda count: count.passes, default=None)


def _count_of(test: Test, plan: Plan, state: State) -> _Count | None:
    if test.most is not None:
        return _Count(test.most)
    # What the sides rest on themselves is among what the plan's tests rest on.
    left, right = (_ends(substitute(side.bare(), state)) for side in (test.left, test.right))
    step = _known_movement(test.step, state)
    if right is None:
        return None
    if left is not None and step:
        steady, exact = replace(test, step=Movement(step)), len(left) == len(right) == 1
        # What is demanded, and the count, are the more the farther one moves in any direction.
        found = [steady.passes(Numbers(), *ends) for ends in product(left, right)]
        if all(fine for _, fine in found) and (exact or not (test.chased or test.relation == "ne")):
            count = max(number for number, _ in found if isinstance(number, int))
            return _Count(count, exact=exact and test.exact and len(plan.tests) == 1)
    # From any first value, below or not, it is no more often than from 0.
    ups = test.relation in ("lt", "le") and not (test.signed or test.chased)
    if ups and right[-1] < MOST_BOUND:
        facts = _positive_step(test, plan.loop.header, state)
        if facts is not None:
            return _Count(right[-1] + 1, facts=facts)
    return None


def _ends(value: Known) -> tuple[int, ...] | None:
    """The number that a value is, or the least and the largest, on no condition."""
    if value is None or value.assumed or value.most is None:
        return None
    return (value.constant, value.most) if value.spread else (value.constant,)


def _number(value: Known) -> int | None:
    """The number that a value is, on no condition."""
    ends = _ends(value)
    return ends[0] if ends and len(ends) == 1 else None


def _positive_step(test: Test, block: Block, state: State) -> frozenset[Fact] | None:
    """What must hold for a step, known to be upwards, to be at least 1."""
    if test.step.register is None:
        return frozenset()
    before = add(state.get(test.step.register), constant(-1))
    cut_or_none = cut(before, 20, block) if before is not None and before.terms else None
    return cut_or_none.assumed if cut_or_none is not None else None


def _known_movement(move: Movement, state: State) -> int | None:
    if move.register is None:
        return move.by
    number = _number(state.get(move.register))
    return None if number is None or number > MOST_STEP else move.by * number


@dataclass(frozen=True)
class _Progress:
    """An inner loop's header in the terms of the loop around it."""

    count: _Count | None
    anywhere: State  # in any of its iterations
    last: State  # in the one after so many passes
    facts: frozenset[Fact]  # that the count rests on


def _progress(plan: Plan, state: State) -> _Progress:
    count = _count(plan, state)
    anywhere, last = dict[Symbol, Value](), dict[Symbol, Value]()
    for which, move in plan.moves.items():
        entry, by = state.get(which), _known_movement(move, state)
        if entry is None or by is None or (by and count is None):
            continue
        total = by * (count.passes if count else 0)
        moved = add(entry, Value((), min(0, total) & M64, abs(total)) if total else constant(0))
        final = add(entry, constant(total))
        if moved is not None and final is not None:
            anywhere[which], last[which] = moved, final
    tested = _substituted(plan.tested, anywhere, state)
    if tested is None and count is not None:
        still = {which: v for which, v in anywhere.items() if plan.moves[which] == STILL}
        return _resting(plan, _Progress(None, still, still, frozenset()), state)
    facts = (tested or frozenset()) | (count.facts if count else frozenset())
    return _resting(plan, _Progress(count, anywhere, last, facts), state)


def _resting(plan: Plan, bare: _Progress, first: State) -> _Progress:
    """With each value on the facts that it rests on; without those that rest on the unknown."""
    anywhere, last = dict[Symbol, Value](), dict[Symbol, Value]()
    for which, value in bare.anywhere.items():
        rests = plan.rests.get(which)
        facts = None if rests is None else _substituted(rests, bare.anywhere, first)
        if facts is not None:
            if rests or plan.moves[which] != STILL:  # in as many iterations as the count says
                facts |= bare.facts
            anywhere[which], last[which] = value, bare.last[which]
            if facts:
                anywhere[which] = replace(value, assumed=value.assumed | facts)
                last[which] = replace(last[which], assumed=last[which].assumed | facts)
    for which, value in plan.bounded.items():
        facts = _substituted(value.assumed, {}, first)
        if facts is not None:
            anywhere[which] = last[which] = replace(value, assumed=facts)
    return _Progress(bare.count, anywhere, last, bare.facts)


# Tests

_NEGATED = {"eq": "ne", "ne": "eq", "lt": "ge", "ge": "lt", "gt": "le", "le": "gt"}
_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "ne": "ne"}


def _test(
    block: Block, pc: int, instruction: Instruction, state: State, staying: Block
) -> Test | None:
    row = instruction.row
    if row is None or row.mnemonic.startswith("jset"):
        return None
    name, bits = row.semantics[1:-2], int(row.semantics[-2:])
    relation, is_signed = name.removeprefix("s"), name.startswith("s")
    if pc + 1 + instruction.offset != staying:
        relation = _NEGATED[relation]
    left = state.get(instruction.dst)
    right = state.get(instruction.src) if "src" in row.operands else constant(instruction.imm)
    if bits == 32:
        left, right = cut(left, 32, block), cut(right, 32, block)
        if is_signed:
            left, right = _positive(left, block), _positive(right, block)
    if relation == "eq" or left is None or right is None:
        return None
    return Test(block, left, relation, right, is_signed)


def _positive(value: Known, block: Block) -> Known:
    """A number of 32 bits whose sign bit is clear."""
    if value is None:
        return None
    if value.terms:
        return replace(value, assumed=value.assumed | {Fact(value.bare(), 31, block)})
    return value if value.most is not None and value.most >> 31 == 0 else None


# What can be proved


class _Choice:
    """Chooses what a guard at the head of one loop is for."""

    def __init__(self, body: Body, loop: Loop, initial: State, latch: State) -> None:
        self._graph, self._room, self._loop = body.graph, body.room, loop
        self.moves: dict[Symbol, Movement] = {}
        self._rests: dict[Symbol, frozenset[Fact]] = {}
        registers = {}
        self._halved: dict[Symbol, int] = {}  # by how many bits it is shifted in each iteration
        for which in initial:
            value = latch.get(which)
            if value is None or not value.exact:
                continue
            step = signed(value.constant, 64)
            if value.terms == ((which, 1),) and abs(step) <= MOST_STEP:
                self.moves[which] = Movement(step)
                self._rests[which] = value.assumed
            elif value.terms == ((shifted(which, 1), 1),) and not step and not value.assumed:
                self._halved[which] = 1
            elif len(value.terms) == 2 and (which, 1) in value.terms:
                ((other, times),) = set(value.terms) - {(which, 1)}
                if times == 1:
                    registers[which] = other
                    self._rests[which] = value.assumed
        for which, register in registers.items():
            if self.moves.get(register) == STILL and not latch[which].constant:
                self.moves[which] = Movement(1, register)
            else:
                del self._rests[which]
        self.curves = {
            which: Curve(register, signed(latch[which].constant, 64), self.moves[register].by)
            for which, register in registers.items()
            if self._curves(which, register, latch[which])
        }
        while [which for which in initial if self._follows(which, latch.get(which))]:
            pass  # one may follow another

    def _curves(self, which: Symbol, register: Symbol, value: Value) -> bool:
        move = self.moves.get(register, STILL)
        certain = not value.assumed and not self._rests.get(register)
        return certain and move.register is None and move.by != 0 and max(which, register) < 10

    def _follows(self, which: Symbol, value: Known) -> bool:
        """Whether a symbol is found to follow an induction; it moves as that one then."""
        if which in self.moves or value is None or not value.exact or len(value.terms) != 1:
            return False
        ((leader, times),) = value.terms
        move = self.moves.get(leader, STILL)
        if times != 1 or move == STILL:
            return False
        by = constant(move.by) if move.register is None else scale(symbol(move.register), move.by)
        behind = add(add(symbol(which), value.bare(), -1), by)
        if behind is None:
            return False
        self.moves[which] = move
        self._rests[which] = value.assumed | {Fact(behind, 0, self._loop.header, first=True)}
        return True

    def plan(self, walk: Walk, points: frozenset[Block]) -> Plan:
        """The plan for a loop with this iteration."""
        tests = self._tests(walk)
        facts = set(self._facts_of_all(tests))
        touches: list[Touch] = []
        by_pc: dict[int, list[Touch]] = {}
        for touch in walk.touches:
            by_pc.setdefault(touch.pc, []).append(touch)
        for found in by_pc.values():
            needed = [self._needed(touch, tests) for touch in found]
            if all(one is not None for one in needed):
                touches += found
                facts.update(*(one or () for one in needed))
        cost = walk.cost if tests and (walk.cost or 0) < MOST_COST else None
        if cost is not None:
            inner = [self._closed(fact, tests) for fact in walk.facts]
            if any(one is None for one in inner):
                cost = None
            else:
                facts.update(*(one or () for one in inner))
        rests = {which: self.rests(symbol(which)) for which in self.moves}
        return Plan(
            self._loop,
            self.moves,
            tests,
            tuple(touches),
            frozenset(facts),
            cost,
            points if cost is not None else frozenset(),
            {which: found for which, found in rests.items() if found is not None},
            frozenset(self._facts_of_all(tests)),
            curves=self.curves,
        )

    def is_regular(self, walk: Walk) -> bool:
        """Whether no address of an access of this loop's own needs another iteration's data.

        It may be anywhere in a table; but it does not hang on what is carried from one to the next.
        """
        loops = self._graph.loops
        inside = frozenset(block for inner in self._loop.inner for block in loops[inner].body)
        return all(
            touch.address is not None
            and all(which in self.moves for which, _ in touch.address.terms)
            for touch in walk.touches
            if touch.block not in inside
        )

    def _facts_of_all(self, tests: Iterable[Test]) -> Iterable[Fact]:
        for test in tests:
            yield from self.rests(test.left) or ()
            yield from self.rests(test.right) or ()

    def _tests(self, walk: Walk) -> tuple[Test, ...]:
        """The tests that bound the trips: those by constant steps, or else one by a register."""
        found = []
        for test in walk.tests:
            if all(self._graph.dominates(test.block, latch) for latch in self._loop.latches):
                turned = self._turned(test)
                if turned is not None and all(
                    self._tellable(fact, (turned,)) for fact in self._facts_of_all([turned])
                ):
                    found.append(turned)
        steady = [test for test in found if test.step.register is None]
        return tuple(steady[:MOST_TESTS] or found[:1])

    def _turned(self, test: Test) -> Test | None:
        """With what moves on the left, and what stays where it is on the right."""
        halving = self._halving(test)
        if halving is not None:
            return halving
        left, right = self.movement(test.left), self.movement(test.right)
        if left == STILL and right is not None:
            relation = _MIRRORED[test.relation]
            test = replace(test, left=test.right, relation=relation, right=test.left)
            left, right = right, left
        if left is None or right is None or not test.left.exact:
            return None
        if right != STILL:
            return self._chase(test, left, right)
        if left == STILL:
            return None
        relation, step = test.relation, left
        ups, downs = relation in ("lt", "le"), relation in ("gt", "ge")
        if step.register is not None and (step.by != 1 or not ups):
            return None
        if (ups and step.by < 0) or (downs and step.by > 0):
            return None
        if relation == "ne" and not test.right.exact:
            return None
        exact, bound = test.right.exact, test.right
        if ups:  # the largest that it can be lets the most iterations pass, else the smallest
            if not exact and not test.signed:  # no number below 0: as an unsigned one it is larger
                positive = cut(bound, MOST_COMPARED.bit_length() - 1, test.block)
                if positive is None:
                    return None
                bound = positive
            bound = replace(bound, constant=bound.constant + bound.spread & M64)
        if self.rests(test.left) is None or self.rests(bound) is None:
            return None
        return replace(test, right=replace(bound, spread=0), step=step, exact=exact)

    def _chase(self, test: Test, left: Movement, right: Movement) -> Test | None:
        """A test where both sides move by constants: the left one overtakes the right one."""
        if left.register is not None or right.register is not None or not test.right.exact:
            return None
        if test.relation in ("gt", "ge"):
            relation = _MIRRORED[test.relation]
            test = replace(test, left=test.right, relation=relation, right=test.left)
            left, right = right, left
        closer = left.by - right.by
        if self.rests(test.left) is None or self.rests(test.right) is None:
            return None
        if test.relation == "ne":
            between = add(test.left, test.right, -1)
            if between is None or not closer:
                return None
            return replace(test, left=between, right=constant(0), step=Movement(closer), exact=True)
        if closer <= 0:
            return None
        return replace(test, step=Movement(closer), chased=right.by, exact=True)

    def _halving(self, test: Test) -> Test | None:
        """A test that ends a loop when a number, shifted right each time, is small: 64 times."""
        number = test.right.number
        wanted = {"ne": number == 0, "gt": True, "ge": number != 0}.get(test.relation, False)
        if number is None or not wanted or test.signed or test.left.assumed or test.right.assumed:
            return None
        for which, amount in self._halved.items():
            if test.left in (symbol(which), symbol(shifted(which, amount))):
                return replace(test, left=constant(0), most=64)
        return None

    def movement(self, value: Value) -> Movement | None:
        """By how much a value moves in an iteration; None where that is not known."""
        by, register, multiple = 0, None, 0
        for which, coefficient in value.terms:
            move = self.moves.get(which)
            if move is None:
                return None
            if move.register is None:
                by += coefficient * move.by
            elif register in (None, move.register):
                register, multiple = move.register, multiple + coefficient * move.by
            else:
                return None
        if register is None or not multiple:
            return Movement(by) if abs(by) <= MOST_STEP << 9 else None
        return Movement(multiple, register) if not by and 0 < multiple <= 1 << 10 else None

    def rests(self, value: Value) -> frozenset[Fact] | None:
        """All facts that a value rests on; None where one is about something unknown."""
        facts: set[Fact] = set()
        work, seen = list(value.assumed), set[Symbol]()
        symbols = [which for which, _ in value.terms]
        while work or symbols:
            while symbols:
                which = symbols.pop()
                if which in seen:
                    continue
                seen.add(which)
                if which not in self.moves:
                    return None
                register = self.moves[which].register
                symbols += [] if register is None else [register]
                work += self._rests[which]
            while work:
                fact = work.pop()
                if not (fact.bits or fact.first) and self.movement(fact.value) != STILL:
                    return None  # it may hold in the first iteration, and in no other
                if fact not in facts:
                    facts.add(fact)
                    symbols += [] if fact.first else [which for which, _ in fact.value.terms]
        return frozenset(facts)

    def _needed(self, touch: Touch, tests: tuple[Test, ...]) -> frozenset[Fact] | None:
        """The facts that an access rests on, where it can be proved at all."""
        if touch.address is None or touch.region is None:
            return None
        if touch.address.spread + touch.size > self._room(touch.region):
            return None  # it may lie anywhere: a guard for it would keep others from what they can
        if not self._reachable(touch.address, tests):
            return None
        return self._all_reachable(self.rests(touch.address), tests)

    def _closed(self, fact: Fact, tests: tuple[Test, ...]) -> frozenset[Fact] | None:
        """A fact with those that it rests on in turn, where all can be told."""
        rests = self.rests(replace(fact.value, assumed=frozenset({fact})))
        return self._all_reachable(rests, tests)

    def _all_reachable(
        self, facts: frozenset[Fact] | None, tests: tuple[Test, ...]
    ) -> frozenset[Fact] | None:
        if facts is None or not all(self._tellable(fact, tests) for fact in facts):
            return None
        return facts

    def _tellable(self, fact: Fact, tests: tuple[Test, ...]) -> bool:
        """Whether a fact may hold, and be demanded."""
        fits = not fact.value.spread >> fact.bits
        return fits and (fact.first or self._reachable(fact.value, tests))

    def _reachable(self, value: Value, tests: tuple[Test, ...]) -> bool:
        """Whether the range of a value can be told."""
        move = self.movement(value)
        if move is None or (move != STILL and not tests):
            return False
        if tests and tests[0].step.register is not None:
            return move == STILL or move.register == tests[0].step.register
        return True
