"""One of our maps and its twin in the kernel: contents brought over, each way, where they differ.

What both hold is known after each way, so that only changes are written: the kernel's own order,
such as what an LRU map used last, stays as it is.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

from drybpf.kernel.btf import SPECIAL, special_members
from drybpf.kernel.maps import PER_CPU, KernelMap, join_cpus, split_cpus
from drybpf.maps import ArrayMap, Map

_PAGE = 4096
_INDEX = struct.Struct("<I")

Contents = Mapping[bytes, tuple[bytes, ...]]  # of each key the value of each CPU, or the one value


class Mirror(ABC):
    """A map on both sides."""

    def __init__(self, ours: Map, theirs: KernelMap) -> None:
        """Begin with an empty map in the kernel, whatever is in ours."""
        self.ours, self.theirs = ours, theirs

    @abstractmethod
    def push(self) -> None:
        """Make the kernel's contents those of ours.  Raises `KernelError`."""

    def pull(self) -> None:  # noqa: B027 (many maps no program can change)
        """Make our contents those of the kernel.  Raises `KernelError`."""

    def close(self) -> None:
        """Let go of the map in the kernel."""
        self.theirs.close()


class Keyed(Mirror):
    """Maps with keys and values.  Locks, timers and the like in the values are each side's own."""

    ours: Any  # a `KeyedMap` here

    def __init__(self, ours: Map, theirs: KernelMap) -> None:
        """As above."""
        super().__init__(ours, theirs)
        definition = ours.definition
        self._size, self._zeros = definition.value_size, bytes(definition.value_size)
        self._per_cpu = definition.type in PER_CPU
        self._count = ours.cpus if self._per_cpu else 1  # of values for a key
        self._own = [
            slice(member.offset, member.offset + SPECIAL[member.name][0])
            for member in special_members(definition.value)
        ]
        self._known: Contents = {}

    def push(self) -> None:
        """See `Mirror`."""
        now = self._ours()
        for key in self._known.keys() - now.keys():
            self._forget_theirs(key)
        changed = ((key, value) for key, value in now.items() if self._known.get(key) != value)
        self.theirs.update_all((key, self._join(values)) for key, values in changed)
        self._known = now

    def pull(self) -> None:
        """See `Mirror`."""
        before, now = self._ours(), dict(self._theirs())
        for key in before.keys() - now.keys():
            self._forget_ours(key)
        changed = {key: value for key, value in now.items() if before.get(key) != value}
        self._put(self._with_own(changed) if self._own else changed)
        self._known = now

    # Both sides, as far as a type of map has its own way.

    def _raw(self) -> Contents:
        contents = self.ours._contents()  # noqa: SLF001 (bytes, whatever the codecs are)
        return {key: tuple(values) for key, values in contents}

    def _put(self, changed: Contents) -> None:
        self.ours.overwrite((key, list(values)) for key, values in changed.items())

    def _forget_ours(self, key: bytes) -> None:
        self.ours.delete_element(key, self.ours.epoch)

    def _forget_theirs(self, key: bytes) -> None:
        self.theirs.delete(key)

    def _theirs(self) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        for key, value in self.theirs.items():
            yield key, self._split(value, key)

    # Values

    def _ours(self) -> Contents:
        found = self._raw()
        if self._own:
            found = {key: tuple(map(self._without_own, values)) for key, values in found.items()}
        return found

    def _join(self, values: tuple[bytes, ...]) -> bytes:
        return join_cpus(values, self._size) if self._per_cpu else values[0]

    def _split(self, value: bytes, key: bytes) -> tuple[bytes, ...]:
        """The kernel's value as ours: what CPUs hold that only we have stays."""
        if not self._per_cpu:
            return (value,)
        values = split_cpus(value, self._size)[: self._count]
        rest = self._known.get(key, ())[len(values) :]
        return (*values, *rest, *[self._zeros] * (self._count - len(values) - len(rest)))

    def _without_own(self, value: bytes) -> bytes:
        cleared = bytearray(value)
        for span in self._own:
            cleared[span] = bytes(span.stop - span.start)
        return bytes(cleared)

    def _with_own(self, changed: Contents) -> Contents:
        """New values with what our locks and timers hold."""
        raw, none = self._raw(), (self._zeros,) * self._count

        def kept(key: bytes, values: tuple[bytes, ...]) -> Iterator[bytes]:
            for value, old in zip(values, raw.get(key, none), strict=True):
                merged = bytearray(value)
                for span in self._own:
                    merged[span] = old[span]
                yield bytes(merged)

        return {key: tuple(kept(key, values)) for key, values in changed.items()}


class Array(Keyed):
    """Arrays: keys are indices, and contents are the values that are not zero."""

    ours: ArrayMap

    def _raw(self) -> Contents:
        found = {}
        for index in sorted(self._indices()):
            values = tuple(self.ours._raw(index * self.ours.store.stride))  # noqa: SLF001 (bytes)
            if any(map(any, values)):
                found[_INDEX.pack(index)] = values
        return found

    def _indices(self) -> set[int]:
        """The indices on pages that are not zero, of the many that there may be."""
        store = self.ours.store
        each, found = len(store.buffer) // self._count, set()
        for begin in range(0, len(store.buffer), each):
            for at in range(0, each, _PAGE):
                end = min(at + _PAGE, each)
                if store.buffer[begin + at : begin + end].tobytes().strip(b"\0"):
                    found |= {*range(at // store.stride, (end - 1) // store.stride + 1)}
        return found

    def _put(self, changed: Contents) -> None:
        for key, values in changed.items():
            offset = _INDEX.unpack(key)[0] * self.ours.store.stride
            self.ours._put(offset, list(values))  # noqa: SLF001 (bytes)

    def _forget_ours(self, key: bytes) -> None:
        self._put({key: (self._zeros,) * self._count})

    def _forget_theirs(self, key: bytes) -> None:
        self.theirs.update(key, self._join((self._zeros,)))

    def _theirs(self) -> Iterator[tuple[bytes, tuple[bytes, ...]]]:
        for key, value in self.theirs.items(filled=True):
            yield key, self._split(value, key)
