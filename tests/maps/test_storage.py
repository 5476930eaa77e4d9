"""Sizes are checked before memory is taken, and memory costs nothing until it is used."""

from __future__ import annotations

import sys
from errno import ENOMEM
from pathlib import Path
from typing import Any

import pytest

from drybpf.errors import MapError
from drybpf.maps import Map, MapDefinition, MapType, layout, storage
from drybpf.maps.storage import Areas, Storage
from map_twins import definition

T = MapType
U32 = (1 << 32) - 1
REFUSED = [
    (T.HASH, 0, 8, 1),
    (T.HASH, 4, 0, 1),
    (T.HASH, 4, 8, 0),
    (T.HASH, 4, 8, U32),
    (T.HASH, 4, 8, 1 << 32),
    (T.HASH, 1 << 31, 8, 1),
    (T.HASH, 4, 1 << 31, 1),
    (T.HASH, -4, 8, 1),
    (T.LRU_HASH, 4, 8, -1),
    (T.PERCPU_HASH, 4, 4 << 20, 1),
    (T.ARRAY, 4, 8, 0),
    (T.ARRAY, 4, 0, 1),
    (T.ARRAY, 8, 8, 1),
    (T.ARRAY, 4, 8, U32),
    (T.ARRAY, 4, 1 << 31, 1),
    (T.ARRAY, 4, U32, U32),
    (T.PERCPU_ARRAY, 4, 8, U32),
    (T.LPM_TRIE, 4, 8, 1),
    (T.LPM_TRIE, 261, 8, 1),
    (T.LPM_TRIE, 8, 0, 1),
    (T.QUEUE, 4, 8, 1),
    (T.QUEUE, 0, 0, 1),
    (T.STACK, 0, 8, 0),
    (T.STACK, 0, 8, U32),
    (T.BLOOM_FILTER, 4, 8, 1),
    (T.BLOOM_FILTER, 0, 0, 1),
    (T.RINGBUF, 0, 0, 0),
    (T.RINGBUF, 0, 0, 4095),
    (T.RINGBUF, 0, 0, 3 * 4096),
    (T.RINGBUF, 4, 0, 4096),
    (T.PROG_ARRAY, 8, 4, 1),
    (T.ARRAY_OF_MAPS, 4, 4, 0),
    (T.DEVMAP, 4, 4, U32),
    (T.STRUCT_OPS, 4, 4, 1),
    (T.UNSPEC, 4, 4, 1),
]


@pytest.mark.parametrize("sizes", REFUSED, ids=str)
def test_sizes_that_are_refused(sizes: tuple[MapType, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Map.create(MapDefinition("m", *sizes))


def test_the_number_of_cpus_is_checked() -> None:
    for cpus in (0, -1, 1 << 20):
        with pytest.raises(ValueError, match="CPUs"):
            Map.create(MapDefinition("m", T.PERCPU_ARRAY, 4, 8, 1), cpus=cpus)


def test_memory_that_the_system_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> Any:
        raise OSError(ENOMEM, "none left")

    monkeypatch.setattr(storage, "_mapping", refuse)
    with pytest.raises(MapError, match="ENOMEM"):
        Map.create(MapDefinition("m", T.ARRAY, 4, 8, 1))
    with pytest.raises(ValueError, match="GiB"):
        Areas().add(1 << 40)


LARGE = [
    (T.HASH, 16, 64, 1_000_000),
    (T.LRU_HASH, 64, 64, 1_000_000),
    (T.PERCPU_HASH, 4, 512, 1_000_000),
    (T.ARRAY, 4, 262_144, 1024),
    (T.PERCPU_ARRAY, 4, 32_768, 512),
    (T.ARRAY, 4, 64, 1_000_000),
    (T.LPM_TRIE, 20, 64, 1_000_000),
    (T.QUEUE, 0, 256, 1_000_000),
    (T.RINGBUF, 0, 0, 1 << 28),
    (T.BLOOM_FILTER, 0, 8, 100_000_000),
    (T.PROG_ARRAY, 4, 4, 1_000_000),
    (T.PERF_EVENT_ARRAY, 4, 4, 0),
]


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_maps_cost_nothing_until_they_are_used() -> None:
    warm: Any = Map.create(MapDefinition("warm", T.HASH, 4, 4, 1))
    warm.attach_native()  # what LLVM takes when nothing is on disk yet is not the maps'
    before = resident()
    made: list[Any] = [Map.create(definition(*sizes)) for sizes in LARGE]
    assert sum(len(each.storage) for each in made) > 5 << 30
    assert resident() - before < 4 << 20
    for each in made:
        key = bytes(each.definition.key_size)
        assert each.lookup_element(key) == (
            0 if each.definition.type in (T.ARRAY, T.PERCPU_ARRAY) else -1
        )
    assert resident() - before < 6 << 20
    filled = made[0]
    for number in range(2000):
        filled[number] = number
    assert len(filled) == 2000
    assert resident() - before < 80 << 20, "pages of the values, of the keys, and of the index"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_clearing_gives_the_memory_back() -> None:
    made: Any = Map.create(MapDefinition("m", T.ARRAY, 4, 4096, 8192))
    before = resident()
    made.storage[layout.HEADER :] = bytes(len(made.storage) - layout.HEADER)
    assert resident() - before > 25 << 20
    made.clear()
    assert resident() - before < 4 << 20
    assert made._storage.word(layout.VALUE_SIZE) == 4096


def test_areas_do_not_overlap() -> None:
    for sizes in [*LARGE, (T.HASH, 3, 5, 1), (T.LPM_TRIE, 5, 1, 1), (T.LRU_HASH, 7, 9, 3)]:
        made = Map.create(definition(*sizes), cpus=2)
        starts = (layout.VALUES, layout.KEYS, layout.LINKS, layout.MARKS, layout.INDEX)
        offsets = sorted(made._words[each] for each in starts if each in made._words)
        assert offsets[0] >= layout.HEADER
        assert len(set(offsets)) == len(offsets)
        assert offsets[-1] < len(made.storage)
        assert not any(offset % 64 for offset in offsets)


def test_a_storage_is_zeros() -> None:
    made = Storage(10_000)
    assert len(made.view) == 12288
    assert not any(made.view)
    made.set_words({0: 7, 8: 1 << 63})
    assert [made.word(0), made.word(8), made.word(16)] == [7, 1 << 63, 0]
    made.view[9000] = 1
    made.clear({8: 9})
    assert [made.word(0), made.word(8), made.view[9000]] == [0, 9, 0]


@pytest.mark.parametrize("size", [layout.HEADER, layout.HEADER + 1, 10_000, 1 << 22])
def test_the_table_of_native_operations_outlives_clearing(size: int) -> None:
    made = Storage(size)
    made.set_words({layout.VTABLE: 77, layout.VTABLE - 8: 1})
    made.view[-1] = 1
    made.clear({0: 5})
    assert [made.word(0), made.word(layout.VTABLE - 8), made.word(layout.VTABLE)] == [5, 0, 77]
    assert size == layout.HEADER or made.view[-1] == 0
