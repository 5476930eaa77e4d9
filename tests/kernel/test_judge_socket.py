"""Socket filters: packet loads, fields and tail calls, as the kernel has them."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from drybpf.objects import Object
from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel


@pytest.mark.parametrize("program", ["judge_old_loads", "judge_loads"])
def test_loads(program: str) -> None:
    random = Random(program)  # noqa: S311 (repeatable)
    judge = Judge("judge_socket", program)
    for _ in range(120):
        size = random.choice((14, 15, 40, 60))
        packet = bytearray(random.randbytes(size))
        packet[0] = 0  # so that the places that it names are near
        if program == "judge_old_loads":
            packet[2:4] = random.choice((0, 5, size - 5, size - 4, size, 65535)).to_bytes(2, "big")
        else:
            packet[1] = random.randrange(size + 2)
        judge.run(bytes(packet), link_header=0)


def test_fields() -> None:
    judge = Judge("judge_socket", "judge_fields")
    packet = bytes(12) + b"\x08\x00" + bytes(40)
    judge.run(packet)
    judge.run(packet, mark=5, priority=9)
    judge.run(packet, cb=(1, 2, 3, 4, 5), tstamp=77)
    judge.run(packet, ifindex=1, ingress_ifindex=1)
    judge.run(bytes(12) + b"\x86\xdd" + bytes(40))
    judge.run(bytes(12) + b"\x12\x34" + bytes(40))


def _programs(found: Object) -> None:
    table: Any = found.maps["programs"]
    for index, name in enumerate(("judge_first", "judge_second")):
        table[index] = found.programs[name]


def test_the_control_block_outlives_tail_calls() -> None:
    judge = Judge("judge_socket", "judge_first", _programs)
    for first in range(4):
        for second in range(4):
            judge.run(bytes([first, second]) + bytes(range(20)))
    judge.run(bytes([1, 9]) + bytes(range(20)), cb=(9, 8, 7, 6, 5))
