"""What every map is: storage, a place in a space, operations on elements, contents to compare.

Programs and Python see the same bytes.  The methods `…_element` are the kernel's helpers: keys and
values as bytes, results as the kernel's numbers; compiled programs do the same natively.  What
Python users call is in the classes above this one.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from errno import EINVAL, EPERM
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Self

from drybpf import markup
from drybpf.errors import MapError
from drybpf.maps import calls, layout, limits
from drybpf.maps.codec import Codec, RawBytes, lock_of
from drybpf.maps.definition import MapDefinition, MapFlag, MapType
from drybpf.maps.layout import NOTHING
from drybpf.maps.storage import Areas, Storage

if TYPE_CHECKING:
    from drybpf.memory import Region
    from drybpf.native.restricted import Function
    from drybpf.space import Space

MAX_CPUS = 4096
MAX_ENTRIES = (1 << 32) - 1
READ_ONLY = frozenset(
    {
        MapType.DEVMAP,
        MapType.DEVMAP_HASH,
        MapType.CPUMAP,
        MapType.XSKMAP,
        MapType.SOCKMAP,
        MapType.SOCKHASH,
        MapType.CGROUP_ARRAY,
        MapType.REUSEPORT_SOCKARRAY,
        MapType.STACK_TRACE,
    }
)  # programs may look at the values, but not write them
WARM = 1000  # operations run in CPython by all maps before it is worth while to load LLVM

_SIGN, _MODULUS = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class MapValues:
    """The value area as a space places it: see `drybpf.space.Values`."""

    buffer: memoryview
    stride: int
    size: int
    writable: bool


class Map:
    """A map; `Map.create` makes one of the class that its type wants."""

    TYPES: ClassVar[tuple[MapType, ...]] = ()
    _classes: ClassVar[dict[MapType, type[Map]]] = {}

    def __init_subclass__(cls) -> None:
        """Know the class by its types."""
        super().__init_subclass__()
        for kind in cls.TYPES:
            Map._classes[kind] = cls

    @staticmethod
    def create(definition: MapDefinition, *, cpus: int = 4) -> Any:  # noqa: ANN401 (a Map)
        """Make an empty map.  `cpus` is how many values each key has where it has one a CPU.

        To type checkers it is `Any`, since what can be done with it depends on its type.
        Raises `ValueError` for what the kernel refuses, `TypeError` for what is no whole number,
        `MapError` where there is no memory.
        """
        cls = Map._classes.get(definition.type)
        if cls is None:
            raise ValueError(f"maps of type {definition.type.name} are not supported")
        return cls(definition, cpus)

    def __init__(self, definition: MapDefinition, cpus: int = 4) -> None:
        """Check the definition and take the memory, which costs nothing until it is used."""
        if definition.type not in self.TYPES:
            raise ValueError(f"a {type(self).__name__} is no map of type {definition.type.name}")
        _check_whole("cpus", cpus)
        if not 1 <= cpus <= MAX_CPUS:
            raise ValueError(f"{cpus} CPUs are not between 1 and {MAX_CPUS}")
        for name in ("key_size", "value_size", "max_entries", "flags"):
            _check_whole(name, getattr(definition, name))
            if not 0 <= getattr(definition, name) <= MAX_ENTRIES:
                raise ValueError(f"{name} {getattr(definition, name)} has no 32 bits")
        self.definition, self.cpus = self._completed(definition, cpus), cpus
        definition = self.definition
        self.handle = 0  # in its space
        self.space: Space | None = None
        self._locked = bool(definition.flags & MapFlag.RDONLY)
        self._region: Region | None = None
        limits.check(definition)
        lock = lock_of(definition.value)
        areas = Areas()
        self._words = {
            layout.TYPE: definition.type,
            layout.KEY_SIZE: self.key_size,
            layout.VALUE_SIZE: definition.value_size,
            layout.MAX_ENTRIES: definition.max_entries,
            layout.FLAGS: definition.flags,
            layout.CPUS: 1,
            layout.LOCKED: 0 if lock is None or lock + 4 > definition.value_size else lock + 1,
        }
        self._words |= self._lay_out(areas)
        self._storage = Storage(areas.size)
        self._storage.set_words(self._words)
        self._key, self._value = self._codecs()
        self._initial: Any = None
        self._attached = False
        self._operate: Mapping[str, Callable[..., int]] = calls.interpreted(
            self._storage, definition.type, _teller(self)
        )

    # What a class says of its maps.

    @staticmethod
    def _completed(definition: MapDefinition, cpus: int) -> MapDefinition:  # noqa: ARG004 (some use it)
        """The definition with what the kernel fills in where it says 0."""
        return definition

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        """Place the areas; gives the words of the header that tell where they are."""
        raise NotImplementedError

    def _codecs(self) -> tuple[Codec, Codec]:
        d = self.definition
        return d.key or RawBytes(self.key_size), d.value or RawBytes(d.value_size)

    def inline_lookup(self) -> Function[...] | None:
        """The look-up as a function of (m, key, cpu) with this map's layout as constants.

        None where a program goes through the table of addresses.
        """
        return None

    @property
    def key_size(self) -> int:
        """The bytes of a key here, which are the definition's unless its keys stand for others."""
        return self.definition.key_size

    # The storage, and native code for it.

    @property
    def storage(self) -> memoryview:
        """All bytes of the map: see `layout`."""
        return self._storage.view

    @property
    def address(self) -> int:
        """The host address of the storage."""
        return self._storage.address

    @property
    def store(self) -> MapValues:
        """The bytes of the values as programs see them; empty where they see none."""
        begin, stride = self._words.get(layout.VALUES, 0), self._words.get(layout.STRIDE, 0)
        size = self._visible() if begin else 0
        d = self.definition
        writable = not d.flags & MapFlag.RDONLY_PROG and d.type not in READ_ONLY
        buffer = self.storage[begin : begin + size]
        return MapValues(buffer, stride, self.definition.value_size, writable)

    def _visible(self) -> int:
        """How many bytes of values programs may see."""
        entries = self._words.get(layout.CAPACITY, self.definition.max_entries)
        each = self._words.get(layout.CPU_STRIDE, 0)
        return each * self.cpus or entries * self._words.get(layout.STRIDE, 0)

    @property
    def region(self) -> Region | None:
        """Where a space has placed the values."""
        return self._region

    @region.setter
    def region(self, region: Region | None) -> None:
        self._region = region
        self._words[layout.BASE] = region.start if region else 0
        self._storage.set_word(layout.BASE, self._words[layout.BASE])

    def enter(self, space: Space) -> None:
        """Be told by a space that it has placed this map."""
        self.space = space

    def attach_native(self) -> bool:
        """Use native code, and write its addresses into the header; False where there is none."""
        if not self._attached:
            from drybpf.maps import native  # noqa: PLC0415 (only who calls natively needs it)

            self._attached = native.attach(self._storage, self.definition.type)
            if self._attached:
                self._operate = native.calls(self._storage, self.definition.type) or self._operate
        return self._attached

    def _warm(self) -> None:
        """Count an operation in CPython; go over to native code when that is worth while."""
        _operations[0] += 1
        if _operations[0] >= WARM or RUNTIME in sys.modules:
            self.attach_native()

    # Operations on elements, as the kernel's helpers have them.

    @property
    def epoch(self) -> int:
        """The number of the space's run at hand; 0 outside of a space."""
        return self.space.epoch if self.space else 0

    def lookup_element(self, key: bytes, cpu: int = 0) -> int:
        """The offset of a key's value in the value area, -1 where there is none."""
        self._check_size("key", key, self.key_size)
        return _offset(self._operate["lookup"](key, cpu))

    def find_element(self, key: bytes, cpu: int = 0) -> int:
        """The same, but it does not count as a use where what is not used is forgotten."""
        self._check_size("key", key, self.key_size)
        return _offset(self._operate["find"](key, cpu))

    def update_element(
        self, key: bytes, value: bytes, flags: int = 0, cpu: int = 0, epoch: int = 0
    ) -> int:
        """Put a value, for one CPU where there is one a CPU; 0 or -errno."""
        self._check_size("key", key, self.key_size)
        self._check_size("value", value, self.definition.value_size)
        return _signed(self._operate["update"](key, value, flags, cpu, epoch))

    def delete_element(self, key: bytes, epoch: int = 0) -> int:
        """Take a key out; 0 or -errno.  Its value stays as it is until the epoch is another."""
        self._check_size("key", key, self.key_size)
        return _signed(self._operate["delete"](key, epoch))

    def push_element(self, value: bytes, flags: int = 0) -> int:
        """Put a value into a queue, stack or Bloom filter; 0 or -errno."""
        self._check_size("value", value, self.definition.value_size)
        return _signed(self._operate["push"](value, flags))

    def pop_element(self) -> tuple[int, bytes]:
        """Take the next value of a queue or stack: 0 and the value, or -errno and zeros."""
        return self._take("pop")

    def peek_element(self, value: bytes | None = None) -> tuple[int, bytes]:
        """The same without taking it; of a Bloom filter, whether a value may be in it."""
        if value is not None:
            self._check_size("value", value, self.definition.value_size)
        return self._take("peek", value)

    def _signed_call(self, operation: str, *arguments: Any) -> int:  # noqa: ANN401 (as the operation has)
        return _signed(self._operate[operation](*arguments))

    def _take(self, operation: str, value: bytes | None = None) -> tuple[int, bytes]:
        room = bytearray(self.definition.value_size if value is None else value)
        return self._signed_call(operation, room), bytes(room)

    def keys_in_order(self) -> Sequence[bytes]:
        """The keys that are there now, in the order in which `bpf_for_each_map_elem` meets them.

        Each is read when it is asked for; see `keys`.
        """
        return ()

    def key_at(self, offset: int) -> bytes | None:  # noqa: ARG002 (classes with values use it)
        """The key of the value that has a byte at an offset in the value area; None for no key."""
        return None

    def _check_size(self, what: str, data: bytes, size: int) -> None:
        # Native code takes this many bytes, whatever it was given, and knows just these types.
        if type(data) not in (bytes, bytearray):
            raise TypeError(f"a {what} is bytes here, not {type(data).__name__}")
        if len(data) != size:
            raise ValueError(f"a {what} of {self.name} has {size} bytes, not {len(data)}")

    # What users of every map have.

    @property
    def name(self) -> str:
        """The definition's name."""
        return self.definition.name

    def clear(self) -> None:
        """Make the map empty, or all values zero; memory goes back to the system."""
        self._check_writable()
        self._clear()

    def _clear(self) -> None:
        self._storage.clear(self._words)

    def snapshot(self) -> Any:  # noqa: ANN401 (as the map's contents are)
        """The contents as plain lists or dicts, to compare and to `restore`."""
        raise NotImplementedError

    def restore(self, snapshot: Any) -> None:  # noqa: ANN401 (as above)
        """Make the contents those of a snapshot."""
        raise NotImplementedError

    def keep(self) -> None:
        """Let `reset` return to what the map holds now."""
        self._initial = self._contents()

    def reset(self) -> None:
        """Return to what `keep` saw, and else to an empty map."""
        self._clear()
        if self._initial is not None:
            self._fill(self._initial)

    def copy(self) -> Self:
        """A new map with the same contents, in no space."""
        twin = type(self)(self.definition, self.cpus)
        twin._initial = self._initial  # noqa: SLF001 (of the same class)
        twin._fill(self._contents())  # noqa: SLF001 (as above)
        return twin

    __copy__ = copy

    def _check_writable(self) -> None:
        if self._locked:
            raise MapError(EPERM, f"{self.name} is read-only for user space")

    def _refuse(self, error: int, reason: str = "") -> MapError:
        text = reason or f"{self.name} ({self.definition.type.name.lower()}) does not do that"
        return MapError(error or EINVAL, text)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the contents, not the memory."""
        state = self._contents(), self._initial, self.handle, self.space
        return _remake, (type(self), self.definition, self.cpus), state

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Fill in what was pickled."""
        contents, self._initial, self.handle, space = state
        self._fill(contents)
        self.space = space

    def _contents(self) -> Any:  # noqa: ANN401 (raw, for `_fill`)
        raise NotImplementedError

    def _fill(self, contents: Any) -> None:  # noqa: ANN401 (as above)
        raise NotImplementedError

    def __repr__(self) -> str:
        """`<HashMap flows: 3 of 1024 entries>`."""
        return f"<{type(self).__name__} {self.name}: {self._describe()}>"

    def _repr_html_(self) -> str:
        """How a notebook shows it: the first entries."""
        return markup.table(("key", "value"), islice(self._rows(), 20), repr(self))

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        """Keys or numbers and what belongs to them, to be shown; nothing is taken out."""
        return ()

    def _count(self) -> int:
        """The number of entries in use; racing threads may have miscounted it."""
        return min(self._storage.word(layout.COUNT), self.definition.max_entries)

    def _describe(self) -> str:
        return f"{self._count()} of {self.definition.max_entries} entries"


def _teller(made: Map) -> Callable[[], None]:
    """Counts operations for a map without keeping it alive."""
    reference = weakref.ref(made)

    def tell() -> None:
        alive = reference()
        if alive is not None:
            alive._warm()  # noqa: SLF001 (of this module)

    return tell


RUNTIME = "drybpf.maps.native"  # a module that is loaded where native code is wanted
_operations = [0]  # run in CPython by all maps


def _check_whole(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}")


def stride(size: int) -> int:
    """The distance between values of a size: the power of two from 8 on that is larger.

    So there is a gap behind each, and running off one never reaches the next.
    """
    return max(8, 1 << size.bit_length())


def _remake(cls: type[Map], definition: MapDefinition, cpus: int) -> Map:
    return cls(definition, cpus)


def _offset(result: int) -> int:
    return -1 if result == NOTHING else result


def _signed(result: int) -> int:
    return result - _MODULUS if result & _SIGN else result
