"""The guest address space: regions, permissions, frames, strings and copies."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from drybpf.errors import MemoryFault
from drybpf.memory import (
    CONTEXT,
    DATA,
    FRAME_SIZE,
    HANDLES,
    PACKET,
    SLOT_SIZE,
    STACK,
    Memory,
    Region,
    frame_top,
)


def memory_of(data: bytes | bytearray, start: int = DATA) -> Memory:
    memory = Memory()
    memory.map(Region("data", start, data))
    return memory


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_load_and_store_are_little_endian(size: int) -> None:
    memory = memory_of(bytearray(range(16)))
    assert memory.load(DATA + 3, size) == int.from_bytes(range(3, 3 + size), "little")
    memory.store(DATA + 3, size, -2)
    assert memory.read(DATA, 16) == bytes(
        [0, 1, 2, 0xFE, *[0xFF] * (size - 1), *range(3 + size, 16)]
    )


def test_read_and_write() -> None:
    buffer = bytearray(b"abcdef")
    memory = memory_of(buffer)
    memory.write(DATA + 2, b"XY")
    assert buffer == b"abXYef"
    assert memory.read(DATA + 1, 3) == b"bXY"


def test_no_bytes_may_be_asked_for_anywhere() -> None:
    memory = Memory()
    assert memory.read(0, 0) == b""
    memory.write(0, b"")


REASONS = [  # address, size, region, reason
    (0x10, 4, "", "a null pointer"),
    (CONTEXT, 4, "", "nothing is mapped there"),
    (HANDLES + 4, 4, "handles", "a handle is a value to pass on, not an address"),
    (-1, 4, "", "no 64-bit address"),
    (1 << 64, 4, "", "no 64-bit address"),
    (DATA + 6, 4, "data", f"outside data [{DATA:#x}, {DATA + 8:#x})"),
    (DATA + SLOT_SIZE - 1, 1, "data", f"outside data [{DATA:#x}, {DATA + 8:#x})"),
    (STACK, 8, "stack", f"outside stack [{STACK + 512:#x}, {STACK + 1024:#x})"),
]


@pytest.mark.parametrize(("address", "size", "region", "reason"), REASONS)
def test_why_an_access_is_refused(address: int, size: int, region: str, reason: str) -> None:
    memory = memory_of(bytearray(8))
    accesses: dict[str, Callable[[], object]] = {
        "read": lambda: memory.load(address, size),
        "write": lambda: memory.store(address, size, 0),
        "atomic": lambda: memory.check_atomic(address, size),
    }
    for kind, access in accesses.items():
        with pytest.raises(MemoryFault) as caught:
            access()
        fault = caught.value
        assert (fault.kind, fault.region, fault.reason) == (kind, region, reason)
        assert str(fault) == f"{kind} of {size} bytes at {address:#x}: {reason}"


def test_the_nearest_region_is_named() -> None:
    memory = memory_of(bytearray(8))
    memory.map(Region("far", DATA + 100, bytearray(8)))
    for address, name in ((DATA + 20, "data"), (DATA + 90, "far"), (DATA + 108, "far")):
        with pytest.raises(MemoryFault) as caught:
            memory.load(address, 1)
        assert caught.value.region == name


def test_read_only_regions() -> None:
    for region in (Region("data", DATA, b"12"), Region("data", DATA, bytearray(2), writable=False)):
        memory = Memory()
        assert not memory.map(region).writable
        memory.load(DATA, 2)
        for write in (memory.store, memory.check_atomic):
            with pytest.raises(MemoryFault, match="data is read-only"):
                write(DATA, 2, *([0] if write == memory.store else []))
        with pytest.raises(MemoryFault, match="data is read-only"):
            memory.write(DATA, b"x")


def test_atomics_are_aligned() -> None:
    memory = memory_of(bytearray(16))
    memory.check_atomic(DATA + 4, 4)
    memory.check_atomic(DATA + 8, 8)
    for address, size in ((DATA + 4, 8), (DATA + 2, 4), (DATA + 7, 8)):
        with pytest.raises(MemoryFault, match=f"not aligned to {size}"):
            memory.check_atomic(address, size)


def test_strings() -> None:
    memory = memory_of(b"abc\0def")
    assert memory.read_string(DATA) == b"abc"
    assert memory.read_string(DATA + 3) == b""
    assert memory.read_string(DATA, 2) == b"ab"
    assert memory.read_string(DATA + 4, 3) == b"def"
    assert memory.read_string(DATA, 0) == b""
    for address, fault in ((DATA + 4, DATA + 7), (DATA + 7, DATA + 7), (8, 8)):
        with pytest.raises(MemoryFault) as caught:
            memory.read_string(address)
        assert (caught.value.address, caught.value.kind) == (fault, "read")


def test_a_string_does_not_go_on_in_the_next_region() -> None:
    memory = memory_of(b"abc")
    memory.map(Region("next", DATA + 3, b"def\0"))
    with pytest.raises(MemoryFault) as caught:
        memory.read_string(DATA)
    assert caught.value.address == DATA + 3


def test_negative_lengths_are_misuse() -> None:
    memory = memory_of(b"abc")
    with pytest.raises(ValueError, match="-1 is no number of bytes"):
        memory.read(DATA, -1)
    with pytest.raises(ValueError, match="-1 is no number of bytes"):
        memory.read_string(DATA, -1)


def test_frames() -> None:
    memory = Memory()
    assert frame_top(0) == STACK + 1024
    memory.store(frame_top(0) - 8, 8, 7)
    memory.push_frame(1)
    memory.store(frame_top(1) - FRAME_SIZE, 8, 9)
    assert memory.load(frame_top(0) - 8, 8) == 7
    memory.pop_frame()
    with pytest.raises(MemoryFault):
        memory.load(frame_top(1) - 8, 8)
    memory.push_frame(1)
    assert memory.load(frame_top(1) - FRAME_SIZE, 8) == 0


def test_a_region_may_take_several_slots_where_they_are_free() -> None:
    class Huge(bytearray):
        pass

    memory = Memory()
    region = Region("huge", DATA + SLOT_SIZE - 4, Huge(8))
    memory.map(region)
    assert memory.load(DATA + SLOT_SIZE - 2, 4) == 0
    assert memory.load(DATA + SLOT_SIZE, 4) == 0
    assert [r.name for r in memory.regions()] == ["stack", "huge"]
    with pytest.raises(ValueError, match="does not fit"):
        memory.map(Region("packet", PACKET + SLOT_SIZE - 4, bytearray(8)))


def test_copies_are_apart() -> None:
    memory = memory_of(bytearray(8))
    memory.map(Region("constant", PACKET, b"ro"))
    memory.push_frame(1)
    memory.store(frame_top(0) - 8, 8, 1)
    memory.store(frame_top(1) - 8, 8, 2)
    memory.store(DATA, 8, 3)
    twin = memory.copy()
    for address in (frame_top(0) - 8, frame_top(1) - 8, DATA):
        assert twin.load(address, 8) == memory.load(address, 8)
        memory.store(address, 8, 99)
        assert twin.load(address, 8) != 99
    with pytest.raises(MemoryFault, match="read-only"):
        twin.store(PACKET, 1, 0)
    twin.pop_frame()
    memory.load(frame_top(1) - 8, 8)
    assert [repr(region) for region in twin.regions()] == [
        "<Region stack [0x20000200, 0x20000400)>",
        "<Region packet [0x30000000, 0x30000002)>".replace("packet", "constant"),
        f"<Region data [{DATA:#x}, {DATA + 8:#x})>",
    ]


@pytest.mark.parametrize("writable", [True, False])
def test_regions_are_pickled_with_their_own_bytes(writable: bool) -> None:
    whole = bytearray(b"abcdef")
    region = Region("part", DATA, memoryview(whole)[2:4], writable=writable)
    twin = pickle.loads(pickle.dumps(region))  # noqa: S301 (our own)
    assert (twin.name, twin.start, twin.length, twin.writable) == ("part", DATA, 2, writable)
    assert bytes(twin.data) == b"cd"
