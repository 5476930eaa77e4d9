"""Random programs over maps, moving packets and tail calls do the same on both engines."""

from __future__ import annotations

import pytest

from map_programs import Case


@pytest.mark.parametrize("first", range(0, 120, 10))
def test_random_programs(first: int) -> None:
    finished = sum(Case(seed).check() for seed in range(first, first + 10))
    assert finished > 10  # of 60: the others fault, in the same way


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_calls_and_batches(seed: int) -> None:
    Case(seed).check_ways_in()
