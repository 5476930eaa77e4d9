"""A map good enough for the loader's tests until there are real ones."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from drybpf.maps.definition import MapDefinition, MapType


class _Values:
    def __init__(self, size: int, count: int) -> None:
        self.size = size
        self.stride = 1 << max(3, (size - 1).bit_length()) if count else 0
        self.buffer = bytearray(self.stride * min(count, 64))
        self.writable = True


class StandIn(MutableMapping[Any, Any]):
    def __init__(self, definition: MapDefinition) -> None:
        self.definition, self.handle, self.region = definition, 0, None
        array = definition.type == MapType.ARRAY
        self.values_ = _Values(definition.value_size, definition.max_entries if array else 0)
        self.contents: dict[Any, Any] = {}

    @classmethod
    def create(cls, definition: MapDefinition, *, cpus: int = 1) -> StandIn:
        return cls(definition)

    @property
    def values(self) -> Any:
        return self.values_

    def __getitem__(self, key: Any) -> Any:
        return self.contents[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self.contents[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.contents[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.contents)

    def __len__(self) -> int:
        return len(self.contents)
