"""The maps and variables of an object: filled and set before a run, shown after it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import click

from drybpf.cli.inputs import read_file
from drybpf.cli.output import clean, table
from drybpf.cli.values import assignment, from_json, read_value, split, to_json, to_text
from drybpf.errors import MapError
from drybpf.maps import ArrayMap, Codec, Map, RawBytes
from drybpf.maps.keyed import KeyedMap
from drybpf.maps.objects import MapHolder, ProgramArray
from drybpf.maps.queue import BloomFilter, Keyless
from drybpf.maps.ring import EventMap, PerfEventArray
from drybpf.objects import Object
from drybpf.objects.codecs import Integer

_PAGE = 1 << 16
_INDEX = Integer(4)

Entry = tuple[Any, Any]


def fill_maps(obj: Object, texts: Iterable[str]) -> None:
    """Fill maps as options say: `NAME=KEY:VALUE,…`, or `NAME=FILE.json`.

    Raises `UsageError` for what is no entry or does not fit.
    """
    for text in texts:
        name, value = assignment(text, "--map")
        if name not in obj.maps:
            raise click.UsageError(f"--map: no map {name!r}; there are {_names(obj.maps)}")
        found = obj.maps[name]
        try:
            _put(obj, found, _of_file(found, value) if _is_file(value) else _of_text(found, value))
        except (ValueError, TypeError, KeyError, IndexError, MapError) as error:
            raise click.UsageError(f"--map {name}: {_reason(error)}") from error


def set_variables(obj: Object, texts: Iterable[str]) -> None:
    """Set variables as options say: `NAME=VALUE`; raises `UsageError` for what does not fit."""
    for text in texts:
        name, value = assignment(text, "--set")
        if name not in obj.data:
            raise click.UsageError(f"--set: no variable {name!r}; there are {_names(obj.data)}")
        try:
            obj.data[name] = read_value(value, obj.data.codec(name))
        except (ValueError, TypeError) as error:
            raise click.UsageError(f"--set {name}: {error}") from error


def entries(found: Map) -> list[Entry]:
    """What a map holds, as keys and values; of arrays the elements that are not zero.

    What has no keys is numbered in order, events stay where they are.
    """
    shown: Any = found
    if isinstance(found, EventMap):
        return list(enumerate(shown.snapshot()))
    if isinstance(found, BloomFilter):
        return []
    if isinstance(found, Keyless):
        return list(enumerate(shown))
    if isinstance(found, ArrayMap):
        return [(index, shown[index]) for index in _used(found)]
    return list(shown.items())


def maps_as_json(obj: Object) -> dict[str, object]:
    """The contents of all maps by name."""
    return {
        name: [{"key": to_json(key), "value": to_json(value)} for key, value in entries(found)]
        for name, found in obj.maps.items()
    }


def maps_as_text(obj: Object) -> str:
    """The contents of all maps, a table each."""
    lines = []
    for name, found in obj.maps.items():
        lines.append(clean(f"map {name} ({found.definition.type.name.lower()})"))
        rows = [(to_text(key), to_text(value)) for key, value in entries(found)]
        if rows:
            lines += ["  " + line for line in table(("key", "value"), rows, left=True).splitlines()]
        else:
            lines.append("  empty")
    return "\n".join(lines)


def _used(found: ArrayMap) -> Iterator[int]:
    """The indices of elements that are not all zero, without looking at each."""
    values = memoryview(found.store.buffer)
    stride, area = found.store.stride, len(values) // (found.cpus if found.percpu else 1)
    zeros, used = bytes(_PAGE), set()
    for at in range(0, len(values), _PAGE):
        page = bytes(values[at : at + _PAGE])
        if page != zeros[: len(page)]:
            places = range(at - at % stride, min(at + _PAGE, len(values)), stride)
            used |= {
                place % area // stride for place in places if any(values[place : place + stride])
            }
    return iter(sorted(index for index in used if index < len(found)))


def _of_text(found: Map, text: str) -> Iterator[Entry]:
    key_codec, value_codec = _codecs(found)
    for part in split(text, ","):
        *key, value = split(part, ":")  # a key may be an IPv6 address
        if isinstance(found, Keyless | EventMap):
            yield None, read_value(part, value_codec)
        elif not key:
            raise ValueError(f"{part!r} is not KEY:VALUE")
        else:
            yield read_value(":".join(key), key_codec), read_value(value, value_codec)


def _is_file(text: str) -> bool:
    return text.endswith(".json")


def _of_file(found: Map, path: str) -> Iterator[Entry]:
    """The entries in a file: an object by keys, a list of entries as `--dump-maps` writes it.

    Any other list holds the values, from index 0 on.
    """
    key_codec, value_codec = _codecs(found)
    try:
        content = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if isinstance(content, dict):
        for key, value in content.items():
            yield read_value(key, key_codec), from_json(value, value_codec)
        return
    if not isinstance(content, list):
        raise TypeError(f"{path} holds neither an object nor a list")
    for index, item in enumerate(content):
        if isinstance(item, dict) and item.keys() == {"key", "value"}:
            yield from_json(item["key"], key_codec), from_json(item["value"], value_codec)
        else:
            yield index, from_json(item, value_codec)


def _put(obj: Object, found: Map, wanted: Iterable[Entry]) -> None:
    filled: Any = found
    if isinstance(found, PerfEventArray):
        raise TypeError("only programs put events into it")
    for key, value in wanted:
        if isinstance(key, int) and key < 0 and not isinstance(found, KeyedMap):
            raise ValueError(f"{key} is no index")
        if isinstance(found, Keyless | EventMap):
            filled.push(value)
        elif isinstance(found, ProgramArray):
            filled[key] = obj.programs[value]
        elif isinstance(found, MapHolder):
            filled[key] = obj.maps[value]
        else:
            filled[key] = value


def _codecs(found: Map) -> tuple[Codec, Codec]:
    """How keys and values are read; those of arrays are indices."""
    definition = found.definition
    key: Codec = definition.key or RawBytes(definition.key_size)
    if isinstance(found, ArrayMap | ProgramArray) or definition.key is None:
        key = _INDEX if definition.key_size == _INDEX.size else key
    return key, definition.value or RawBytes(definition.value_size)


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _reason(error: Exception) -> str:
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
