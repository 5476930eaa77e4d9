"""Programs of tens of thousands of instructions, and objects with much of everything."""

from __future__ import annotations

import struct
import time

import pytest

from drybpf import load
from drybpf.isa import Instruction, encode
from drybpf.maps import MapType
from drybpf.objects.elf import STT_OBJECT
from elf_writer import DATA, EXIT, LDDW_R1_0, ElfWriter, one_program
from object_runs import run_object

R_BPF_64_64 = 1
ADD_1 = Instruction(0x07, 0, imm=1)
ZERO = Instruction(0xB7, 0)
LOAD = [LDDW_R1_0, Instruction(0x79, 2, 1), Instruction(0x0F, 0, 2)]  # r0 += *(u64 *)variable
LOAD_SIZE = 32  # bytes


def large(count: int, between: int = 0) -> bytes:
    """A program with so many references to variables, which it adds up, and more additions."""
    code = encode([ZERO, *[*LOAD, *[ADD_1] * between] * count, EXIT])
    writer = one_program(code, "test")
    section = writer.section(".data", b"".join(struct.pack("<Q", i) for i in range(16)), DATA)
    symbols = [writer.symbol(f"v{i}", section, 8 * i, 8, kind=STT_OBJECT) for i in range(16)]
    for index in range(count):
        writer.relocate(1, 8 + (LOAD_SIZE + 8 * between) * index, R_BPF_64_64, symbols[index % 16])
    return writer.build()


def test_ten_thousand_instructions_on_both_engines() -> None:
    data = large(100, 96)
    begin = time.process_time()
    program = load(data)["prog"]
    program.verify()
    assert time.process_time() - begin < 10
    assert len(program.code) == 10_002
    outcome = run_object(data, "prog")
    assert outcome.value == 9_600 + sum(index % 16 for index in range(100))
    assert outcome.instructions == 9_902


@pytest.mark.parametrize("count", [10_000, 50_000])
def test_loading_takes_linear_time(count: int) -> None:
    data = large(count)
    begin = time.process_time()
    program = load(data)["prog"]
    assert time.process_time() - begin < count / 1_000  # a quadratic way takes minutes
    assert program.run(engine="interpreter").value == sum(index % 16 for index in range(count))


def test_ten_thousand_variables_and_a_thousand_maps() -> None:
    writer = ElfWriter()
    text = writer.section("test", encode([ZERO, EXIT]))
    writer.symbol("prog", text, size=16)
    data = writer.section(".data", bytes(80_000), DATA)
    for index in range(10_000):
        writer.symbol(f"v{index}", data, 8 * index, 8, kind=STT_OBJECT)
    words = struct.pack("<7I", MapType.HASH, 8, 1 << 18, 1_000, 0, 0, 0)
    maps = writer.section("maps", words * 1_000, DATA)
    for index in range(1_000):
        writer.symbol(f"m{index}", maps, 28 * index, kind=STT_OBJECT)
    data_bytes = writer.build()
    begin = time.process_time()
    obj = load(data_bytes)
    assert (len(obj.data), len(obj.maps), obj.unsupported) == (10_000, 1_000, ())
    obj.data.v9999 = 5
    obj.maps.m999[3] = bytes(1 << 18)
    assert time.process_time() - begin < 5
