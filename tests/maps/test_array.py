"""Arrays, and arrays of things: both engines against a list and a dict."""

from __future__ import annotations

from errno import E2BIG, EEXIST, EINVAL, ENOENT

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.maps import MapType
from drybpf.maps.calls import _Memory
from map_twins import Twins, definition

CPUS, ENTRIES = 3, 5
INDICES = st.sampled_from([0, 1, 4, 5, 6, 1 << 31, (1 << 32) - 1])
FLAGS = st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 8, 1 << 63])


def steps(value: int) -> st.SearchStrategy[list[tuple[object, ...]]]:
    values = st.binary(min_size=value, max_size=value)
    return st.lists(
        st.one_of(
            st.tuples(st.just("update"), INDICES, values, FLAGS, st.integers(0, CPUS)),
            st.tuples(st.sampled_from(["lookup", "find"]), INDICES, st.integers(0, CPUS)),
            st.tuples(st.just("delete"), INDICES),
        ),
        max_size=40,
    )


@pytest.mark.parametrize("value", [1, 4, 8, 13, 33])
@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.PERCPU_ARRAY])
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_random_operations(kind: MapType, value: int, data: st.DataObject) -> None:
    twins = Twins(definition(kind, 4, value, ENTRIES), CPUS)
    percpu = kind == MapType.PERCPU_ARRAY
    inlined = twins.python.inline_lookup()
    model = [[bytes(value)] * (CPUS if percpu else 1) for _ in range(ENTRIES)]
    for step in data.draw(steps(value)):
        match step:
            case "update", int(index), bytes(new), int(flags), int(cpu):
                allowed = flags & ~4  # 4 wants a lock in the value, and here is none
                if allowed > 2 or (percpu and cpu >= CPUS):
                    expected = -EINVAL
                elif index >= ENTRIES:
                    expected = -E2BIG
                else:
                    expected = -EEXIST if allowed == 1 else -EINVAL if flags & 4 else 0
                key = index.to_bytes(4, "little")
                assert twins("update", key, new, flags, cpu, 1) == expected
                if not expected:
                    model[index][cpu if percpu else 0] = new
            case ("lookup" | "find") as how, int(index), int(cpu):
                key = index.to_bytes(4, "little")
                offset = twins(how, key, cpu)
                memory = _Memory(twins.python._storage, [key])
                here = inlined.python(memory, twins.python.address, 1 << 60, cpu)
                assert offset == (here if here >> 63 == 0 else -1)
                if index >= ENTRIES or (percpu and cpu >= CPUS):
                    assert offset == -1
                else:
                    assert twins.value(offset) == model[index][cpu if percpu else 0]
            case _, int(index):
                assert twins("delete", index.to_bytes(4, "little"), 1) == -EINVAL
    shown = model if percpu else [values[0] for values in model]
    assert list(twins.native) == list(twins.python) == shown


# What the kernel's map answers: the most that flags may be, whether an empty entry exists, the
# errors of deleting beyond the end and of deleting an empty one.
THINGS = {
    MapType.DEVMAP: (2, True, EINVAL, 0),
    MapType.CPUMAP: (2, True, EINVAL, 0),
    MapType.XSKMAP: (2, False, EINVAL, 0),
    MapType.SOCKMAP: (2, False, EINVAL, EINVAL),
    MapType.REUSEPORT_SOCKARRAY: (2, False, E2BIG, ENOENT),
    MapType.CGROUP_ARRAY: (0, True, E2BIG, ENOENT),
    MapType.STACK_TRACE: (0, True, E2BIG, ENOENT),
}


@pytest.mark.parametrize("kind", THINGS)
@given(data=st.data())
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_random_operations_on_things(kind: MapType, data: st.DataObject) -> None:
    most, exists, beyond, missing = THINGS[kind]
    size = 4 if kind in (MapType.XSKMAP, MapType.CGROUP_ARRAY) else 8
    twins = Twins(definition(kind, 4, size, ENTRIES), CPUS)
    model: dict[int, bytes] = {}
    for step in data.draw(steps(size)):
        match step:
            case "update", int(index), bytes(new), int(flags), int(cpu):
                there = exists or index in model
                if flags > most:
                    expected = -EINVAL
                elif index >= ENTRIES:
                    expected = -E2BIG
                elif flags == 1 and there:
                    expected = -EEXIST
                else:
                    expected = -ENOENT if flags == 2 and not there else 0
                assert twins("put", index.to_bytes(4, "little"), new, flags, cpu, 1) == expected
                if not expected:
                    model[index] = new
                    if kind in (MapType.DEVMAP, MapType.CPUMAP) and not any(new[:4]):
                        del model[index]
            case ("lookup" | "find") as how, int(index), int(cpu):
                offset = twins(how, index.to_bytes(4, "little"), cpu)
                assert (offset != -1) == (index in model)
                if index in model:
                    assert twins.value(offset) == model[index]
            case _, int(index):
                expected = 0
                if index >= ENTRIES:
                    expected = -beyond
                elif index not in model:
                    expected = -missing
                model.pop(index, None)
                assert twins("drop", index.to_bytes(4, "little"), 1) == expected
        assert twins.walk() == sorted(model)
    assert dict(twins.native) == dict(twins.python) == model


def test_things_that_only_python_puts_in() -> None:
    for kind in (MapType.CGROUP_ARRAY, MapType.STACK_TRACE):
        twins = Twins(definition(kind, 4, 8 if kind == MapType.STACK_TRACE else 4, ENTRIES))
        assert twins("update", bytes(4), bytes(8), 0, 0, 0) < 0
        assert twins("delete", bytes(4), 0) < 0
        assert twins.walk() == []


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP])
def test_a_device_of_number_zero_is_none(kind: MapType) -> None:
    twins = Twins(definition(kind, 4, 4, ENTRIES))
    for made in (twins.native, twins.python):
        made[2] = 7
        assert dict(made) == {2: (7).to_bytes(4, "little")}
        made[2] = 0
        assert dict(made) == {}
        assert made.update_element((1).to_bytes(4, "little"), bytes([3, 0, 0, 0])) == 0
        assert list(made) == [1]
        assert made.update_element((1).to_bytes(4, "little"), bytes(4)) == 0
        assert list(made) == []


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.CPUMAP])
@pytest.mark.parametrize("size", [4, 8])
def test_a_value_that_begins_with_zeros_empties_an_entry_of_devices(
    kind: MapType, size: int
) -> None:
    twins = Twins(definition(kind, value=size))
    key, none = bytes(4), b"\0\0\0\0\7\7\7\7"[:size]
    for operation in ("update", "put"):
        assert twins(operation, key, b"\1" * size, 0, 0, 0) == 0
        assert twins("walk", bytearray(16), 4) == 1
        for _ in range(2):
            assert twins(operation, key, none, 0, 0, 0) == 0
            assert twins("walk", bytearray(16), 4) == 0
    assert twins("update", key, none, 1, 0, 0) == -EEXIST
    assert twins("update", b"\4\0\0\0", none, 0, 0, 0) == -E2BIG
