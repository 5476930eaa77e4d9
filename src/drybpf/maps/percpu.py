"""Values of a map between storage and Python, where there may be one a CPU."""

from __future__ import annotations

from typing import Any

from drybpf.maps import layout
from drybpf.maps.base import Map, stride
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.maps.storage import Areas

PERCPU = frozenset(
    {
        MapType.PERCPU_HASH,
        MapType.PERCPU_ARRAY,
        MapType.LRU_PERCPU_HASH,
        MapType.PERCPU_CGROUP_STORAGE,
    }
)


class PerCpu(Map):
    """Reads and writes values by their offset in the value area."""

    def __init__(self, definition: MapDefinition, cpus: int = 4) -> None:
        """See `Map`."""
        self.percpu = definition.type in PERCPU  # whether there is one value a CPU
        super().__init__(definition, cpus)

    def _place_values(self, areas: Areas, entries: int) -> dict[int, int]:
        """Place the value area for a number of entries."""
        between = stride(self.definition.value_size)
        size = entries * between
        words = {layout.STRIDE: between}
        if self.percpu:
            words |= {layout.CPUS: self.cpus, layout.CPU_STRIDE: size}
            size *= self.cpus
        words[layout.VALUES] = areas.add(size)
        return words

    def _places(self, offset: int) -> range:
        """Where the values of an entry begin, one a CPU."""
        begin = self._words[layout.VALUES] + offset
        if not self.percpu:
            return range(begin, begin + 1)
        each = self._words[layout.CPU_STRIDE]
        return range(begin, begin + self.cpus * each, each)

    def _raw(self, offset: int) -> list[bytes]:
        """The bytes of an entry's values, one a CPU."""
        size, view = self.definition.value_size, self.storage
        return [bytes(view[place : place + size]) for place in self._places(offset)]

    def _get(self, offset: int) -> Any:  # noqa: ANN401 (whatever the type is shown as)
        """An entry's value, a list of them where there is one a CPU."""
        if self.percpu:
            return [self._value.unpack(data) for data in self._raw(offset)]
        begin = self._words[layout.VALUES] + offset
        return self._value.unpack(bytes(self.storage[begin : begin + self.definition.value_size]))

    def _put(self, offset: int, values: list[bytes]) -> None:
        """Write the bytes of an entry's values, one a CPU."""
        size, view = self.definition.value_size, self.storage
        for place, data in zip(self._places(offset), values, strict=True):
            view[place : place + size] = data

    def _packed(self, value: Any) -> list[bytes]:  # noqa: ANN401 (as above)
        """The bytes of a value from Python: a list with one a CPU, or one that counts for all."""
        if not self.percpu:
            return [self._pack(value)]
        if isinstance(value, (list, tuple)):
            try:
                values = [self._pack(each) for each in value]
            except (TypeError, ValueError):
                values = []  # the type itself may be shown as a list
            if len(values) == self.cpus:
                return values
            if values:
                raise ValueError(f"{len(values)} values for {self.cpus} CPUs")
        return [self._pack(value)] * self.cpus

    def _pack(self, value: Any) -> bytes:  # noqa: ANN401 (as above)
        data = self._value.pack(value)
        self._check_size("value", data, self.definition.value_size)
        return data
