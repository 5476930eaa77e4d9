"""Guards that hold are right, on random loops; `tools/fuzz_guards.py` runs more of them."""

from __future__ import annotations

import pytest

from drybpf.jit import guard
from drybpf.jit.trips import Numbers
from loop_guards import Case, Tally

STEP = 60


@pytest.mark.parametrize("first", range(0, 5 * STEP, STEP))
def test_guards_of_random_loops(first: int) -> None:
    tally = Tally()
    for seed in range(first, first + STEP):
        wrong = Case.of(seed).check(tally)
        assert not wrong, wrong
    assert tally.programs == STEP
    assert tally.loops > STEP
    assert tally.held > 100
    assert tally.accesses > 1000
    assert tally.payments > 100


def _wrong(count: int) -> str:
    tally = Tally()
    return next((wrong for seed in range(count) if (wrong := Case.of(seed).check(tally))), "")


def test_a_byte_too_few_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the others say counts only if a guard that is wrong by one is found."""
    want = guard.Guard._want
    monkeypatch.setattr(
        guard.Guard,
        "_want",
        lambda self, region, bits, value, block, size: want(
            self, region, bits, value, block, size - (region is not None)
        ),
    )
    assert "outside <Region" in _wrong(60)


def test_an_iteration_too_few_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    trips = guard.Guard._trips
    monkeypatch.setattr(guard.Guard, "_trips", lambda self: Numbers.sub(self._n, trips(self), 1))
    assert "fuel at" in _wrong(60)
