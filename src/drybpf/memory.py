"""What a program can see: one guest address space, in slots of 256 MiB.

    slot   0        1         2       3        4            5         6 …
           nothing  context   stack   packet   registered   handles   data sections, map values

`address >> 28` is the slot and the low 28 bits the offset.  Addresses are the same in every run, on
every host and in every engine, and all that a context points at lies below 4 GiB.

Within the stack, frame d of a run has 512 bytes above a gap of 512, and r10 is its end:

    offset   d·1024          d·1024 + 512                     d·1024 + 1024
             gap, faults     the frame's bytes                r10
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import TYPE_CHECKING

from drybpf.errors import MemoryFault

if TYPE_CHECKING:
    from typing_extensions import Buffer

SLOT_BITS = 28
SLOT_SIZE = 1 << SLOT_BITS
CONTEXT, STACK, PACKET, REGISTERED, HANDLES, DATA = (slot << SLOT_BITS for slot in range(1, 7))
FUNCTION_HANDLES = HANDLES + (SLOT_SIZE >> 1)  # + the slot of the function's entry

FRAME_SIZE, FRAME_STRIDE, MAX_FRAMES = 512, 1024, 8

_FORMATS = {1: Struct("<B"), 2: Struct("<H"), 4: Struct("<I"), 8: Struct("<Q")}
_MASKS = {size: (1 << 8 * size) - 1 for size in _FORMATS}


def frame_top(depth: int) -> int:
    """The address behind frame `depth`, from 0: the value of r10 there."""
    return STACK + (depth + 1) * FRAME_STRIDE


class Region:
    """A stretch of guest addresses over a host buffer."""

    __slots__ = ("data", "length", "name", "start", "writable")

    def __init__(self, name: str, start: int, buffer: Buffer, *, writable: bool = True) -> None:
        """Map a buffer at a guest address; it is writable where buffer and caller say so."""
        self.name, self.start = name, start
        self.data = memoryview(buffer).cast("B")
        self.length = len(self.data)
        self.writable = writable and not self.data.readonly

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the bytes: a view cannot be pickled, and may be of a part of its buffer."""
        data = bytearray(self.data) if self.writable else bytes(self.data)
        return _region, (self.name, self.start, data, self.writable)

    def __repr__(self) -> str:
        """`<Region packet [0x30000000, 0x30000040)>`."""
        return f"<Region {self.name} [{self.start:#x}, {self.start + self.length:#x})>"


def _region(name: str, start: int, buffer: Buffer, writable: bool) -> Region:
    return Region(name, start, buffer, writable=writable)


class Memory:
    """The regions of one run, and the only way to the bytes in them.

    Every access is checked against region, bounds and permission; what no region allows is a
    `MemoryFault`.  An access never crosses from one region into another.
    """

    def __init__(self) -> None:
        """Begin with a stack of one zeroed frame."""
        self._slots: dict[int, list[Region]] = {}
        self._stack = memoryview(bytearray(MAX_FRAMES * FRAME_STRIDE))
        self._slots[STACK >> SLOT_BITS] = []
        self.push_frame(0)

    def map(self, region: Region) -> Region:
        """Add a region.  Raises `ValueError` where it overlaps another or leaves its slots."""
        first = region.start >> SLOT_BITS
        last = (region.start + max(region.length, 1) - 1) >> SLOT_BITS
        if last > first and region.start < DATA:
            message = f"{region.name} of {region.length} bytes does not fit into its {SLOT_SIZE}"
            raise ValueError(message)
        for slot in range(first, last + 1):
            for other in self._slots.get(slot, ()):
                apart = other.start + other.length <= region.start
                if not apart and region.start + region.length > other.start:
                    message = f"{region.name} overlaps {other.name}"
                    raise ValueError(message)
            self._slots.setdefault(slot, []).append(region)
        return region

    def regions(self) -> Iterator[Region]:
        """Yield each region once, by address."""
        seen = {id(region): region for regions in self._slots.values() for region in regions}
        yield from sorted(seen.values(), key=lambda region: region.start)

    def push_frame(self, depth: int) -> None:
        """Zero frame `depth` and let the program see it."""
        frame = self._frame(depth)
        frame.data[:] = bytes(FRAME_SIZE)
        # The newest frame stands first: it is the one that programs use most.
        self._slots[STACK >> SLOT_BITS].insert(0, frame)

    def _frame(self, depth: int) -> Region:
        begin = depth * FRAME_STRIDE + FRAME_STRIDE - FRAME_SIZE
        return Region("stack", STACK + begin, self._stack[begin : begin + FRAME_SIZE])

    def pop_frame(self) -> None:
        """Hide the newest frame."""
        del self._slots[STACK >> SLOT_BITS][0]

    def show_frames(self, count: int) -> None:
        """Let the program see the first `count` frames as they are in the stack's bytes."""
        frames = self._slots[STACK >> SLOT_BITS]
        frames[:] = [self._frame(depth) for depth in range(count - 1, -1, -1)]

    @property
    def stack(self) -> memoryview:
        """The bytes of the whole stack, gaps included, for compiled code."""
        return self._stack

    def load(self, address: int, size: int) -> int:
        """Read 1, 2, 4 or 8 bytes as an unsigned number."""
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if 0 <= offset <= region.length - size:
                value: int = _FORMATS[size].unpack_from(region.data, offset)[0]
                return value
        raise self._fault(address, size, "read")

    def store(self, address: int, size: int, value: int) -> None:
        """Write the low 1, 2, 4 or 8 bytes of a number."""
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if 0 <= offset <= region.length - size and region.writable:
                _FORMATS[size].pack_into(region.data, offset, value & _MASKS[size])
                return
        raise self._fault(address, size, "write")

    def check_atomic(self, address: int, size: int) -> None:
        """Refuse an atomic access that is not aligned, not mapped or not writable."""
        self._view(address, size, "atomic", write=True)
        if address % size:
            raise MemoryFault(address, size, "atomic", "", f"not aligned to {size}")

    def read(self, address: int, length: int) -> bytes:
        """Copy bytes out of one region; no bytes may be asked for anywhere."""
        _check_length(length)
        return bytes(self._view(address, length, "read")) if length else b""

    def write(self, address: int, data: Buffer) -> None:
        """Copy bytes into one region."""
        source = memoryview(data).cast("B")
        if len(source):
            self._view(address, len(source), "write", write=True)[:] = source

    def read_string(self, address: int, limit: int = SLOT_SIZE) -> bytes:
        """Read up to a zero byte, which is left out, and at most `limit` bytes.

        A fault where the region ends before either.
        """
        _check_length(limit)
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if 0 <= offset < region.length:
                available = bytes(region.data[offset : offset + limit])
                text, end, _ = available.partition(b"\0")
                if end or len(available) == limit:
                    return text
                raise self._fault(region.start + region.length, 1, "read")
        raise self._fault(address, 1, "read")

    def _view(self, address: int, size: int, kind: str, *, write: bool = False) -> memoryview:
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if 0 <= offset <= region.length - size and (region.writable or not write):
                return region.data[offset : offset + size]
        raise self._fault(address, size, kind)

    def _fault(self, address: int, size: int, kind: str) -> MemoryFault:
        """Find out why an access was refused."""
        slot = address >> SLOT_BITS
        if address < 0 or address >> 64:
            return MemoryFault(address, size, kind, "", "no 64-bit address")
        if slot == 0:
            return MemoryFault(address, size, kind, "", "a null pointer")
        if slot == HANDLES >> SLOT_BITS:
            reason = "a handle is a value to pass on, not an address"
            return MemoryFault(address, size, kind, "handles", reason)
        regions = self._slots.get(slot, [])
        if not regions:
            return MemoryFault(address, size, kind, "", "nothing is mapped there")
        nearest = min(regions, key=lambda region: _distance(region, address))
        end = nearest.start + nearest.length
        if nearest.start <= address <= end - size:
            return MemoryFault(address, size, kind, nearest.name, f"{nearest.name} is read-only")
        reason = f"outside {nearest.name} [{nearest.start:#x}, {end:#x})"
        return MemoryFault(address, size, kind, nearest.name, reason)

    def copy(self) -> Memory:
        """Copy regions and bytes, so that the copy can run on without touching this one."""
        twin = Memory()
        twin._slots = {}
        twin._stack = memoryview(bytearray(self._stack))
        twins = {id(region): twin._twin(region) for region in self.regions()}
        for slot, regions in self._slots.items():
            twin._slots[slot] = [twins[id(region)] for region in regions]
        return twin

    def _twin(self, region: Region) -> Region:
        if region.start >> SLOT_BITS == STACK >> SLOT_BITS:
            begin = region.start - STACK
            return Region(region.name, region.start, self._stack[begin : begin + region.length])
        buffer = bytearray(region.data) if region.writable else bytes(region.data)
        return Region(region.name, region.start, buffer, writable=region.writable)


def _check_length(length: int) -> None:
    """A negative length would be an index from the end."""
    if length < 0:
        raise ValueError(f"{length} is no number of bytes")


def _distance(region: Region, address: int) -> int:
    if address < region.start:
        return region.start - address
    return max(0, address - region.start - region.length + 1)
