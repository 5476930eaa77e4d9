"""Ring buffers and perf event arrays: events from programs to Python."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from drybpf.maps import layout
from drybpf.maps.algorithms.ring import BUSY, DISCARDED, SIZE
from drybpf.maps.base import Map
from drybpf.maps.codec import Codec, RawBytes
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.maps.storage import Areas

PERF_BYTES = 8 << 20  # of events that a perf event array can hold, all CPUs together


@dataclass(frozen=True, slots=True)
class Event:
    """An event: its bytes, and the CPU for which it was written (0 in a ring buffer)."""

    cpu: int
    data: bytes


class EventMap(Map):
    """Events in the order in which programs wrote them.

    Iterating takes them out: `for event in map`.  An event is bytes, or what `codec` shows where
    its size is the codec's.  `lost` counts those that found no room.
    """

    codec: Codec | None = None

    def _bytes(self) -> int:
        raise NotImplementedError

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        size = self._bytes()
        # Behind the end as much again, since a record is in one piece.
        return {
            layout.VALUES: areas.add(2 * size + 8),
            layout.INDEX_MASK: size - 1,
            layout.RECORDS: areas.add(size),
        }

    def _codecs(self) -> tuple[Codec, Codec]:
        return RawBytes(0), RawBytes(0)

    @property
    def lost(self) -> int:
        """How many events found no room."""
        return self._storage.word(layout.LOST)

    def __len__(self) -> int:
        """The number of events that can be taken out."""
        return sum(1 for _ in self._records(self._storage.word(layout.CONSUMED)))

    def __iter__(self) -> Iterator[Any]:
        """Take events out, one after another, decoded."""
        for event in self.events():
            yield self._decoded(event.data)

    def drain(self) -> list[Any]:
        """All events, taken out."""
        return list(self)

    def events(self) -> Iterator[Event]:
        """Take events out as bytes and CPU."""
        while True:
            end, event = next(self._steps(self._storage.word(layout.CONSUMED)), (0, None))
            if not end:
                return
            self._storage.set_word(layout.CONSUMED, end)
            if event is not None:
                yield event

    def _records(self, at: int) -> Iterator[Event]:
        """The events from a position on."""
        return (event for _, event in self._steps(at) if event is not None)

    def _steps(self, at: int) -> Iterator[tuple[int, Event | None]]:
        """The position behind each record from a position on, and its event if not discarded."""
        begin, values = self._words[layout.RECORDS], self._words[layout.VALUES]
        mask = self._words[layout.INDEX_MASK]
        end = min(self._storage.word(layout.PRODUCED), at + mask)
        while at < end:
            header = self._storage.word(begin + (at & mask))
            if header & BUSY:
                return
            size = header & SIZE
            start = values + (at & mask) + 8
            at += size + 15 & ~7
            discarded = header & DISCARDED
            data = b"" if discarded else bytes(self.storage[start : start + size])
            yield at, None if discarded else Event(header >> 32, data)

    def _decoded(self, data: bytes) -> Any:  # noqa: ANN401 (as codecs show it)
        if self.codec is not None and self.codec.size == len(data):
            return self.codec.unpack(data)
        return data

    def snapshot(self) -> list[Any]:
        """The events, which stay."""
        at = self._storage.word(layout.CONSUMED)
        return [self._decoded(event.data) for event in self._records(at)]

    def restore(self, snapshot: Iterable[Any]) -> None:
        """Make the events those of a snapshot, for CPU 0."""
        self._check_writable()
        packed = [self._encoded(value) for value in snapshot]
        self._fill([Event(0, data) for data in packed])

    def _encoded(self, value: Any) -> bytes:  # noqa: ANN401 (as above)
        if isinstance(value, (bytes, bytearray)) or self.codec is None:
            return _bytes(value)
        return self.codec.pack(value)

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        return enumerate(self.snapshot())

    def _contents(self) -> list[Event]:
        at = self._storage.word(layout.CONSUMED)
        return list(self._records(at))

    def _fill(self, contents: list[Event]) -> None:
        self._storage.clear(self._words)
        for event in contents:
            self._write(event)

    def copy(self) -> Self:
        """A new map with the same events, codec and count of lost ones, in no space."""
        twin = super().copy()
        twin._take_over(self.codec, self.lost)  # noqa: SLF001 (of the same class)
        return twin

    __copy__ = copy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the codec, too, which may be the user's, and how many events were lost."""
        make, arguments, state = super().__reduce__()
        return make, arguments, (state, self.codec, self.lost)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Fill in what was pickled."""
        own, codec, lost = state
        super().__setstate__(own)
        self._take_over(codec, lost)

    def _take_over(self, codec: Codec | None, lost: int) -> None:
        self.codec = codec
        self._storage.set_word(layout.LOST, lost)

    def _write(self, event: Event) -> None:
        self._signed_call("output", event.data, len(event.data), 0, event.cpu)

    def _describe(self) -> str:
        lost = f", {self.lost} lost" if self.lost else ""
        return f"{len(self)} events{lost}"


class RingBuffer(EventMap):
    """A ring buffer, also of the kind that programs read (`push` puts something in)."""

    TYPES = (MapType.RINGBUF, MapType.USER_RINGBUF)

    def __init__(self, definition: MapDefinition, cpus: int = 4) -> None:
        """Events are shown by the definition's value codec where it has one."""
        super().__init__(definition, cpus)
        self.codec = definition.value

    @staticmethod
    def _completed(definition: MapDefinition, _: int) -> MapDefinition:
        """A value type is there for its name in BTF alone."""
        return replace(definition, value_size=0) if definition.value_size else definition

    def _bytes(self) -> int:
        return self.definition.max_entries

    def _visible(self) -> int:
        return 2 * self._bytes() + 8

    def reserve(self, size: int, flags: int = 0) -> int:
        """The offset of a new sample in the value area, -1 where there is no room."""
        offset = self._operate["reserve"](size, flags)
        return -1 if offset == layout.NOTHING else offset

    def submit(self, offset: int, flags: int = 0) -> int:
        """Let a reserved sample be read: 0 or -errno."""
        return self._signed_call("submit", offset, flags)

    def discard(self, offset: int, flags: int = 0) -> int:
        """Give up a reserved sample: 0 or -errno."""
        return self._signed_call("discard", offset, flags)

    def output(self, data: bytes, flags: int = 0) -> int:
        """Copy a sample in: 0 or -errno."""
        data = _bytes(data)
        return self._signed_call("output", data, len(data), flags, 0)

    def push(self, value: Any) -> None:  # noqa: ANN401 (as codecs show it)
        """Put an event in from Python; `MapError` where there is no room."""
        result = self.output(self._encoded(value))
        if result:
            raise self._refuse(-result, f"{self.name} has no room")


class PerfEventArray(EventMap):
    """Perf events, of all CPUs in the order in which they were written.

    The definition's value is not an event, so `codec` is for the user to set.
    """

    TYPES = (MapType.PERF_EVENT_ARRAY,)

    @staticmethod
    def _completed(definition: MapDefinition, cpus: int) -> MapDefinition:
        """0 entries are one for each CPU; a value type is there for its name in BTF alone."""
        return replace(
            definition,
            max_entries=definition.max_entries or cpus,
            key_size=definition.key_size or 4,
            value_size=4,
        )

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        return super()._lay_out(areas) | {layout.CPUS: self.cpus}

    def _bytes(self) -> int:
        return PERF_BYTES

    def _visible(self) -> int:
        """Programs see none of it."""
        return 0

    def output(self, cpu: int, data: bytes, flags: int | None = None) -> int:
        """Write an event for the CPU at hand, which is what `flags` names if nothing else."""
        data = _bytes(data)
        return self._signed_call("output", data, len(data), cpu if flags is None else flags, cpu)

    def _write(self, event: Event) -> None:
        self.output(event.cpu, event.data)


def _bytes(data: Any) -> bytes:  # noqa: ANN401 (it checks)
    """The bytes of a buffer; `TypeError` for what is none, as a number or a list."""
    return bytes(memoryview(data).cast("B"))
