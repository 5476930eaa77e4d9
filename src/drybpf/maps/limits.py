"""What the kernel takes when a map is made: flags, sizes and counts, by type.

As Linux 6.18 answers `BPF_MAP_CREATE` (bpf(2)); a test asks it for each type.  What hangs on the
machine is left out, as the number of CPUs of a CPUMAP.  Where loaders fill in for the kernel
(libbpf the size of a perf event array, others the sizes of what has no keys), that has been done.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from drybpf.maps.definition import MapDefinition, MapFlag, MapType

T, F = MapType, MapFlag

STORAGE_ENTRIES = 1 << 16  # owners of storage; the kernel counts none
_MAX_ENTRIES = 1 << 27
_LARGEST = 4 << 20  # bytes that the kernel allocates in one piece: KMALLOC_MAX_SIZE
_WITH_KEY = _LARGEST - 49  # of those, for a key and its value in a hash
_OF_CPU = 32 << 10  # and on each CPU: PCPU_MIN_UNIT_SIZE
_OWNED = 65407  # and for what belongs to a socket, task, inode or group
_FRAMES = 127  # of a stack trace: kernel.perf_event_max_stack

_USER = F.RDONLY | F.WRONLY
_ACCESS = _USER | F.RDONLY_PROG | F.WRONLY_PROG
_NODE = F.NUMA_NODE
_NONE = (0,)
_ANY = range(1, 1 << 32)
_SOME = range(1, _MAX_ENTRIES + 1)


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one type: which flags may and must be there, which sizes and counts there are."""

    flags: int
    key: Container[int]
    value: Container[int]
    entries: Container[int] = _SOME
    needed: int = 0


def _upto(size: int) -> range:
    return range(1, size + 1)


_NUMBER, _LINK = (4,), (4, 8)  # a link: an index or file descriptor, and another or a cookie
_OF_GROUP = 8, 16  # the id, and how the program is attached
_COUNTED = 0, STORAGE_ENTRIES  # none said, or as that is completed

_BY_TYPE = {
    T.HASH: Limits(F.NO_PREALLOC | _NODE | _ACCESS | F.ZERO_SEED, _ANY, _ANY),
    T.PERCPU_HASH: Limits(F.NO_PREALLOC | _ACCESS | F.ZERO_SEED, _ANY, _upto(_OF_CPU)),
    T.LRU_HASH: Limits(F.NO_COMMON_LRU | _NODE | _ACCESS | F.ZERO_SEED, _ANY, _ANY),
    T.LRU_PERCPU_HASH: Limits(F.NO_COMMON_LRU | _ACCESS | F.ZERO_SEED, _ANY, _upto(_OF_CPU)),
    T.HASH_OF_MAPS: Limits(F.NO_PREALLOC | _NODE | _ACCESS | F.ZERO_SEED, _ANY, _NUMBER),
    T.ARRAY: Limits(
        _NODE | _ACCESS | F.MMAPABLE | F.INNER_MAP, _NUMBER, _upto((1 << 31) - 1), _ANY
    ),
    T.PERCPU_ARRAY: Limits(_ACCESS, _NUMBER, _upto(_OF_CPU), _ANY),
    T.PROG_ARRAY: Limits(_NODE | _USER, _NUMBER, _NUMBER),
    T.PERF_EVENT_ARRAY: Limits(_NODE | _USER | F.PRESERVE_ELEMS, _NUMBER, _NUMBER, _ANY),
    T.CGROUP_ARRAY: Limits(_NODE | _USER, _NUMBER, _NUMBER),
    T.ARRAY_OF_MAPS: Limits(_NODE | _USER, _NUMBER, _NUMBER),
    T.STACK_TRACE: Limits(_NODE | _USER | F.STACK_BUILD_ID, _NUMBER, range(8, 32 * _FRAMES + 1, 8)),
    T.LPM_TRIE: Limits(
        F.NO_PREALLOC | _NODE | _ACCESS, range(5, 261), _upto(_LARGEST - 280), needed=F.NO_PREALLOC
    ),
    T.DEVMAP: Limits(_NODE | _USER, _NUMBER, _LINK),
    T.DEVMAP_HASH: Limits(_NODE | _USER, _NUMBER, _LINK),
    T.CPUMAP: Limits(_NODE, _NUMBER, _LINK),
    T.XSKMAP: Limits(_NODE | _USER, _NUMBER, _NUMBER),
    T.SOCKMAP: Limits(_NODE | _USER, _NUMBER, _LINK),
    T.SOCKHASH: Limits(_NODE | _USER, _upto(512), _LINK),
    T.REUSEPORT_SOCKARRAY: Limits(_NODE | _ACCESS, _NUMBER, _LINK),
    T.CGROUP_STORAGE: Limits(_NODE | _ACCESS, _OF_GROUP, _upto(_OWNED), _COUNTED),
    T.PERCPU_CGROUP_STORAGE: Limits(_NODE | _ACCESS, _OF_GROUP, _upto(_OF_CPU), _COUNTED),
    T.QUEUE: Limits(_NODE | _ACCESS, _NONE, _upto(_LARGEST), _ANY),
    T.STACK: Limits(_NODE | _ACCESS, _NONE, _upto(_LARGEST), _ANY),
    T.BLOOM_FILTER: Limits(_NODE | _ACCESS | F.ZERO_SEED, _NONE, _upto(_LARGEST), _ANY),
    T.RINGBUF: Limits(_NODE, _NONE, _NONE, tuple(1 << n for n in range(12, 32))),
    T.USER_RINGBUF: Limits(_NODE, _NONE, _NONE, tuple(1 << n for n in range(12, 32))),
}
_STORAGE = Limits(F.NO_PREALLOC | F.CLONE, _NUMBER, _upto(_OWNED), _COUNTED, needed=F.NO_PREALLOC)
OWNED: tuple[MapType, ...] = T.SK_STORAGE, T.INODE_STORAGE, T.TASK_STORAGE, T.CGRP_STORAGE
_LIMITS = _BY_TYPE | dict.fromkeys(OWNED, _STORAGE)
STORAGES = (
    *OWNED,
    T.CGROUP_STORAGE,
    T.PERCPU_CGROUP_STORAGE,
)  # grow with what they are attached to
NEEDED = {kind: limits.needed for kind, limits in _LIMITS.items() if limits.needed}
_APART = (
    (F.RDONLY, F.WRONLY),
    (F.RDONLY_PROG, F.WRONLY_PROG),
    (F.NO_COMMON_LRU, F.NUMA_NODE),
)  # flags that do not go together


def check(definition: MapDefinition) -> None:
    """Raise `ValueError` for a definition that the kernel refuses."""
    limits, d = _LIMITS[definition.type], definition
    what = f"{d.name} ({d.type.name.lower()})"
    for name, allowed in (("key", limits.key), ("value", limits.value)):
        size = getattr(d, f"{name}_size")
        if size not in allowed:
            raise ValueError(f"{what}: a {name} cannot have {size} bytes, but {_shown(allowed)}")
    if d.max_entries not in limits.entries:
        raise ValueError(f"{what}: max_entries is {d.max_entries}, not {_shown(limits.entries)}")
    if d.key_size and d.key_size + d.value_size > _WITH_KEY and d.type != T.ARRAY:
        raise ValueError(f"{what}: key and value have more than {_WITH_KEY} bytes")
    if d.extra >> 4 or (d.extra and d.type != T.BLOOM_FILTER):
        raise ValueError(f"{what}: map_extra, {d.extra}, is for Bloom filters, and at most 15")
    _check_flags(what, d, limits)


def _check_flags(what: str, d: MapDefinition, limits: Limits) -> None:
    if unknown := d.flags & ~int(limits.flags):
        raise ValueError(f"{what}: there is no flag {_names(unknown)}")
    if missing := limits.needed & ~int(d.flags):
        raise ValueError(f"{what}: it must have the flag {_names(missing)}")
    for pair in _APART:
        both = pair[0] | pair[1]
        if d.flags & both == both:
            raise ValueError(f"{what}: the flags {_names(both)} exclude one another")
    if d.type == T.STACK_TRACE:
        frame = 32 if d.flags & F.STACK_BUILD_ID else 8
        if d.value_size % frame or d.value_size > frame * _FRAMES:
            size = d.value_size
            raise ValueError(f"{what}: {size} bytes are not 1 to {_FRAMES} frames of {frame}")


def _names(flags: int) -> str:
    """Flags as the kernel names them, unknown ones as a number."""
    known = [flag for flag in F if flags & flag]
    rest = flags & ~sum(known)
    names = [f"BPF_F_{flag.name}" for flag in known]
    return " | ".join([*names, *([hex(rest)] if rest else [])])


def _shown(allowed: Container[int]) -> str:
    if isinstance(allowed, range):
        step = f" in steps of {allowed.step}" if allowed.step > 1 else ""
        return f"{allowed[0]} to {allowed[-1]}{step}"
    if isinstance(allowed, tuple) and len(allowed) > 2:
        return f"a power of two from {allowed[0]} to {allowed[-1]}"
    return " or ".join(map(str, allowed)) if isinstance(allowed, tuple) else ""
