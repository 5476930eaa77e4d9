"""Functions, callbacks, tail calls, locks, timers and variables, as the kernel has them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from drybpf.objects import Object
from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel


def _request(count: int, stop: int, value: int = 0) -> bytes:
    """A packet that tells a program of judge_calls.c what to do."""
    return bytes(14) + struct.pack("<2I2Q", count, stop, value, 0)


def _random_requests(seed: str, *limits: int) -> Iterator[bytes]:
    random = Random(seed)  # noqa: S311 (repeatable)
    for _ in range(60):
        yield _request(*(random.randrange(limit) for limit in limits))


def test_variables() -> None:
    judge = Judge("judge_calls", "judge_variables")
    for number, packet in enumerate(_random_requests("variables", 9, 9, 1 << 64)):
        judge.run(packet)
        if number == 30:
            judge.change(lambda found: found.data.__setitem__("initialised", 1000))


def test_a_constant_that_is_set_before_the_first_run() -> None:
    judge = Judge("judge_calls", "judge_variables", lambda found: _set_constant(found, 7))
    judge.run(_request(1, 1))
    assert judge.objects["kernel"].data["initialised"] == 47


def _set_constant(found: Object, value: int) -> None:
    found.data["constant"] = value


def test_loops() -> None:
    judge = Judge("judge_calls", "judge_loops")
    for packet in _random_requests("loops", 40, 40, 1 << 64):
        judge.run(packet)
    for count, stop, value in ((0, 0, 0), (5, 1, 1), ((1 << 23) + 1, 3, 0)):
        judge.run(_request(count, stop, value))


def _programs(found: Object) -> None:
    table: Any = found.maps["programs"]
    table[0] = found.programs["judge_tail_calls"]
    table[2] = found.programs["judge_tail_target"]


def _forget(found: Object) -> None:
    table: Any = found.maps["programs"]
    del table[0]


@pytest.mark.parametrize("program", ["judge_tail_calls", "judge_tail_target"])
def test_tail_calls(program: str) -> None:
    judge = Judge("judge_calls", program, _programs)
    for count in range(5):
        for stop in range(5):
            judge.run(_request(count, stop))
    depth = struct.unpack("<Q", judge.run(_request(0, 0)).packet[-8:])[0]
    assert depth in (33, 34)
    judge.change(_forget)
    judge.run(_request(0, 0))


def test_locks() -> None:
    judge = Judge("judge_calls", "judge_locks")
    for packet in _random_requests("locks", 4, 9, 1 << 64):
        judge.run(packet)


def test_timers() -> None:
    judge = Judge("judge_calls", "judge_timers")
    for flags in (0, 0, 1, 2, 3, 8):
        judge.run(_request(flags, 0))
