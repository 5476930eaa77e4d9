"""The mirrors of maps whose contents are no plain values: queues, events, devices, maps, programs.

A Bloom filter has none: its bits can be neither read nor set from outside.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from drybpf.errors import KernelError
from drybpf.kernel.descriptor import Descriptor
from drybpf.kernel.maps import KernelMap
from drybpf.kernel.mirror import Mirror
from drybpf.kernel.rings import PerfReader, RingReader
from drybpf.maps import Map, MapType, PerfEventArray, RingBuffer, layout

_FD = struct.Struct("<I")
_AF_XDP = 44  # Python has no name for it

Find = Callable[[Any], int]  # the descriptor in the kernel of a map or program of ours


class Queue(Mirror):
    """A queue or stack; the kernel's is empty between runs."""

    def push(self) -> None:
        """See `Mirror`."""
        for value in self.ours._contents():  # noqa: SLF001 (bytes, the oldest first)
            self.theirs.update(b"", value)

    def pull(self) -> None:
        """See `Mirror`."""
        values = []
        while (value := self.theirs.pop()) is not None:
            values.append(value)
        if self.ours.definition.type == MapType.STACK:
            values.reverse()
        self.ours._fill(values)  # noqa: SLF001 (as above)


class Bloom(Mirror):
    """A Bloom filter: what programs put into the kernel's is known there only."""

    def push(self) -> None:
        """Refuse a filter with something in it."""
        if self.ours.snapshot():
            raise KernelError(
                f"map {self.ours.name!r}: what a Bloom filter holds cannot be brought to the kernel"
            )


class Ring(Mirror):
    """A ring buffer: records come from the kernel, and are free there when they are taken here."""

    ours: RingBuffer

    def __init__(self, ours: Map, theirs: KernelMap) -> None:
        """As above."""
        super().__init__(ours, theirs)
        self._reader = RingReader(theirs)
        self._taken = self._consumed()

    def push(self) -> None:
        """Give back as much of the kernel's buffer as has been taken out of ours."""
        now = self._consumed()
        self._reader.free(max(0, now - self._taken))
        self._taken = now

    def pull(self) -> None:
        """Copy the new records, discarded ones as such."""
        for data, discarded in self._reader.records():
            if not discarded:
                self.ours.output(data)
            elif (place := self.ours.reserve(len(data))) >= 0:
                self.ours.discard(place)

    def close(self) -> None:
        """See `Mirror`."""
        self._reader.close()
        super().close()

    def _consumed(self) -> int:
        start = layout.CONSUMED
        return int.from_bytes(self.ours.storage[start : start + 8], "little")


class Perf(Mirror):
    """A perf event array.  The kernel pads events; where a codec says their size, it is cut off."""

    ours: PerfEventArray

    def __init__(self, ours: Map, theirs: KernelMap) -> None:
        """As above."""
        super().__init__(ours, theirs)
        self._reader = PerfReader(theirs)

    def push(self) -> None:
        """There is nothing to bring."""

    def pull(self) -> None:
        """See `Mirror`."""
        codec = self.ours.codec
        for cpu, data in self._reader.records():
            padded = codec is not None and codec.size <= len(data) < codec.size + 8
            self.ours.output(cpu, data[: codec.size] if codec is not None and padded else data)

    def close(self) -> None:
        """See `Mirror`."""
        self._reader.close()
        super().close()


class Things(Mirror):
    """Maps that no program changes: what our values name is put into the kernel's."""

    def __init__(self, ours: Map, theirs: KernelMap, find: Find) -> None:
        """`find` gives the descriptor of a map or program."""
        super().__init__(ours, theirs)
        self._find = find
        self._known: dict[bytes, bytes] = {}

    def push(self) -> None:
        """See `Mirror`."""
        now = {self._key(key): self._value(value) for key, value in self._items()}
        for key in self._known.keys() - now.keys():
            self.theirs.delete(key)
        for key, value in now.items():
            if self._known.get(key) != value:
                self._update(key, value)
        self._known = now

    def _items(self) -> list[tuple[Any, Any]]:
        contents = self.ours._contents()  # noqa: SLF001 (keys as bytes, or indices)
        return [*(contents.items() if isinstance(contents, dict) else contents)]

    @staticmethod
    def _key(key: int | bytes) -> bytes:
        return _FD.pack(key) if isinstance(key, int) else key

    def _value(self, value: Any) -> bytes:  # noqa: ANN401 (a map, a program, what a codec shows)
        return _FD.pack(self._find(value[0] if isinstance(value, list) else value))

    def _update(self, key: bytes, value: bytes) -> None:
        try:
            self.theirs.update(key, value)
        except KernelError as error:
            reason = f"map {self.ours.name!r}, key {key.hex()}: {error.reason}"
            raise KernelError(reason, error.errno) from error


class Numbers(Things):
    """Devices and CPUs, by their numbers."""

    def _value(self, value: Any) -> bytes:  # noqa: ANN401 (what a codec shows)
        if isinstance(value, list):
            return bytes(value[0])
        codec = self.ours.definition.value
        return codec.pack(value) if codec is not None else bytes(value)


class Sockets(Things):
    """AF_XDP sockets: whatever ours name, each is an unbound one of the kernel's."""

    def __init__(self, ours: Map, theirs: KernelMap, find: Find) -> None:
        """As above."""
        super().__init__(ours, theirs, find)
        self._sockets: dict[str, Descriptor] = {}

    def _value(self, value: Any) -> bytes:  # noqa: ANN401 (a number)
        number = str(value)
        if number not in self._sockets:
            try:
                made = socket.socket(_AF_XDP, socket.SOCK_RAW)
            except OSError as error:
                raise KernelError(f"no AF_XDP socket: {error}", error.errno or 0) from error
            self._sockets[number] = Descriptor(made.detach())
        return _FD.pack(self._sockets[number].fd)

    def close(self) -> None:
        """See `Mirror`."""
        for each in self._sockets.values():
            each.close()
        super().close()


class Unfilled(Things):
    """Sockets, cgroups, stack traces: only an empty map can have a twin."""

    def _value(self, value: Any) -> bytes:  # noqa: ANN401 (whatever it is)
        kind = self.ours.definition.type.name.lower()
        raise KernelError(f"map {self.ours.name!r}: the kernel has no such {kind} entry: {value!r}")
