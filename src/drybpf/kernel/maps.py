"""Maps in the kernel."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from drybpf.errors import KernelError
from drybpf.kernel import btf, cpus, syscall
from drybpf.kernel.descriptor import Descriptor
from drybpf.kernel.syscall import Batch, Command, Element, MapCreate
from drybpf.maps import MapDefinition, MapType

if TYPE_CHECKING:
    from typing_extensions import Buffer

PER_CPU = frozenset(
    {MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH},
)
KEYLESS = frozenset({MapType.QUEUE, MapType.STACK, MapType.BLOOM_FILTER})
OF_MAPS = frozenset({MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS})
ANY, NOEXIST, EXIST = 0, 1, 2  # the flags of an update
_TOGETHER = 4096  # elements that go in one call, where the type of map has such calls
_NO_BATCHES = frozenset({errno.EINVAL, errno.EOPNOTSUPP, syscall.NOT_SUPPORTED})


class KernelMap(Descriptor):
    """A map in the kernel, by its file descriptor; keys and values are bytes.

    The value of a per-CPU map is that of CPU 0, of CPU 1 and so on, each padded to a multiple of
    8 bytes.  The value of a map of maps, programs or sockets is a file descriptor (4 bytes).
    """

    def __init__(
        self,
        definition: MapDefinition,
        *,
        inner: KernelMap | None = None,
        special: Sequence[btf.Special] = (),
        flags: int = 0,
    ) -> None:
        """Create it.  `inner` shows what a map of maps will hold, `flags` come on top.

        Raises `KernelError` where the kernel has no such map.
        """
        self.definition = definition
        value_size = definition.value_size
        types = btf.value_types(definition.key_size, value_size, special) if special else None
        attributes = MapCreate(
            map_type=definition.type,
            key_size=definition.key_size,
            value_size=value_size,
            max_entries=definition.max_entries,
            map_flags=definition.flags | flags,
            inner_map_fd=inner.fd if inner else 0,
            map_name=syscall.text(definition.name),
            btf_fd=types.btf.fd if types else 0,
            btf_key_type_id=types.key if types else 0,
            btf_value_type_id=types.value if types else 0,
            map_extra=definition.extra,
        )
        try:
            super().__init__(syscall.bpf(Command.MAP_CREATE, attributes))
        except KernelError as error:
            kind = definition.type.name.lower()
            error.add_note(f"map {definition.name!r} ({kind})")
            raise
        finally:
            if types:
                types.btf.close()  # the map holds on to it
        padded = -(-value_size // 8) * 8
        # The bytes of a value as the calls take it: those of all CPUs.
        self.value_room = padded * cpus.possible() if definition.type in PER_CPU else value_size

    def lookup(self, key: Buffer = b"") -> bytes | None:
        """The value of a key, None where there is none.

        Queue, stack: the value that would be popped, whatever the key.
        """
        return self._take(Command.MAP_LOOKUP_ELEM, key)

    def pop(self, key: Buffer = b"") -> bytes | None:
        """Look up and delete; of queue and stack, the next value."""
        return self._take(Command.MAP_LOOKUP_AND_DELETE_ELEM, key)

    def update(self, key: Buffer, value: Buffer, flags: int = ANY) -> None:
        """Set the value of a key; of queue, stack and Bloom filter, push with an empty key.

        Raises `KernelError` with what the kernel says: ENOENT, EEXIST, E2BIG, …
        """
        definition = self.definition
        held_value = self._held(value, self.value_room, "value")
        held_key = self._held(key, definition.key_size, "key")
        syscall.bpf(
            Command.MAP_UPDATE_ELEM,
            Element(
                map_fd=self.fd,
                key=syscall.address(held_key) if definition.key_size else 0,
                value=syscall.address(held_value),
                flags=flags,
            ),
        )

    def delete(self, key: Buffer) -> bool:
        """Delete a key; whether it was there."""
        held = self._held(key, self.definition.key_size, "key")
        element = Element(map_fd=self.fd, key=syscall.address(held))
        return _found(Command.MAP_DELETE_ELEM, element)

    def keys(self) -> Iterator[bytes]:
        """The keys, in the kernel's order; deleting the key at hand is allowed."""
        size = self.definition.key_size
        following = syscall.room(size)
        element = Element(map_fd=self.fd, key=0, value=syscall.address(following))
        more = _found(Command.MAP_GET_NEXT_KEY, element)
        while more:
            key = bytes(following)[:size]
            before = syscall.copy_in(key)
            element.key = syscall.address(before)
            more = _found(Command.MAP_GET_NEXT_KEY, element)  # first: the key may be deleted now
            yield key

    def items(self, *, filled: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values, in the kernel's order; with `filled` only values that are not zero."""
        for keys, values, count in self._blocks():
            if filled and not values.strip(b"\0"):
                continue  # at once: of large arrays most is zero
            size, each = self.definition.key_size, self.value_room
            for number in range(count):
                value = values[each * number : each * (number + 1)]
                if not filled or value.strip(b"\0"):
                    yield keys[size * number : size * (number + 1)], value

    def _blocks(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Keys, their values and how many: many at once where this type of map can do that."""
        try:
            yield from self._batches()
        except KernelError as error:
            if error.errno not in _NO_BATCHES:
                raise
            for key in self.keys():
                value = self.lookup(key)
                if value is not None:
                    yield key, value, 1

    def _batches(self) -> Iterator[tuple[bytes, bytes, int]]:
        """The blocks by BPF_MAP_LOOKUP_BATCH.  It is refused at once, or not at all."""
        size, each, count = self.definition.key_size, self.value_room, self._together
        after = syscall.room(max(8, size))
        keys, values = syscall.room(size * count), syscall.room(each * count)
        more, batch = True, Batch(map_fd=self.fd, out_batch=syscall.address(after))
        while more:
            batch.keys, batch.values = syscall.address(keys), syscall.address(values)
            batch.count = count
            try:
                more = _found(Command.MAP_LOOKUP_BATCH, batch)
            except KernelError as error:
                if error.errno != errno.ENOSPC:  # one of the kernel's buckets has more elements
                    raise
                count *= 2
                keys, values = syscall.room(size * count), syscall.room(each * count)
                continue
            yield (
                memoryview(keys)[: size * batch.count].tobytes(),
                memoryview(values)[: each * batch.count].tobytes(),
                batch.count,
            )
            before = syscall.copy_in(after)
            batch.in_batch = syscall.address(before)

    def update_all(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Set the values of many keys.  Raises `KernelError` as `update` does."""
        waiting = iter(items)
        while part := list(islice(waiting, self._together)):
            if len(part) == 1 or not self._update_together(part):
                for key, value in part:
                    self.update(key, value)

    def _update_together(self, part: list[tuple[bytes, bytes]]) -> bool:
        """Set values by BPF_MAP_UPDATE_BATCH; False where it was refused."""
        keys = self._held(b"".join(key for key, _ in part), len(part) * self.definition.key_size)
        values = self._held(b"".join(value for _, value in part), len(part) * self.value_room)
        batch = Batch(map_fd=self.fd, count=len(part))
        batch.keys, batch.values = syscall.address(keys), syscall.address(values)
        try:
            syscall.bpf(Command.MAP_UPDATE_BATCH, batch)
        except KernelError:
            return False  # one after the other tells which it was
        return True

    def freeze(self) -> None:
        """Let no program and nobody else write any more, so that the values count as constant."""
        syscall.bpf(Command.MAP_FREEZE, Element(map_fd=self.fd))

    def _take(self, command: Command, key: Buffer) -> bytes | None:
        size = self.definition.key_size
        held_key = self._held(key, size, "key")
        value = syscall.room(self.value_room)
        element = Element(
            map_fd=self.fd,
            key=syscall.address(held_key) if size else 0,
            value=syscall.address(value),
        )
        return bytes(value)[: self.value_room] if _found(command, element) else None

    @property
    def _together(self) -> int:
        """How many elements go in one call: of large ones few."""
        entries = min(_TOGETHER, self.definition.max_entries)
        return max(1, min(entries, (1 << 20) // (self.definition.key_size + self.value_room + 1)))

    @staticmethod
    def _held(data: Buffer, size: int, what: str = "batch") -> syscall.Held:
        held = memoryview(data).cast("B")
        if len(held) != size:
            raise ValueError(f"a {what} has {size} bytes, not {len(held)}")
        return syscall.copy_in(held)

    def __repr__(self) -> str:
        """`<KernelMap flows: hash>`."""
        return f"<KernelMap {self.definition.name}: {self.definition.type.name.lower()}>"


def _found(command: Command, element: Element | Batch) -> bool:
    """Make a call that says by ENOENT that there is nothing."""
    try:
        syscall.bpf(command, element)
    except KernelError as error:
        if error.errno == errno.ENOENT:
            return False
        raise
    return True


def split_cpus(value: bytes, value_size: int) -> list[bytes]:
    """The value of each CPU out of that of a per-CPU map."""
    stride = -(-value_size // 8) * 8
    return [value[start : start + value_size] for start in range(0, len(value), stride)]


def join_cpus(values: Sequence[bytes], value_size: int) -> bytes:
    """The value of a per-CPU map out of each CPU's; CPUs without one get zeros."""
    stride = -(-value_size // 8) * 8
    parts = [*values, *[b""] * (cpus.possible() - len(values))][: cpus.possible()]
    return b"".join(part.ljust(stride, b"\0") for part in parts)
