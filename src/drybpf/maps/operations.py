"""Which algorithm each type of map uses for each operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from drybpf.maps.algorithms import array, bloom, entries, lpm, queue, ring
from drybpf.maps.algorithms import hash as hashes
from drybpf.maps.algorithms.errno import E2BIG, EINVAL, ENOENT, EOPNOTSUPP, EXIST
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
    {"lookup": nothing, "reserve": nothing, "find": nothing, "exact": nothing, "walk": none}
)  # what is not here and not of the type is `refused`


def _hash(*, lru: bool = False, percpu: bool = False) -> Operations:
    return {
        "lookup": hashes.lookup.bind(LRU=lru, PERCPU=percpu),
        "update": hashes.update.bind(LRU=lru, PERCPU=percpu),
        "delete": hashes.delete,
        "find": hashes.find,
        "exact": hashes.find,
        "put": hashes.update.bind(LRU=lru, PERCPU=percpu),
        "drop": hashes.delete,
        "walk": entries.walk,
    }


def _array(*, percpu: bool = False) -> Operations:
    return {
        "lookup": array.lookup,
        "update": array.update.bind(PERCPU=percpu),
        "delete": array.delete,
        "find": array.lookup,
    }


def _things(most: int, *, empty: bool, beyond: int, missing: int, zero: bool = False) -> Operations:
    """An array whose entries can be empty; see `array.fill` and `array.empty`."""
    fill = array.fill.bind(MOST=most, EMPTY=empty, ZERO=zero)
    clear = array.empty.bind(BEYOND=beyond, MISSING=missing)
    return {
        "lookup": array.lookup_filled,
        "update": fill,
        "delete": clear,
        "find": array.lookup_filled,
        "exact": array.lookup_filled,
        "put": fill,
        "drop": clear,
        "walk": array.walk_filled,
    }


def _queue(*, stack: bool) -> Operations:
    return {
        "push": queue.push,
        "pop": queue.pop.bind(STACK=stack),
        "peek": queue.peek.bind(STACK=stack),
        "update": queue.no_update,
        "delete": queue.no_element,
    }


def _from_python(operations: Operations) -> Operations:
    """Programs can look up, but neither update nor delete."""
    return {name: f for name, f in operations.items() if name not in ("update", "delete")}


_RING: Operations = {
    "reserve": ring.reserve,
    "submit": ring.submit,
    "discard": ring.discard,
    "output": ring.output,
}
_FILES = _things(0, empty=False, beyond=E2BIG, missing=ENOENT)  # the kernel's fd_array
_DEVICES = _things(EXIST, empty=False, beyond=EINVAL, missing=0, zero=True)

BY_TYPE: Mapping[T, Operations] = MappingProxyType(
    {
        T.HASH: _hash(),
        T.PERCPU_HASH: _hash(percpu=True),
        T.LRU_HASH: _hash(lru=True),
        T.LRU_PERCPU_HASH: _hash(lru=True, percpu=True),
        T.ARRAY: _array(),
        T.PERCPU_ARRAY: _array(percpu=True),
        T.LPM_TRIE: {
            "lookup": lpm.lookup,
            "update": lpm.update,
            "delete": lpm.delete,
            "find": lpm.lookup,
            "exact": lpm.exact,
            "put": lpm.update,
            "drop": lpm.delete,
            "walk": entries.walk,
        },
        T.QUEUE: _queue(stack=False),
        T.STACK: _queue(stack=True),
        T.BLOOM_FILTER: {"push": bloom.push, "peek": bloom.peek, "update": queue.no_update},
        T.RINGBUF: _RING,
        T.USER_RINGBUF: _RING,
        T.PERF_EVENT_ARRAY: {"output": ring.perf_output},
        T.PROG_ARRAY: _from_python(_FILES),
        T.ARRAY_OF_MAPS: _from_python(_FILES),
        T.HASH_OF_MAPS: _from_python(_hash()),
        T.CGROUP_ARRAY: _from_python(_FILES),
        T.STACK_TRACE: _from_python(_FILES),
        T.DEVMAP: _DEVICES,
        T.CPUMAP: _DEVICES,
        T.XSKMAP: _things(EXIST, empty=True, beyond=EINVAL, missing=0),
        T.SOCKMAP: _things(EXIST, empty=True, beyond=EINVAL, missing=EINVAL),
        T.REUSEPORT_SOCKARRAY: _things(EXIST, empty=True, beyond=E2BIG, missing=ENOENT),
        T.DEVMAP_HASH: _hash(),
        T.SOCKHASH: _hash(),
        T.CGROUP_STORAGE: _hash(),
        T.PERCPU_CGROUP_STORAGE: _hash(percpu=True),
        T.SK_STORAGE: _hash(),
        T.INODE_STORAGE: _hash(),
        T.TASK_STORAGE: _hash(),
        T.CGRP_STORAGE: _hash(),
    }
)


def operation(kind: T, name: str) -> Function[Any]:
    """The function of an operation on a type of map."""
    return BY_TYPE[kind].get(name) or DEFAULTS.get(name, refused)
