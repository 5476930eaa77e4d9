"""Between the bytes of a key or value and what Python sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol


class Codec(Protocol):
    """How the bytes of one type are shown in Python; `size` is their number."""

    @property
    def size(self) -> int:
        """The bytes that a value takes."""

    def unpack(self, data: bytes) -> Any:  # noqa: ANN401 (whatever the type is shown as)
        """The value that `size` bytes hold."""

    def pack(self, value: Any) -> bytes:  # noqa: ANN401 (as above)
        """The bytes of a value.  Raises `TypeError` or `ValueError` for what does not fit."""


def lock_of(codec: Codec | None) -> int | None:
    """The offset of a type's `struct bpf_spin_lock` in bytes, as far as codecs tell of fields."""
    if getattr(codec, "name", "") == "bpf_spin_lock":
        return 0
    for field in getattr(codec, "fields", {}).values():
        place = lock_of(field.codec)
        if place is not None:
            return int(field.offset + place)
    return None


@dataclass(frozen=True, slots=True)
class Owner:
    """The number of whatever storage belongs to."""

    size: ClassVar[int] = 8

    def unpack(self, data: bytes) -> int:
        """The number."""
        return int.from_bytes(data, "little")

    def pack(self, value: object) -> bytes:
        """The bytes of a number, or of 8 bytes that are one."""
        return RawBytes(self.size).pack(value)


@dataclass(frozen=True, slots=True)
class RawBytes:
    """Bytes as they are, where nothing is known of their type."""

    size: int

    def unpack(self, data: bytes) -> bytes:
        """The bytes."""
        return bytes(data)

    def pack(self, value: object) -> bytes:
        """The bytes of a buffer of just this size, or of an unsigned number below its range."""
        if isinstance(value, int):
            try:
                return value.to_bytes(self.size, "little")
            except OverflowError as error:
                raise ValueError(f"{value} does not fit into {self.size} bytes") from error
        data = bytes(memoryview(value).cast("B"))  # type: ignore[arg-type]  # a TypeError says so
        if len(data) != self.size:
            raise ValueError(f"{self.size} bytes are wanted, not {len(data)}")
        return data
