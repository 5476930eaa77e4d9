"""HOSTILE.md, group H: helpers that are absent, wrong, or called wrongly."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from drybpf import verifier
from drybpf.code import Code
from drybpf.errors import HelperError, MemoryFault
from drybpf.helpers import Helpers, memfrob, strcmp
from drybpf.memory import PACKET
from drybpf.state import Context
from drybpf.vm import EbpfVmNoData, EbpfVmRaw
from engines import run_everywhere
from slots import EXIT, M64, MOV, accepted, refused, slot


@pytest.mark.parametrize("number", [0, -1, -(1 << 31), (1 << 31) - 1])
def test_H1_unknown_helper(number: int) -> None:
    program = slot(0x85, imm=number) + EXIT
    accepted(program)
    outcome = run_everywhere(program)
    unsigned = number & 0xFFFF_FFFF
    assert outcome.message == f"helper {unsigned} is not registered at insn 0"
    assert outcome.error == "UnknownHelper"
    registered = run_everywhere(program, helpers={unsigned: lambda *_: 5})
    assert registered.value == 5


def test_H1_strict_mode_knows_the_helpers() -> None:
    code = Code(slot(0x85, imm=-1) + EXIT)
    (finding,) = verifier.verify(code, strict=True, helpers=Helpers())
    assert finding.reason == "helper 4294967295 is unknown"
    known = Helpers({0xFFFF_FFFF: lambda *_: 5})
    assert verifier.verify(code, strict=True, helpers=known) == ()


def test_H1_callx_beyond_32_bits() -> None:
    """The whole register is the number: nothing is cut off."""
    text = "lddw r6, 0x100000001\ncallx r6\nexit"
    outcome = run_everywhere(text, helpers={1: lambda *_: 5})
    assert outcome.message == "helper 4294967297 is not registered at insn 2"


def test_H2_helper_that_raises() -> None:
    def broken(_context: Context, *_: int) -> int:
        raise KeyError("lost")

    text = "mov r6, 3\ncall 1\nexit"
    outcome = run_everywhere(text, helpers={1: broken})
    assert (outcome.error, outcome.pc, outcome.registers[6]) == ("HelperError", 1, 3)
    assert outcome.message == "helper 1 raised KeyError: 'lost' at insn 1"
    vm = EbpfVmNoData(slot(0x85, imm=1) + EXIT)
    vm.register_helper(1, broken)
    with pytest.raises(HelperError) as caught:
        vm.execute_program()
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_H2_interrupts_pass_through(interrupt: type[BaseException]) -> None:
    def interrupted(_context: Context, *_: int) -> int:
        raise interrupt

    vm = EbpfVmNoData(slot(0x85, imm=1) + EXIT)
    vm.register_helper(1, interrupted)
    with pytest.raises(interrupt):
        vm.execute_program()


class _Index:
    def __index__(self) -> int:
        return 7


RETURNED = [
    (0, 0),
    (-1, M64),
    (M64, M64),
    (-(1 << 63), 1 << 63),
    (True, 1),
    (_Index(), 7),
    (1 << 64, "helper 1 returned a number beyond 64 bits"),
    (-(1 << 63) - 1, "helper 1 returned a number beyond 64 bits"),
    (1 << 100_000, "helper 1 returned a number beyond 64 bits"),
    (None, "helper 1 returned NoneType, not an integer"),
    (1.0, "helper 1 returned float, not an integer"),
    ("1", "helper 1 returned str, not an integer"),
]


@pytest.mark.parametrize(("returned", "expected"), RETURNED, ids=range(len(RETURNED)))
def test_H3_what_a_helper_may_return(returned: int, expected: int | str) -> None:
    outcome = run_everywhere("call 1\nexit", helpers={1: lambda *_: returned})
    if isinstance(expected, int):
        assert outcome.value == expected
    else:
        assert (outcome.error, outcome.message) == ("HelperError", f"{expected} at insn 0")


def test_H4_helper_that_runs_the_same_machine() -> None:
    """The inner run has a stack, registers and a budget of its own."""
    program = (
        slot(0x79, 6, 10, -8)  # r6 = [r10-8]: 0 in each run
        + slot(0x7A, 10, 0, -8, 5)
        + slot(0x85, imm=1)
        + slot(0x79, 1, 10, -8)
        + slot(0x0F, 0, 1)
        + slot(0x0F, 0, 6)
        + EXIT
    )
    vm = EbpfVmNoData(program)
    depth = 0

    def again(_context: Context, *_: int) -> int:
        nonlocal depth
        depth += 1
        return vm.execute_program() if depth < 3 else 100

    vm.register_helper(1, again)
    assert vm.execute_program() == 115


def test_H4_without_end() -> None:
    vm = EbpfVmNoData(slot(0x85, imm=1) + EXIT)
    vm.register_helper(1, lambda *_: vm.execute_program())
    with pytest.raises(HelperError, match="helper 1 raised"):
        vm.execute_program()


def test_H5_two_threads_run_one_machine() -> None:
    barrier = Barrier(4)

    def meet(context: Context, value: int, *_: int) -> int:
        barrier.wait(10)  # all are in the middle of their runs
        return context.read(PACKET, 1)[0] + value

    text = slot(0x71, 6, 1) + slot(0xBF, 1, 6) + slot(0x85, imm=1) + slot(0x0F, 0, 6) + EXIT
    vm = EbpfVmRaw(text)
    vm.register_helper(1, meet)
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda n: vm.execute_program(bytes([n])), range(4)))
    assert values == [0, 3, 6, 9]


@pytest.mark.parametrize("length", [9, 1 << 31, M64, 1 << 63])
def test_H6_length_beyond_the_region(length: int) -> None:
    text = f"lddw r2, {length:#x}\ncall 2\nexit"
    outcome = run_everywhere(text, bytes(8), helpers={2: memfrob})
    assert (outcome.error, outcome.pc) == ("MemoryFault", 2)
    assert outcome.access == (PACKET, length, "read", "packet")
    assert outcome.packet == bytes(8)


def test_H6_string_without_an_end() -> None:
    outcome = run_everywhere("mov r2, r1\ncall 4\nexit", b"abc", helpers={4: strcmp})
    assert outcome.access == (PACKET + 3, 1, "read", "packet")


def test_H6_faults_in_a_helper_can_be_caught_by_it() -> None:
    def careful(context: Context, address: int, *_: int) -> int:
        try:
            context.write(address, b"x")
        except MemoryFault:
            return -14
        return 0

    assert run_everywhere("mov r1, 0\ncall 1\nexit", helpers={1: careful}).value == M64 - 13


def test_H7_helpers_clobber_r1_to_r5() -> None:
    text = "".join(f"mov r{n}, {n}\n" for n in range(10)) + "call 1\n"
    for register in range(1, 10):
        program = text + f"mov r0, r{register}\nexit"
        expected = register if register > 5 else 0
        assert run_everywhere(program, helpers={1: lambda *_: 0}).value == expected
    assert run_everywhere(MOV + EXIT).value == 0
    refused(text + "mov r0, r1\nexit", "r1 is read but was never written", 11, strict=True)
