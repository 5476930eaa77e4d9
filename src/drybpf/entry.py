"""How a program is entered, as data: what compiled code takes for granted about a hook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal


@dataclass(frozen=True)
class Shape:
    """What compiled code must know of the hook that a program is attached to.

    `context` lists the fields that are not zero: offset, size, and either a constant, or `data`,
    `data_end`, `data_meta` (guest addresses of the packet's first byte, of the one behind its last,
    and of the metadata before it), `length` (in bytes), `first_length` (the same, but only at
    entry) or `protocol` (of the Ethernet frame, in network order, as `eth_type_trans` tells it).
    None says that the context is a buffer of the caller's, or absent.
    """

    packet_address: int
    r1: str  # "packet", "context" or "zero"
    r2: str  # "packet", "context" (the length) or "zero"
    context: tuple[tuple[int, int, str | int], ...] | None = None
    context_length: int = 0  # of a context that compiled code fills in
    pointers: tuple[tuple[int, int], ...] = ()  # packet pointers in a context of the caller's
    context_writable: bool = True
    protected: tuple[tuple[int, int], ...] = ()  # spans that are read-only in a writable context
    private_packet: bool = False
    headroom: int = 0  # bytes before the packet in a buffer of its own
    buffer_size: int = 0  # the least size of such a buffer
    program_type: str = ""  # as the kernel calls it, where a helper's meaning depends on it
    hidden: int = 0  # bytes of a frame before what the program sees
    derived: bool = False  # whether the context at entry depends on more than `context` says
    socket: bool = False  # whether the host's socket, if there is one, is described in it

    @property
    def plain(self) -> bool:
        """Whether a packet is all that compiled code needs to enter by itself."""
        return not self.derived and (self.context is not None or self.r1 != "context")


NO_SHAPE = Shape(0, "zero", "zero")
PACKET_FIELDS = frozenset(("data", "data_end", "data_meta", "length"))  # that follow the packet


FieldValue = int | str | bytes | Sequence[int]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a hook's context; `count` is more than 1 for an array.

    `source` is what it holds at entry: a constant, or one of `PACKET_FIELDS`.  `writable` says
    that programs may write it.  `order` is empty for a number as the processor stores it; `be16`
    and `be32` are numbers in network order at the beginning of the element.
    """

    name: str
    offset: int
    size: int  # of one element
    count: int = 1
    writable: bool = False
    source: str | int = 0
    signed: bool = False
    order: str = ""

    @property
    def end(self) -> int:
        """The offset behind the field."""
        return self.offset + self.size * self.count

    def pack(self, value: FieldValue) -> bytes:
        """The bytes of a value: a number, numbers for an array, bytes, or an IP address as text.

        Raises `ValueError` for what does not fit, and `TypeError`.
        """
        room = self.size * self.count
        if isinstance(value, str):
            value = ip_address(value).packed
        if isinstance(value, (bytes, bytearray, memoryview)):
            if len(value) > room:
                raise ValueError(f"{self.name} has {room} bytes, not {len(value)}")
            return bytes(value).ljust(room, b"\0")
        values = (value,) if isinstance(value, int) else tuple(value)
        if len(values) > self.count:
            raise ValueError(f"{self.name} has {self.count} elements, not {len(values)}")
        return b"".join(map(self._element, values)).ljust(room, b"\0")

    def _element(self, value: int) -> bytes:
        if not isinstance(value, int):
            raise TypeError(f"{self.name} is a number, not {type(value).__name__}")
        size = int(self.order[2:]) // 8 if self.order else self.size
        if not -(1 << 8 * size - 1) <= value < 1 << 8 * size:
            raise ValueError(f"{self.name}: {value} does not fit into {size} bytes")
        order: Literal["big", "little"] = "big" if self.order else "little"
        return (value % (1 << 8 * size)).to_bytes(size, order).ljust(self.size, b"\0")

    def unpack(self, context: bytes | bytearray | memoryview) -> int | tuple[int, ...]:
        """The value in the bytes of a context."""
        size = int(self.order[2:]) // 8 if self.order else self.size
        order: Literal["big", "little"] = "big" if self.order else "little"
        values = tuple(
            int.from_bytes(context[at : at + size], order, signed=self.signed)
            for at in range(self.offset, self.end, self.size)
        )
        return values[0] if self.count == 1 else values


class Layout(Mapping[str, Field]):
    """The fields of a context by name, such as those of `struct __sk_buff`.

    It is made from a text, a line a field: offset, size (`4x5` is an array of five), name, then
    `rw` where programs may write, `signed`, `be16` or `be32`, and what it holds at entry: `data`,
    `length`, or `=3`.
    """

    def __init__(self, name: str, size: int, text: str) -> None:
        """Read the fields; the context is `size` bytes long."""
        self.name, self.size = name, size
        self._fields = {field.name: field for field in map(_field, text.strip().splitlines())}

    @property
    def protected(self) -> tuple[tuple[int, int], ...]:
        """The spans that programs cannot write, where they can write some."""
        spans: list[tuple[int, int]] = []
        begin = 0
        for field in sorted(self.values(), key=lambda field: field.offset):
            if field.writable:
                spans.append((begin, field.offset))
                begin = field.end
        spans.append((begin, self.size))
        return tuple((low, high) for low, high in spans if low < high)

    @property
    def writable(self) -> bool:
        """Whether programs may write any field."""
        return any(field.writable for field in self.values())

    @property
    def shape(self) -> tuple[tuple[int, int, str | int], ...]:
        """The fields that are not zero at entry, for a `Shape`."""
        return tuple(
            (
                field.offset,
                field.size,
                field.source
                if isinstance(field.source, str)
                else int.from_bytes(field.pack(field.source), "little"),
            )
            for field in self.values()
            if field.source
        )

    def __getitem__(self, name: str) -> Field:
        """The field of a name."""
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order of the text."""
        return iter(self._fields)

    def __len__(self) -> int:
        """How many fields there are."""
        return len(self._fields)

    def __hash__(self) -> int:
        """By identity: layouts are made once."""
        return id(self)

    def __eq__(self, other: object) -> bool:
        """By identity."""
        return self is other

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the fields."""
        return _layout, (self.name, self.size, tuple(self._fields.values()))


def _layout(name: str, size: int, fields: tuple[Field, ...]) -> Layout:
    layout = Layout(name, size, "")
    layout._fields = {field.name: field for field in fields}
    return layout


def _field(line: str) -> Field:
    offset, size, name, *words = line.split()
    each, _, count = size.partition("x")
    source: str | int = 0
    order = ""
    for word in words:
        if word in PACKET_FIELDS:
            source = word
        elif word.startswith("="):
            source = int(word[1:], 0)
        elif word.startswith("be"):
            order = word
    return Field(
        name,
        int(offset),
        int(each),
        int(count or 1),
        "rw" in words,
        source,
        "signed" in words,
        order,
    )


NO_LAYOUT = Layout("nothing", 0, "")
