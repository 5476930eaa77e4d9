"""The kernel as the judge of what maps there are: sizes, counts and flags of every type."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations, product

import pytest

import kernel_maps
from drybpf.errors import KernelError, MapError
from drybpf.kernel import btf, syscall
from drybpf.kernel.syscall import Command, MapCreate
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from drybpf.maps.limits import NEEDED
from drybpf.maps.operations import BY_TYPE
from map_twins import smallest

T = MapType
RINGS = T.RINGBUF, T.USER_RINGBUF
OF_MAPS = T.ARRAY_OF_MAPS, T.HASH_OF_MAPS
TYPED = T.SK_STORAGE, T.INODE_STORAGE, T.TASK_STORAGE, T.CGRP_STORAGE  # need BTF
MOST_CPUS = 64  # that a CPUMAP has on any machine; more hang on how its kernel was made

pytestmark = pytest.mark.skipif(not kernel_maps.permitted(), reason="bpf(2) is not permitted")


def theirs(what: MapDefinition) -> bool:
    """Whether the kernel makes it."""
    if what.type in TYPED:
        return typed(what)
    held = MapDefinition("held", T.ARRAY, 4, 4, 1)
    inner = kernel_maps.create(held) if what.type in OF_MAPS else 0
    made = kernel_maps.create(what, inner)
    for each in (inner, made):
        if each > 0:
            os.close(each)
    return made >= 0


def typed(what: MapDefinition) -> bool:
    types = btf.value_types(what.key_size, what.value_size, ())
    attributes = MapCreate(
        map_type=what.type,
        key_size=what.key_size,
        value_size=what.value_size,
        max_entries=what.max_entries,
        map_flags=what.flags,
        btf_fd=types.btf.fd,
        btf_key_type_id=types.key,
        btf_value_type_id=types.value,
        map_extra=what.extra,
    )
    try:
        os.close(syscall.bpf(Command.MAP_CREATE, attributes))
    except KernelError:
        return False
    finally:
        types.btf.close()
    return True


def ours(what: MapDefinition) -> bool:
    try:
        Map.create(what)
    except (ValueError, MapError):
        return False
    return True


def sizes(kind: MapType) -> Iterator[MapDefinition]:
    keys = (0, 1, 4, 5, 8, 16, 260, 261, 512, 513)
    values = (0, 1, 3, 4, 5, 8, 12, 16, 1016, 1024, 32768, 32769, 65407, 65408)
    for key, value in product(keys, values):
        yield from (
            MapDefinition("m", kind, key, value, entries, NEEDED.get(kind, 0))
            for entries in (0, 1, 3, 64, 4096, 12288)
        )


def filled_in(what: MapDefinition) -> bool:
    """Whether a loader has to change it for the kernel, so that ours may take it."""
    if what.type == T.PERF_EVENT_ARRAY:
        return not (what.key_size and what.max_entries) or what.value_size != 4
    if what.type == T.PERCPU_CGROUP_STORAGE and what.value_size == 32768:
        return True  # 65536 of them on each CPU are more memory than ours takes
    return (what.type in RINGS and what.value_size > 0) or (
        what.type == T.CPUMAP and what.max_entries > MOST_CPUS
    )


@pytest.mark.parametrize("kind", BY_TYPE)
def test_the_same_sizes_are_refused(kind: MapType) -> None:
    taken = 0
    for what in sizes(kind):
        if filled_in(what):
            continue
        expected = theirs(what)
        assert ours(what) == expected, what
        taken += expected
    assert taken


LARGE = (
    (T.HASH, 4, (4 << 20) - 53),
    (T.HASH, 8, (4 << 20) - 57),
    (T.LRU_HASH, 100, (4 << 20) - 149),
    (T.LPM_TRIE, 8, (4 << 20) - 280),
    (T.QUEUE, 0, 4 << 20),
    (T.BLOOM_FILTER, 0, 4 << 20),
)


@pytest.mark.parametrize("what", LARGE, ids=str)
def test_the_largest_values(what: tuple[MapType, int, int]) -> None:
    kind, key, most = what
    for value in (most, most + 1):
        definition = MapDefinition("m", kind, key, value, 1, NEEDED.get(kind, 0))
        assert ours(definition) == theirs(definition) == (value == most)


@pytest.mark.parametrize("kind", BY_TYPE)
def test_the_same_flags_are_refused(kind: MapType) -> None:
    plain = smallest(kind)
    if kind == T.CPUMAP:
        plain = MapDefinition("m", kind, 4, 4, 2)
    bits = [1 << bit for bit in range(32)]
    allowed = [bit for bit in bits if ours(with_flags(plain, bit))]
    for flags in (
        *bits,
        *(one | other for one, other in combinations(allowed, 2)),
        0,
        sum(allowed),
    ):
        what = with_flags(plain, flags)
        assert ours(what) == theirs(what), MapFlag(flags)


def with_flags(what: MapDefinition, flags: int) -> MapDefinition:
    sizes_ = what.key_size, what.value_size, what.max_entries
    return MapDefinition("m", what.type, *sizes_, flags | what.flags)


@pytest.mark.parametrize("kind", [*NEEDED])
def test_a_flag_that_must_be_there(kind: MapType) -> None:
    what = smallest(kind)
    bare = MapDefinition("m", kind, what.key_size, what.value_size, what.max_entries)
    assert not ours(bare)
    assert not theirs(bare)


@pytest.mark.parametrize("kind", BY_TYPE)
def test_what_is_extra(kind: MapType) -> None:
    plain = smallest(kind)
    sizes_ = plain.key_size, plain.value_size, 2 if kind == T.CPUMAP else plain.max_entries
    for extra in (0, 1, 15, 16, 1 << 32):
        what = MapDefinition("m", kind, *sizes_, plain.flags, extra=extra)
        assert ours(what) == theirs(what), extra


def test_stacks_by_build_id() -> None:
    for value in (8, 32, 40, 64, 127 * 32, 128 * 32):
        what = MapDefinition("m", T.STACK_TRACE, 4, value, 4, MapFlag.STACK_BUILD_ID)
        assert ours(what) == theirs(what), value
