"""Random programs do the same on both engines; `tools/fuzz_engines.py` runs more of them."""

from __future__ import annotations

import pytest

from agreement import Case
from packing import pack

STEP = 10


@pytest.mark.parametrize("first", range(0, 240, STEP))
def test_random_programs(first: int) -> None:
    """Compiled many at once, as the tool does it."""
    cases = [Case.of(seed) for seed in range(first, first + STEP)]
    jits = pack(cases)
    checked = [case.check(jit) for case, jit in zip(cases, jits, strict=True)]
    assert checked == [12] * STEP


@pytest.mark.parametrize("seed", range(1000, 1024))
def test_random_programs_of_their_own(seed: int) -> None:
    """Compiled as users do: whole runs, runs in slices, and every way in."""
    case = Case.of(seed)
    assert case.check() == 12
    assert case.check_slices() == 4
    assert case.check_entries() >= 8
