"""What programs sent to user space: ring buffers, and perf event arrays, read where they lie."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct
from collections.abc import Iterator

from drybpf.errors import KernelError
from drybpf.kernel import cpus, syscall
from drybpf.kernel.descriptor import Descriptor
from drybpf.kernel.maps import KernelMap

_PAGE = mmap.PAGESIZE
_POSITION = struct.Struct("<Q")
_RING_HEADER = struct.Struct("<II")  # length with two flags, place of the map's page
_BUSY, _DISCARD = 1 << 31, 1 << 30
_PERF_HEADER = struct.Struct("<IHH")  # kind, misc, size with this header
_SIZE = struct.Struct("<I")
_HEAD, _TAIL = 1024, 1032  # in the first page: how far the kernel wrote, how far it was read
_SAMPLE = 9  # PERF_RECORD_SAMPLE
_PERF_NUMBERS = {"x86_64": 298, "aarch64": 241}  # of perf_event_open(2)
_PERF_PAGES = 64  # of data, for each CPU; a power of two
# struct perf_event_attr: type, size, config, sample_period, sample_type, …, wakeup_events
_ATTRIBUTES = struct.Struct("<IIQQQQQI4x")
_SOFTWARE, _BPF_OUTPUT, _RAW = 1, 10, 1 << 10
_ATTRIBUTES_SIZE = 112  # PERF_ATTR_SIZE_VER5
_FLAG_CLOEXEC = 8


class RingReader:
    """The consumer of a BPF_MAP_TYPE_RINGBUF."""

    def __init__(self, ring: KernelMap) -> None:
        """Map its pages.  Raises `KernelError`."""
        self._size = ring.definition.max_entries
        try:
            self._consumer = mmap.mmap(ring.fd, _PAGE)
            length = _PAGE + 2 * self._size  # the data twice, so that no record is in two parts
            self._producer = mmap.mmap(ring.fd, length, prot=mmap.PROT_READ, offset=_PAGE)
            (self._read,) = _POSITION.unpack_from(self._consumer)
        except OSError as error:
            raise KernelError(f"{ring!r} cannot be read: {error}", error.errno or 0) from error

    def records(self) -> Iterator[tuple[bytes, bool]]:
        """Read the new records that are complete, in order: bytes, and whether it was discarded.

        They keep their place in the buffer until it is freed.
        """
        while self._read < _POSITION.unpack_from(self._producer)[0]:
            place = _PAGE + self._read % self._size
            length, _ = _RING_HEADER.unpack_from(self._producer, place)
            if length & _BUSY:
                return
            start, size = place + _RING_HEADER.size, length & ~_DISCARD
            self._read += -(-(_RING_HEADER.size + size) // 8) * 8
            yield bytes(self._producer[start : start + size]), bool(length & _DISCARD)

    def free(self, size: int | None = None) -> None:
        """Let the kernel use so many bytes again, or all that was read."""
        (position,) = _POSITION.unpack_from(self._consumer)
        freed = self._read if size is None else min(self._read, position + size)
        _POSITION.pack_into(self._consumer, 0, freed)

    def close(self) -> None:
        """Unmap."""
        self._consumer.close()
        self._producer.close()


class PerfReader:
    """The reader of a BPF_MAP_TYPE_PERF_EVENT_ARRAY: a perf event for each CPU, and its pages."""

    def __init__(self, events: KernelMap) -> None:
        """Open an event for each CPU and put it into the map.  Raises `KernelError`."""
        self._rings: list[tuple[int, Descriptor, mmap.mmap]] = []
        count = min(cpus.possible(), events.definition.max_entries)
        for cpu in range(count):
            try:
                event = Descriptor(_open(cpu))
                pages = mmap.mmap(event.fd, (1 + _PERF_PAGES) * _PAGE)
            except OSError as error:
                self.close()
                message = f"no perf event for CPU {cpu}: {error.strerror}"
                raise KernelError(message, error.errno or 0) from error
            self._rings.append((cpu, event, pages))
            events.update(_SIZE.pack(cpu), _SIZE.pack(event.fd))

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Take the records: CPU and bytes, which the kernel pads to 8·n + 4."""
        for cpu, _, pages in self._rings:
            (head,), (tail,) = (_POSITION.unpack_from(pages, place) for place in (_HEAD, _TAIL))
            while tail < head:
                kind, _, size = _PERF_HEADER.unpack(_around(pages, tail, _PERF_HEADER.size))
                record = _around(pages, tail + _PERF_HEADER.size, size - _PERF_HEADER.size)
                tail += size
                _POSITION.pack_into(pages, _TAIL, tail)
                if kind == _SAMPLE:
                    (length,) = _SIZE.unpack_from(record)
                    yield cpu, record[_SIZE.size : _SIZE.size + length]

    def close(self) -> None:
        """Unmap, and close the events."""
        for _, event, pages in self._rings:
            pages.close()
            event.close()
        self._rings.clear()


def _around(pages: mmap.mmap, position: int, size: int) -> bytes:
    """Bytes of a ring whose end goes on at its beginning."""
    length = _PERF_PAGES * _PAGE
    place = position % length
    first = min(size, length - place)
    return pages[_PAGE + place : _PAGE + place + first] + pages[_PAGE : _PAGE + size - first]


def _open(cpu: int) -> int:
    """perf_event_open(2) for the output of BPF programs on a CPU; raises `OSError`."""
    fields = (_SOFTWARE, _ATTRIBUTES_SIZE, _BPF_OUTPUT, 1, _RAW, 0, 0, 1)
    attributes = syscall.copy_in(_ATTRIBUTES.pack(*fields).ljust(_ATTRIBUTES_SIZE, b"\0"))
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_long(_PERF_NUMBERS.get(platform.machine(), -1))
    pid, group, flags = ctypes.c_long(-1), ctypes.c_long(-1), ctypes.c_long(_FLAG_CLOEXEC)
    fd: int = libc.syscall(number, attributes, pid, ctypes.c_long(cpu), group, flags)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return fd
