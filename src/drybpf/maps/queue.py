"""Queues, stacks and Bloom filters: maps without keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from errno import E2BIG, ENOENT
from typing import Any

from drybpf.errors import MapError
from drybpf.maps import layout
from drybpf.maps.definition import MapType
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas

EXIST = 2  # the flag that lets the oldest item go


class Keyless(PerCpu):
    """A map of values alone."""

    def _visible(self) -> int:
        return 0

    def push(self, value: Any, *, replace: bool = False) -> None:  # noqa: ANN401
        """Put a value in; `replace` lets the oldest go where there is no room.

        Raises `MapError` with E2BIG where the map is full.
        """
        self._check_writable()
        result = self.push_element(self._pack(value), EXIST if replace else 0)
        if result == -E2BIG:
            raise MapError(E2BIG, f"{self.name} is full ({self.definition.max_entries} entries)")
        if result:
            raise self._refuse(-result)


class QueueMap(Keyless):
    """A queue or a stack: `push`, `pop`, `peek`; iterating shows what `pop` would give."""

    TYPES = (MapType.QUEUE, MapType.STACK)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        return self._place_values(areas, self.definition.max_entries)

    def pop(self) -> Any:  # noqa: ANN401 (as codecs show it)
        """Take the next value out; `IndexError` where there is none, as of a list."""
        self._check_writable()
        return self._next("pop")

    def peek(self) -> Any:  # noqa: ANN401 (as above)
        """The next value, which stays; `IndexError` where there is none."""
        return self._next("peek")

    def _next(self, operation: str) -> Any:  # noqa: ANN401 (as above)
        result, data = self._take(operation)
        if result == -ENOENT:
            raise IndexError(f"{self.name} is empty")
        return self._value.unpack(data)

    def __len__(self) -> int:
        """The number of values."""
        return self._count()

    def __iter__(self) -> Iterator[Any]:
        """The values in the order in which `pop` would give them; they stay."""
        values = [self._value.unpack(data) for data in self._contents()]
        return iter(values if self.definition.type == MapType.QUEUE else values[::-1])

    def snapshot(self) -> list[Any]:
        """The values, the oldest first."""
        return [self._value.unpack(data) for data in self._contents()]

    def restore(self, snapshot: Iterable[Any]) -> None:
        """Make the contents those of a list, the oldest first."""
        self._check_writable()
        self._fill([self._pack(value) for value in snapshot])

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        return enumerate(self)

    def _contents(self) -> list[bytes]:
        first, size = self._storage.word(layout.CONSUMED), self.definition.max_entries
        between = self._words[layout.STRIDE]
        return [self._raw((first + at) % size * between)[0] for at in range(len(self))]

    def _fill(self, contents: list[bytes]) -> None:
        self._storage.clear(self._words)
        for data in contents:
            if self.push_element(data):
                raise MapError(E2BIG, f"{self.name} is full")


class BloomFilter(Keyless):
    """A Bloom filter: `add`, and `in`, which may be wrongly true, never wrongly false."""

    TYPES = (MapType.BLOOM_FILTER,)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        hashes = self.definition.extra or 5
        wanted = self.definition.max_entries * hashes * 7 // 5
        bits = 1 << min(max(wanted - 1, 63).bit_length(), 32)
        return {
            layout.HASHES: hashes,
            layout.INDEX: areas.add(bits // 8),
            layout.INDEX_MASK: bits - 1,
        }

    def add(self, value: Any) -> None:  # noqa: ANN401 (as codecs show it)
        """Put a value in."""
        self.push(value)

    def __contains__(self, value: object) -> bool:
        """Whether a value may have been put in."""
        return self.peek_element(self._pack(value))[0] == 0

    def snapshot(self) -> dict[int, bytes]:
        """The bits that are set, as bytes that are not zero by their offset, 64 at a time."""
        begin, end = self._words[layout.INDEX], self._words[layout.INDEX_MASK] // 8 + 1
        blocks = (
            (at, bytes(self.storage[begin + at : begin + at + 64])) for at in range(0, end, 64)
        )
        return {at: block for at, block in blocks if any(block)}

    def restore(self, snapshot: dict[int, bytes]) -> None:
        """Set the bits of a snapshot and no others; `ValueError` for what is none of this size."""
        self._check_writable()
        size = self._words[layout.INDEX_MASK] // 8 + 1
        for at, block in snapshot.items():
            if not 0 <= at <= size - len(block):
                raise ValueError(f"{self.name}: {len(block)} bytes at {at} leave its {size}")
        self._set_bits(snapshot)

    def _set_bits(self, snapshot: dict[int, bytes]) -> None:
        self._storage.clear(self._words)
        begin = self._words[layout.INDEX]
        for at, block in snapshot.items():
            self.storage[begin + at : begin + at + len(block)] = block

    def _contents(self) -> tuple[int, dict[int, bytes]]:
        return self._storage.word(layout.COUNT), self.snapshot()

    def _fill(self, contents: tuple[int, dict[int, bytes]]) -> None:
        count, bits = contents
        self._set_bits(bits)
        self._storage.set_word(layout.COUNT, count)

    def _describe(self) -> str:
        count = self._storage.word(layout.COUNT)
        return f"{count} values added, made for {self.definition.max_entries}"
