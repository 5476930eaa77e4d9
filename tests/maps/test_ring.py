"""Ring buffers and perf events: both engines against a model of the kernel's ring."""

from __future__ import annotations

import pickle
from collections import deque
from copy import copy, deepcopy
from errno import E2BIG, EAGAIN, EINVAL, ENOSPC, EOPNOTSUPP
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.errors import MapError
from drybpf.maps import Event, Map, MapDefinition, MapType, RawBytes, layout
from map_twins import Twins, definition, interpret

SIZE = 4096


class Ring:
    """Records as [size, data, state], in the order in which they were reserved."""

    def __init__(self) -> None:
        self.records: deque[list[Any]] = deque()
        self.produced = self.consumed = self.lost = 0

    def reserve(self, size: int) -> list[Any] | None:
        end = self.produced + (size + 8 + 7) // 8 * 8
        if end - self.consumed > SIZE - 1:
            self.lost += 1
            return None
        self.produced = end
        self.records.append([size, b"", "busy"])
        return self.records[-1]

    def drain(self) -> list[bytes]:
        seen = []
        while self.records and self.records[0][2] != "busy":
            size, data, state = self.records.popleft()
            self.consumed += (size + 8 + 7) // 8 * 8
            if state == "submit":
                seen.append(data)
        return seen


SIZES = st.sampled_from([0, 1, 7, 8, 9, 100, 1000, 1500, 4079, 4080, 4087, 4088, 5000, 1 << 31])


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("reserve"), SIZES),
            st.tuples(st.just("output"), st.binary(max_size=900)),
            st.tuples(st.sampled_from(["submit", "discard"]), st.integers(0, 3)),
            st.tuples(st.just("drain"), st.just(0)),
        ),
        max_size=60,
    )
)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_random_operations(steps: list[tuple[str, Any]]) -> None:
    twins = Twins(definition(MapType.RINGBUF, 0, 0, SIZE))
    both = twins.python, twins.native
    ring, held, count = Ring(), list[tuple[int, list[Any]]](), 0
    for what, value in steps:
        if what == "reserve":
            offset, record = twins("reserve", value, 0), ring.reserve(value)
            assert (offset == -1) == (record is None)
            if record is not None:
                held.append((offset, record))
                count += 1
                record[1] = bytes([count & 0xFF]) * value
                for made in both:
                    made.store.buffer[offset : offset + value] = record[1]
        elif what == "output":
            record = ring.reserve(len(value))
            assert twins("output", value, len(value), 0, 0) == (-EAGAIN if record is None else 0)
            if record is not None:
                record[1:] = [value, "submit"]
        elif what == "drain":
            seen = ring.drain()
            assert twins.native.snapshot() == seen[: len(twins.native)]
            assert [made.drain() for made in both] == [seen, seen]
        elif value < len(held):
            offset, record = held.pop(value)
            record[2] = what
            assert twins(what, offset, 0) == 0
            assert twins(what, offset, 0) == -EINVAL, "once is enough"
        assert [made.lost for made in both] == [ring.lost] * 2


def test_what_is_no_sample_is_not_submitted() -> None:
    twins = Twins(definition(MapType.RINGBUF, 0, 0, SIZE))
    offset = twins("reserve", 100, 0)
    for wrong in (0, 1, offset + 8, offset + 1, SIZE, SIZE + 8, 1 << 40, -8):
        for how in ("submit", "discard"):
            assert twins(how, wrong, 0) == -EINVAL
    assert twins("reserve", 8, 1) == -1
    assert twins("output", b"12345678", 8, 4, 0) == -EINVAL
    assert twins("submit", offset, 3) == 0


def test_a_sample_in_the_middle_of_being_written_holds_back_those_behind_it() -> None:
    made = interpret(Map.create(definition(MapType.RINGBUF, 0, 0, SIZE)))
    first = made.reserve(8)
    assert made.output(b"second") == 0
    assert list(made) == []
    assert made.submit(first) == 0
    assert list(made) == [bytes(8), b"second"]
    assert list(made) == []


def test_events_are_decoded_where_they_have_the_size() -> None:
    class Number(RawBytes):
        def unpack(self, data: bytes) -> Any:
            return int.from_bytes(data, "little")

    made: Any = Map.create(MapDefinition("r", MapType.RINGBUF, 0, 4, SIZE, value=Number(4)))
    assert made.definition.value_size == 0, "the kernel's has none"
    made.push(7)
    made.push(b"other")
    assert made.snapshot() == [7, b"other"]
    assert (len(made), list(made), len(made)) == (2, [7, b"other"], 0)
    while made.output(bytes(8)) == 0:
        pass
    assert made.lost == 1
    with pytest.raises(MapError, match="EAGAIN"):
        made.push(b"1")
    made.restore([1, 2])
    assert made.drain() == [1, 2]


def test_perf_events() -> None:
    twins = Twins(definition(MapType.PERF_EVENT_ARRAY, 4, 4, 3), 4)
    current = 0xFFFF_FFFF
    assert twins("output", b"one", 3, current, 2) == 0
    assert twins("output", b"", 0, 1, 1) == 0
    assert twins("output", b"no", 2, 2, 1) == -EOPNOTSUPP
    assert twins("output", b"no", 2, current, 3) == -E2BIG
    assert twins("output", b"no", 2, 3, 3) == -E2BIG
    assert twins("output", b"no", 2, 1 << 32, 1) == -EINVAL
    assert twins.native.snapshot() == [b"one", b""]
    for made in (twins.native, twins.python):
        assert list(made.events()) == [Event(2, b"one"), Event(1, b"")]
        assert made.output(1, b"direct") == 0
        assert made.copy().drain() == [b"direct"] == made.drain()


def test_perf_events_are_lost_where_there_is_no_room() -> None:
    made: Any = Map.create(definition(MapType.PERF_EVENT_ARRAY, 4, 4, 0), cpus=2)
    assert made.definition.max_entries == 2
    assert made.attach_native()
    event = bytes(1 << 20)
    assert [made.output(1, event) for _ in range(9)] == [0] * 7 + [-ENOSPC] * 2
    assert made.lost == 2
    assert len(made.drain()) == 7
    assert made.output(0, event) == 0
    assert made._storage.word(layout.LOST) == 2


@pytest.mark.parametrize("native", [False, True])
def test_readers_take_discarded_records_out(native: bool) -> None:
    ring: Any = Map.create(definition(MapType.RINGBUF, 0, 0, SIZE))
    assert ring.attach_native() if native else interpret(ring) is ring
    for _ in range(3):
        while (offset := ring.reserve(1000)) >= 0:
            assert ring.discard(offset) == 0
        assert (len(ring), list(ring)) == (0, [])
    ring.push(bytes(4000))
    assert list(ring) == [bytes(4000)]


@pytest.mark.parametrize("wrong", [5, -1, 1 << 70, [1, 2], "text", None, 1.5])
def test_events_are_bytes(wrong: object) -> None:
    ring: Any = Map.create(definition(MapType.RINGBUF, 0, 0, SIZE))
    perf: Any = Map.create(definition(MapType.PERF_EVENT_ARRAY, 4, 4, 0))
    for put in (ring.push, ring.output, lambda value: perf.output(0, value)):
        with pytest.raises(TypeError):
            put(wrong)
    for made in (ring, perf):
        with pytest.raises(TypeError):
            made.restore([wrong])
        assert (len(made), made.lost) == (0, 0)
    ring.push(bytearray(b"ab"))
    ring.push(memoryview(b"cd"))
    assert list(ring) == [b"ab", b"cd"]


@pytest.mark.parametrize("kind", [MapType.RINGBUF, MapType.PERF_EVENT_ARRAY])
def test_copies_show_events_the_same_way(kind: MapType) -> None:
    made: Any = Map.create(definition(kind, 0, 0, SIZE))
    made.codec = RawBytes(3)
    put = made.output if kind == MapType.RINGBUF else lambda data: made.output(0, data)
    while put(bytes(1 << 11 if kind == MapType.RINGBUF else 1 << 20)) == 0:
        pass
    for twin in (made.copy(), copy(made), deepcopy(made), pickle.loads(pickle.dumps(made))):  # noqa: S301 (our own)
        assert (twin.codec, twin.lost, twin.snapshot()) == (made.codec, 1, made.snapshot())
    made.reset()
    assert (made.codec, made.lost, len(made)) == (RawBytes(3), 0, 0)
