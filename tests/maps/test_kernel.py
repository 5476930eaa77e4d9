"""The kernel as the judge: the same calls on its maps and on ours give the same numbers and values.

Where ours differ on purpose, a case is left out and says why.
"""

from __future__ import annotations

from errno import ENOENT
from random import Random
from typing import Any

import pytest

import kernel_maps
from drybpf import kernel
from drybpf.errors import KernelError
from drybpf.kernel.btf import Special
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from kernel_maps import KernelMap

T = MapType
NO_PREALLOC = MapFlag.NO_PREALLOC

pytestmark = pytest.mark.skipif(not kernel_maps.permitted(), reason="bpf(2) is not permitted")


def ours(what: MapDefinition, native: bool = True) -> Any:
    made = Map.create(what)
    assert not native or made.attach_native()
    return made


KEYED = [
    MapDefinition("m", T.HASH, 4, 8, 4),
    MapDefinition("m", T.HASH, 13, 3, 6),
    MapDefinition("m", T.HASH, 4, 8, 4, NO_PREALLOC),
    MapDefinition("m", T.ARRAY, 4, 8, 4),
    MapDefinition("m", T.ARRAY, 4, 5, 4),
    MapDefinition("m", T.LPM_TRIE, 8, 8, 4, NO_PREALLOC),
    MapDefinition("m", T.LPM_TRIE, 5, 1, 6, NO_PREALLOC),
    MapDefinition("m", T.LPM_TRIE, 20, 3, 9, NO_PREALLOC),
    MapDefinition("m", T.LPM_TRIE, 15, 3, 9, NO_PREALLOC),
    MapDefinition("m", T.LRU_HASH, 4, 8, 1000),  # too few keys below for it to forget any
]


def keys_of(what: MapDefinition, random: Random) -> list[bytes]:
    size = what.key_size
    if what.type == T.ARRAY:
        return [n.to_bytes(4, "little") for n in (0, 1, 2, 3, 4, 5, (1 << 32) - 1)]
    if what.type != T.LPM_TRIE:
        return [bytes([n]) * size for n in range(what.max_entries % 100 + 3)]
    bits, some = 8 * (size - 4), []
    for _ in range(40):
        data = random.choice([bytes(size - 4), b"\xff" * (size - 4), random.randbytes(size - 4)])
        data = bytes([random.choice([0, 255, 240])]) + data[1:]
        length = random.choice([0, 1, 4, 7, 8, bits - 1, bits, bits + 1, random.randint(0, bits)])
        some.append(length.to_bytes(4, "little") + data)
    return some


@pytest.mark.parametrize("what", KEYED, ids=lambda what: f"{what.type.name} {what.key_size}")
@pytest.mark.parametrize("seed", range(3))
def test_random_operations(what: MapDefinition, seed: int) -> None:
    random = Random(seed)
    made, keys = ours(what), keys_of(what, random)
    with KernelMap(what) as kernel:
        for _ in range(400):
            key, value = random.choice(keys), random.randbytes(what.value_size)
            match random.randrange(4):
                case 0:
                    # The syscall refuses BPF_F_LOCK (4) without a lock before an array sees it.
                    lock = [] if what.type == T.ARRAY else [4, 5]
                    flags = random.choice([0, 0, 0, 0, 1, 2, 3, 8, *lock])
                    expected = kernel.update(key, value, flags)
                    assert made.update_element(key, value, flags) == expected, (key, flags)
                case 1:
                    assert made.delete_element(key) == kernel.delete(key), key
                case _:
                    result, data = kernel.lookup(key)
                    offset = made.lookup_element(key)
                    assert (offset < 0) == (result == -ENOENT), key
                    if not result:
                        found = made.store.buffer[offset : offset + what.value_size]
                        assert bytes(found) == data


def processors() -> int:
    """How many values the kernel's per-CPU maps have."""
    with open("/sys/devices/system/cpu/possible", encoding="ascii") as file:  # noqa: PTH123
        return int(file.read().split(",")[-1].split("-")[-1]) + 1


@pytest.mark.parametrize("kind", [T.PERCPU_ARRAY, T.PERCPU_HASH])
def test_per_cpu_values_from_python(kind: MapType) -> None:
    cpus = processors()
    what = MapDefinition("m", kind, 4, 8, 3)
    made: Any = Map.create(what, cpus=cpus)
    with KernelMap(what, cpus=cpus) as kernel:
        for number in (0, 1, 2):
            values = [n * 100 + number for n in range(cpus)]
            key = number.to_bytes(4, "little")
            raw = b"".join(n.to_bytes(8, "little") for n in values)
            assert kernel.update(key, raw) == 0
            made[number] = values
            result, data = kernel.lookup(key)
            assert (result, data[: 8 * cpus]) == (0, b"".join(made[number]))


@pytest.mark.parametrize("kind", [T.QUEUE, T.STACK])
def test_queues_and_stacks(kind: MapType) -> None:
    what, random = MapDefinition("m", kind, 0, 6, 3), Random(1)
    made = ours(what)
    with KernelMap(what) as kernel:
        for _ in range(300):
            value, flags = random.randbytes(6), random.choice([0, 0, 0, 1, 2, 3, 8])
            match random.randrange(4):
                case 0 | 1:
                    assert made.push_element(value, flags) == kernel.update(None, value, flags)
                case 2:
                    assert made.peek_element()[0] == kernel.lookup(None)[0]
                case _:
                    ended, taken = kernel.lookup(None, take=True)
                    result, data = made.pop_element()
                    assert result == ended
                    assert ended or data == taken
    made.clear()
    assert made.pop_element() == (-ENOENT, bytes(6))


def test_bloom_filters() -> None:
    what = MapDefinition("m", T.BLOOM_FILTER, 0, 4, 100, extra=3)
    made = ours(what)
    with KernelMap(what) as kernel:
        for n in range(50):
            value, flags = n.to_bytes(4, "little"), n % 4
            assert made.push_element(value, flags) == kernel.update(None, value, flags)
        for n in range(0, 50, 4):
            value = n.to_bytes(4, "little")
            assert made.peek_element(value)[0] == kernel.lookup(None, value)[0] == 0


@pytest.mark.parametrize("kind", [T.DEVMAP, T.CPUMAP])
def test_devices_and_cpus(kind: MapType) -> None:
    what = MapDefinition("m", kind, 4, 4, 4)
    made = ours(what)
    thing = 1 if kind == T.DEVMAP else 64  # the loopback device, or a queue of 64 frames
    with KernelMap(what) as kernel:
        cpu = 0 if kind == T.CPUMAP else 1
        steps = [("update", cpu, thing, flags) for flags in (1, 2, 3, 0, 1)]
        steps += [("update", 9, thing, 0), ("delete", 9, 0, 0), ("delete", cpu, 0, 0)]
        steps += [("delete", cpu, 0, 0), ("update", cpu, thing, 2), ("update", cpu, 0, 0)]
        for what_, index, value, flags in steps:
            key, data = index.to_bytes(4, "little"), value.to_bytes(4, "little")
            if what_ == "update":
                result = kernel.update(key, data, flags)
                assert made.update_element(key, data, flags) == result, (index, value, flags)
            else:
                assert made.delete_element(key) == kernel.delete(key), index
            there = kernel.lookup(key)[0] == 0
            assert (made.lookup_element(key) >= 0) == there


class Locked:
    """A value of 16 bytes that begins with a `struct bpf_spin_lock`, as BTF would tell of it."""

    name, size = "bpf_spin_lock", 16

    def unpack(self, data: bytes) -> bytes:
        return bytes(data)

    def pack(self, value: Any) -> bytes:
        return bytes(value)


@pytest.mark.parametrize("kind", [T.HASH, T.ARRAY])
@pytest.mark.parametrize("seed", range(3))
def test_values_with_locks(kind: MapType, seed: int) -> None:
    random = Random(seed)
    what = MapDefinition("m", kind, 4, 16, 4, value=Locked())
    made = ours(what)
    with kernel.KernelMap(what, special=[Special(0, "bpf_spin_lock")]) as theirs:
        for _ in range(300):
            key, value = random.randrange(6).to_bytes(4, "little"), random.randbytes(16)
            if random.random() < 0.2:
                expected = 0
                try:
                    expected = 0 if theirs.delete(key) else -ENOENT
                except KernelError as error:
                    expected = -(error.errno or 0)
                assert made.delete_element(key) == expected
            else:
                flags, expected = random.choice([0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 12]), 0
                try:
                    theirs.update(key, value, flags)
                except KernelError as error:
                    expected = -(error.errno or 0)
                assert made.update_element(key, value, flags) == expected, (key, flags)
            found, offset = theirs.lookup(key), made.lookup_element(key)
            assert (offset < 0) == (found is None)
            if found is not None:  # where the lock is, too: nobody holds it, whatever was given
                assert bytes(made.store.buffer[offset : offset + 16]) == found
