"""What rbpf gets wrong, fact by fact of the list that drybpf began with: not here.

The vectors are `bugs/factNN_….data`; what no vector can say stands below.  Each file under `bugs`
is a mistake that an implementation of eBPF has made.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drybpf import interpreter
from drybpf.asm import assemble, disassemble
from drybpf.code import Code
from drybpf.errors import AssemblyError, MemoryFault
from drybpf.state import Context
from drybpf.vectors import read_vector
from drybpf.vm import EbpfVmNoData, EbpfVmRaw
from engines import run_everywhere
from slots import EXIT, MOV, slot
from vector_runs import check_vector

FILES = sorted((Path(__file__).parent / "bugs").glob("*.data"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bug(path: Path) -> None:
    check_vector(read_vector(path))


def test_fact09_registered_memory_is_checked_to_its_last_byte() -> None:
    """rbpf tests the first byte of an access only."""
    vm = EbpfVmRaw(assemble("ldxdw r2, [r1]\nldxdw r0, [r2]\nexit"))
    address = vm.register_allowed_memory(bytearray(1))
    with pytest.raises(MemoryFault) as caught:
        vm.execute_program(address.to_bytes(8, "little"))
    assert (caught.value.address, caught.value.size) == (address, 8)


def test_fact13_long_programs() -> None:
    """rbpf cuts the pc to 16 bits: a jump beyond 32,767 goes astray there."""
    program = MOV * 40_000 + slot(0x05, offset=1) + EXIT + slot(0xB7, imm=7) + EXIT
    assert run_everywhere(program, budget=100_000).value == 7


def test_fact13_division_by_zero_far_from_the_start() -> None:
    """rbpf's JIT jumps back to pc & 0xffff there, for ever."""
    program = MOV * 70_000 + slot(0xB7, imm=7) + slot(0x3F, 0, 3) + EXIT
    assert run_everywhere(program, budget=100_000).value == 0


def test_fact16_a_new_program_is_the_one_that_runs() -> None:
    """rbpf goes on with the code that it compiled for the old one."""
    vm = EbpfVmNoData(assemble("mov r0, 1\nexit"))
    assert vm.execute_program() == 1
    vm.set_program(assemble("mov r0, 2\nexit"))
    assert vm.execute_program() == 2


ROUND_TRIPS = [
    "add64 r0, -1",
    "jeq r1, -5, -3",
    "lock add [r1-8], r2",
    "stw [r1], -1",
    "lddw r0, -1",
]


@pytest.mark.parametrize("text", ROUND_TRIPS)
def test_fact18_text_round_trips(text: str) -> None:
    program = assemble(text)
    assert assemble(disassemble(program)) == program


@pytest.mark.parametrize("text", ["lddw r0, 0x11112222333344445", "add r0, 99999999999999999999"])
def test_fact18_long_numbers_are_errors(text: str) -> None:
    with pytest.raises(AssemblyError, match="out of the range"):
        assemble(text)


def test_fact18_unknown_opcodes_can_be_shown() -> None:
    assert disassemble(b"\xff" * 8).split() == [".quad", "0xffffffffffffffff"]


def test_fact19_helpers_have_the_machines_data() -> None:
    """rbpf's are plain functions: no closures, no memory, no state."""
    seen: list[int] = []

    def helper(context: Context, address: int, *_: int) -> int:
        seen.append(context.read(address, 1)[0])
        return len(seen)

    vm = EbpfVmRaw(assemble("call 1\nexit"))
    vm.register_helper(1, helper)
    assert [vm.execute_program(b"\x07"), vm.execute_program(b"\x08")] == [1, 2]
    assert seen == [7, 8]


def test_fact20_helpers_and_operations_are_bound_once() -> None:
    """rbpf looks helpers up at each call and slows all else; here a step looks nothing up."""
    code = Code(assemble("add r0, 1\nexit"))
    assert interpreter.steps_of(code) is interpreter.steps_of(code)


COVERED_ELSEWHERE = {9, 13, 16, 18, 19, 20}


def test_every_fact_is_covered() -> None:
    numbers = {int(found[1]) for path in FILES if (found := re.match(r"fact(\d+)", path.stem))}
    assert numbers | COVERED_ELSEWHERE == set(range(1, 21))
