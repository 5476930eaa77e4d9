"""Counted loops with others in them: what they owe, and the registers that are computed instead."""

from __future__ import annotations

import pytest

from agreement import Case
from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.hooks import Raw
from drybpf.jit.module import emit_module
from drybpf.jit.turns import Turns, turns
from engines import run_everywhere
from packing import pack

OWING = {
    "a square, wanted now and then": """
        mov64 r0, 0
        mov64 r3, 2
        mov64 r4, 5
        mov64 r5, r1
        add64 r5, 4
        l: mov64 r6, r1
        add64 r6, r3
        ldxb r6, [r6]
        jset r6, 1, n
        mov64 r7, r3
        mul64 r7, r7
        jgt r7, 63, n
        mov64 r8, r5
        i: ldxb r9, [r8]
        add64 r0, r9
        add64 r7, r3
        add64 r8, r3
        jlt r7, 64, i
        n: add64 r5, r4
        add64 r4, 2
        add64 r3, 1
        jne r3, 40, l
        exit""",
    "downwards by three, in 32 bits, with an access that data decides": """
        mov64 r0, 0
        mov64 r3, 60
        l: mov64 r6, r1
        add64 r6, r3
        ldxb r6, [r6]
        mov64 r4, 0
        i: mov64 r5, r1
        add64 r5, r6
        ldxb r7, [r5]
        xor64 r0, r7
        add64 r4, 1
        jlt r4, 5, i
        add32 r3, -3
        jgt r3, 5, l
        exit""",
    "three deep, with ways out of all": """
        mov64 r0, 0
        mov64 r3, 0
        a: mov64 r4, 0
        b: mov64 r5, 0
        c: mov64 r6, r1
        add64 r6, r3
        add64 r6, r4
        add64 r6, r5
        ldxb r7, [r6]
        add64 r0, r7
        jeq r7, 255, e
        add64 r5, 1
        jlt r5, 7, c
        jeq r7, 200, n
        add64 r4, 2
        jlt r4, 6, b
        n: add64 r3, 1
        jlt r3, 20, a
        e: exit""",
    "entered in the middle, so that it pays at its end": """
        mov64 r0, 0
        mov64 r3, 2
        ja h
        i: mov64 r6, r1
        add64 r6, r5
        ldxb r6, [r6]
        add64 r0, r6
        add64 r5, r3
        jlt r5, 64, i
        n: add64 r3, 1
        jeq r3, 40, e
        h: mov64 r4, r1
        add64 r4, r3
        ldxb r5, [r4]
        jset r5, 1, n
        add64 r0, 1
        jgt r5, 100, n
        ja i
        e: exit""",
    "fuel points before and behind the loop within": """
        mov64 r0, 0
        mov64 r3, 0
        l: mov64 r6, r1
        add64 r6, r3
        ldxb r7, [r6]
        jeq r7, 7, s
        add64 r0, 1
        s: mov64 r4, 0
        i: add64 r0, r4
        add64 r4, 1
        jlt r4, r7, i
        add64 r0, 3
        add64 r3, 4
        jlt r3, 40, l
        exit""",
}
CURVES = {
    "by an odd step, and a constant more": ("7", "3", "add64 r5, -2"),
    "by a step that falls": ("40", "-1", "mov64 r6, 0"),
    "by two": ("1", "2", "mov64 r6, 0"),
    "across 0": ("-3", "1", "add64 r5, 1"),
}


def _curve(first: str, by: str, more: str) -> str:
    return f"""
        mov64 r0, 0
        mov64 r3, 0
        mov64 r4, {first}
        mov64 r5, -1
        l: mov64 r6, r1
        add64 r6, r3
        ldxb r6, [r6]
        jset r6, 3, n
        mul64 r0, 31
        add64 r0, r5
        xor64 r0, r4
        n: add64 r5, r4
        {more}
        add64 r4, {by}
        add64 r3, 1
        jlt r3, 60, l
        mul64 r0, 7
        add64 r0, r5
        xor64 r0, r4
        exit"""


def _found(text: str, monkeypatch: pytest.MonkeyPatch) -> list[Turns]:
    found = list[Turns]()

    def keep(*arguments: object) -> Turns | None:
        made = turns(*arguments)  # type: ignore[arg-type]  # as they were
        found.extend([made] if made else [])
        return made

    monkeypatch.setattr("drybpf.jit.copies.turns", keep)
    code = Code(assemble(text))
    verifier.check(code)
    emit_module(code, Raw.shape)
    return found


@pytest.mark.parametrize("text", OWING.values(), ids=OWING)
def test_what_loops_owe_is_paid(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are left: at the end, by a jump, for want of memory or of fuel."""
    assert any(found.costs for found in _found(text, monkeypatch))
    packets = [bytes(length) for length in (0, 1, 30, 63, 64, 65, 200)]
    packets += [bytes(n * 37 % 64 for n in range(length)) for length in (40, 64, 80, 200)]
    packets += [bytes((n * 5 + n // 7) % 256 for n in range(200))]
    for packet in packets:
        run_everywhere(text, packet)
        for budget in (50, 333, 1000, 5000):
            run_everywhere(text, packet, budget=budget)


@pytest.mark.parametrize("parts", CURVES.values(), ids=CURVES)
def test_curves(parts: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = _curve(*parts)
    (found,) = _found(text, monkeypatch)
    assert list(found.curves) == [5]
    for packet in (bytes(60), bytes(range(60)), bytes(range(200)), bytes([1]) * 60, bytes(40)):
        run_everywhere(text, packet)
        for budget in (50, 333, 600):
            run_everywhere(text, packet, budget=budget)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_nests(first: int) -> None:
    """On both engines, in code as users run it and in code that checks the guards."""
    seeds = range(first, first + 20)
    cases = [Case.of_nests(seed, paranoid=p) for seed in seeds for p in (False, True)]
    assert [case.check(jit) for case, jit in zip(cases, pack(cases), strict=True)] == [12] * 40


@pytest.mark.parametrize("seed", range(100, 106))
def test_random_nests_in_slices(seed: int) -> None:
    assert Case.of_nests(seed, paranoid=seed % 2 == 0).check_slices() == 4


def test_a_loop_that_pays_now_and_then_owes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its arm is reached by a jump back, and so pays for itself."""
    text = OWING["entered in the middle, so that it pays at its end"]
    text = text.replace("ja h", "ja h\na: add64 r0, 9\nja n").replace(
        "jset r5, 1, n", "jset r5, 1, a"
    )
    assert not _found(text, monkeypatch)
    for packet in (bytes(range(70)), bytes(45), bytes([7, 0, 1] * 20)):
        run_everywhere(text, packet)
        run_everywhere(text, packet, budget=400)


def test_a_curve_that_each_iteration_wants_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    text = _curve("1", "2", "mov64 r6, 0").replace("jset r6, 3, n", "mov64 r7, r5")
    assert not _found(text, monkeypatch)
    run_everywhere(text, bytes(range(60)))
