"""Two maps of one definition, one run in CPython and one natively, which must never differ."""

from __future__ import annotations

from typing import Any

from drybpf.maps import Map, MapDefinition, MapType, calls, layout
from drybpf.maps.limits import NEEDED, STORAGES

M64 = (1 << 64) - 1


def definition(
    kind: MapType, key: int = 4, value: int = 4, entries: int = 4, *, extra: int = 0
) -> MapDefinition:
    flags = NEEDED.get(kind, 0)
    return MapDefinition(kind.name.lower(), kind, key, value, entries, flags, extra=extra)


def interpret(made: Any) -> Any:  # noqa: ANN401 (any class of maps)
    """The map, which stays in CPython however much it is used."""
    made._operate = calls.interpreted(made._storage, made.definition.type, lambda: None)
    return made


def smallest(kind: MapType) -> MapDefinition:
    """Small keys and values that the type can have, and some entries."""
    keyless = (MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER)
    rings = (MapType.RINGBUF, MapType.USER_RINGBUF)
    groups = (MapType.CGROUP_STORAGE, MapType.PERCPU_CGROUP_STORAGE)
    key = 0 if kind in (*keyless, *rings) else 8 if kind in (*groups, MapType.LPM_TRIE) else 4
    value = 0 if kind in rings else 8 if kind == MapType.STACK_TRACE else 4
    return definition(kind, key, value, 0 if kind in STORAGES else 4096)


class Twins:
    """Runs each operation on both and compares results, buffers and all bytes of the storage."""

    def __init__(self, what: MapDefinition, cpus: int = 3) -> None:
        self.python = interpret(Map.create(what, cpus=cpus))
        self.native: Any = Map.create(what, cpus=cpus)
        assert self.native.attach_native()
        assert type(self.native._operate["lookup"]).__name__ == "builtin_function_or_method"
        self.words = self.python._words

    def __call__(self, operation: str, *arguments: int | bytes | bytearray) -> int:
        """The result, as a signed number; a bytearray is changed by both alike."""
        copies = [bytearray(each) if isinstance(each, bytearray) else each for each in arguments]
        result: int = self.python._operate[operation](*arguments)
        assert result == self.native._operate[operation](*copies)
        assert copies == list(arguments)
        assert self.content(self.python) == self.content(self.native)
        return int(result) - (1 << 64) * (result >> 63)

    @staticmethod
    def content(made: Map) -> tuple[bytes, bytes]:
        """All bytes but the native addresses."""
        end = layout.VTABLE + 8 * len(layout.OPERATIONS)
        return bytes(made.storage[: layout.VTABLE]), bytes(made.storage[end:])

    def value(self, offset: int) -> bytes:
        """What the value at an offset of the value area holds."""
        begin = self.words[layout.VALUES] + offset
        return bytes(self.native.storage[begin : begin + self.native.definition.value_size])

    def walk(self) -> list[int]:
        """The numbers of the entries in use."""
        room = bytearray(4 * 64)
        count = self("walk", room, 64)
        return memoryview(room)[: 4 * count].cast("I").tolist()
