"""Hash maps: CPython and native code leave the same bytes, and a dict agrees with both."""

from __future__ import annotations

from errno import E2BIG, EEXIST, EINVAL, ENOENT

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.maps import MapType, layout
from drybpf.maps.calls import _Memory
from map_twins import Twins, definition

CPUS = 3
KINDS = [
    MapType.HASH,
    MapType.PERCPU_HASH,
    MapType.LRU_HASH,
    MapType.LRU_PERCPU_HASH,
]


class Model:
    """A hash map as Python has it: values by key, one a CPU, in the order in which they came."""

    def __init__(self, entries: int, *, lru: bool, percpu: bool) -> None:
        self.entries, self.lru, self.percpu = entries, lru, percpu
        self.values: dict[bytes, list[bytes]] = {}
        self.used: set[bytes] = set()

    def update(self, key: bytes, value: bytes, flags: int, cpu: int) -> int:
        if flags > 2 or (self.percpu and cpu >= CPUS):
            return -EINVAL
        at = cpu if self.percpu else 0
        if key in self.values:
            if flags == 1:
                return -EEXIST
            self.values[key][at] = value
            self.used.add(key)
            return 0
        if flags == 2:
            return -ENOENT
        if len(self.values) == self.entries:
            if not self.lru:
                return -E2BIG
            self.evict()
        self.values[key] = [bytes(len(value))] * CPUS
        self.values[key][at] = value
        self.used.discard(key)
        return 0

    def evict(self) -> None:
        while True:
            key = next(iter(self.values))
            values = self.values.pop(key)
            if key not in self.used:
                return
            self.used.discard(key)
            self.values[key] = values

    def delete(self, key: bytes) -> int:
        return 0 if self.values.pop(key, None) else -ENOENT


def keys(size: int) -> st.SearchStrategy[bytes]:
    """Few, so that they come again; alike, so that each byte counts."""
    some = [bytes(size), b"\xff" * size, *(bytes([n]) + bytes(size - 1) for n in range(1, 6))]
    some += [bytes(size - 1) + bytes([n]) for n in range(1, 6)]
    return st.sampled_from(some)


def steps(key: int, value: int) -> st.SearchStrategy[list[tuple[object, ...]]]:
    cpu = st.integers(0, CPUS)
    values = st.binary(min_size=value, max_size=value)
    flags = st.sampled_from([0, 0, 0, 0, 1, 2, 3, 4, 5, 1 << 40])
    return st.lists(
        st.one_of(
            st.tuples(st.just("update"), keys(key), values, flags, cpu),
            st.tuples(st.just("update"), keys(key), values, st.just(0), st.just(1)),
            st.tuples(st.sampled_from(["lookup", "find"]), keys(key), cpu),
            st.tuples(st.just("delete"), keys(key)),
            st.tuples(st.just("next run")),
        ),
        max_size=60,
    )


@pytest.mark.parametrize(("key", "value"), [(4, 8), (1, 1), (7, 3), (16, 16), (21, 40)])
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), entries=st.sampled_from([1, 2, 5, 8]))
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_random_operations(
    kind: MapType, key: int, value: int, data: st.DataObject, entries: int
) -> None:
    twins = Twins(definition(kind, key, value, entries), CPUS)
    percpu = "PERCPU" in kind.name
    model = Model(entries, lru="LRU" in kind.name, percpu=percpu)
    epoch, graves = 1, dict[int, list[bytes]]()
    spare = twins.words[layout.CAPACITY] - entries
    between = twins.words.get(layout.CPU_STRIDE, 0)

    def bury(gone: bytes) -> None:
        """Remember the values of a key that goes."""
        offset = twins.native._find(gone)
        graves[offset] = [twins.value(offset + cpu * between) for cpu in range(CPUS)]

    for step in data.draw(steps(key, value)):
        match step:
            case "update", bytes(name), bytes(new), int(flags), int(cpu):
                before = {each: twins.native._find(each) for each in model.values}
                kept = {each: twins.value(offset) for each, offset in before.items()}
                expected = model.update(name, new, flags, cpu)
                evicted = [each for each in before if each not in model.values]
                assert twins("update", name, new, flags, cpu, epoch) == expected
                for each in evicted:
                    graves[before[each]] = [kept[each]]
            case ("lookup" | "find") as how, bytes(name), int(cpu):
                offset = twins(how, name, cpu)
                if name not in model.values or (percpu and cpu >= CPUS):
                    assert offset == -1
                else:
                    at = cpu if percpu else 0
                    assert twins.value(offset) == model.values[name][at]
                    if how == "lookup":
                        model.used.add(name)
            case "delete", bytes(name):
                if name in model.values:
                    bury(name)
                assert twins("delete", name, epoch) == model.delete(name)
            case _:
                epoch += 1
                graves.clear()
        if len(graves) <= spare:
            for offset, values in graves.items():
                for cpu, old in enumerate(values):
                    assert twins.value(offset + cpu * between) == old, "used again in this run"
        assert twins.native.keys_in_order() == list(model.values)
        assert len(twins.native) == len(model.values)
    twins.walk()


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_of_thousand_keys(kind: MapType) -> None:
    twins = Twins(definition(kind, 8, 8, 256), 2)
    for native in (twins.native, twins.python):
        count = 256 if native is twins.python else 1000
        for n in range(count):
            key = (n * 0x1_0000_0001).to_bytes(8, "little")
            result = native.update_element(key, n.to_bytes(8, "little"), 0, 0, 1)
            assert result == (0 if n < 256 or native.lru else -E2BIG)
        kept = range(count - 256, count) if native.lru else range(256)
        assert [int.from_bytes(key[:4], "little") for key in native.keys_in_order()] == list(kept)
        for n in kept:
            key = (n * 0x1_0000_0001).to_bytes(8, "little")
            offset = native.lookup_element(key, 0)
            begin = native._words[layout.VALUES] + offset
            assert native.storage[begin] == n & 0xFF


def test_a_value_that_was_deleted_is_used_again_in_the_next_run() -> None:
    twins = Twins(definition(MapType.HASH, 4, 4, 100))
    offsets = set()
    for run in range(300):
        key = run.to_bytes(4, "little")
        assert twins("update", key, b"abcd", 0, 0, run) == 0
        offsets.add(twins("find", key, 0))
        assert twins("delete", key, run) == 0
    assert len(offsets) == 1


def test_one_run_can_delete_more_than_there_is_room_for() -> None:
    twins = Twins(definition(MapType.HASH, 4, 4, 2))
    for n in range(100):
        assert twins("update", n.to_bytes(4, "little"), b"abcd", 0, 0, 7) == 0
        assert twins("delete", n.to_bytes(4, "little"), 7) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_look_ups_to_inline_find_the_same(kind: MapType) -> None:
    twins = Twins(definition(kind, 6, 12, 20), CPUS)
    inlined = twins.python.inline_lookup()
    for n in range(20):
        assert twins("update", bytes([n] * 6), bytes([n] * 12), 0, n % CPUS, 1) == 0
    for n in range(25):
        for cpu in range(CPUS + 1):
            memory = _Memory(twins.python._storage, [bytes([n] * 6)])
            here = inlined.python(memory, twins.python.address, 1 << 60, cpu)
            before = twins.content(twins.python)
            assert twins("lookup", bytes([n] * 6), cpu) == (here if here >> 63 == 0 else -1)
            assert before == twins.content(twins.python)
