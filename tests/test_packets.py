"""Captures: files made by hand, byte by byte; the shared captures beside a second parser."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tracemalloc
from dataclasses import FrozenInstanceError, replace
from itertools import count
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from drybpf.errors import PacketError
from drybpf.packets import Packet, link_type_name, read_capture, write_capture
from support import TRAFFIC, shared, shared_or_none

FAST = settings(max_examples=300, deadline=None, derandomize=True, database=None)


def pcap(
    order: str, magic: int, *records: tuple[int, int, int, bytes], link_type: int = 1
) -> bytes:
    """A pcap file; a record is (seconds, fraction, original length, data)."""
    data = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    for seconds, fraction, original, packet in records:
        data += struct.pack(order + "IIII", seconds, fraction, len(packet), original) + packet
    return data


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str, major: int = 1) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, major, 0, -1))


def interface(order: str, link_type: int = 1, snap: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, snap) + options)


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(order: str, number: int, time: int, data: bytes, original: int = 0) -> bytes:
    head = struct.pack(
        order + "IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), original or len(data)
    )
    return block(order, 6, head + data)


def simple(order: str, original: int, data: bytes) -> bytes:
    return block(order, 3, struct.pack(order + "I", original) + data)


def obsolete(order: str, number: int, time: int, data: bytes) -> bytes:
    head = struct.pack(
        order + "HHIIII", number, 7, time >> 32, time & 0xFFFFFFFF, len(data), len(data)
    )
    return block(order, 2, head + data)


TINY_PCAP = bytes.fromhex(
    "d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000"  # magic, 2.4, …, snap length, Ethernet
    "05000000 07000000 03000000 3c000000 aabbcc"  #             5 s, 7 µs, 3 of 60 bytes
    "06000000 00000000 00000000 00000000"  #                    6 s, an empty packet
)
TINY_PCAPNG = bytes.fromhex(
    "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"  # section, version 1.0
    "01000000 14000000 0100 0000 00000000 14000000"  #                 interface 0, Ethernet
    "06000000 24000000 00000000 00000000 07000000 03000000 3c000000 aabbcc00 24000000"
)
FIRST = Packet(b"\xaa\xbb\xcc", 5_000_007_000, 60, 0, 1)


class TestPcap:
    def test_by_hand(self) -> None:
        capture = read_capture(TINY_PCAP)
        assert list(capture) == [FIRST, Packet(b"", 6_000_000_000, 0, 0, 1)]
        assert (capture.link_type, capture.truncated, capture.warnings) == (1, None, ())

    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
    def test_orders_and_units(self, order: str, magic: int, unit: int) -> None:
        data = pcap(order, magic, (1, 2, 3, b"abc"), (0xFFFFFFFF, 999, 70, b"d"))
        assert list(read_capture(data)) == [
            Packet(b"abc", 1_000_000_000 + 2 * unit, 3),
            Packet(b"d", 0xFFFFFFFF * 1_000_000_000 + 999 * unit, 70),
        ]

    def test_upper_half_of_link_type_is_no_link_type(self) -> None:
        assert read_capture(pcap("<", 0xA1B2C3D4, link_type=0x24000001)).link_type == 1

    @pytest.mark.parametrize(
        ("number", "name"), [(101, "RAW (101)"), (0, "NULL (0)"), (4242, "(4242)")]
    )
    def test_foreign_link_type_is_named(self, number: int, name: str) -> None:
        capture = read_capture(pcap("<", 0xA1B2C3D4, (0, 0, 1, b"x"), link_type=number))
        expected = f"link type {name} is not Ethernet: its packets run as raw bytes"
        assert capture.warnings == (expected,)
        assert capture.link_type == number
        assert [packet.link_type for packet in capture] == [number]
        assert link_type_name(number) == name

    def test_version(self) -> None:
        with pytest.raises(PacketError, match=r"pcap version 3\.4 is unknown"):
            read_capture(TINY_PCAP[:4] + b"\x03" + TINY_PCAP[5:])

    @pytest.mark.parametrize("claim", [(1 << 24) + 1, 0x80000000, 0xFFFFFFFF])
    def test_absurd_length(self, claim: int) -> None:
        broken = struct.pack("<IIII", 0, 0, claim, claim)
        with pytest.raises(PacketError, match=rf"packet 1 at offset 24 claims {claim} bytes"):
            read_capture(TINY_PCAP[:24] + broken)
        capture = read_capture(TINY_PCAP + broken)
        packets = iter(capture)
        assert next(packets) == FIRST
        assert next(packets).data == b""
        with pytest.raises(PacketError, match="packet 3 at offset 59 claims"):
            next(packets)


class TestPcapng:
    def test_by_hand(self) -> None:
        capture = read_capture(TINY_PCAPNG)
        assert list(capture) == [Packet(b"\xaa\xbb\xcc", 7000, 60, 0, 1)]
        assert (capture.link_type, capture.truncated, capture.warnings) == (1, None, ())

    @pytest.mark.parametrize("order", "<>")
    def test_every_packet_block(self, order: str) -> None:
        data = (
            section(order)
            + interface(order, snap=4)
            + enhanced(order, 0, 1 << 32, b"abcde", 9)
            + block(order, 5, b"statistics")
            + block(order, 0x0BAD, b"")
            + simple(order, 3, b"xyz")
            + simple(order, 6, b"wxyz")
            + obsolete(order, 0, 1, b"old")
        )
        assert list(read_capture(data)) == [
            Packet(b"abcde", (1 << 32) * 1000, 9),
            Packet(b"xyz", 0, 3),
            Packet(b"wxyz", 0, 6),
            Packet(b"old", 1000, 3),
        ]

    def test_options_after_a_packet_are_not_its_data(self) -> None:
        head = struct.pack("<IIIII", 0, 0, 0, 2, 2)
        comment = option("<", 1, b"comment")
        data = section("<") + interface("<") + block("<", 6, head + b"ab\0\0" + comment)
        assert [packet.data for packet in read_capture(data)] == [b"ab"]

    @pytest.mark.parametrize("order", "<>")
    @pytest.mark.parametrize(
        ("resolution", "offset", "units", "nanoseconds"),
        [
            (None, None, 5, 5_000),
            (0, None, 5, 5_000_000_000),
            (3, None, 5, 5_000_000),
            (9, None, 5, 5),
            (12, None, 5_999, 5),
            (0x80, None, 5, 5_000_000_000),
            (0x81, None, 5, 2_500_000_000),
            (0xFF, None, 5, 0),
            (127, None, (1 << 64) - 1, 0),
            (None, 2, 5, 2_000_005_000),
            (9, -2, 5, -1_999_999_995),
        ],
    )
    def test_clock(
        self, order: str, resolution: int | None, offset: int | None, units: int, nanoseconds: int
    ) -> None:
        options = option(order, 2, b"eth0")
        if resolution is not None:
            options += option(order, 9, bytes([resolution]))
        if offset is not None:
            options += option(order, 14, struct.pack(order + "q", offset))
        data = section(order) + interface(order, options=options) + enhanced(order, 0, units, b"x")
        assert [packet.timestamp_ns for packet in read_capture(data)] == [nanoseconds]

    def test_options_that_are_none_of_ours(self) -> None:
        wrong_sizes = option("<", 9, b"\x09\x09") + option("<", 14, b"\x01")
        after_the_end = option("<", 0, b"") + option("<", 9, b"\x00")
        for options in (wrong_sizes, after_the_end):
            data = section("<") + interface("<", options=options) + enhanced("<", 0, 1, b"x")
            assert [packet.timestamp_ns for packet in read_capture(data)] == [1000]

    def test_sections_and_interfaces(self) -> None:
        data = (
            section("<")
            + interface("<", 1)
            + interface("<", 101)
            + enhanced("<", 1, 0, b"a")
            + enhanced("<", 0, 0, b"b")
            + section(">")
            + interface(">", 113)
            + enhanced(">", 0, 0, b"c")
            + interface(">", 101)
            + enhanced(">", 1, 0, b"d")
        )
        capture = read_capture(data)
        assert capture.warnings == (
            "link type RAW (101) is not Ethernet: its packets run as raw bytes",
        )
        assert [(packet.data, packet.interface, packet.link_type) for packet in capture] == [
            (b"a", 1, 101),
            (b"b", 0, 1),
            (b"c", 2, 113),
            (b"d", 3, 101),
        ]
        assert capture.link_type == 1
        assert [warning.split()[2] for warning in capture.warnings] == ["RAW", "LINUX_SLL"]

    @pytest.mark.parametrize(
        ("broken", "message"),
        [
            (
                b"\x0a\x0d\x0d\x0a" + bytes(8),
                "block at offset 0: 00 00 00 00 is no byte-order magic",
            ),
            (section("<", major=2), r"block at offset 0: pcapng version 2\.0 is unknown"),
            (
                bytes.fromhex("0a0d0d0a 0c000000 4d3c2b1a"),
                "block at offset 0: too short for its type",
            ),
            (
                bytes.fromhex("0a0d0d0a 10000000 4d3c2b1a 10000000"),
                "block at offset 0: too short for its type",
            ),
        ],
        ids=["magic", "version", "length", "body"],
    )
    def test_broken_section(self, broken: bytes, message: str) -> None:
        with pytest.raises(PacketError, match=message):
            read_capture(broken)

    @pytest.mark.parametrize("kind", [1, 2, 3, 6, 77])
    @pytest.mark.parametrize("length", [0, 4, 8, 11, 13, 0xFFFFFFFF])
    def test_absurd_length(self, kind: int, length: int) -> None:
        broken = struct.pack("<II", kind, length) + bytes(40)
        with pytest.raises(PacketError, match=rf"block at offset 28: a block of {length} bytes"):
            read_capture(section("<") + broken)

    @pytest.mark.parametrize(
        ("broken", "message"),
        [
            (block("<", 6, b""), "too short for its type"),
            (block("<", 2, bytes(16)), "too short for its type"),
            (block("<", 3, b""), "too short for its type"),
            (block("<", 1, b"\x01\x00\x00\x00"), "too short for its type"),
            (enhanced("<", 1, 0, b"x"), "a packet of interface 1, but the section has described 1"),
            (obsolete("<", 9, 0, b"x"), "a packet of interface 9, but the section has described 1"),
            (
                block("<", 6, struct.pack("<IIIII", 0, 0, 0, 5, 5) + b"1234"),
                "a packet of 5 bytes in a block with room for 4",
            ),
            (simple("<", 5, b"1234"), "a packet of 5 bytes in a block with room for 4"),
            (enhanced("<", 0, 0, b"x")[:-4] + bytes(4), "the lengths at its ends differ: 36 and 0"),
            (interface("<", options=b"\x09\x00\x05\x00abcd"), "option 9 runs past the end"),
            (interface("<", options=b"\x09\x00\xff\xff"), "option 9 runs past the end"),
        ],
        ids=count(),
    )
    def test_broken_block(self, broken: bytes, message: str) -> None:
        with pytest.raises(PacketError, match=f"block at offset 48: {message}"):
            read_capture(section("<") + interface("<") + broken)

    def test_simple_packet_without_interface(self) -> None:
        with pytest.raises(PacketError, match="interface 0, but the section has described 0"):
            read_capture(section("<") + simple("<", 1, b"x"))


class TestTruncation:
    @pytest.mark.parametrize(
        ("data", "ends"),
        [
            (TINY_PCAP, {24: 0, 43: 1, 59: 2}),
            (TINY_PCAPNG, {28: 0, 48: 0, 84: 1}),
            (
                section(">") + interface(">") + block(">", 77, b"skip") + enhanced(">", 0, 0, b"x"),
                {28: 0, 48: 0, 64: 0, 100: 1},
            ),
        ],
        ids=["pcap", "pcapng", "skipped-block"],
    )
    def test_at_every_byte(self, data: bytes, ends: dict[int, int]) -> None:
        """`ends`: where a file may end, and how many packets it has by then."""
        for length in range(4, len(data) + 1):
            capture = read_capture(data[:length])
            assert capture.link_type == 1
            packets = sum(1 for _ in capture)
            assert packets == max([count for end, count in ends.items() if end <= length] or [0])
            assert (capture.truncated is None) == (length in ends), length

    @pytest.mark.parametrize("length", range(4))
    def test_shorter_than_any_magic(self, length: int) -> None:
        with pytest.raises(PacketError, match=f"no capture file: only {length} bytes"):
            read_capture(TINY_PCAP[:length])

    @pytest.mark.parametrize(
        ("data", "message"),
        [
            (TINY_PCAP[:10], "the file header at offset 0: 10 of 24 bytes"),
            (TINY_PCAP[:30], "the header of packet 1 at offset 24: 6 of 16 bytes"),
            (TINY_PCAP[:41], "packet 1 at offset 40: 1 of 3 bytes"),
            (TINY_PCAPNG[:9], "a section header at offset 0: 9 of 12 bytes"),
            (TINY_PCAPNG[:50], "the type of a block at offset 48: 2 of 4 bytes"),
            (TINY_PCAPNG[:54], "a block at offset 48: 6 of 8 bytes"),
            (TINY_PCAPNG[:80], "a block at offset 48: 32 of 36 bytes"),
            (
                section("<") + b"\x4d\0\0\0\x20\0\0\0" + bytes(9),
                "a block at offset 28: 17 of 32 bytes",
            ),
        ],
        ids=count(),
    )
    def test_says_where(self, data: bytes, message: str) -> None:
        capture = read_capture(data)
        assert list(capture) in ([], [FIRST])
        assert capture.truncated == f"the file ends inside {message}"

    def test_known_after_the_end_is_reached(self) -> None:
        capture = read_capture(TINY_PCAP[:-1])
        assert capture.truncated is None
        assert list(capture) == [FIRST]
        assert capture.truncated == (
            "the file ends inside the header of packet 2 at offset 43: 15 of 16 bytes"
        )


class TestHostile:
    @pytest.mark.parametrize(
        "data",
        [
            TINY_PCAP[:24] + struct.pack("<IIII", 0, 0, 1 << 24, 1 << 24),
            section("<") + struct.pack("<II", 6, 1 << 24),
            section("<") + struct.pack("<II", 77, 0xFFFFFFFC),
        ],
        ids=count(),
    )
    def test_claims_cost_no_memory(self, data: bytes) -> None:
        tracemalloc.start()
        try:
            assert list(read_capture(io.BytesIO(data))) == []
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    def test_other_files(self) -> None:
        for data in (b"\x7fELF\x02\x01", b"GIF89a", b"\x1f\x8b\x08\x00", bytes(100)):
            with pytest.raises(PacketError, match="no capture file: it begins with"):
                read_capture(data)

    @FAST
    @given(st.binary(max_size=120), st.sampled_from([b"", TINY_PCAP[:24], TINY_PCAPNG[:48]]))
    def test_any_bytes(self, data: bytes, start: bytes) -> None:
        consume(start + data)

    @FAST
    @given(
        st.sampled_from([TINY_PCAP, TINY_PCAPNG, section(">") + interface(">", 0, 0, bytes(12))]),
        st.lists(st.tuples(st.integers(0, 100), st.integers(0, 255)), max_size=4),
    )
    @example(TINY_PCAPNG, [(52, 0)])
    def test_mutants(self, data: bytes, changes: list[tuple[int, int]]) -> None:
        mutant = bytearray(data)
        for place, value in changes:
            mutant[place % len(data)] = value
        consume(bytes(mutant))


def consume(data: bytes) -> None:
    """Packets no larger than the file, or a `PacketError`; nothing else."""
    try:
        packets = list(read_capture(data))
    except PacketError:
        return
    assert sum(len(packet.data) for packet in packets) <= len(data)


class TestSources:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_paths_can_be_read_again(self, tmp_path: Path, kind: type[str | Path]) -> None:
        path = tmp_path / "tiny.pcap"
        path.write_bytes(TINY_PCAP)
        capture = read_capture(kind(path))
        assert list(capture) == list(capture) == list(read_capture(TINY_PCAP))
        abandoned = iter(capture)
        assert next(abandoned) == FIRST

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_bytes_can_be_read_again(self, kind: type[bytes]) -> None:
        capture = read_capture(kind(TINY_PCAP))
        assert list(capture) == list(capture)
        first, second = iter(capture), iter(capture)
        assert next(first) == next(second) == FIRST

    def test_streams_can_be_read_once(self) -> None:
        stream = io.BytesIO(b"before" + TINY_PCAP)
        stream.seek(6)
        capture = read_capture(stream)
        assert len(list(capture)) == 2
        assert capture.truncated is None
        with pytest.raises(ValueError, match="has been read"):
            iter(capture)
        assert not stream.closed

    def test_pipes_that_give_little_at_a_time(self) -> None:
        class Slow(io.RawIOBase):
            rest = TINY_PCAPNG

            def read(self, size: int = -1) -> bytes:
                assert size > 0
                part, self.rest = self.rest[:1], self.rest[1:]
                return part

        assert list(read_capture(cast("BinaryIO", Slow()))) == list(read_capture(TINY_PCAPNG))

    def test_streams_that_fail(self) -> None:
        class Failing(io.RawIOBase):
            def read(self, _size: int = -1) -> bytes:
                raise OSError(5, "Input/output error")

        with pytest.raises(PacketError, match="offset 0: Input/output error"):
            read_capture(cast("BinaryIO", Failing()))

    def test_no_regular_file(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        for path in (tmp_path, fifo, Path(os.devnull)):
            with pytest.raises(PacketError, match="not a regular file"):
                read_capture(path)
        with pytest.raises(PacketError, match=r"missing\.pcap: No such file"):
            read_capture(tmp_path / "missing.pcap")

    def test_neither_path_nor_bytes(self) -> None:
        with pytest.raises(TypeError, match="not int"):
            read_capture(cast("bytes", 5))

    def test_packets_are_values(self) -> None:
        with pytest.raises(FrozenInstanceError):
            FIRST.data = b""  # type: ignore[misc]  # the assignment is what is tested


PACKETS = st.builds(
    Packet,
    data=st.binary(max_size=40),
    timestamp_ns=st.integers(0, (1 << 32) * 1_000_000_000 - 1)
    | st.integers(0, (1 << 32) - 1).map(lambda seconds: seconds * 1_000_000_000),
    original_length=st.integers(0, (1 << 32) - 1),
)


class TestWriting:
    def test_by_hand(self) -> None:
        stream = io.BytesIO()
        write_capture(stream, read_capture(TINY_PCAP))
        expected = bytearray(TINY_PCAP)
        expected[16:20] = b"\x00\x00\x04\x00"  # our snapshot length, 262144
        assert stream.getvalue() == bytes(expected)

    @FAST
    @given(st.lists(PACKETS, max_size=5), st.integers(0, 65535))
    def test_round_trip(self, packets: list[Packet], link_type: int) -> None:
        packets = [replace(packet, link_type=link_type) for packet in packets]
        stream = io.BytesIO()
        write_capture(stream, iter(packets), link_type)
        data = stream.getvalue()
        capture = read_capture(data)
        assert list(capture) == packets
        assert (capture.link_type, capture.truncated) == (link_type, None)
        fine = any(packet.timestamp_ns % 1000 for packet in packets)
        assert data[:4] == bytes.fromhex("4d3cb2a1" if fine else "d4c3b2a1")

    def test_chosen_unit(self, tmp_path: Path) -> None:
        path = tmp_path / "out.pcap"
        packet = Packet(b"x", 1_999, 1)
        for nanoseconds, expected in ((True, 1_999), (False, 1_000)):
            write_capture(str(path), [packet], nanoseconds=nanoseconds)
            assert [read.timestamp_ns for read in read_capture(path)] == [expected]

    @pytest.mark.parametrize(
        ("packet", "message"),
        [
            (replace(FIRST, timestamp_ns=-1), "packet 2: time -1 ns does not fit"),
            (replace(FIRST, timestamp_ns=1 << 62), "packet 2: time 46.* ns does not fit"),
            (replace(FIRST, original_length=-1), "packet 2: original length -1 does not fit"),
            (replace(FIRST, original_length=1 << 32), "packet 2: original length 4294967296 does"),
            (
                replace(FIRST, link_type=101),
                r"packet 2: link type RAW \(101\) in a file of ETHERNET \(1\)",
            ),
            (replace(FIRST, data=bytes((1 << 24) + 1)), "packet 2: 16777217 bytes, the limit is"),
        ],
    )
    def test_what_pcap_cannot_hold(self, packet: Packet, message: str) -> None:
        with pytest.raises(PacketError, match=message):
            write_capture(io.BytesIO(), [FIRST, packet])

    @pytest.mark.parametrize("link_type", [-1, 1 << 16, 1 << 33])
    def test_a_link_type_that_there_cannot_be(self, link_type: int) -> None:
        with pytest.raises(ValueError, match=f"not {link_type}"):
            write_capture(io.BytesIO(), [], link_type)

    def test_paths_that_cannot_be_written(self, tmp_path: Path) -> None:
        with pytest.raises(PacketError, match="Is a directory"):
            write_capture(tmp_path, [])
        with pytest.raises(PacketError, match="No such file"):
            write_capture(tmp_path / "no" / "out.pcap", [])

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
    def test_full_disk(self) -> None:
        with pytest.raises(PacketError, match="/dev/full: No space left"):
            write_capture("/dev/full", [FIRST])


def lengths_of_pcap(data: bytes) -> list[tuple[int, int]]:
    """A second, naive parser for little-endian microsecond files: captured and original length."""
    found, place = [], 24
    while place < len(data):
        captured, original = struct.unpack_from("<II", data, place + 8)
        found.append((captured, original))
        place += 16 + captured
    assert place == len(data)
    return found


def shared_captures() -> list[str]:
    folder = shared_or_none("pcaps")
    return sorted(path.name for path in folder.glob("*.pcap")) if folder else []


class TestRealFiles:
    @pytest.mark.parametrize("name", shared_captures())
    def test_shared_pcap(self, name: str) -> None:
        path = shared(f"pcaps/{name}")
        data = path.read_bytes()
        capture = read_capture(path)
        packets = list(capture)
        assert [(len(p.data), p.original_length) for p in packets] == lengths_of_pcap(data)
        assert capture.truncated is None
        assert {p.link_type for p in packets} == {capture.link_type} == {data[20] | data[21] << 8}
        assert bool(capture.warnings) == (capture.link_type != 1)
        place = 24
        for packet in packets:
            assert data[place + 16 : place + 16 + len(packet.data)] == packet.data
            seconds, micros = struct.unpack_from("<II", data, place)
            assert packet.timestamp_ns == (seconds * 1_000_000 + micros) * 1000
            place += 16 + len(packet.data)

    def test_shared_pcapng(self) -> None:
        data = shared("pcaps/nhrp.pcapng").read_bytes()
        expected, place = [], 0
        while place < len(data):
            kind, length = struct.unpack_from("<II", data, place)
            if kind == 6:
                high, low, captured, original = struct.unpack_from("<IIII", data, place + 12)
                time = (high << 32 | low) * 1000
                expected.append((data[place + 28 : place + 28 + captured], time, original))
            place += length
        packets = list(read_capture(data))
        assert [(p.data, p.timestamp_ns, p.original_length) for p in packets] == expected
        assert len(packets) > 10

    def test_our_own_recording(self) -> None:
        capture = read_capture(TRAFFIC)
        packets = list(capture)
        assert [(len(p.data), p.original_length) for p in packets] == lengths_of_pcap(
            TRAFFIC.read_bytes()
        )
        assert (capture.link_type, capture.truncated, capture.warnings) == (1, None, ())


def test_a_compressed_stream_that_is_cut_off_or_damaged() -> None:
    records = [
        (index, 0, 64, bytes((index * index * place) % 251 for place in range(64)))
        for index in range(64)
    ]
    whole = gzip.compress(pcap("<", 0xA1B2C3D4, *records))
    damaged = whole[: len(whole) // 2] + bytes(40) + whole[len(whole) // 2 + 40 :]
    for data in (whole[:-20], whole[: len(whole) // 2], whole[:-8] + bytes(8), damaged):
        with pytest.raises(PacketError):
            list(read_capture(cast("BinaryIO", gzip.GzipFile(fileobj=io.BytesIO(data)))))


def test_a_stream_of_text_is_refused() -> None:
    with pytest.raises(TypeError, match="binary stream; this one gives str"):
        read_capture(cast("BinaryIO", io.StringIO("text that is no capture")))
