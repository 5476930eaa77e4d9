"""Whatever happens to the bytes of an object: it loads and runs, or there is an error of ours."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf import BpfError, Object, load
from support import fixture

NAMES = ("load_core", "load_externs", "load_globals", "load_maps", "load_tails")
SMALL = 1 << 20  # bytes of data that are looked at

PATTERNS = st.sampled_from(
    [b"\0", b"\1", b"\xff", b"\x7f", b"\x80", bytes(4), b"\xff" * 4, b"\0\0\0\x80", b"\xff" * 8]
)
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), PATTERNS), min_size=1, max_size=4)


def use(obj: Object) -> None:
    """Touch all that an object offers."""
    repr(obj)
    str(obj.unsupported)
    if sum(section.source.size for section in obj.data.sections.values()) < SMALL:
        str(dict(obj.data))
    for program in obj.programs.values():
        with contextlib.suppress(BpfError):
            program.run(bytes(64), engine="interpreter", budget=1_000)
    for found in obj.maps.values():
        repr(found)
    obj.reset()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_changed_can_be_used(name: str) -> None:
    use(load(fixture(name)))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(changes=CHANGES)
def test_changed_objects(name: str, changes: list[tuple[float, bytes]]) -> None:
    data = bytearray(fixture(name).read_bytes())
    for place, pattern in changes:
        at = int(place * len(data))
        data[at : at + len(pattern)] = pattern[: len(data) - at]
    with contextlib.suppress(BpfError):
        use(load(bytes(data)))


@pytest.mark.parametrize("name", NAMES)
def test_L1_truncated_objects(name: str) -> None:  # noqa: N802 (named by its row)
    data = fixture(name).read_bytes()
    for length in range(0, len(data), 97):
        with pytest.raises(BpfError):
            load(data[:length])
