"""Maps without an object file: for tests, and for programs written in Python."""

from __future__ import annotations

from typing import Any

from drybpf.maps.base import Map
from drybpf.maps.codec import Codec
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.maps.limits import NEEDED


def create(
    kind: MapType | str,
    *,
    key: int | Codec = 0,
    value: int | Codec = 0,
    entries: int = 0,
    name: str = "",
    flags: int = 0,
    inner: MapDefinition | None = None,
    extra: int = 0,
    cpus: int = 4,
) -> Any:  # noqa: ANN401 (a Map; what can be done with it depends on its type)
    """Make a map: `create("hash", key=4, value=8, entries=1000)`.

    `kind` is a type or its name as in `enum bpf_map_type`, in any case.  Keys and values are given
    by their size in bytes or by a codec; what has keys by index needs none, and types that have to
    be without memory beforehand get the flag that says so.  Raises as `Map.create` does.
    """
    if isinstance(kind, str):
        try:
            kind = MapType[kind.upper()]
        except KeyError as error:
            raise ValueError(f"{kind!r} is no type of map") from error
    if key == 0 and kind in _INDEXED:
        key = 4
    if value == 0 and kind in _NUMBERED:
        value = 4
    flags |= NEEDED.get(kind, 0)
    definition = MapDefinition(
        name or kind.name.lower(),
        kind,
        key_size=_size("key", key),
        value_size=_size("value", value),
        max_entries=entries,
        flags=flags,
        inner=inner,
        key=None if isinstance(key, int) else key,
        value=None if isinstance(value, int) else value,
        extra=extra,
    )
    return Map.create(definition, cpus=cpus)


def _size(what: str, given: int | Codec) -> int:
    size = given if isinstance(given, int) else getattr(given, "size", None)
    if size is None:
        raise TypeError(f"a {what} is a size or a codec, not {type(given).__name__}")
    return size


_NUMBERED = frozenset(
    {
        MapType.PROG_ARRAY,
        MapType.PERF_EVENT_ARRAY,
        MapType.ARRAY_OF_MAPS,
        MapType.HASH_OF_MAPS,
        MapType.CGROUP_ARRAY,
        MapType.DEVMAP,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
    }
)  # their values are numbers of 4 bytes
_INDEXED = _NUMBERED - {MapType.HASH_OF_MAPS} | {
    MapType.ARRAY,
    MapType.PERCPU_ARRAY,
    MapType.STACK_TRACE,
    MapType.REUSEPORT_SOCKARRAY,
}
