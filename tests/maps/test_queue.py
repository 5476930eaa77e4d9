"""Queues, stacks and Bloom filters: both engines against lists and sets."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from errno import E2BIG, EINVAL, ENOENT, EOPNOTSUPP
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.errors import MapError
from drybpf.maps import Map, MapFlag, MapType
from map_twins import Twins, definition, interpret

FLAGS = st.sampled_from([0, 0, 0, 0, 1, 2, 2, 3, 4, 8])


@pytest.mark.parametrize("kind", [MapType.QUEUE, MapType.STACK])
@given(
    entries=st.sampled_from([1, 3, 4]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("push"), st.binary(min_size=5, max_size=5), FLAGS),
            st.tuples(st.sampled_from(["pop", "peek"])),
        ),
        max_size=60,
    ),
)
@settings(max_examples=80, deadline=None, derandomize=True, database=None)
def test_random_operations(
    kind: MapType, entries: int, steps: list[tuple[str, bytes, int] | tuple[str]]
) -> None:
    twins = Twins(definition(kind, 0, 5, entries))
    model: deque[bytes] = deque()
    for step in steps:
        if len(step) == 3:
            _, value, flags = step
            expected = 0
            if flags == 1 or flags > 2:
                expected = -EINVAL
            elif len(model) == entries:
                expected = -E2BIG if flags != 2 else 0
                if not expected:
                    model.popleft()
            assert twins("push", value, flags) == expected
            if not expected:
                model.append(value)
        else:
            room = bytearray(b"?????")
            result = twins(step[0], room)
            if not model:
                assert (result, bytes(room)) == (-ENOENT, bytes(5))
                continue
            newest = kind == MapType.STACK
            assert (result, bytes(room)) == (0, model[-1 if newest else 0])
            if step[0] == "pop":
                model.pop() if newest else model.popleft()
        assert twins.native.snapshot() == twins.python.snapshot() == list(model)
    assert twins("update", b"", bytes(5), 0, 0, 0) == -EINVAL
    assert twins("delete", b"", 0) == -EINVAL
    assert twins("lookup", b"", 0) == -1


@pytest.mark.parametrize("native", [False, True])
def test_queues_and_stacks_in_python(native: bool) -> None:
    for kind, order in ((MapType.QUEUE, [1, 2, 3]), (MapType.STACK, [3, 2, 1])):
        made = Map.create(definition(kind, 0, 4, 3))
        made = made if native and made.attach_native() else interpret(made)
        for number in (1, 2, 3):
            made.push(number)
        assert [int.from_bytes(value, "little") for value in made] == order
        with pytest.raises(MapError, match=r"E2BIG: .* is full"):
            made.push(4)
        assert [int.from_bytes(made.peek(), "little"), len(made)] == [order[0], 3]
        assert [int.from_bytes(made.pop(), "little") for _ in range(3)] == order
        with pytest.raises(IndexError):
            made.pop()
        with pytest.raises(IndexError):
            made.peek()
        made.restore([7, 8])
        made.push(9)
        made.push(10, replace=True)
        assert made.snapshot() == [n.to_bytes(4, "little") for n in (8, 9, 10)]
        with pytest.raises(ValueError, match="4 bytes"):
            made.push(b"12345")


@given(
    added=st.sets(st.binary(min_size=6, max_size=6), max_size=20),
    others=st.sets(st.binary(min_size=6, max_size=6), max_size=20),
    hashes=st.integers(0, 15),
)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_bloom_filters(added: set[bytes], others: set[bytes], hashes: int) -> None:
    twins = Twins(definition(MapType.BLOOM_FILTER, 0, 6, 20, extra=hashes))
    for value in added:
        assert twins("push", value, 0) == 0
    for value in added:
        assert twins("peek", value) == 0
        assert value in twins.native
        assert value in twins.python
    for value in others - added:
        assert twins("peek", value) in (0, -ENOENT)
    assert twins("push", b"123456", 2) == -EINVAL
    assert twins("pop", bytearray(6)) == -EOPNOTSUPP
    assert twins("lookup", b"", 0) == -1


def test_a_bloom_filter_is_seldom_wrong() -> None:
    made = Map.create(definition(MapType.BLOOM_FILTER, 0, 8, 1000))
    assert made.attach_native()
    for number in range(1000):
        made.add(number)
    assert all(number in made for number in range(1000))
    wrong = sum(number in made for number in range(1000, 21000))
    assert wrong < 1500, "5 hashes in 7 to 14 bits a value are wrong for 0.2 to 3.5 % of others"
    copy = made.copy()
    assert copy.snapshot() == made.snapshot()
    made.clear()
    assert 5 not in made
    assert 5 in copy


@pytest.mark.parametrize("at", [-1, -4000, 0, 1, 1 << 20, 1 << 70])
def test_a_snapshot_of_another_filter(at: int) -> None:
    made: Any = Map.create(definition(MapType.BLOOM_FILTER, 0, 4, 20))
    made.add(7)
    before = bytes(made.storage)
    with pytest.raises(ValueError, match="leave its 32"):
        made.restore({at: bytes([255]) * 33})
    assert bytes(made.storage) == before
    assert 7 in made


def test_what_user_space_must_not_write_is_not_restored() -> None:
    for kind, size, entries in (
        (MapType.QUEUE, 4, 4),
        (MapType.BLOOM_FILTER, 4, 4),
    ):
        made: Any = Map.create(replace(definition(kind, 0, size, entries), flags=MapFlag.RDONLY))
        with pytest.raises(MapError, match="read-only"):
            made.restore(made.snapshot())
        made.keep()
        made.reset()
