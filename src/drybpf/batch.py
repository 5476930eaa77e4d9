"""Many packets in one buffer, and the verdicts on them.

The layout is that of an Arrow binary column: the bytes of all packets, one after the other, and
n + 1 offsets; packet i lies from offset i to offset i + 1.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from drybpf.errors import ExecutionError

if TYPE_CHECKING:
    from typing_extensions import Buffer


@dataclass(frozen=True, slots=True)
class PacketBatch:
    """Packets in one buffer; `offsets` is a buffer of 4- or 8-byte integers in native order.

    Nothing is copied: the buffers must not change while a program runs on them.
    """

    data: memoryview
    offsets: memoryview
    _places: list[int] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def host_addresses(self) -> list[int]:
        """Where data and offsets lie in the memory of this process; the views keep them there."""
        if not self._places:
            from drybpf.native.buffer import host_address  # noqa: PLC0415 (only to compiled code)

            self._places.extend((host_address(self.data), host_address(self.offsets)))
        return self._places

    def __post_init__(self) -> None:
        """Check the shape.  Raises `TypeError` or `ValueError`."""
        if self.offsets.format not in ("i", "I", "q", "Q", "l", "L") or self.offsets.ndim != 1:
            raise TypeError(f"offsets are integers of 4 or 8 bytes, not {self.offsets.format!r}")
        if not (self.data.c_contiguous and self.offsets.c_contiguous):
            raise ValueError("data and offsets must be contiguous")
        if not len(self.offsets):
            raise ValueError("a batch of n packets has n + 1 offsets, so at least one")

    @classmethod
    def of(cls, packets: Any) -> PacketBatch:  # noqa: ANN401 (whatever holds packets)
        """Make a batch of a batch, a pair of data and offsets, an Arrow column or packets.

        Packets are buffers, or things with their bytes in `data` such as those of a capture.
        """
        if isinstance(packets, PacketBatch):
            return packets
        if hasattr(packets, "buffers") and hasattr(packets, "offset"):
            return cls.from_arrow(packets)
        if isinstance(packets, tuple) and len(packets) == 2 and not _is_bytes(packets[1]):
            return cls.from_buffers(*packets)
        return cls.from_packets(packets)

    @classmethod
    def from_buffers(cls, data: Buffer, offsets: Buffer) -> PacketBatch:
        """Make a batch over two buffers: NumPy arrays, `array.array`s, memoryviews."""
        return cls(memoryview(data).cast("B"), memoryview(offsets))

    @classmethod
    def from_packets(cls, packets: Iterable[Any]) -> PacketBatch:
        """Make a batch of a list of packets; their bytes are copied into one buffer."""
        parts = [getattr(packet, "data", packet) for packet in packets]
        parts = [part if isinstance(part, bytes) else bytes(memoryview(part)) for part in parts]
        offsets = array("q", accumulate(map(len, parts), initial=0))
        return cls(memoryview(b"".join(parts)), memoryview(offsets))

    @classmethod
    def from_arrow(cls, column: Any) -> PacketBatch:  # noqa: ANN401 (duck-typed: no pyarrow here)
        """Make a batch over an Arrow binary or large_binary array, without copying.

        Raises `ValueError` for an array with nulls and for one of another type.
        """
        kinds: dict[str, Literal["i", "q"]] = {"binary": "i", "large_binary": "q"}
        wide = kinds.get(str(column.type))
        if wide is None:
            raise ValueError(f"an Arrow column of {column.type} holds no packets; binary does")
        if column.null_count:
            raise ValueError("an Arrow column with nulls is no batch of packets")
        _, offsets, data = column.buffers()
        size = 4 if wide == "i" else 8
        first, count = column.offset * size, (len(column) + 1) * size
        view = (
            memoryview(offsets).cast("B")[first : first + count]
            if offsets is not None
            else bytes(size)
        )
        return cls(
            memoryview(b"" if data is None else data).cast("B"),
            memoryview(view).cast("B").cast(wide),
        )

    def __len__(self) -> int:
        """How many packets there are."""
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> memoryview:
        """A packet's bytes, not copied."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin, end = self.offsets[index], self.offsets[index + 1]
        if not 0 <= begin <= end <= len(self.data):
            raise ValueError(f"the offsets of packet {index}, {begin} and {end}, leave the data")
        return self.data[begin:end]

    def __iter__(self) -> Iterator[memoryview]:
        """The packets, in order."""
        return (self[index] for index in range(len(self)))


class Verdicts(array):  # type: ignore[type-arg]  # array is generic to type checkers only
    """The value of r0 for each packet, 64 bits each: an `array`, and so a buffer for NumPy.

    `faults` holds the errors of a batch that records them, by the packet's index; the value is 0
    there.
    """

    faults: dict[int, ExecutionError]

    def __new__(cls, count: int) -> Self:
        """Zeros."""
        verdicts = cast("Self", super().__new__(cls, "Q", (0,)))
        verdicts.__imul__(count)  # in place: twice as fast as zeros that are copied
        verdicts.faults = {}
        return verdicts


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes | bytearray)
