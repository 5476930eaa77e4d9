"""Storage that threads or bugs have damaged: operations end, and stay within it.

In CPython an access outside of the storage raises, so these run there.  What a header says of the
layout is never written after the map was made; all else is overwritten here.
"""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any

import pytest

from drybpf.errors import MapError
from drybpf.maps import Map, MapDefinition, MapFlag, MapType, layout
from map_twins import interpret

T = MapType
KINDS = [
    MapDefinition("m", T.HASH, 8, 8, 6),
    MapDefinition("m", T.LRU_HASH, 4, 8, 6),
    MapDefinition("m", T.PERCPU_HASH, 4, 8, 6),
    MapDefinition("m", T.LPM_TRIE, 8, 8, 6, MapFlag.NO_PREALLOC),
    MapDefinition("m", T.LPM_TRIE, 20, 8, 6, MapFlag.NO_PREALLOC),
    MapDefinition("m", T.ARRAY, 4, 8, 6),
    MapDefinition("m", T.DEVMAP, 4, 8, 6),
    MapDefinition("m", T.QUEUE, 0, 8, 6),
    MapDefinition("m", T.STACK, 0, 8, 6),
    MapDefinition("m", T.BLOOM_FILTER, 0, 8, 6),
    MapDefinition("m", T.RINGBUF, 0, 0, 4096),
]
MOVING = (
    layout.COUNT,
    layout.FRESH,
    layout.FREE_HEAD,
    layout.FREE_TAIL,
    layout.HEAD,
    layout.TAIL,
    layout.PRODUCED,
    layout.CONSUMED,
    layout.LOST,
    layout.FRESH_NODE,
    *range(layout.FREE_BLOCKS, layout.FREE_BLOCKS + 8 * layout.FREE_CLASSES, 8),
)


def word(random: Random) -> int:
    """Small numbers, large ones, and pairs of small ones."""
    return random.choice(
        [
            0,
            random.randrange(32),
            random.randrange(32) << 32 | random.randrange(32),
            random.getrandbits(random.randrange(1, 65)),
            (1 << 64) - 1 - random.randrange(64),
        ]
    )


def use(made: Any, random: Random) -> None:
    """One operation of any kind."""
    d = made.definition
    key = bytearray(random.choice([bytes(d.key_size), random.randbytes(d.key_size)]))
    if d.type == T.LPM_TRIE:
        key[:4] = random.randrange(8 * d.key_size - 31).to_bytes(4, "little")
    elif d.key_size:
        key[:] = random.randrange(8).to_bytes(d.key_size, "little")
    value, cpu, epoch = random.randbytes(d.value_size), random.randrange(4), random.randrange(3)
    calls = made._operate
    random.choice(
        [
            lambda: calls["lookup"](bytes(key), cpu),
            lambda: calls["find"](bytes(key), cpu),
            lambda: calls["exact"](bytes(key), cpu),
            lambda: calls["update"](bytes(key), value, random.randrange(3), cpu, epoch),
            lambda: calls["delete"](bytes(key), epoch),
            lambda: calls["push"](value, random.choice([0, 2])),
            lambda: calls["pop"](bytearray(d.value_size)),
            lambda: calls["peek"](bytearray(value)),
            lambda: calls["reserve"](random.choice([8, 4000, 1 << 20]), 0),
            lambda: calls["submit"](random.randrange(600) * 8, 0),
            lambda: calls["output"](bytes(5000), random.choice([8, 100, 4500]), 0, cpu),
            lambda: calls["walk"](bytearray(4 * 8), 8),
            made.snapshot,
        ]
    )()


@pytest.mark.parametrize("what", KINDS, ids=lambda what: f"{what.type.name} {what.key_size}")
@pytest.mark.parametrize("seed", range(4))
def test_damaged_storage(what: MapDefinition, seed: int) -> None:
    random = Random(f"{what.type} {what.key_size} {seed}")
    made: Any = interpret(Map.create(what, cpus=3))
    for _ in range(60):
        with contextlib.suppress(MapError):
            made._clear()
        for _ in range(10):
            use(made, random)
        for _ in range(random.randrange(1, 12)):
            if random.random() < 0.5:
                made._storage.set_word(random.choice(MOVING), word(random))
            else:
                end = len(made.storage) if random.random() < 0.5 else layout.HEADER + 2048
                at = random.randrange(layout.HEADER, end - 8) & ~7
                made._storage.set_word(at, word(random))
        for _ in range(12):
            use(made, random)


def test_a_ring_that_was_read_further_than_written() -> None:
    made: Any = interpret(Map.create(MapDefinition("m", T.RINGBUF, 0, 0, 4096)))
    for ahead in (1 << 16, 1 << 29, 1 << 40):
        made._storage.set_words({layout.PRODUCED: 64, layout.CONSUMED: 64 + ahead})
        for size in (ahead, ahead + 8, ahead - 16):
            assert made.reserve(size) == -1
            assert made._operate["output"](b"", size, 0, 0) != 0
