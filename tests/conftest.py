"""Fixtures that tests of several files take by name."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def no_garbage() -> Iterator[None]:
    """Collect what earlier tests left, and nothing meanwhile.

    A test that goes down to the limit of recursion takes it: a finaliser of somebody else's garbage
    that runs down there fails, and pytest blames the test.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()
