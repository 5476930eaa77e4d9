"""HOSTILE.md, group M: addresses that are no memory."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import pytest

from drybpf.errors import HelperError, MemoryFault
from drybpf.hooks import FixedMetadata, NoData
from drybpf.memory import CONTEXT, DATA, PACKET, REGISTERED, SLOT_SIZE, Memory, Region
from drybpf.state import Context
from drybpf.vm import EbpfVmFixedMbuff, EbpfVmRaw
from engines import run_everywhere
from slots import M64, MIN64

SIZES = {1: "b", 2: "h", 4: "w", 8: "dw"}


def faults(address: int, size: int = 1, offset: int = 0, memory: bytes = b"") -> str:
    """Assert that loads, stores and atomics fault precisely there; give the region's name."""
    at = f"[r1{offset:+}]"
    accesses = {"read": [f"ldx{SIZES[size]} r0, {at}"]}
    accesses["write"] = [f"stx{SIZES[size]} {at}, r2", f"st{SIZES[size]} {at}, 1"]
    if size >= 4:
        accesses["atomic"] = [f"lock fetch add{'32' if size == 4 else ''} {at}, r2"]
    regions = set()
    for kind, texts in accesses.items():
        for text in texts:
            outcome = run_everywhere(f"lddw r1, {address & M64:#x}\n{text}\nexit", memory)
            assert outcome.error == "MemoryFault"
            assert outcome.pc == 2
            assert outcome.access is not None
            assert outcome.access[:3] == ((address + offset) & M64, size, kind)
            assert outcome.packet == memory
            regions.add(outcome.access[3])
    assert len(regions) == 1
    return regions.pop()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("address", [M64, M64 - 1, M64 - 3, M64 - 7, M64 - 8, MIN64, MIN64 - 1])
def test_M1_end_of_the_address_space(address: int, size: int) -> None:
    assert faults(address, size) == ""


def test_M2_base_plus_offset_wraps() -> None:
    faults(0, 8, -32768)
    faults(M64, 8, 1)
    faults(M64, 4, 32767)
    text = f"lddw r1, {PACKET - 32767:#x}\nldxb r0, [r1+32767]\nexit"
    assert run_everywhere(text, b"\x07").value == 7


@pytest.mark.parametrize("size", [2, 4, 8])
def test_M3_access_over_the_end(size: int) -> None:
    memory = bytes(range(16))
    for beyond in range(1, size):
        assert faults(PACKET + 16 - size + beyond, size, memory=memory) == "packet"
    assert faults(PACKET - 1, size, memory=memory) == "stack"  # of the slot below
    end = run_everywhere(f"ldx{SIZES[size]} r0, [r1+{16 - size}]\nexit", memory)
    assert end.value == int.from_bytes(memory[16 - size :], "little")


def test_M4_access_over_two_adjacent_regions() -> None:
    mapped = [("left", DATA, bytearray(8)), ("right", DATA + 8, bytearray(8))]
    for address, value in ((DATA, 0), (DATA + 8, 0)):
        text = f"lddw r1, {address:#x}\nldxdw r0, [r1]\nexit"
        assert run_everywhere(text, mapped=mapped).value == value
    outcome = run_everywhere(f"lddw r1, {DATA + 4:#x}\nldxdw r0, [r1]\nexit", mapped=mapped)
    assert outcome.access == (DATA + 4, 8, "read", "left")


def test_M5_zero_length_regions() -> None:
    assert faults(PACKET) == "packet"
    assert faults(DATA) == ""
    mapped = [("empty", DATA, b"")]
    outcome = run_everywhere(f"lddw r1, {DATA:#x}\nldxb r0, [r1]\nexit", mapped=mapped)
    assert outcome.access == (DATA, 1, "read", "empty")


def test_M5_empty_packet_in_every_machine() -> None:
    assert run_everywhere("mov r0, r2\nexit").value == 0
    assert run_everywhere("mov r0, r2\nexit", hook=NoData()).value == 0
    loaded = "ldxdw r0, [r1]\nldxdw r2, [r1+8]\nsub r0, r2\nexit"
    assert run_everywhere(loaded, hook=FixedMetadata(0, 8)).value == 0


def test_M6_overlapping_regions() -> None:
    memory = Memory()
    memory.map(Region("second", DATA + 64, bytearray(8)))
    memory.map(Region("first", DATA, bytearray(64)))  # in any order
    for start, length in ((DATA, 1), (DATA + 63, 1), (DATA + 60, 8), (DATA + 71, 9)):
        with pytest.raises(ValueError, match="overlaps"):
            memory.map(Region("third", start, bytearray(length)))
    with pytest.raises(ValueError, match="does not fit"):
        memory.map(Region("long", REGISTERED + SLOT_SIZE - 4, bytearray(5)))


@pytest.mark.parametrize("address", [0, 1, 8, 4096, (1 << 28) - 1])
def test_M7_null_pointers(address: int) -> None:
    assert faults(address) == ""
    message = run_everywhere(f"mov r1, {address}\nldxb r0, [r1]\nexit").message
    assert message == f"read of 1 bytes at {address:#x}: a null pointer at insn 1"


def test_M8_read_only_regions() -> None:
    mapped = [("rodata", DATA, b"\x05")]
    text = f"lddw r1, {DATA:#x}\nldxb r0, [r1]\nexit"
    assert run_everywhere(text, mapped=mapped).value == 5
    for access in ("stb [r1], 1", "stxb [r1], r2"):
        outcome = run_everywhere(f"lddw r1, {DATA:#x}\n{access}\nexit", mapped=mapped)
        assert outcome.access == (DATA, 1, "write", "rodata")
        assert "rodata is read-only" in outcome.message
        assert outcome.region("rodata") == b"\x05"


@pytest.mark.parametrize("offset", [0, 8, 504, 512, -513, -520, -1024, 1024, -505 - 8])
def test_M9_around_the_frame(offset: int) -> None:
    outcome = run_everywhere(f"ldxdw r0, [r10{offset:+}]\nexit")
    assert outcome.error == "MemoryFault"


def test_M9_straddling_the_ends_of_the_frame() -> None:
    for offset in (-7, -1, -513, -519):
        assert run_everywhere(f"ldxdw r0, [r10{offset:+}]\nexit").error == "MemoryFault"
    assert run_everywhere("ldxdw r0, [r10-8]\nldxdw r0, [r10-512]\nexit").value == 0


def test_M9_frames_of_callers_and_callees() -> None:
    """A pointer may reach a caller's frame, no offset from r10 does; a deeper one is gone."""
    by_pointer = "mov r1, r10\nstdw [r10-8], 7\ncall local f\nexit\nf:\nldxdw r0, [r1-8]\nexit"
    assert run_everywhere(by_pointer).value == 7
    deeper = "call local f\nldxdw r0, [r0-8]\nexit\nf:\nmov r0, r10\nexit"
    outcome = run_everywhere(deeper)
    assert (outcome.error, outcome.pc) == ("MemoryFault", 1)
    into_gap = "call local f\nexit\nf:\nldxb r0, [r10-513]\nexit"
    assert run_everywhere(into_gap).error == "MemoryFault"


def test_M10_uninitialised_stack_is_zero() -> None:
    """Of an earlier run, and of a frame that was there before."""
    text = "call local f\ncall local f\nexit\nf:\nldxdw r0, [r10-8]\nstdw [r10-8], -1\nexit"
    assert run_everywhere(text).value == 0
    vm = EbpfVmRaw(bytes.fromhex("79a0f8ff00000000 7a0af8ff07000000 9500000000000000"))
    assert [vm.execute_program(b"") for _ in range(2)] == [0, 0]


def test_M11_unaligned_access() -> None:
    memory = bytearray(8192)
    memory[4093:4101] = bytes(range(1, 9))
    outcome = run_everywhere("ldxdw r0, [r1+4093]\nstxdw [r1+1], r0\nexit", bytes(memory))
    assert outcome.value == 0x0807060504030201
    assert outcome.packet[:10] == bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 0])


def test_M12_no_negative_index_and_no_growth() -> None:
    buffer = bytearray(8)
    memory = Memory()
    memory.map(Region("buffer", DATA, buffer))
    for address, size in ((DATA - 1, 1), (DATA - 4, 4), (DATA + 8, 1), (DATA + 5, 4), (-1, 1)):
        with pytest.raises(MemoryFault):
            memory.load(address, size)
        with pytest.raises(MemoryFault):
            memory.store(address, size, 0xFF)
        with pytest.raises(MemoryFault):
            memory.write(address, b"\xff" * size)
    assert buffer == bytes(8)


def test_M12_a_negative_length_is_no_slice() -> None:
    memory = Memory()
    memory.map(Region("buffer", DATA, bytearray(8)))
    for read in (memory.read, memory.read_string):
        with pytest.raises(ValueError, match="-3"):
            read(DATA + 2, -3)


def test_M13_the_host_resizes_a_buffer_during_the_run() -> None:
    buffer = bytearray(8)

    def resize(_context: Context, *_: int) -> int:
        buffer.extend(b"more")
        return 0

    vm = EbpfVmRaw(bytes.fromhex("8500000001000000 9500000000000000"))
    vm.register_helper(1, resize)
    with pytest.raises(HelperError, match="BufferError") as caught:
        vm.execute_program(buffer)
    assert isinstance(caught.value.__cause__, BufferError)
    assert len(buffer) == 8


def test_M14_bytes_are_never_changed() -> None:
    data = b"\x01\x02"
    vm = EbpfVmRaw(bytes.fromhex("7201000009000000 7110000000000000 9500000000000000"))
    assert vm.execute_program(data) == 9  # on a copy
    assert vm.run(data).packet == b"\x09\x02"
    assert data == b"\x01\x02"
    view = memoryview(bytearray(data)).toreadonly()
    assert vm.execute_program(view) == 9
    assert bytes(view) == b"\x01\x02"


def test_M15_no_memory_for_a_program_that_reads_r1() -> None:
    outcome = run_everywhere("ldxb r0, [r1]\nexit", hook=NoData())
    assert outcome.access == (0, 1, "read", "")
    outcome = run_everywhere("ldxb r0, [r1]\nexit")
    assert outcome.access == (PACKET, 1, "read", "packet")


@pytest.mark.parametrize(
    ("data", "end"), [(0, 0), (0, 7), (8, 1), (-8, 0), (0, -1), (0, SLOT_SIZE - 7)]
)
def test_M16_offsets_of_the_fixed_buffer(data: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"offsets|overlap"):
        EbpfVmFixedMbuff(None, data, end)


def test_M16_the_buffer_ends_behind_the_last_pointer() -> None:
    text = f"ldxdw r0, [r1+{0x40}]\nldxb r3, [r1+{0x48}]\nexit"
    outcome = run_everywhere(text, b"abc", hook=FixedMetadata(0x50, 0x40))
    assert outcome.value == PACKET + 3
    outcome = run_everywhere(f"ldxdw r0, [r1+{0x51}]\nexit", b"", hook=FixedMetadata(0x50, 0x40))
    assert outcome.access == (CONTEXT + 0x51, 8, "read", "metadata")


def test_M17_a_32_bit_result_as_an_address() -> None:
    """-8 + r10 in 32 bits is an address; with a dirty upper half it would be none."""
    text = "mov r1, r10\nlddw r2, 0xffffffff00000000\nor r1, r2\nadd32 r1, -8\nldxdw r0, [r1]\nexit"
    assert run_everywhere(text).value == 0


LEGACY = [
    "ldabsb 4",
    "ldabsh 3",
    "ldabsw 1",
    "ldabsdw 0",
    "ldabsb -1",
    "ldindb r3, 5",
    "ldindb r3, -1",
]


@pytest.mark.parametrize("text", [*LEGACY, "ldindw r4, 0", "ldindb r4, 0", "ldindw r5, 4"])
def test_M18_packet_loads_out_of_range_end_with_0(text: str) -> None:
    program = f"mov r0, 5\nmov r3, 0\nlddw r4, 0x7fffffff\nmov r5, -1\n{text}\nmov r0, 6\nexit"
    outcome = run_everywhere(program, b"\x01\x02\x03\x04")
    assert (outcome.value, outcome.instructions) == (0, 5)
