"""Range hoisting: the analysis in numbers, the guards, and loops that must gain from it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from agreement import Case
from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.hooks import Raw
from drybpf.isa.semantics import CONVERSIONS, M64, OPERATIONS, signed
from drybpf.jit import affine, guard, layout
from drybpf.jit.affine import Known, Value
from drybpf.jit.choices import Choices, Module
from drybpf.jit.compiled import Jit
from drybpf.jit.graph import graph
from drybpf.jit.loops import Analysis, Movement, Plan
from drybpf.jit.loops import Test as LoopTest
from drybpf.jit.module import emit_module
from drybpf.jit.runtime import runtime
from drybpf.jit.trips import Numbers, passes
from drybpf.native.emit import compile_ir
from drybpf.native.link import link
from drybpf.program import Program
from engines import run_everywhere
from packing import pack
from support import ROOT

BENCHMARKS = ROOT / "benchmarks" / "programs"
STEP = 10


@pytest.mark.parametrize("first", range(0, 120, STEP))
def test_random_loops(first: int) -> None:
    """On both engines, in code as users run it and in code that checks the guards."""
    seeds = range(first, first + STEP)
    cases = [Case.of_loops(seed, paranoid=p) for seed in seeds for p in (False, True)]
    checked = [case.check(jit) for case, jit in zip(cases, pack(cases), strict=True)]
    assert checked == [12] * 2 * STEP


@pytest.mark.parametrize("seed", range(2000, 2016))
def test_random_loops_in_slices(seed: int) -> None:
    """Runs that leave for want of fuel, and go on in code that begins within the loop."""
    assert Case.of_loops(seed, paranoid=seed % 2 == 0).check_slices() == 4


# What the analysis finds


def _plans(code: Code, monkeypatch: pytest.MonkeyPatch) -> dict[int, Plan]:
    found: dict[int, Plan] = {}
    begin = Analysis.__init__

    def keep(self: Analysis, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]  # as they were
        found.update(self.plans)

    monkeypatch.setattr(Analysis, "__init__", keep)
    verifier.check(code)
    emit_module(code, Raw.shape)
    return found


@pytest.mark.parametrize(
    ("name", "accesses", "metered"),
    [
        ("03_csum", 1, 1),
        ("05_sieve", 3, 3),
        ("07_matmul", 3, 3),
        ("09_copy", 2, 1),
        ("14_crc32", 2, 1),
        ("17_lpm", 3, 2),
        ("18_json", 1, 1),
        ("19_bloom", 2, 2),
        ("20_maglev", 4, 1),  # the fifth is anywhere in a table of unknown size
    ],
)
def test_benchmarks_gain(
    name: str, accesses: int, metered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many accesses need no check in some copy, so many loops no test of fuel."""
    plans = _plans(Code((BENCHMARKS / f"{name}.bin").read_bytes()), monkeypatch)
    proved = frozenset[int]().union(*(plan.proved for plan in plans.values()))
    assert len(proved) >= accesses
    assert sum(bool(plan.points) for plan in plans.values()) >= metered


OTHERWISE = {
    "a counter that data changes": """
        mov64 r3, 0
        l: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        jeq r5, 7, m
        add64 r3, 3
        m: add64 r3, 1
        jlt r3, r2, l
        exit""",
    "a bound in the frame, where a store may hit it": """
        stdw [r10-8], 64
        mov64 r3, 0
        l: mov64 r4, r10
        add64 r4, r3
        stxb [r4-64], r3
        mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        add64 r3, 1
        ldxdw r6, [r10-8]
        jlt r3, r6, l
        exit""",
    "a test that does not run in every iteration": """
        mov64 r3, 0
        l: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        add64 r3, 1
        jeq r5, 0, l
        jlt r3, 64, l
        exit""",
    "a bound that moves": """
        mov64 r3, 0
        mov64 r6, 9
        l: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        add64 r6, r5
        add64 r3, 1
        jlt r3, r6, l
        exit""",
}


@pytest.mark.parametrize("text", OTHERWISE.values(), ids=OTHERWISE)
def test_what_moves_otherwise_is_left_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code(assemble(text))
    loads = {pc for pc, i in enumerate(code.slots) if i and i.row and i.row.mnemonic == "ldxb"}
    for plan in _plans(code, monkeypatch).values():
        assert not plan.proved & loads
    for length in (0, 1, 63, 64, 65, 200):
        run_everywhere(text, bytes(range(length)))


PAIRS = {
    "a counter in two registers": """
        mov64 r0, 0
        mov64 r3, 0
        mov64 r4, 0
        l: mov64 r5, r1
        add64 r5, r3
        ldxb r6, [r5]
        add64 r0, r6
        add64 r4, 1
        mov64 r3, r4
        jlt r3, r2, l
        exit""",
    "a counter in three, one behind the other": """
        mov64 r0, 0
        mov64 r3, 0
        mov64 r4, 1
        mov64 r5, 2
        l: mov64 r6, r1
        add64 r6, r3
        ldxb r6, [r6]
        add64 r0, r6
        mov64 r3, r4
        mov64 r4, r5
        add64 r5, 1
        jlt r3, r2, l
        exit""",
    "ends that meet": """
        mov64 r0, 0
        jeq r2, 0, e
        mov64 r3, 0
        l: add64 r2, -1
        mov64 r4, r1
        add64 r4, r3
        mov64 r5, r1
        add64 r5, r2
        ldxb r6, [r4]
        ldxb r7, [r5]
        stxb [r4], r7
        stxb [r5], r6
        add64 r3, 1
        jlt r3, r2, l
        e: exit""",
    "an inner loop that begins and ends somewhere in a range": """
        mov64 r0, 0
        mov64 r3, 0
        o: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        and64 r5, 7
        mov64 r6, r5
        and64 r6, 3
        add64 r5, 3
        l: mov64 r4, r1
        add64 r4, r6
        ldxb r7, [r4]
        add64 r0, r7
        add64 r6, 1
        jlt r6, r5, l
        add64 r3, 1
        jlt r3, r2, o
        exit""",
    "an index that data keeps within a range": """
        mov64 r0, 0
        mov64 r3, 0
        l: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        mov64 r4, r1
        add64 r4, r0
        ldxb r6, [r4]
        mov64 r0, r5
        xor64 r0, r6
        and64 r0, 7
        add64 r3, 1
        jlt r3, r2, l
        exit""",
    "one in the inner loop, which the outer one begins": """
        mov64 r0, 0
        mov64 r3, 0
        o: mov64 r7, 5
        mov64 r8, 0
        l: mov64 r4, r1
        add64 r4, r7
        ldxb r7, [r4]
        add64 r0, r7
        mod64 r7, 9
        add64 r7, 3
        add64 r8, 1
        jlt r8, 6, l
        add64 r3, 1
        jlt r3, 9, o
        exit""",
    "ends that are to be the same": """
        mov64 r0, 0
        mov64 r3, 0
        and64 r2, -2
        jeq r2, 0, e
        l: mov64 r4, r1
        add64 r4, r3
        ldxb r6, [r4]
        add64 r0, r6
        add64 r3, 1
        add64 r2, -1
        jne r3, r2, l
        e: exit""",
}


@pytest.mark.parametrize("text", PAIRS.values(), ids=PAIRS)
def test_counters_that_hang_on_others(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = Code(assemble(text))
    touched = {pc for pc, i in enumerate(code.slots) if i and i.row and "xb" in i.row.mnemonic}
    plan = max(_plans(code, monkeypatch).values(), key=lambda plan: len(plan.loop.body))
    assert plan.proved == touched
    assert plan.points
    for length in (0, 1, 2, 3, 63, 64, 65, 200):
        run_everywhere(text, bytes(range(length)))


APART = {
    "a second register that begins elsewhere": """
        mov64 r0, 0
        mov64 r3, 100
        mov64 r4, 0
        l: mov64 r5, r1
        add64 r5, r3
        ldxb r6, [r5]
        add64 r0, r6
        add64 r4, 1
        mov64 r3, r4
        jlt r3, 64, l
        exit""",
    "an index that begins outside the range that it stays in": """
        mov64 r0, 200
        mov64 r3, 0
        l: mov64 r4, r1
        add64 r4, r0
        ldxb r6, [r4]
        mov64 r0, r6
        and64 r0, 7
        add64 r3, 1
        jlt r3, 8, l
        exit""",
    "one that begins below it": """
        mov64 r0, 0
        mov64 r3, 0
        l: mov64 r4, r1
        add64 r4, r0
        ldxb r6, [r4-2]
        mov64 r0, r6
        and64 r0, 7
        add64 r0, 2
        add64 r3, 1
        jlt r3, 8, l
        exit""",
    "one that the outer loop sets outside": """
        mov64 r0, 3
        mov64 r3, 0
        o: mov64 r8, 0
        l: mov64 r4, r1
        add64 r4, r0
        ldxb r0, [r4]
        and64 r0, 7
        add64 r8, 1
        jlt r8, 6, l
        mov64 r0, r3
        lsh64 r0, 5
        add64 r3, 1
        jlt r3, 9, o
        exit""",
    "one in an inner loop, right the first time only": """
        mov64 r0, 0
        mov64 r7, 0
        mov64 r3, 0
        o: mov64 r4, 0
        l: mov64 r5, r1
        add64 r5, r3
        ldxb r6, [r5]
        add64 r0, r6
        add64 r4, 1
        mov64 r3, r4
        jlt r3, 8, l
        mov64 r3, 90
        add64 r7, 1
        jlt r7, 3, o
        exit""",
    "an end that falls below 0": """
        mov64 r0, 0
        mov64 r3, 0
        mov64 r4, 1
        l: mov64 r5, r1
        add64 r5, r3
        ldxb r6, [r5]
        add64 r0, r6
        add64 r3, 1
        add64 r4, -2
        jlt r3, r4, l
        exit""",
    "ends that pass each other": """
        mov64 r0, 0
        mov64 r3, 0
        l: mov64 r5, r1
        add64 r5, r3
        ldxb r6, [r5]
        add64 r0, r6
        add64 r3, 1
        add64 r2, -1
        jne r3, r2, l
        exit""",
}


@pytest.mark.parametrize("text", APART.values(), ids=APART)
def test_two_registers_that_move_apart(text: str) -> None:
    """The guard must not hold, and so the access outside is found."""
    for length in (0, 1, 2, 3, 63, 64, 65, 200):
        run_everywhere(text, bytes(range(length)), budget=5000)


def test_a_loop_without_a_counter_keeps_its_fuel(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "mov64 r0, 1\nl:\nmul64 r0, 3\njne r0, 0, l\nexit"
    assert not _plans(Code(assemble(text)), monkeypatch)
    assert run_everywhere(text, budget=1000).error == "BudgetExceeded"


def test_local_calls_pay_for_themselves() -> None:
    """Fuel that a callee takes is none that the loop's guard can promise."""
    text = "mov64 r6, 0\nl:\ncall local f\nadd64 r6, 1\njlt r6, 40, l\nexit\nf:\nmov64 r0, 1\n" + (
        "add64 r0, 1\n" * 30 + "exit"
    )
    for budget in (50, 100, 500, 1000, 2000):
        run_everywhere(text, budget=budget)


def test_a_wrong_guard_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "mov64 r3, 0\nl: mov64 r4, r1\nadd64 r4, r3\nldxb r0, [r4]\n"
    text += "add64 r3, 1\njlt r3, 9, l\nexit"
    monkeypatch.setenv("DRYBPF_CACHE", "0")
    monkeypatch.setattr(guard.Guard, "condition", lambda *_: True)
    code = Code(assemble(text))
    jit = Jit(code, Raw.shape, paranoid=True)
    program = Program(code)
    assert jit.run(program.state(bytes(9))) == 0
    with pytest.raises(RuntimeError, match="the guard of a loop was wrong about instruction 3"):
        jit.run(program.state(bytes(8)))


def test_normal_and_paranoid_code_are_apart() -> None:
    code = Code(assemble("l:\nldxb r3, [r1]\nadd64 r1, 1\njlt r3, 9, l\nexit"))
    normal, paranoid = (emit_module(code, Raw.shape, Choices(paranoid=p)).ir for p in (False, True))
    assert "@wrong(" not in normal.split("define ", 1)[1]
    assert paranoid.count("label %") >= normal.count("label %")


# Affine values


def _holds(value: Known, symbols: list[int], number: int) -> bool:
    """Whether a number is among those that a value stands for; true if a fact does not hold."""
    if value is None:
        return True
    for fact in value.assumed:
        base = _base(fact.value, symbols)
        if base + fact.value.spread >> fact.bits:
            return True
    return (number - _base(value, symbols)) & M64 <= value.spread


def _base(value: Value, symbols: list[int]) -> int:
    total = value.constant
    for which, coefficient in value.terms:
        known = symbols[which] if which < len(symbols) else symbols[which - 128] >> 1
        total += coefficient * known
    return total & M64


@pytest.mark.parametrize("seed", range(300))
def test_values_hold_the_results(seed: int) -> None:
    """Chains of operations, on registers like those of loops; each result must be held."""
    random = Random(seed)  # noqa: S311 (repeatable by design)
    edges = (0, 1, 5, 255, 4096, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 63, M64)
    symbols = [random.choice(edges) + random.randrange(3) & M64 for _ in range(10)]
    numbers, values = list(symbols), dict[int, Known]({n: affine.symbol(n) for n in range(10)})
    for _ in range(40):
        dst, src = random.randrange(10), random.randrange(10)
        if random.random() < 0.1:
            semantics = random.choice(list(CONVERSIONS))
            numbers[dst] = CONVERSIONS[semantics](numbers[dst])
            values[dst] = affine.convert(semantics, values[dst], 0)
        else:
            semantics = random.choice(list(OPERATIONS))
            by, other = numbers[src], values[src]
            if random.random() < 0.6:
                by = random.choice((0, 1, 2, 3, 8, 31, 32, 63, 255, 65535, M64, M64 - 7))
                other = affine.constant(signed(by, 64))
            numbers[dst] = OPERATIONS[semantics](numbers[dst], by) & M64
            values[dst] = affine.operate(semantics, values[dst], other, 0)
        assert _holds(values[dst], symbols, numbers[dst]), (semantics, values[dst])
        if random.random() < 0.2:
            which = random.randrange(10)
            values[dst] = affine.join(values[dst], values[which])
            assert _holds(values[dst], symbols, numbers[dst])
            assert _holds(values[dst], symbols, numbers[which])


# Trips

_TESTS: dict[str, Callable[[int, int], bool]] = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "ne": lambda a, b: a != b,
}


@pytest.mark.parametrize("relation", _TESTS)
@pytest.mark.parametrize("is_signed", [False, True])
def test_passes_are_those_of_the_loop(relation: str, is_signed: bool) -> None:
    """Where the count is said to be right, it is that of a loop that wraps at 2^64."""
    random, sure = Random(7), 0  # noqa: S311 (as above)
    ups = {"lt": (1,), "le": (1,), "gt": (-1,), "ge": (-1,), "ne": (1, -1)}[relation]
    for _ in range(3000):
        step = random.choice(ups) * random.choice((1, 1, 2, 3, 7, 8))
        around = random.choice((0, 0, 8, 1 << 31, 1 << 62, (1 << 63) - 4, 1 << 63, M64 - 8))
        first, bound = (around + random.randrange(-20, 20) & M64 for _ in range(2))
        if random.random() < 0.1:
            bound = random.choice((0, M64, 1 << 63))
        count, fine = passes(Numbers(), relation, step, first, bound, is_signed=is_signed)
        if fine is not True or not isinstance(count, int) or count > 100:
            continue
        sure += 1
        value, passed = first, 0
        sign = 1 << 63 if is_signed and relation != "ne" else 0
        while passed <= 101 and _TESTS[relation](value ^ sign, bound ^ sign):
            value, passed = value + step & M64, passed + 1
        assert passed == count, (first, bound, step)
    assert sure > 300


@pytest.mark.parametrize("relation", _TESTS)
@pytest.mark.parametrize("is_signed", [False, True])
def test_passes_where_both_sides_move(relation: str, is_signed: bool) -> None:
    random, sure = Random(8), 0  # noqa: S311 (as above)
    if relation in ("gt", "ge"):
        return  # they are turned
    for _ in range(6000):
        ours, theirs = random.choice((1, 1, 2, 3, 0, -1)), random.choice((-1, -1, -2, 1, 0, -3))
        if ours <= theirs:
            continue
        first, bound = random.randrange(12), random.randrange(40)
        if is_signed or relation == "ne":
            first, bound = (
                first - random.choice((0, 20)) & M64,
                bound - random.choice((0, 20)) & M64,
            )
        left, right = affine.constant(first), affine.constant(bound)
        step = Movement(ours - theirs)
        test = LoopTest(0, left, relation, right, is_signed, step, chased=theirs)
        if relation == "ne":
            between = affine.constant(first - bound)
            test = replace(test, left=between, right=affine.constant(0), chased=0)
        count, fine = test.passes(Numbers(), test.left.constant, test.right.constant)
        if fine is not True or not isinstance(count, int):
            continue
        sure += 1
        sign = 1 << 63 if is_signed and relation != "ne" else 0
        passed = 0
        while passed <= 101 and _TESTS[relation](first ^ sign, bound ^ sign):
            first, bound, passed = first + ours & M64, bound + theirs & M64, passed + 1
        assert passed == count
    assert sure > 300


# Graphs


def _reachable(successors: dict[int, list[int]], without: int) -> set[int]:
    seen, work = set[int](), [0] if without else []
    while work:
        block = work.pop()
        if block not in seen and block != without:
            seen.add(block)
            work.extend(successors[block])
    return seen


@pytest.mark.parametrize("seed", range(60))
def test_graphs_by_force(seed: int) -> None:
    random = Random(seed)  # noqa: S311 (as above)
    count = random.randrange(1, 12)
    successors = {
        block: [random.randrange(count) for _ in range(random.choice((0, 1, 2, 2)))]
        for block in range(count)
    }
    found = graph(0, successors)
    reached = _reachable(successors, -1)
    assert set(found.order) == reached
    for above in reached:
        past = _reachable(successors, above)
        for below in reached:
            assert found.dominates(above, below) == (below not in past or above == below)
    for header, loop in found.loops.items():
        assert all(found.dominates(header, block) for block in loop.body)
        assert all(header in successors[latch] for latch in loop.latches)
        for block in loop.body - {header}:
            assert set(found.predecessors[block]) <= loop.body


def test_a_cycle_with_two_ways_in_is_no_loop() -> None:
    assert not graph(0, {0: [1, 2], 1: [2], 2: [1]}).loops
    assert graph(0, {0: [1], 1: [2], 2: [1]}).loops.keys() == {1}


def test_a_closed_form_that_divides_128_bits() -> None:
    """LLVM asks a library for that, which no process needs to have: such a program did not link."""
    case = Case.of_loops(711360, paranoid=False)
    assert case.check() == 12


@pytest.mark.parametrize("name", ["__udivti3", "__umodti3"])
@pytest.mark.parametrize(
    ("left", "right"),
    [(0, 1), (7, 3), (1 << 127, 3), ((1 << 128) - 1, (1 << 127) + 5), (5, (1 << 128) - 1)],
)
def test_division_of_128_bits(name: str, left: int, right: int) -> None:
    """The function is ours; its text does not divide."""
    text = (
        runtime()
        + f"""
define i64 @low(ptr %p) {{
  %a = load i128, ptr %p, align 16
  %q = getelementptr i128, ptr %p, i64 1
  %b = load i128, ptr %q, align 16
  %r = call i128 @{name}(i128 %a, i128 %b)
  store i128 %r, ptr %p, align 16
  ret i64 0
}}
"""
    )
    env = (ctypes.c_uint64 * layout.ENV_WORDS)()
    library = link([compile_ir(text)], ["low"], {"env": ctypes.addressof(env)})
    raw = (ctypes.c_uint64 * 6)()
    begin = -(ctypes.addressof(raw) // 8) % 2
    raw[begin : begin + 4] = [left & M64, left >> 64, right & M64, right >> 64]
    place = ctypes.addressof(raw) + 8 * begin
    ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(library.address("low"))(place)
    expected = left // right if name == "__udivti3" else left % right
    assert raw[begin] | raw[begin + 1] << 64 == expected


@pytest.mark.parametrize("straight", [False, True])
def test_the_cache_knows_whether_there_are_loops(straight: bool) -> None:
    text = "mov r0, 9\nexit" if straight else "mov r0, 9\nagain:\nsub r0, 1\njne r0, 0, again\nexit"
    module = emit_module(Code(assemble(text)), Raw.shape)
    assert module.straight == straight
    assert Module.from_facts(module.facts()) == replace(module, ir="")
