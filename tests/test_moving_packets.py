"""Packets that move, or get another buffer, under compiled code."""

from __future__ import annotations

import pytest

from drybpf.hooks import Xdp
from drybpf.program import Program
from space_programs import ENGINES

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
