"""Random programs over maps: the kernel, the interpreter and compiled code must agree."""

from __future__ import annotations

import pytest

from kernel_here import needs_kernel
from map_fuzz import compare


@needs_kernel
@pytest.mark.parametrize("seed", range(12))
def test_the_kernel_agrees(seed: int) -> None:
    assert compare(1000 + seed) == ""
