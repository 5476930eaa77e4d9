"""Which algorithm each type of map uses for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from drybpf.maps.algorithms import array, entries
from drybpf.maps.algorithms import hash as hashes
from drybpf.maps.algorithms.errno import EOPNOTSUPP
from drybpf.maps.definition import MapType as T
from drybpf.maps.layout import NOTHING
from drybpf.native.restricted import Function, restricted

Operations = Mapping[str, Function[Any]]


@restricted
def refused() -> int:
    """What a type of map does not do."""
    return -EOPNOTSUPP


@restricted
def nothing() -> int:
    """A look-up where nothing can be found."""
    return NOTHING


@restricted
def none() -> int:
    """A walk over nothing."""
    return 0


DEFAULTS: Operations = MappingProxyType(
    {"lookup": nothing, "reserve": nothing, "find": nothing, "walk": none}
)  # what is not here and not of the type is `refused`


def _hash(*, lru: bool = False, percpu: bool = False) -> Operations:
    return {
        "lookup": hashes.lookup.bind(LRU=lru, PERCPU=percpu),
        "update": hashes.update.bind(LRU=lru, PERCPU=percpu),
        "delete": hashes.delete,
        "find": hashes.find,
        "walk": entries.walk,
    }


def _array(*, percpu: bool = False) -> Operations:
    return {
        "lookup": array.lookup,
        "update": array.update.bind(PERCPU=percpu),
        "delete": array.delete,
        "find": array.lookup,
    }


BY_TYPE: Mapping[T, Operations] = MappingProxyType(
    {
        T.HASH: _hash(),
        T.PERCPU_HASH: _hash(percpu=True),
        T.LRU_HASH: _hash(lru=True),
        T.LRU_PERCPU_HASH: _hash(lru=True, percpu=True),
        T.ARRAY: _array(),
        T.PERCPU_ARRAY: _array(percpu=True),
    }
)


def operation(kind: T, name: str) -> Function[Any]:
    """The function of an operation on a type of map."""
    return BY_TYPE[kind].get(name) or DEFAULTS.get(name, refused)
