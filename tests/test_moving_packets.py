"""Packets that move, or get another buffer, under compiled code."""

from __future__ import annotations

import pytest

from drybpf.helpers.native import NativeHelper
from drybpf.hooks import Xdp
from drybpf.native.restricted import restricted
from drybpf.program import Program
from space_programs import ENGINES, Twins

LONG = """
    mov64 r9, r1
    mov64 r2, {length}
    mov64 r3, 0
    call 38                   ; skb_change_tail
    call local touch
    ldxw r6, [r9+76]
    ldxw r7, [r9+80]
    mov64 r3, r6
    add64 r3, 100
    jgt r3, r7, bad
    stb [r6+3], 7
    stb [r6+99], 8
    or64 r6, 0                ; nobody guesses where it points
    ldxb r8, [r6+3]
    add64 r0, r8
    exit
bad:
    mov64 r0, 77
    exit
touch:
    mov64 r0, 1
    exit
"""


@pytest.mark.parametrize("length", [100, 1500, 4000, 16000])
def test_a_helper_gives_the_packet_a_larger_buffer(length: int) -> None:
    """What was read and written in the smaller one was memory of somebody else."""
    twins = Twins(LONG.format(length=length), "sched_cls")
    result = twins.run(bytes(range(100)))
    expected = bytearray(range(100)) + bytes(length - 100)
    expected[3], expected[99] = 7, 8
    assert (result.value, bytes(result.packet)) == (8, bytes(expected))


LOOKED_UP = """
    mov64 r7, r1
    mov64 r2, 4
    call 44                   ; xdp_adjust_head
    ldxw r6, [r7+0]
    or64 r6, 0                ; nobody guesses where it points
    ldxb r0, [r6+0]
    exit
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_a_moving_packet_of_a_batch_is_looked_up(engine: str) -> None:
    program = Program.from_asm(LOOKED_UP, hook=Xdp(), engine=engine)
    packets = [bytes(range(first, first + 40)) for first in range(5)]
    assert list(program.run_batch(packets)) == [4, 5, 6, 7, 8]
    assert [program(packet) for packet in packets] == [4, 5, 6, 7, 8]


@restricted
def _stay(_words: int) -> int:
    """A helper that moves nothing."""
    return 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_batch_forgets_where_packets_moved_in_the_last_one(engine: str) -> None:
    text = LOOKED_UP.replace("r6+0]\n    exit", "r6+30]\n    exit")
    program = Program.from_asm(text, hook=Xdp(), engine=engine)
    assert list(program.run_batch([bytes(range(60))])) == [34]
    program.helpers.register(44, NativeHelper(_stay, bytearray(8)))
    verdicts = program.run_batch([bytes(range(40)), bytes(20)], on_fault="record")
    assert list(verdicts) == [30, 0]
    assert list(verdicts.faults) == [1]
