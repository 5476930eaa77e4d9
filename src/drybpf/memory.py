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

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf.errors import MemoryFault

if TYPE_CHECKING:
    from typing_extensions import Buffer

SLOT_BITS = 28
SLOT_SIZE = 1 << SLOT_BITS
CONTEXT, STACK, PACKET, REGISTERED, HANDLES, DATA = (slot << SLOT_BITS for slot in range(1, 7))
DYNAMIC = 1 << 46  # what helpers map while a program runs, each in slots of its own
FUNCTION_HANDLES = HANDLES + (SLOT_SIZE >> 1)  # + the slot of the function's entry

FRAME_SIZE, FRAME_STRIDE, MAX_FRAMES = 512, 1024, 8
EXTRA_ROOM = 1024  # bytes by which a packet's buffer grows beyond what is needed

_ZEROS = bytes(FRAME_SIZE)
_FORMATS = {1: Struct("<B"), 2: Struct("<H"), 4: Struct("<I"), 8: Struct("<Q")}
_MASKS = {size: (1 << 8 * size) - 1 for size in _FORMATS}


def frame_top(depth: int) -> int:
    """The address behind frame `depth`, from 0: the value of r10 there."""
    return STACK + (depth + 1) * FRAME_STRIDE


class Region:
    """A stretch of guest addresses over a host buffer.

    With a `stride`, a power of two, it holds values of `size` bytes at the multiples of the stride,
    and no access leaves its value.  `protected` are the spans (from, up to) that programs cannot
    write although the rest is writable.
    """

    __slots__ = ("data", "length", "mask", "name", "protected", "room", "start", "writable")

    def __init__(
        self,
        name: str,
        start: int,
        buffer: Buffer,
        *,
        writable: bool = True,
        stride: int = 0,
        size: int = 0,
        protected: tuple[tuple[int, int], ...] = (),
    ) -> None:
        """Map a buffer at a guest address; it is writable where buffer and caller say so."""
        self.name, self.start = name, start
        self.data = memoryview(buffer).cast("B")
        self.length = len(self.data)
        self.writable = writable and not self.data.readonly
        # An access lies inside where its offset is below the length and, within its value, its
        # end is at most the room.
        self.mask = stride - 1 if stride else -1
        self.room = size if stride else self.length
        self.protected = protected

    def allows(self, offset: int, size: int) -> bool:
        """Whether a program may write some bytes that lie inside."""
        return self.writable and all(
            offset >= end or offset + size <= begin for begin, end in self.protected
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the bytes: a view cannot be pickled, and may be of a part of its buffer."""
        data = bytearray(self.data) if self.writable else bytes(self.data)
        stride = self.mask + 1
        return _region, (
            self.name,
            self.start,
            data,
            self.writable,
            stride,
            self.room,
            self.protected,
        )

    def __repr__(self) -> str:
        """`<Region packet [0x30000000, 0x30000040)>`."""
        return f"<Region {self.name} [{self.start:#x}, {self.start + self.length:#x})>"


def _region(
    name: str,
    start: int,
    buffer: Buffer,
    writable: bool,
    stride: int,
    size: int,
    protected: tuple[tuple[int, int], ...],
) -> Region:
    return Region(
        name, start, buffer, writable=writable, stride=stride, size=size, protected=protected
    )


class PacketFrame(Region):
    """A packet in a buffer with room around it, in which its two ends can move."""

    __slots__ = ("buffer", "origin")

    def __init__(self, origin: int, buffer: Buffer, low: int, high: int) -> None:
        """Show the bytes from `low` up to `high`; the buffer's first is at address `origin`."""
        super().__init__("packet", low, b"")
        self.buffer, self.origin = memoryview(buffer).cast("B"), origin
        self.move(low, high)

    @property
    def limit(self) -> int:
        """The address behind the buffer."""
        return self.origin + len(self.buffer)

    def move(self, low: int, high: int) -> None:
        """Move the ends.  Raises `ValueError` where they leave the buffer or cross."""
        if not self.origin <= low <= high <= self.limit:
            raise ValueError(f"[{low:#x}, {high:#x}) leaves the packet's buffer")
        self.start, self.length = low, high - low
        self.data = self.buffer[low - self.origin : high - self.origin]
        self.room, self.writable = self.length, not self.buffer.readonly

    def extend(self, count: int) -> None:
        """Have a larger buffer, with as many more bytes at its end, and some in reserve."""
        buffer = bytearray(len(self.buffer) + count + EXTRA_ROOM)
        buffer[: len(self.buffer)] = self.buffer
        self.buffer = memoryview(buffer)
        self.move(self.start, self.start + self.length)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the whole buffer."""
        end = self.start + self.length
        return PacketFrame, (self.origin, bytearray(self.buffer), self.start, end)


class Memory:
    """The regions of one run, and the only way to the bytes in them.

    Every access is checked against region, bounds and permission; what no region allows is a
    `MemoryFault`.  An access never crosses from one region into another.
    """

    def __init__(self, shared: Mapping[int, list[Region]] = MappingProxyType({})) -> None:
        """Begin with a stack of one zeroed frame, and with the regions of a space, by slot."""
        self._shared = shared
        self.changed: Callable[[], None] | None = None  # is told when regions come, go or move
        self._slots: dict[int, list[Region]] = dict(shared)
        self._stack = memoryview(bytearray(MAX_FRAMES * FRAME_STRIDE))
        self._dynamic = 0  # the slots that `add` has given away; none is given twice
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
            self._slots[slot] = [*self._slots.get(slot, ()), region]
        self._tell()
        return region

    def unmap(self, region: Region) -> None:
        """Take a region away.  Raises `ValueError` where it is not mapped."""
        found = False
        for slot, regions in self._slots.items():
            if region in regions:
                self._slots[slot] = [other for other in regions if other is not region]
                found = True
        if not found:
            raise ValueError(f"{region.name} is not mapped")
        self._tell()

    def _tell(self) -> None:
        if self.changed is not None:
            self.changed()

    def regions(self) -> Iterator[Region]:
        """Yield each region once, by address."""
        seen = {id(region): region for regions in self._slots.values() for region in regions}
        yield from sorted(seen.values(), key=lambda region: region.start)

    def push_frame(self, depth: int) -> None:
        """Zero frame `depth` and let the program see it."""
        frame = self._frame(depth)
        frame.data[:] = _ZEROS
        # The newest frame stands first: it is the one that programs use most.
        self._slots[STACK >> SLOT_BITS].insert(0, frame)

    def clear_frame(self, depth: int) -> None:
        """Zero a frame that the program sees."""
        self._frame(depth).data[:] = _ZEROS

    @property
    def packet_frame(self) -> PacketFrame | None:
        """The packet, where its ends can move."""
        region = self.at(PACKET)
        return region if isinstance(region, PacketFrame) else None

    def at(self, address: int) -> Region | None:
        """The one region of the slot of an address; None where there is none."""
        regions = self._slots.get(address >> SLOT_BITS)
        return regions[0] if regions else None

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
            if 0 <= offset < region.length and (offset & region.mask) + size <= region.room:
                value: int = _FORMATS[size].unpack_from(region.data, offset)[0]
                return value
        raise self._fault(address, size, "read")

    def store(self, address: int, size: int, value: int) -> None:
        """Write the low 1, 2, 4 or 8 bytes of a number."""
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if (
                0 <= offset < region.length
                and (offset & region.mask) + size <= region.room
                and region.writable
                and (not region.protected or region.allows(offset, size))
            ):
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

    def fill(self, address: int, value: int, length: int) -> None:
        """Set bytes of one region to the low 8 bits of a value."""
        _check_length(length)
        if length:
            view = self._view(address, length, "write", write=True)
            view[:] = bytes([value & 0xFF]) * length

    def check(self, address: int, size: int, *, write: bool = False) -> None:
        """Refuse, with the fault that it would be, an access that no one region allows."""
        _check_length(size)
        if size:
            self._view(address, size, "write" if write else "read", write=write)

    def add(self, name: str, buffer: Buffer, *, writable: bool = True) -> Region:
        """Map a buffer at the next free dynamic address, in a slot of its own."""
        address = DYNAMIC + (self._dynamic << SLOT_BITS)
        region = self.map(Region(name, address, buffer, writable=writable))
        self._dynamic += 1 + (max(region.length, 1) - 1 >> SLOT_BITS)
        return region

    def dynamic(self, address: int) -> Region | None:
        """The region that `add` mapped at just this address; None where there is none."""
        region = self.at(address) if address >= DYNAMIC else None
        return region if region is not None and region.start == address else None

    def read_string(self, address: int, limit: int = SLOT_SIZE) -> bytes:
        """Read up to a zero byte, which is left out, and at most `limit` bytes.

        A fault where the region ends before either.
        """
        _check_length(limit)
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            if 0 <= offset < region.length:
                inner = offset & region.mask
                count = max(0, min(limit, region.room - inner))
                available = bytes(region.data[offset : offset + count])
                text, end, _ = available.partition(b"\0")
                if end or len(available) == limit:
                    return text
                raise self._fault(address + len(available), 1, "read")
        raise self._fault(address, 1, "read")

    def _view(self, address: int, size: int, kind: str, *, write: bool = False) -> memoryview:
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            inside = 0 <= offset < region.length and (offset & region.mask) + size <= region.room
            if inside and (not write or region.allows(offset, size)):
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
        end, offset = nearest.start + nearest.length, address - nearest.start
        if 0 <= offset < nearest.length:
            inner = offset & nearest.mask
            if inner + size <= nearest.room:
                reason = f"{nearest.name} is read-only"
                if nearest.writable:
                    reason = f"offset {offset} of {nearest.name} is read-only"
                return MemoryFault(address, size, kind, nearest.name, reason)
            if nearest.mask != -1:
                reason = f"outside the value of {nearest.room} bytes at {address - inner:#x}"
                return MemoryFault(address, size, kind, nearest.name, reason)
        reason = f"outside {nearest.name} [{nearest.start:#x}, {end:#x})"
        return MemoryFault(address, size, kind, nearest.name, reason)

    def copy(self) -> Memory:
        """Copy regions and bytes, so that the copy can run on without touching this one.

        What a space shares, maps and data sections, is shared by the copy too.
        """
        twin = Memory(self._shared)
        twin._dynamic = self._dynamic
        twin._stack = memoryview(bytearray(self._stack))
        own = {slot: all_ for slot, all_ in self._slots.items() if slot not in self._shared}
        twins = {id(region): twin._twin(region) for each in own.values() for region in each}
        for slot, regions in own.items():
            twin._slots[slot] = [twins[id(region)] for region in regions]
        return twin

    def _twin(self, region: Region) -> Region:
        if region.start >> SLOT_BITS == STACK >> SLOT_BITS:
            begin = region.start - STACK
            return Region(region.name, region.start, self._stack[begin : begin + region.length])
        if isinstance(region, PacketFrame):
            end = region.start + region.length
            return PacketFrame(region.origin, bytearray(region.buffer), region.start, end)
        buffer = bytes(region.data) if region.data.readonly else bytearray(region.data)
        stride = region.mask + 1
        return Region(
            region.name,
            region.start,
            buffer,
            writable=region.writable,
            stride=stride,
            size=region.room if stride else 0,
            protected=region.protected,
        )


def _check_length(length: int) -> None:
    """A negative length would be an index from the end."""
    if length < 0:
        raise ValueError(f"{length} is no number of bytes")


def _distance(region: Region, address: int) -> int:
    if address < region.start:
        return region.start - address
    return max(0, address - region.start - region.length + 1)
