"""Maps from keys to values: the hash family."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from errno import E2BIG, ENOENT, ENOSPC
from typing import TYPE_CHECKING, Any, ClassVar

from drybpf.errors import MapError
from drybpf.maps import layout
from drybpf.maps.algorithms import hash as algorithms
from drybpf.maps.codec import Codec, Owner
from drybpf.maps.definition import MapDefinition, MapType
from drybpf.maps.keys import EntryKeys, Keys
from drybpf.maps.limits import OWNED, STORAGE_ENTRIES, STORAGES
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas

if TYPE_CHECKING:
    from drybpf.native.restricted import Function

_SPARE, _SPARE_BYTES = 4096, 64 << 20  # entries, and bytes, for values of deleted entries


class KeyedMap(PerCpu, MutableMapping[Any, Any]):
    """A mapping in the order in which keys came.

    Keys and values are what the definition's codecs show.  Per CPU, a value is a list, one a CPU;
    setting takes such a list, or one value for all.
    """

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        d = self.definition
        spare = min(d.max_entries, _SPARE, _SPARE_BYTES // d.value_size)
        capacity = d.max_entries + 8 + spare
        slots = 1 << (2 * d.max_entries + 1).bit_length()
        words = self._place_values(areas, capacity)
        between = -(-self.key_size // 8) * 8 if self.key_size > 4 else 4
        return words | {
            layout.CAPACITY: capacity,
            layout.KEYS: areas.add(capacity * between),
            layout.KEY_STRIDE: between,
            layout.LINKS: areas.add(capacity * layout.LINK),
            layout.INDEX: areas.add(slots * 8),
            layout.INDEX_MASK: slots - 1,
        }

    # Mapping

    def __getitem__(self, key: Any) -> Any:  # noqa: ANN401 (whatever the types are shown as)
        """The value of a key; `KeyError` where there is none."""
        offset = self._find(self._packed_key(key))
        if offset < 0:
            raise KeyError(key)
        return self._get(offset)

    def __setitem__(self, key: Any, value: Any) -> None:  # noqa: ANN401 (as above)
        """Set the value of a key; `MapError` with E2BIG where the map is full."""
        self._check_writable()
        self._set(self._packed_key(key), self._packed(value))

    def __delitem__(self, key: Any) -> None:  # noqa: ANN401 (as above)
        """Take a key out; `KeyError` where it is not there."""
        self._check_writable()
        result = self._signed_call("drop", self._packed_key(key), self.epoch)
        if result == -ENOENT:
            raise KeyError(key)
        if result:
            raise self._refuse(-result)

    def __iter__(self) -> Iterator[Any]:
        """The keys that are there now."""
        return iter([self._key.unpack(key) for key in self.keys_in_order()])

    def __len__(self) -> int:
        """The number of keys."""
        return self._count()

    def __contains__(self, key: object) -> bool:
        """Whether a key has a value."""
        try:
            return self._find(self._packed_key(key)) >= 0
        except (TypeError, ValueError):
            return False

    def clear(self) -> None:
        """Take out all keys at once."""
        PerCpu.clear(self)  # not that of mappings, which goes one by one

    # Storage

    def keys_in_order(self) -> Sequence[bytes]:
        """The keys, the one that came first, first."""
        return self._keys_of(self._entries())

    def key_at(self, offset: int) -> bytes | None:
        """See `Map`; the value of a key that was taken out has none."""
        step = self._words[layout.STRIDE]
        entry = offset // step
        if not 0 <= entry < self._words[layout.CAPACITY]:
            return None
        key = self._keys_of([entry])[0]
        return key if self._operate["exact"](key, 0) == entry * step else None

    def _keys_of(self, entries: Sequence[int]) -> Keys:
        keys = self.storage[self._words[layout.KEYS] :]
        return EntryKeys(entries, keys, self._words[layout.KEY_STRIDE], self.key_size)

    def _pairs(self) -> list[tuple[bytes, int]]:
        """The keys in order, each with the offset of its value."""
        entries, step = self._entries(), self._words[layout.STRIDE]
        offsets = (entry * step for entry in entries)
        return list(zip(self._keys_of(entries), offsets, strict=True))

    def _entries(self) -> memoryview:
        """The numbers of the entries in use, in their order."""
        count = len(self)
        room = bytearray(4 * count)
        count = self._operate["walk"](room, count) if count else 0
        return memoryview(room)[: 4 * count].cast("I")

    def _find(self, key: bytes) -> int:
        """The offset of a value, as `lookup_element` but without counting as a use."""
        offset = self._operate["find"](key, 0)
        return -1 if offset == layout.NOTHING else offset

    def _packed_key(self, key: Any) -> bytes:  # noqa: ANN401 (as above)
        data = self._key.pack(key)
        self._check_size("key", data, self.key_size)
        return data

    def _set(self, key: bytes, values: list[bytes]) -> None:
        result = self._signed_call("put", key, values[0], 0, 0, self.epoch)
        if result in (-E2BIG, -ENOSPC):
            raise MapError(-result, f"{self.name} is full ({self.definition.max_entries} entries)")
        if result:
            raise self._refuse(-result)
        if len(values) > 1:
            self._put(self._operate["exact"](key, 0), values)

    def overwrite(self, contents: Iterable[tuple[bytes, list[bytes]]]) -> None:
        """Write values, one a CPU, where those of their keys are: no update, which ends timers.

        Keys that are not there are put in.  Raises `MapError` as setting does.
        """
        for key, values in contents:
            offset = self._operate["exact"](key, 0)
            if offset == layout.NOTHING:
                self._set(key, values)
            else:
                self._put(offset, values)

    def snapshot(self) -> dict[Any, Any]:
        """A dict; keys that are lists become tuples."""
        unpack = self._key.unpack
        return {_hashable(unpack(key)): self._get(offset) for key, offset in self._pairs()}

    def restore(self, snapshot: Mapping[Any, Any]) -> None:
        """Make the contents those of a mapping."""
        self.clear()
        for key, value in snapshot.items():
            self[key] = value

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        unpack = self._key.unpack
        return ((unpack(key), self._get(offset)) for key, offset in self._pairs())

    def _contents(self) -> list[tuple[bytes, list[bytes]]]:
        return [(key, self._raw(offset)) for key, offset in self._pairs()]

    def _fill(self, contents: list[tuple[bytes, list[bytes]]]) -> None:
        for key, values in contents:
            self._set(key, values)


class _Marked(list[tuple[bytes, list[bytes]]]):
    """Contents with the keys that count as used."""

    used: Sequence[bytes] = ()


class HashMap(KeyedMap):
    """A hash map, plain or per CPU, with LRU eviction or without; devices and sockets by key.

    Storage that the kernel attaches to cgroups by the older helper is one by the cgroup's id.
    """

    TYPES: ClassVar[tuple[MapType, ...]] = (
        MapType.HASH,
        MapType.PERCPU_HASH,
        MapType.LRU_HASH,
        MapType.LRU_PERCPU_HASH,
        MapType.DEVMAP_HASH,
        MapType.SOCKHASH,
        MapType.CGROUP_STORAGE,
        MapType.PERCPU_CGROUP_STORAGE,
    )

    @staticmethod
    def _completed(definition: MapDefinition, _: int) -> MapDefinition:
        """A storage grows with what it is attached to."""
        if definition.type in STORAGES and not definition.max_entries:
            return replace(definition, max_entries=STORAGE_ENTRIES)
        return definition

    @property
    def lru(self) -> bool:
        """Whether a full map forgets what was not used for longest."""
        return self.definition.type in (MapType.LRU_HASH, MapType.LRU_PERCPU_HASH)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        words = super()._lay_out(areas)
        if self.lru:
            words[layout.MARKS] = areas.add(words[layout.CAPACITY])
        return words

    def _contents(self) -> list[tuple[bytes, list[bytes]]]:
        contents = super()._contents()
        if not self.lru:
            return contents
        marked = _Marked(contents)
        marks, entries = self.storage[self._words[layout.MARKS] :], self._entries()
        pairs = zip(entries, contents, strict=True)
        marked.used = [key for entry, (key, _) in pairs if marks[entry]]
        return marked

    def _fill(self, contents: list[tuple[bytes, list[bytes]]]) -> None:
        super()._fill(contents)
        for key in contents.used if isinstance(contents, _Marked) else ():
            self._operate["lookup"](key, 0)

    def inline_lookup(self) -> Function[...]:
        """See `Map`."""
        words = self._words
        return algorithms.lookup_here.bind(
            KEY=self.key_size,
            ENTRIES=words[layout.CAPACITY],
            AT_INDEX=words[layout.INDEX],
            SLOTS=words[layout.INDEX_MASK] + 1,
            AT_KEYS=words[layout.KEYS],
            BETWEEN_KEYS=words[layout.KEY_STRIDE],
            BETWEEN=words[layout.STRIDE],
            OF_CPU=words.get(layout.CPU_STRIDE, 0),
            CPU_COUNT=words[layout.CPUS],
            AT_MARKS=words.get(layout.MARKS, 0),
        )


class OwnedMap(HashMap):
    """Storage that belongs to sockets, tasks, inodes or groups: `map[owner]`, by their numbers.

    Those are a socket's cookie, a process's id, an inode's address, a group's id.  The kernel's
    definition says 4 bytes for a key, which is a file descriptor there.
    """

    TYPES = OWNED

    @property
    def key_size(self) -> int:
        """The bytes of an owner's number."""
        return Owner.size

    def _codecs(self) -> tuple[Codec, Codec]:
        return Owner(), super()._codecs()[1]


def _hashable(key: Any) -> Any:  # noqa: ANN401 (as codecs show it)
    return tuple(_hashable(each) for each in key) if isinstance(key, list) else key
