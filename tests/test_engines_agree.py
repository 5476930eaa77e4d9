"""Random programs do the same on both engines; `tools/fuzz_engines.py` runs more of them."""

import pytest

from agreement import check


@pytest.mark.parametrize("first", range(0, 120, 10))
def test_random_programs(first: int) -> None:
    assert sum(check(seed) for seed in range(first, first + 10)) == 120
