"""Maps as Python users have them: mappings and sequences with codecs, kept, copied and pickled."""

from __future__ import annotations

import pickle
import weakref
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from operator import index
from typing import Any

import pytest

from drybpf.errors import BpfError, MapError
from drybpf.maps import Map, MapDefinition, MapFlag, MapType, create
from drybpf.maps.limits import NEEDED, STORAGES
from drybpf.space import Space
from map_twins import interpret


@dataclass(frozen=True)
class Number:
    """A codec of unsigned numbers."""

    size: int

    def unpack(self, data: bytes) -> int:
        return int.from_bytes(data, "little")

    def pack(self, value: Any) -> bytes:
        if not 0 <= index(value) < 1 << 8 * self.size:
            raise ValueError(f"{value} has more than {self.size} bytes")
        return index(value).to_bytes(self.size, "little")


@dataclass(frozen=True)
class Pair:
    """A codec of two numbers, shown as a list."""

    size: int = 8

    def unpack(self, data: bytes) -> list[int]:
        return [int.from_bytes(data[at : at + 4], "little") for at in (0, 4)]

    def pack(self, value: Any) -> bytes:
        first, second = value
        return b"".join(index(each).to_bytes(4, "little") for each in (first, second))


U32, U64 = Number(4), Number(8)


@pytest.fixture(params=["cpython", "native"])
def make(request: pytest.FixtureRequest) -> Any:
    def made(kind: MapType, entries: int = 8, **more: Any) -> Any:
        key, value = more.pop("key", U32), more.pop("value", U64)
        sizes = key.size if key else 0, value.size
        more["flags"] = more.get("flags", 0) | NEEDED.get(kind, 0)
        if kind in STORAGES:
            entries = 0
        what = MapDefinition("m", kind, *sizes, entries, key=key, value=value, **more)
        new = Map.create(what, cpus=3)
        if request.param == "native":
            assert new.attach_native()
            return new
        return interpret(new)

    return made


def test_a_hash_is_a_mapping(make: Any) -> None:
    flows = make(MapType.HASH, 3)
    flows[1] = 10
    flows.update({2: 20, 3: 30})
    flows[1] += 5
    assert dict(flows) == {1: 15, 2: 20, 3: 30} == flows
    assert (flows.get(9), flows.get(9, 7), flows.pop(2), flows.setdefault(1, 0)) == (
        None,
        7,
        20,
        15,
    )
    assert list(flows) == list(flows.keys()) == [1, 3]
    assert list(flows.values()) == [15, 30]
    assert (2 in flows, 3 in flows, "x" in flows, -1 in flows) == (False, True, False, False)
    flows[4] = 40
    with pytest.raises(MapError, match="E2BIG: m is full") as raised:
        flows[5] = 50
    assert raised.value.errno == 7
    assert isinstance(raised.value, BpfError)
    for wrong in (9, 1 << 31):
        with pytest.raises(KeyError):
            flows[wrong]
        with pytest.raises(KeyError):
            del flows[wrong]
    for key, value in (("a", 1), (1, "a"), (None, 1)):
        with pytest.raises(TypeError):
            flows[key] = value
    for key, value in ((1 << 32, 1), (1, 1 << 64), (-1, 0)):
        with pytest.raises(ValueError, match="more than"):
            flows[key] = value
    assert repr(flows) == "<HashMap m: 3 of 3 entries>"
    flows.clear()
    assert (len(flows), dict(flows)) == (0, {})


def test_lru_keeps_what_was_used(make: Any) -> None:
    recent = make(MapType.LRU_HASH, 3)
    for key in range(3):
        recent[key] = key
    recent.lookup_element(bytes(4))  # as a program
    assert recent[1] == 1  # looking from Python is no use
    recent[3] = 3
    assert list(recent) == [2, 0, 3]


@pytest.mark.parametrize("kind", [MapType.PERCPU_HASH, MapType.LRU_PERCPU_HASH])
def test_values_of_each_cpu(make: Any, kind: MapType) -> None:
    counters = make(kind)
    counters[1] = [1, 2, 3]
    counters[2] = 5
    assert dict(counters) == {1: [1, 2, 3], 2: [5, 5, 5]}
    assert sum(counters[1]) == 6
    assert counters.update_element(U32.pack(2), U64.pack(9), 0, 1, 0) == 0
    assert counters.update_element(U32.pack(3), U64.pack(9), 0, 2, 0) == 0
    assert dict(counters) == {1: [1, 2, 3], 2: [5, 9, 5], 3: [0, 0, 9]}
    with pytest.raises(ValueError, match="2 values for 3 CPUs"):
        counters[1] = [1, 2]
    pairs = make(MapType.PERCPU_ARRAY, 2, value=Pair())
    pairs[0] = [1, 2]
    pairs[1] = [[1, 2], [3, 4], [5, 6]]
    assert list(pairs) == [[[1, 2]] * 3, [[1, 2], [3, 4], [5, 6]]]


def test_an_array_is_a_sequence_of_fixed_length(make: Any) -> None:
    counts = make(MapType.ARRAY, 5)
    counts[1] = 7
    counts[-1] = 9
    counts[2:4] = [3, 4]
    assert list(counts) == [0, 7, 3, 4, 9] == counts
    assert counts == (0, 7, 3, 4, 9)
    assert (counts == [0, 7], counts != [0, 7, 3, 4, 9], counts == 5) == (False, False, False)
    assert (counts[1:3], counts[::-2], len(counts)) == ([7, 3], [9, 3, 0], 5)
    assert (9 in counts, 8 in counts, counts.index(3)) == (True, False, 2)
    assert list(reversed(counts)) == [9, 4, 3, 7, 0]
    counts[1] += 1
    for wrong in (5, -6, 1 << 40):
        with pytest.raises(IndexError):
            counts[wrong]
        with pytest.raises(IndexError):
            counts[wrong] = 1
    with pytest.raises(TypeError):
        counts["1"]
    with pytest.raises(ValueError, match="3 values for 2"):
        counts[0:2] = [1, 2, 3]
    with pytest.raises(TypeError):
        counts[0:2] = [1, "x"]
    assert counts[0] == 0, "nothing was set"
    with pytest.raises(MapError, match="EINVAL"):
        del counts[1]
    with pytest.raises(ValueError, match="is not in"):
        counts.index(77)
    assert repr(counts) == "<ArrayMap m: 5 values of 8 bytes>"


def test_prefixes_are_addresses_and_networks(make: Any) -> None:
    blocked = make(MapType.LPM_TRIE, key=Number(8))
    blocked["10.0.0.0/8"] = 1
    blocked[ip_network("10.1.0.0/16")] = 2
    blocked["10.1.2.3"] = 3
    blocked[24 | 0x0001A8C0 << 32] = 4
    assert [blocked[key] for key in ("10.9.9.9", "10.1.9.9", "10.1.2.3", "192.168.1.77")] == [
        1,
        2,
        3,
        4,
    ]
    assert "11.0.0.1" not in blocked
    assert ip_address("10.1.1.1") in blocked
    assert [str(prefix) for prefix in blocked.prefixes()] == [
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.3/32",
        "192.168.1.0/24",
    ]
    del blocked["10.1.0.0/16"]
    assert blocked["10.1.9.9"] == 1
    with pytest.raises(KeyError):
        del blocked["10.1.0.0/16"]
    for wrong in ("::/0", "10.0.0.0/33", "nonsense"):
        with pytest.raises(ValueError):  # noqa: PT011 (its own or ipaddress's)
            blocked[wrong] = 1
    copied = blocked.copy()
    copied["0.0.0.0/0"] = 9
    assert (copied["11.0.0.1"], len(blocked), len(copied)) == (9, 3, 4)
    six = make(MapType.LPM_TRIE, key=Number(20))
    six["2001:db8::/32"] = 1
    six["2001:db8::1"] = 2
    assert [six["2001:db8::2"], six[ip_address("2001:db8::1")]] == [1, 2]


CONTENTS: list[tuple[MapType, Any, Any]] = [
    (MapType.HASH, {1: 2, 3: 4}, {5: 6}),
    (MapType.LRU_HASH, {1: 2, 3: 4}, {5: 6}),
    (MapType.PERCPU_HASH, {1: [2, 3, 4]}, {5: [6, 6, 6]}),
    (MapType.ARRAY, [1, 2, 3, 4, 5, 6, 7, 8], [0, 0, 0, 0, 0, 0, 0, 9]),
    (MapType.PERCPU_ARRAY, [[n, n + 1, n + 2] for n in range(8)], [[0, 0, 1]] * 8),
    (MapType.DEVMAP, {1: 2, 7: 3}, {0: 1}),
    (MapType.DEVMAP_HASH, {1: 2, 70: 3}, {0: 1}),
    (MapType.SOCKMAP, {1: 2, 7: 3}, {0: 1}),
    (MapType.QUEUE, [1, 2, 3], [9]),
    (MapType.STACK, [1, 2, 3], [9]),
    (MapType.SK_STORAGE, {1: 2, 3: 4}, {5: 6}),
]


@pytest.mark.parametrize(("kind", "first", "second"), CONTENTS, ids=lambda each: str(each)[:20])
def test_contents_are_kept_restored_copied_and_pickled(
    make: Any, kind: MapType, first: Any, second: Any
) -> None:
    made = make(kind, key=None if kind in (MapType.QUEUE, MapType.STACK) else U32)
    empty = made.snapshot()
    made.restore(first)
    assert made.snapshot() == first
    made.keep()
    for twin in (made.copy(), pickle.loads(pickle.dumps(made))):  # noqa: S301 (our own)
        assert type(twin) is type(made)
        assert twin.snapshot() == first
        twin.restore(second)
        assert (twin.snapshot(), made.snapshot()) == (second, first)
        twin.reset()
        assert twin.snapshot() == first
    made.restore(second)
    assert made.snapshot() == second
    made.reset()
    assert made.snapshot() == first
    made.clear()
    assert made.snapshot() == empty
    fresh = make(kind, key=made.definition.key)
    fresh.restore(second)
    fresh.reset()
    assert fresh.snapshot() == empty


def test_a_space_is_pickled_with_its_maps_but_not_with_their_memory(make: Any) -> None:
    space, big = Space(), make(MapType.ARRAY, 1_000_000)
    counts = make(MapType.HASH)
    data = space.add(".data", bytearray(b"data"))
    for each in (big, counts):
        space.add_map(each)
    big[77], counts[1] = 5, 6
    for shipped in (pickle.dumps(space), pickle.dumps(counts)):
        assert len(shipped) < 20_000
        loaded = pickle.loads(shipped)  # noqa: S301 (our own)
        twin: Any = loaded if isinstance(loaded, Space) else loaded.space
        assert [region.start for region in twin.stores] == [r.start for r in space.stores]
        assert bytes(twin.stores[0].data) == bytes(data.data) == b"data"
        twin_big, twin_counts = twin.maps.values()
        assert (twin_big[77], dict(twin_counts)) == (5, {1: 6})
        twin_big.region.data[16] = 3  # the values lie apart
        assert (twin_big[1], big[1]) == (3, 0)
        assert twin_big.region.start == big.region.start
        assert twin.add("next", b"x").start == space._next


def test_maps_that_user_space_must_not_write(make: Any) -> None:
    for kind in (MapType.HASH, MapType.ARRAY, MapType.DEVMAP):
        made = make(kind, flags=MapFlag.RDONLY)
        with pytest.raises(MapError, match="EPERM"):
            made[1] = 1
        with pytest.raises(MapError, match="EPERM"):
            made.clear()
    with pytest.raises(MapError, match="EPERM"):
        make(MapType.QUEUE, key=None, flags=MapFlag.RDONLY).push(1)
    assert make(MapType.ARRAY).store.writable
    assert not make(MapType.ARRAY, flags=MapFlag.RDONLY_PROG).store.writable


def test_elements_have_the_sizes_of_the_definition(make: Any) -> None:
    made = make(MapType.HASH)
    for key in (b"", bytes(3), bytes(5)):
        for call in (made.lookup_element, made.delete_element):
            with pytest.raises(ValueError, match="4 bytes"):
                call(key)
    for value in (b"", bytes(7), bytes(9)):
        with pytest.raises(ValueError, match="8 bytes"):
            made.update_element(bytes(4), value)
    for wrong in (4, "abcd", None, memoryview(bytes(4))):
        with pytest.raises(TypeError):
            made.lookup_element(wrong)


def test_what_a_space_shows() -> None:
    space = Space()
    small = Map.create(MapDefinition("a", MapType.ARRAY, 4, 5, 3))
    space.add_map(small)
    assert small.region is not None
    assert (small.region.length, small.region.room, small.region.mask) == (24, 5, 7)
    hidden = Map.create(MapDefinition("q", MapType.QUEUE, 0, 4, 3))
    space.add_map(hidden)
    assert hidden.region is None
    with pytest.raises(ValueError, match="another space"):
        Space().add_map(small)


def test_maps_are_made_by_name() -> None:
    made = create("hash", key=4, value=U64, entries=10, name="flows")
    made[1] = 2
    assert (repr(made), dict(made)) == (
        "<HashMap flows: 1 of 10 entries>",
        {bytes([1, 0, 0, 0]): 2},
    )
    assert create(MapType.ARRAY, value=U32, entries=3)[:] == [0, 0, 0]
    blocked = create("lpm_trie", key=8, value=U32, entries=3)
    assert blocked.definition.flags == MapFlag.NO_PREALLOC
    assert create("percpu_array", value=U32, entries=1, cpus=2)[0] == [0, 0]
    assert create("ringbuf", entries=4096).name == "ringbuf"
    for kind in ("prog_array", "devmap", "array_of_maps", "perf_event_array", "sockmap"):
        assert dict(create(kind, entries=3).snapshot()) == {}
    with pytest.raises(ValueError, match="no type of map"):
        create("hashmap", key=4, value=8, entries=1)
    with pytest.raises(ValueError, match="max_entries is 0"):
        create("hash", key=4, value=8)


@pytest.mark.parametrize("kind", ["hash", "percpu_array", "lpm_trie", "queue", "ringbuf"])
@pytest.mark.parametrize("wrong", [1e3, "8", None, 8.0])
@pytest.mark.parametrize("name", ["key", "value", "entries", "flags", "cpus"])
def test_sizes_are_whole_numbers(kind: str, wrong: Any, name: str) -> None:
    sizes: dict[str, Any] = {"key": 8, "value": 8, "entries": 4096, name: wrong}
    with pytest.raises(TypeError, match=r"a whole number|a size or a codec|operand"):
        create(kind, **sizes)


def test_a_map_that_nobody_has_goes_at_once() -> None:
    gone: list[bool] = []
    for native in (False, True):
        made = create("hash", key=4, value=8, entries=10)
        made[1] = 2
        assert not native or made.attach_native()
        weakref.finalize(made, gone.append, native)
        del made
    assert gone == [False, True]


def test_showing_a_map_takes_nothing_out() -> None:
    events = create("ringbuf", entries=4096)
    queue = create("queue", value=4, entries=3)
    for each in (events, queue):
        each.push(b"seen")
        before = each.snapshot()
        assert "seen" in each._repr_html_()
        assert each.snapshot() == before
    for kind in ("bloom_filter", "hash", "array", "devmap", "lpm_trie"):
        key = {"hash": 4, "lpm_trie": 8}.get(kind, 0)
        assert kind in create(kind, key=key, value=4, entries=3)._repr_html_()


def test_popping_a_prefix_is_about_the_prefix_itself(make: Any) -> None:
    made = make(MapType.LPM_TRIE, key=Number(8))
    made["10.0.0.0/8"] = 1
    assert made.pop("10.1.2.3", None) is made.pop("10.1.2.3", default=None) is None
    with pytest.raises(KeyError):
        made.pop("10.1.2.3")
    assert (made.pop("10.0.0.0/8"), made.pop("10.0.0.0/8", 2)) == (1, 2)
    assert len(made) == 0


class Text(bytes):
    """Bytes that are a number, too, which native code must not take for an address."""

    def __index__(self) -> int:
        return 8


@dataclass(frozen=True)
class Odd:
    """A codec that does not give bytes."""

    size: int = 4

    def unpack(self, data: bytes) -> bytes:
        return data

    def pack(self, value: Any) -> Any:
        return value


@pytest.mark.parametrize("wrong", [Text(b"1234"), memoryview(b"1234"), "1234", [1, 2, 3, 4]])
def test_codecs_give_bytes_and_nothing_else(make: Any, wrong: Any) -> None:
    for kind, key, value in (
        (MapType.HASH, b"1234", wrong),
        (MapType.HASH, wrong, b"1234"),
        (MapType.ARRAY, 1, wrong),
        (MapType.PERCPU_HASH, b"1234", wrong),
    ):
        made = make(kind, key=U32 if kind == MapType.ARRAY else Odd(), value=Odd())
        with pytest.raises(TypeError, match="is bytes here, not"):
            made[key] = value
    made = make(MapType.QUEUE, key=None, value=Odd())
    with pytest.raises(TypeError, match="is bytes here, not"):
        made.push(wrong)
    assert len(made) == 0


@pytest.mark.parametrize("kind", [MapType.LRU_HASH, MapType.LRU_PERCPU_HASH])
@pytest.mark.parametrize("way", ["copied", "pickled", "reset"])
def test_what_was_used_is_known_to_copies(make: Any, kind: MapType, way: str) -> None:
    made = make(kind, 3)
    made.update({1: 1, 2: 2, 3: 3})
    for key in (1, 3):
        made.lookup_element(key.to_bytes(4, "little"))
    if way == "copied":
        made = made.copy()
    elif way == "pickled":
        made = pickle.loads(pickle.dumps(made))  # noqa: S301 (our own)
    else:
        made.keep()
        made.lookup_element((2).to_bytes(4, "little"))
        made.reset()
    made[4] = 4
    assert list(made) == [3, 1, 4], "the first one was used, the second one goes"
