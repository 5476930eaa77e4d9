"""What a map is, as an object file or a user says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

from drybpf.maps.codec import Codec


class MapType(IntEnum):
    """The kernel's map types, by the kernel's numbers (`enum bpf_map_type`)."""

    UNSPEC = 0
    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERF_EVENT_ARRAY = 4
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    STACK_TRACE = 7
    CGROUP_ARRAY = 8
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    HASH_OF_MAPS = 13
    DEVMAP = 14
    SOCKMAP = 15
    CPUMAP = 16
    XSKMAP = 17
    SOCKHASH = 18
    CGROUP_STORAGE = 19
    REUSEPORT_SOCKARRAY = 20
    PERCPU_CGROUP_STORAGE = 21
    QUEUE = 22
    STACK = 23
    SK_STORAGE = 24
    DEVMAP_HASH = 25
    STRUCT_OPS = 26
    RINGBUF = 27
    INODE_STORAGE = 28
    TASK_STORAGE = 29
    BLOOM_FILTER = 30
    USER_RINGBUF = 31
    CGRP_STORAGE = 32
    ARENA = 33


class MapFlag(IntFlag):
    """The kernel's flags of a map (`BPF_F_*` at creation)."""

    NO_PREALLOC = 1 << 0
    NO_COMMON_LRU = 1 << 1
    NUMA_NODE = 1 << 2
    RDONLY = 1 << 3  # for user space
    WRONLY = 1 << 4  # for user space
    STACK_BUILD_ID = 1 << 5  # stacks as build id and offset in the file, 32 bytes a frame
    ZERO_SEED = 1 << 6
    RDONLY_PROG = 1 << 7
    WRONLY_PROG = 1 << 8
    CLONE = 1 << 9  # a socket's storage goes over to the sockets that it accepts
    MMAPABLE = 1 << 10
    PRESERVE_ELEMS = 1 << 11
    INNER_MAP = 1 << 12  # an array that may be held where one of another size is


@dataclass(frozen=True)
class MapDefinition:
    """A map before it exists; sizes in bytes, as the kernel's `struct bpf_map_def`.

    `inner` is the definition of the maps that a map of maps holds.  `key` and `value` say how
    Python sees them, None where that is bytes.
    """

    name: str
    type: MapType
    key_size: int = 0
    value_size: int = 0
    max_entries: int = 0
    flags: int = 0
    inner: MapDefinition | None = None
    key: Codec | None = None
    value: Codec | None = None
    pinned: bool = False  # by its name, for other objects to share
    extra: int = 0  # map_extra: a Bloom filter's number of hash functions
