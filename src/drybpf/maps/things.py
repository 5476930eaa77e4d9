"""Arrays of things that may be missing: devices, CPUs, sockets, stack traces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from operator import index as as_index
from typing import Any

from drybpf.maps import layout
from drybpf.maps.definition import MapType
from drybpf.maps.keys import IndexKeys
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas


class Things(PerCpu, MutableMapping[int, Any]):
    """A mapping from those indices, below `max_entries`, that are filled."""

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        d = self.definition
        words = self._place_values(areas, d.max_entries)
        return words | {layout.MARKS: areas.add(d.max_entries)}

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401 (whatever the type is shown as)
        """What an entry holds; `KeyError` where it is empty."""
        place = self._find(self._packed_index(index))
        if place < 0:
            raise KeyError(index)
        return self._show(place)

    def __setitem__(self, index: int, value: Any) -> None:  # noqa: ANN401 (as above)
        """Fill an entry; `IndexError` for an index that is not below `max_entries`."""
        self._check_writable()
        self.fill_entry(self._packed_index(index), self._take_in(value))

    def fill_entry(self, key: bytes, data: bytes) -> None:
        """Fill an entry with bytes, also where Python must not; `MapError` where that fails."""
        result = self._signed_call("put", key, data, 0, 0, self.epoch)
        if result:
            raise self._refuse(-result)

    def __delitem__(self, index: int) -> None:
        """Empty an entry; `KeyError` where it is empty."""
        self._check_writable()
        key = self._packed_index(index)
        if self._find(key) < 0:
            raise KeyError(index)
        self._signed_call("drop", key, self.epoch)

    def __iter__(self) -> Iterator[int]:
        """The indices that are filled, upwards."""
        count = len(self)
        room = bytearray(4 * count)
        count = self._operate["walk"](room, count) if count else 0
        return iter(memoryview(room)[: 4 * count].cast("I").tolist())

    def __len__(self) -> int:
        """How many entries are filled."""
        return self._count()

    def __contains__(self, index: object) -> bool:
        """Whether an entry is filled."""
        try:
            return self._find(self._packed_index(index)) >= 0
        except (TypeError, IndexError):
            return False

    def clear(self) -> None:
        """Empty all entries."""
        PerCpu.clear(self)  # not that of mappings, which goes one by one

    def keys_in_order(self) -> Sequence[bytes]:
        """The indices that are filled, upwards."""
        return IndexKeys(list(self))

    def _find(self, key: bytes) -> int:
        offset = self._operate["find"](key, 0)
        return -1 if offset == layout.NOTHING else offset

    def _packed_index(self, index: object) -> bytes:
        number = as_index(index)  # type: ignore[arg-type]  # a TypeError says so
        if not 0 <= number < self.definition.max_entries:
            limit = self.definition.max_entries
            raise IndexError(f"{number} is not below {limit}, the size of {self.name}")
        return number.to_bytes(4, "little")

    def _show(self, offset: int) -> Any:  # noqa: ANN401 (as above)
        return self._get(offset)

    def _take_in(self, value: Any) -> bytes:  # noqa: ANN401 (as above)
        """The bytes that stand for a value."""
        return self._pack(value)

    def snapshot(self) -> dict[int, Any]:
        """A dict of the filled entries."""
        return dict(self.items())

    def restore(self, snapshot: Mapping[int, Any]) -> None:
        """Make the contents those of a mapping."""
        self.clear()
        for index, value in snapshot.items():
            self[index] = value

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        return self.items()

    def _contents(self) -> dict[int, Any]:
        return dict(self.items())

    def _fill(self, contents: dict[int, Any]) -> None:
        for index, value in contents.items():
            self.fill_entry(self._packed_index(index), self._take_in(value))

    def _describe(self) -> str:
        return f"{len(self)} of {self.definition.max_entries} filled"


class ThingMap(Things):
    """Devices, CPUs, sockets, cgroups or stack traces by index, as the numbers that name them.

    In a map of devices or CPUs a value whose first four bytes are zero empties the entry, as in the
    kernel.
    """

    TYPES = (
        MapType.DEVMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.CGROUP_ARRAY,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.STACK_TRACE,
    )
