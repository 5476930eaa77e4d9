"""Arrays: plain and per CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from errno import EINVAL
from operator import index as as_index
from typing import TYPE_CHECKING, Any, overload

from drybpf.maps import layout
from drybpf.maps.algorithms import array as algorithms
from drybpf.maps.base import Map
from drybpf.maps.definition import MapType
from drybpf.maps.keys import IndexKeys
from drybpf.maps.percpu import PerCpu
from drybpf.maps.storage import Areas

if TYPE_CHECKING:
    from drybpf.native.restricted import Function

_PAGE = 4096


class ArrayMap(PerCpu, Map):
    """A sequence of fixed length: `map[3] = 5`, `map[2:4]`, `list(map)`.

    Per CPU, an element is a list of values, one a CPU; setting takes such a list, or one value for
    all.
    """

    TYPES = (MapType.ARRAY, MapType.PERCPU_ARRAY)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        d = self.definition
        return self._place_values(areas, d.max_entries)

    def inline_lookup(self) -> Function[...]:
        """See `Map`: a bounds check and an address computation."""
        d, words = self.definition, self._words
        between = words[layout.STRIDE]
        if not self.percpu:
            return algorithms.lookup_here.bind(MAX=d.max_entries, BETWEEN=between)
        return algorithms.lookup_of_cpu.bind(
            MAX=d.max_entries,
            BETWEEN=between,
            CPU_COUNT=self.cpus,
            OF_CPU=words[layout.CPU_STRIDE],
        )

    def keys_in_order(self) -> Sequence[bytes]:
        """The indices, upwards."""
        return IndexKeys(range(len(self)))

    def key_at(self, offset: int) -> bytes | None:
        """See `Map`."""
        index = offset // self._words[layout.STRIDE]
        return index.to_bytes(4, "little") if 0 <= index < len(self) else None

    def __len__(self) -> int:
        """The number of elements, `max_entries`."""
        return self.definition.max_entries

    @overload
    def __getitem__(self, index: int) -> Any: ...  # noqa: ANN401 (whatever the type is shown as)
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        """An element, or a list of some; `IndexError` behind the end."""
        if isinstance(index, slice):
            return [self._get(self._offset(each)) for each in range(*index.indices(len(self)))]
        return self._get(self._offset(self._index(index)))

    @overload
    def __setitem__(self, index: int, value: Any) -> None: ...  # noqa: ANN401 (as above)
    @overload
    def __setitem__(self, index: slice, value: Iterable[Any]) -> None: ...

    def __setitem__(self, index: int | slice, value: Any) -> None:
        """Set an element, or as many as a slice has; nothing is set where one does not fit."""
        self._check_writable()
        if not isinstance(index, slice):
            self._renew(self._offset(self._index(index)), self._packed(value))
            return
        places, values = range(*index.indices(len(self))), [self._packed(each) for each in value]
        if len(places) != len(values):
            raise ValueError(f"{len(values)} values for {len(places)} elements")
        for place, packed in zip(places, values, strict=True):
            self._renew(self._offset(place), packed)

    def _renew(self, offset: int, values: list[bytes]) -> None:
        """Update an element, which ends its timer: the last byte of its gap says so."""
        self._put(offset, values)
        self.storage[self._words[layout.VALUES] + offset + self._words[layout.STRIDE] - 1] = 0

    def __delitem__(self, index: int) -> None:
        """Elements of an array cannot be deleted: `MapError` with EINVAL, as the kernel says."""
        raise self._refuse(EINVAL, f"{self.name}: an array's elements cannot be deleted")

    def __iter__(self) -> Iterator[Any]:
        """The elements."""
        for index in range(len(self)):
            yield self._get(self._offset(index))

    def __reversed__(self) -> Iterator[Any]:
        """The elements, from the last one."""
        for index in range(len(self) - 1, -1, -1):
            yield self._get(self._offset(index))

    def __contains__(self, value: object) -> bool:
        """Whether some element equals a value."""
        return any(element == value for element in self)

    def __eq__(self, other: object) -> bool:
        """Whether a list, a tuple or another array has the same elements."""
        if not isinstance(other, (list, tuple, ArrayMap)):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # it can change

    def index(self, value: object) -> int:
        """The index of the first element that equals a value; `ValueError` where none does."""
        for index, element in enumerate(self):
            if element == value:
                return index
        raise ValueError(f"{value!r} is not in {self.name}")

    def _index(self, index: object) -> int:
        number = as_index(index)  # type: ignore[arg-type]  # a TypeError says so
        size = len(self)
        if not -size <= number < size:
            raise IndexError(f"{number} is not below {size}, the size of {self.name}")
        return number + size if number < 0 else number

    def _offset(self, index: int) -> int:
        return index * self._words[layout.STRIDE]

    def snapshot(self) -> list[Any]:
        """The elements."""
        return list(self)

    def restore(self, snapshot: Iterable[Any]) -> None:
        """Set all elements."""
        self[:] = snapshot

    def _rows(self) -> Iterable[tuple[Any, Any]]:
        return enumerate(self)

    def _contents(self) -> dict[int, bytes]:
        """The pages of the value area that are not zero, by offset."""
        area, zeros = self.store.buffer, bytes(_PAGE)
        pages = ((at, bytes(area[at : at + _PAGE])) for at in range(0, len(area), _PAGE))
        return {at: page for at, page in pages if page != zeros[: len(page)]}

    def _fill(self, contents: dict[int, bytes]) -> None:
        area = self.store.buffer
        for at, page in contents.items():
            area[at : at + len(page)] = page

    def _describe(self) -> str:
        count = f"{self.definition.max_entries} values of {self.definition.value_size} bytes"
        return count + (f" on {self.cpus} CPUs" if self.percpu else "")
