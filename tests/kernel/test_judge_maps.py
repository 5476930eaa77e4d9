"""Random operations of programs on maps of every type: the kernel says what must come of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

import pytest

from drybpf.kernel import cpus
from drybpf.objects import Object
from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel

LOOKUP, UPDATE, DELETE, PUSH, POP, PEEK, ADD, WALK, OF_CPU = range(9)
KEYED = (LOOKUP, UPDATE, UPDATE, DELETE, ADD, WALK)
MAPS = (
    *("hash", "lazy_hash", "array", "percpu_hash", "percpu_array", "lru_hash", "lru_percpu_hash"),
    *("trie", "outer_array", "outer_hash", "queue", "stack", "bloom"),
)
NOTHING = 0xDEADBEEF
FLAGS = (0, 0, 0, 1, 2, 3, 4, 8)  # any, no such key, such a key, both, locked, unknown
BITS = (0, 1, 7, 8, 9, 16, 24, 31, 32, 33, 255)


@dataclass(frozen=True)
class Request:
    """What the program is to do; see judge_maps.c."""

    operation: int
    map: str
    flags: int = 0
    prefix: int = 0
    key: int = 0
    cpu: int = 0
    value: int = 0

    @property
    def packet(self) -> bytes:
        return bytes(14) + struct.pack(
            "<4B2I3Q",
            self.operation,
            MAPS.index(self.map),
            self.flags,
            self.prefix,
            self.key,
            self.cpu,
            self.value,
            0,
            0,
        )


def _answer(packet: bytes) -> tuple[int, int]:
    result, spare = struct.unpack("<2q", packet[-16:])
    return result, spare


def _ask(judge: Judge, request: Request, cpu: int = 0) -> tuple[int, int]:
    return _answer(judge.run(request.packet, cpu=cpu).packet)


def _random(random: Random, name: str) -> Request:
    operations: tuple[int, ...] = KEYED
    if name in ("queue", "stack"):
        operations = (PUSH, PUSH, POP, PEEK)
    elif name == "bloom":
        operations = (PUSH, PEEK)
    elif name.startswith("percpu") or name == "lru_percpu_hash":
        operations = (*KEYED, OF_CPU)
    elif name in ("trie", "outer_array", "outer_hash"):
        operations = (LOOKUP, UPDATE, UPDATE, DELETE)
    operation = random.choice(operations)
    key = random.choice((*range(11), 1 << 31, 0xFFFF_FFFF))
    if name == "trie":
        key = random.choice((0, 1, 0x80, 0x0102, 0x0103_0A0A, 0xFFFF_FFFF, random.getrandbits(32)))
    if operation == WALK:  # the order in a hash map is the kernel's own: a sum, not a prefix
        value = random.choice((0, 1, 3)) if "array" in name else 0
    else:
        value = random.getrandbits(random.choice((3, 64)))
    flags = random.choice(FLAGS) if operation != WALK else random.choice((0, 0, 1))
    cpu = random.choice((0, 1, 2, 3, 7, 1 << 31))
    return Request(operation, name, flags, random.choice(BITS), key, cpu, value)


@pytest.mark.parametrize("name", MAPS)
def test_random_operations(name: str) -> None:
    random = Random(name)  # noqa: S311 (repeatable)
    judge = Judge("judge_maps", "judge_maps")
    seen = set()
    for number in range(250):
        request = _random(random, name)
        cpu = random.randrange(cpus.possible())
        result, _ = _ask(judge, request, cpu)
        seen.add((request.operation, result if result < 0 else "done"))
        if number % 60 == 59:  # and Python changes something in between
            judge.change(partial(_change, name=name, key=random.choice((1, 2, 3))))
    assert len(seen) > 3, "the operations hardly differ"


def _change(found: Object, name: str, key: int) -> None:
    table: Any = found.maps[name]
    if name in ("queue", "stack"):
        table.restore([5, 6, 7][:key])
    elif "array" in name and "outer" not in name:
        table[key] = [key] * table.cpus if "percpu" in name else key
    elif "hash" in name and "outer" not in name:
        table.restore({key: [key] * table.cpus if "percpu" in name else key})
    elif name == "outer_array":
        table[key] = found.maps["first"]
    elif name == "outer_hash":
        table[key] = found.maps["third"]


@pytest.mark.parametrize("seed", range(3))
def test_random_operations_on_all_maps_at_once(seed: int) -> None:
    random = Random(seed)  # noqa: S311 (repeatable)
    judge = Judge("judge_maps", "judge_maps")
    for _ in range(300):
        _ask(judge, _random(random, random.choice(MAPS)), random.randrange(cpus.possible()))


def test_a_full_map_and_what_is_deleted() -> None:
    judge = Judge("judge_maps", "judge_maps")
    for name in ("hash", "lazy_hash", "trie"):
        told = [
            _ask(judge, Request(UPDATE, name, prefix=32, key=key, value=key))[0]
            for key in range(10)
        ]
        assert told[:8] == [0] * 8
        assert all(result < 0 for result in told[8:])
        assert _ask(judge, Request(DELETE, name, prefix=32, key=4))[0] == 0
        assert _ask(judge, Request(UPDATE, name, prefix=32, key=100))[0] == 0
        assert _ask(judge, Request(LOOKUP, name, prefix=32, key=4))[0] == NOTHING


def test_odd_sizes() -> None:
    random = Random(5)  # noqa: S311 (repeatable)
    judge = Judge("judge_maps", "judge_odd_sizes")
    for _ in range(100):
        request = Request(
            0,
            "hash",
            random.choice(FLAGS),
            random.randrange(256),
            random.randrange(5),
            0,
            random.randrange(6),
        )
        judge.run(request.packet)
