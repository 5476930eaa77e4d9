"""The keys of a map in an order, each read from the storage when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload


class Keys(Sequence[bytes]):
    """What sequences of keys share: each is made by its place alone."""

    def at(self, place: int) -> bytes:
        """The key at a place, not negative."""
        raise NotImplementedError

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...

    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        """A key, or a list of some; `IndexError` behind the end."""
        if isinstance(place, slice):
            return [self.at(each) for each in range(*place.indices(len(self)))]
        return self.at(range(len(self))[place])

    def __eq__(self, other: object) -> bool:
        """Whether another sequence has the same keys."""
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # its storage changes


@dataclass(frozen=True, slots=True, eq=False)
class IndexKeys(Keys):
    """Some indices, of 4 bytes each."""

    indices: Sequence[int]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.indices)

    def at(self, place: int) -> bytes:
        """See `Keys`."""
        return self.indices[place].to_bytes(4, "little")


@dataclass(frozen=True, slots=True, eq=False)
class EntryKeys(Keys):
    """The keys of entries that were in use at one time.

    A key that was taken out since is still there, as long as its entry is not used again.
    """

    entries: Sequence[int]
    keys: memoryview  # from the first entry's on
    stride: int
    size: int

    def __len__(self) -> int:
        """How many there are."""
        return len(self.entries)

    def at(self, place: int) -> bytes:
        """See `Keys`."""
        begin = self.entries[place] * self.stride
        return bytes(self.keys[begin : begin + self.size])

    def __iter__(self) -> Iterator[bytes]:
        """The keys."""
        keys, stride, size = self.keys, self.stride, self.size
        begins = (entry * stride for entry in self.entries)
        return (bytes(keys[begin : begin + size]) for begin in begins)
