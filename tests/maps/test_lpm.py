"""Longest-prefix match: both engines against a search through all prefixes."""

from __future__ import annotations

from errno import EEXIST, EINVAL, ENOENT, ENOSPC
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.maps import Map, MapType, layout
from map_twins import Twins, definition, interpret

Prefix = tuple[int, int]  # length, and the bits as a number


def packed(size: int, length: int, bits: int) -> bytes:
    return length.to_bytes(4, "little") + bits.to_bytes(size, "big")


class Model:
    """Prefixes in a dict."""

    def __init__(self, size: int, entries: int) -> None:
        self.size, self.entries = size, entries
        self.values: dict[Prefix, bytes] = {}
        self.raw: dict[Prefix, bytes] = {}

    def cut(self, length: int, bits: int) -> Prefix:
        return length, bits >> 8 * self.size - length

    def update(self, length: int, bits: int, value: bytes, flags: int) -> int:
        if flags > 2 or length > 8 * self.size:
            return -EINVAL
        prefix = self.cut(length, bits)
        if prefix in self.values:
            if flags == 1:
                return -EEXIST
        elif flags == 2:
            return -ENOENT
        elif len(self.values) == self.entries:
            return -ENOSPC
        self.values[prefix] = value
        self.raw[prefix] = packed(self.size, length, bits)
        return 0

    def delete(self, length: int, bits: int) -> int:
        if length > 8 * self.size:
            return -EINVAL
        prefix = self.cut(length, bits)
        self.raw.pop(prefix, None)
        return 0 if self.values.pop(prefix, None) else -ENOENT

    def lookup(self, length: int, bits: int) -> bytes | None:
        if length > 8 * self.size:
            return None
        for shorter in range(length, -1, -1):
            if (found := self.values.get(self.cut(shorter, bits))) is not None:
                return found
        return None


def addresses(size: int) -> st.SearchStrategy[int]:
    """Alike in their first bits, so that prefixes cover one another."""
    most = (1 << 8 * size) - 1
    flips = st.lists(st.integers(0, 8 * size - 1), max_size=3)
    bases = st.sampled_from([0, most, most // 3, most // 7])
    return st.builds(lambda base, bits: base ^ sum({1 << bit for bit in bits}), bases, flips)


def steps(size: int) -> st.SearchStrategy[list[tuple[object, ...]]]:
    near = [0, 1, 5, 6, 7, 8, 59, 60, 61, 63, 64, 65, 66, 8 * size - 1, 8 * size]
    lengths = st.one_of(
        st.sampled_from([length for length in near if length <= 8 * size]),
        st.integers(0, 8 * size + 1),
    )
    value = st.binary(min_size=3, max_size=3)
    place = lengths, addresses(size)
    return st.lists(
        st.one_of(
            st.tuples(st.just("update"), *place, value, st.sampled_from([0, 0, 0, 1, 2, 3, 4])),
            st.tuples(st.just("lookup"), *place),
            st.tuples(st.just("lookup"), st.just(8 * size), addresses(size)),
            st.tuples(st.just("delete"), *place),
        ),
        max_size=60,
    )


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 11, 16, 20, 40])
@given(data=st.data(), entries=st.sampled_from([1, 3, 20]))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_random_operations(size: int, data: st.DataObject, entries: int) -> None:
    twins = Twins(definition(MapType.LPM_TRIE, 4 + size, 3, entries))
    model = Model(size, entries)
    for step in data.draw(steps(size)):
        match step:
            case "update", int(length), int(bits), bytes(value), int(flags):
                expected = model.update(length, bits, value, flags)
                key = packed(size, length, bits)
                assert twins("update", key, value, flags, 0, 1) == expected
            case "lookup", int(length), int(bits):
                offset = twins("lookup", packed(size, length, bits), 0)
                found = None if offset == -1 else twins.value(offset)
                assert found == model.lookup(length, bits)
            case _, int(length), int(bits):
                assert twins("delete", packed(size, length, bits), 1) == model.delete(length, bits)
        assert set(twins.native.keys_in_order()) == set(model.raw.values())
    # Taken out one by one, the trie is empty again.
    for length, bits in list(model.values):
        assert twins("delete", packed(size, length, bits << 8 * size - length), 2) == 0
    nodes = twins.words[layout.NODES]
    assert not any(twins.native.storage[nodes + 32 : nodes + 48])


@pytest.mark.parametrize(("size", "count"), [(4, 20000), (16, 5000), (256, 300)])
def test_many_prefixes_come_and_go(size: int, count: int) -> None:
    made: Any = Map.create(definition(MapType.LPM_TRIE, 4 + size, 4, count))
    assert made.attach_native()
    random, model = Random(size), Model(size, count)
    for _ in range(2):
        for _ in range(count):
            length = random.choice([0, 8 * size, random.randint(0, 8 * size), 8 * size - 8])
            bits = random.getrandbits(8 * size)
            value = random.randbytes(4)
            key = packed(size, length, bits)
            assert made.update_element(key, value) == model.update(length, bits, value, 0)
        for length, bits in random.sample(sorted(model.values), len(model.values) * 9 // 10):
            whole = bits << 8 * size - length
            assert made.delete_element(packed(size, length, whole)) == model.delete(length, whole)
        for _ in range(2000):
            length, bits = random.choice(sorted(model.values))
            below = bits << 8 * size - length | random.getrandbits(max(0, 8 * size - length))
            offset = made.lookup_element(packed(size, 8 * size, below))
            begin = made._words[layout.VALUES] + offset
            assert bytes(made.storage[begin : begin + 4]) == model.lookup(8 * size, below)
            if size > 16:
                break


def test_a_scattered_trie_is_made_anew_where_its_room_is_spent() -> None:
    made: Any = interpret(Map.create(definition(MapType.LPM_TRIE, 8, 4, 8)))
    made._storage.set_word(layout.LAST_NODE, 28)
    for n in range(8):
        made[f"10.0.{n}.0/24"] = n
    for n in range(64):
        made[f"10.0.{n % 8}.0/24"] = n
        del made[f"10.0.{n % 8}.0/24"]
        made[f"{n * 4}.0.0.0/6"] = n
        del made[f"{n * 4}.0.0.0/6"]
        made[f"10.0.{n % 8}.0/24"] = n
    assert len(made) == 8
    assert made["10.0.7.9"] == (63).to_bytes(4, "little")
