"""How a map lies in its storage: a header of 64-bit words, then areas at the offsets it names.

All offsets are in bytes from the first byte of the storage, so that nothing in it depends on where
the storage lies, but for the table of native addresses at VTABLE.  Numbers of entries are kept
plus one wherever 0 must mean none: storage of zeros behind the header is an empty map.

    header   values          keys          links      marks       index …
             (guest memory)  KEY_STRIDE    16 bytes   1 byte an   8 bytes a slot
                             an entry      an entry   entry

Value i of CPU c lies at VALUES + i * STRIDE + c * CPU_STRIDE.
"""

from __future__ import annotations

# fmt: off
TYPE        = 0 * 8   # MapType
KEY_SIZE    = 1 * 8
VALUE_SIZE  = 2 * 8
MAX_ENTRIES = 3 * 8
FLAGS       = 4 * 8
VALUES      = 5 * 8   # offset of the value area
STRIDE      = 6 * 8   # between values: a power of two, 0 where there are none
CPUS        = 7 * 8   # 1 where a value is not one a CPU
CPU_STRIDE  = 8 * 8   # between the values of two CPUs, 0 where there is one value for all
COUNT       = 9 * 8   # entries in use
BASE        = 10 * 8  # guest address of the value area, 0 where it has none
CAPACITY    = 11 * 8  # entries that there is room for: MAX_ENTRIES and some for deleted ones
KEYS        = 12 * 8  # offset of the keys
KEY_STRIDE  = 13 * 8
LINKS       = 14 * 8  # offset of the links: next and previous entry, hash or time of deletion
MARKS       = 15 * 8  # offset of a byte an entry: looked up (LRU), or filled (arrays of things)
INDEX       = 16 * 8  # offset of the hash table: hash << 32 | entry + 1 in each slot
INDEX_MASK  = 17 * 8  # number of its slots - 1
FRESH       = 18 * 8  # entries from this one on were never used
FREE_HEAD   = 19 * 8  # of the deleted entries, the one deleted first, + 1
FREE_TAIL   = 20 * 8
HEAD        = 21 * 8  # of the entries in use, the oldest, + 1
TAIL        = 22 * 8
PRODUCED    = 23 * 8  # queues and rings: how much was ever put in, items or bytes
CONSUMED    = 24 * 8  # and taken out
LOST        = 25 * 8  # records that found no room
HASHES      = 26 * 8  # of a Bloom filter
RECORDS     = 27 * 8  # offset of a ring's record headers, one for each 8 bytes of data
NODES       = 28 * 8  # offset of the nodes of a trie
LAST_NODE   = 29 * 8  # the highest number that a node can have
FRESH_NODE  = 30 * 8  # how many nodes were ever used besides the root
LOCKED      = 31 * 8  # where values have a spin lock, in bytes + 1; 0 where they have none
FREE_BLOCKS = 32 * 8  # the first free block of nodes of each class

VTABLE      = 64 * 8  # addresses of native code, in the order of OPERATIONS; 0 where not attached
# fmt: on

OPERATIONS = (
    "lookup",  # (m, key, cpu) -> offset in the value area, or NOTHING
    "update",  # (m, key, value, flags, cpu, epoch) -> 0 or -errno
    "delete",  # (m, key, epoch) -> 0 or -errno
    "push",  # (m, value, flags) -> 0 or -errno
    "pop",  # (m, value) -> 0 or -errno
    "peek",  # (m, value) -> 0 or -errno
    "reserve",  # (m, size, flags) -> offset of the sample in the value area, or NOTHING
    "submit",  # (m, offset, flags) -> 0 or -errno
    "discard",  # (m, offset, flags) -> 0 or -errno
    "output",  # (m, data, size, flags, cpu) -> 0 or -errno
    "find",  # (m, key, cpu) -> as lookup, from Python: a look-up that leaves no mark
    # For Python alone:
    "find",  # (m, key, cpu) -> as lookup, but leaves no mark
    "exact",  # (m, key, cpu) -> the same, of just this prefix where keys are prefixes
    "put",  # (m, key, value, flags, cpu, epoch) -> as update, where programs must not
    "drop",  # (m, key, epoch) -> as delete, where programs must not
    "walk",  # (m, out, limit) -> count: the entries in use in their order, 4 bytes each, at out
)
LOOKUP, UPDATE, DELETE, PUSH, POP, PEEK, RESERVE, SUBMIT, DISCARD, OUTPUT = range(
    VTABLE, VTABLE + 8 * 10, 8
)

FREE_CLASSES = 7  # blocks of 1, 2, 4, … 64 nodes
HEADER = 4096  # bytes before the first area
LINK = 16  # bytes of an entry's links
NOTHING = (1 << 64) - 1
