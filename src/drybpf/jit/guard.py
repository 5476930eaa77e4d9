"""The guard at the head of a loop, in LLVM IR: what `loops` says must be demanded, and no less."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drybpf.isa.semantics import M64, signed
from drybpf.jit.affine import Symbol, Terms, Value
from drybpf.jit.bounds import Bounds
from drybpf.jit.graph import Block, Graph
from drybpf.jit.ir import Text
from drybpf.jit.loops import STILL, Movement, Plan, Test
from drybpf.jit.trips import MOST_PASSES, Number, Numbers, Truth

MOST_REGISTER_STEP = 1 << 20  # what a register may hold that others move by
MOST_APART = 1 << 20  # of accesses that are demanded as one
_NEVER = 1 << 40  # more than any count


@dataclass
class _Range:
    """Bytes, or numbers, that move alike: from `first + low` to `first + end`, which is outside."""

    region: int | None
    bits: int | None
    terms: Terms
    behind: tuple[bool, ...]
    first: int
    low: int
    end: int


class Guard:
    """Emits the guard of one plan."""

    def __init__(
        self,
        text: Text,
        graph: Graph,
        plan: Plan,
        load: Callable[[Symbol], Number],
        bounds: Callable[[int], Bounds | None],
    ) -> None:
        """Prepare; `load` gives what a symbol holds now, `bounds` those of a region."""
        self._n, self._graph, self._plan = Numbers(text), graph, plan
        self._load, self._bounds = load, bounds
        self._loaded: dict[Symbol, Number] = {}
        self._holds: Truth = True
        self._counts: list[tuple[Test, Number]] = []
        self._rooms: tuple[Number, Number] | None = None  # of a test that moves by a register
        self._least: dict[tuple[bool, ...], Number] = {}
        self._ranges: dict[tuple[object, ...], list[_Range]] = {}

    def condition(self, fuel: Number | None) -> Truth:
        """Whether the copy without checks may run; with `fuel` also without tests of fuel."""
        self._count()
        for touch in self._plan.touches:
            if touch.address is not None and touch.region is not None:
                self._want(touch.region, None, touch.address, touch.block, touch.size)
        for fact in self._plan.facts:
            if fact.first:
                start = self._value(fact.value.terms, fact.value.constant)
                self._require(self._n.less(start, 1 << fact.bits))
            else:
                self._want(None, fact.bits, fact.value, fact.block, 1)
        for ranges in self._ranges.values():
            for one in ranges:
                self._demand(one)
        if fuel is not None and self._plan.cost is not None:
            need = self._n.mul(self._n.add(self._trips(), 1), self._plan.cost)
            self._require(self._n.less(need, fuel))
        return self._holds

    def _require(self, truth: Truth) -> None:
        self._holds = self._n.both(self._holds, truth)

    def _value(self, terms: Terms, number: int) -> Number:
        total: Number = number & M64
        for which, coefficient in terms:
            total = self._n.add(total, self._n.mul(self._symbol(which), coefficient))
        return total

    def _symbol(self, which: Symbol) -> Number:
        if which not in self._loaded:
            self._loaded[which] = self._load(which)
        return self._loaded[which]

    # Trips

    def _count(self) -> None:
        """Find how often each test passes; a count that is not right counts for nothing."""
        tests, n = self._plan.tests, self._n
        for test in tests:
            if test.most is not None:
                self._counts.append((test, test.most))
                continue
            left = self._value(test.left.terms, test.left.constant)
            right = self._value(test.right.terms, test.right.constant)
            if test.step.register is not None:
                self._rooms = self._room(test, left, right)
                return
            count, fine = test.passes(n, left, right)
            if len(tests) == 1:
                self._require(fine)
            else:
                count = n.choose(fine, count, _NEVER)
            self._counts.append((test, count))
        if len(tests) > 1:
            self._require(n.less(self._passes(()), MOST_PASSES))

    def _room(self, test: Test, first: Number, bound: Number) -> tuple[Number, Number]:
        """By how much a value that moves by a register moves: before its test, and behind it."""
        n, step = self._n, self._symbol(test.step.register or 0)
        if test.relation == "le":
            self._require(n.less(bound, MOST_PASSES))
            bound = n.add(bound, 1)
        self._require(n.less(first, MOST_PASSES))
        self._require(n.less(bound, MOST_PASSES))
        self._require(n.less(n.sub(step, 1), MOST_REGISTER_STEP))
        starts, span = n.less(first, bound), n.sub(n.sub(bound, 1), first)
        return n.choose(starts, n.add(span, step), 0), n.choose(starts, span, 0)

    def _behind(self, block: Block) -> tuple[bool, ...]:
        """For each test, whether it has passed wherever a block runs."""
        return tuple(
            test.block != block and self._graph.dominates(test.block, block)
            for test in self._plan.tests
        )

    def _passes(self, behind: tuple[bool, ...]) -> Number:
        """The last iteration in which something runs, at most; `behind` is empty for all."""
        if behind not in self._least:
            counts = []
            for (_, count), after in zip(
                self._counts, behind or (False,) * len(self._counts), strict=True
            ):
                less = self._n.sub(count, 1)
                counts.append(self._n.choose(self._n.less(0, count), less, 0) if after else count)
            least = counts[0]
            for count in counts[1:]:
                least = self._n.least(least, count)
            self._least[behind] = least
        return self._least[behind]

    def _trips(self) -> Number:
        """The last iteration of all, at most; with a step of a register, it is at least 1."""
        if self._rooms is None:
            return self._passes(())
        return self._n.add(self._rooms[1], 1)

    # Ranges

    def _want(
        self, region: int | None, bits: int | None, value: Value, block: Block, size: int
    ) -> None:
        """Put what moves alike, and lies near, into one range."""
        behind = self._behind(block)
        ranges = self._ranges.setdefault((region, bits, value.terms, behind), [])
        end = value.spread + size
        for known in ranges:
            apart = signed(value.constant - known.first, 64)
            if abs(apart) < MOST_APART:
                known.low, known.end = min(known.low, apart), max(known.end, apart + end)
                return
        ranges.append(_Range(region, bits, value.terms, behind, value.constant, 0, end))

    def _demand(self, one: _Range) -> None:
        """Demand that a range lies within its region, or below 2^bits, in every iteration."""
        n, move = self._n, _movement(self._plan, one.terms)
        where = Bounds(0, 1 << (one.bits or 0)) if one.region is None else self._bounds(one.region)
        if where is None:
            self._require(False)
            return
        offset = n.sub(self._value(one.terms, one.first + one.low), where.start)
        moved = self._moved(move, one.behind)
        if move.by < 0:
            self._require(n.less(moved, n.add(offset, 1)))
            offset = n.sub(offset, moved)
        reach = n.add(moved, one.end - one.low - 1)
        limit = where.limit
        if where.mask != -1:
            self._require(n.less(offset, limit))
            offset, limit = n.low_bits(offset, where.mask), where.room
        self._require(n.less(reach, limit))
        self._require(n.less(offset, n.sub(limit, reach)))

    def _moved(self, move: Movement, behind: tuple[bool, ...]) -> Number:
        """How far something moves until it last runs."""
        n = self._n
        if move == STILL:
            return 0
        if self._rooms is not None:
            return n.mul(self._rooms[1 if behind[0] else 0], move.by)
        moved = n.mul(self._passes(behind), abs(move.by))
        if move.register is None:
            return moved
        step = self._symbol(move.register)
        self._require(n.less(step, MOST_REGISTER_STEP))
        return n.mul(moved, step)


def _movement(plan: Plan, terms: Terms) -> Movement:
    """What `loops` found: the movement of a value with these terms."""
    by, multiple, register = 0, 0, None
    for which, coefficient in terms:
        move = plan.moves[which]
        if move.register is None:
            by += coefficient * move.by
        else:
            register, multiple = move.register, multiple + coefficient * move.by
    return Movement(multiple, register) if multiple else Movement(by)
