"""Packets in whatever form a test has them, as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer


class PacketBytes(bytes):
    """The bytes of a packet; where a comparison of it fails, pytest shows the fields."""

    __slots__ = ()

    def __repr__(self) -> str:
        """As bytes are shown, but shortened."""
        shown = self[:16].hex(" ")
        return f"<{len(self)} bytes: {shown}{' …' if len(self) > 16 else ''}>"


def as_bytes(packet: Any) -> PacketBytes:  # noqa: ANN401 (whatever holds a packet)
    """The bytes of a packet: a buffer, a captured packet, or what scapy or dpkt made.

    Those two are known by `__bytes__`, which builds the packet.  Raises `TypeError` for anything
    else, numbers and text included.
    """
    if isinstance(packet, PacketBytes):
        return packet
    if isinstance(packet, str | int):
        raise TypeError(f"a packet is bytes, or from scapy or dpkt, not {type(packet).__name__}")
    try:
        return PacketBytes(memoryview(packet).cast("B"))
    except TypeError:
        pass
    build = getattr(type(packet), "__bytes__", None)
    if build is not None:
        return PacketBytes(build(packet))
    data: Buffer | None = getattr(packet, "data", None)  # a packet of a capture
    if data is not None:
        return PacketBytes(memoryview(data).cast("B"))
    raise TypeError(f"{type(packet).__name__} is no packet: it has no bytes")


def capture(path: str | Path) -> Iterator[PacketBytes]:
    """The packets of a capture file.  Raises `PacketError`."""
    from drybpf.packets import read_capture  # noqa: PLC0415 (only for captures)

    return (PacketBytes(packet.data) for packet in read_capture(path))
