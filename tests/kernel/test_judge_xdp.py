"""The helpers of XDP programs, with random arguments, as the kernel has them."""

from __future__ import annotations

import struct
from random import Random
from typing import Any

import pytest

from drybpf.objects import Object
from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel

ROUNDS = 120


def _request(
    head: int = 0,
    tail: int = 0,
    meta: int = 0,
    offset: int = 0,
    length: int = 0,
    data: bytes = b"",
    size: int = 0,
) -> bytes:
    """A packet that tells a program of judge_xdp.c what to do."""
    packet = bytes(range(14)) + struct.pack("<3h2H", head, tail, meta, offset, length)
    return (packet + data.ljust(32, b"\1")).ljust(size, b"\2")


def _random(seed: object) -> Random:
    return Random(f"{seed}")  # noqa: S311 (repeatable)


NEAR = (0, 1, -1, 4, -4, 8, 32, -32, 33, 34, 36, -36, 14, 41, 42, 43, 44, 60, -60, 100)
FAR = (-256, -255, -252, -257, 255, -1000, 3000, 3400, 3464, 3465, 32767, -32768)


def test_ends_that_move() -> None:
    random, judge = _random("ends"), Judge("judge_xdp", "judge_adjust")
    for _ in range(4 * ROUNDS):
        head, tail, meta = (random.choice(random.choice((NEAR, NEAR, FAR))) for _ in range(3))
        judge.run(_request(head, tail, meta, size=random.choice((0, 60, 61, 1500, 3520))))


def test_metadata_goes_with_the_head() -> None:
    judge = Judge("judge_xdp", "judge_adjust")
    judge.run(_request(head=-8, meta=-16))
    assert judge.results()[:4] == [0, 16, 0, 16]
    assert judge.results()[8] == 0x600DF00D


def test_bytes() -> None:
    random, judge = _random("bytes"), Judge("judge_xdp", "judge_bytes")
    for _ in range(ROUNDS):
        offset = random.choice((0, 1, 14, 20, 50, 55, 56, 57, 300, 0xFFFE, 0xFFFF))
        judge.run(_request(offset=offset, length=random.randrange(32), data=random.randbytes(32)))


def test_checksums() -> None:
    random, judge = _random("checksums"), Judge("judge_xdp", "judge_checksums")
    for _ in range(ROUNDS):
        seeds = random.choice((0, 1, -1, 0x7FFF)), random.choice((0, 5, -5))
        data = random.choice((random.randbytes(32), bytes(32), b"\xff" * 32))
        offset, length = random.randrange(40), random.randrange(20)
        judge.run(_request(*seeds, offset=offset, length=length, data=data))


TEXTS = (
    *("drybpf", "dry", "drz", "", "17", " 17", "-17", "+17", "0x1f", "0X1F", "017", "08", "-"),
    *("0x", "1_000", "12abc", "abc", "9223372036854775807", "9223372036854775808", "zz", "  +5"),
    *("-9223372036854775808", "-9223372036854775809", "18446744073709551615", "--5", "0b11"),
    *("18446744073709551616", "\t\n 7", "5 6", "-0", "00000000000000000000000000000012"),
)


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text: str) -> None:
    judge = Judge("judge_xdp", "judge_texts")
    for base in (0, 8, 10, 16, 2, 31, 1):
        judge.run(_request(-5, offset=base, length=77, data=text.encode().ljust(32, b"\0")))


def test_texts_of_random_numbers() -> None:
    random, judge = _random("texts"), Judge("judge_xdp", "judge_texts")
    for _ in range(ROUNDS):
        numbers = random.randrange(-32768, 32768), 0, 0, random.getrandbits(16)
        judge.run(_request(*numbers, random.getrandbits(16), random.randbytes(32)))


def test_ring_buffer() -> None:
    random, judge = _random("ring"), Judge("judge_xdp", "judge_ring")
    for number in range(ROUNDS):  # until it is full, emptied, full again
        judge.run(
            _request(
                random.choice((-1, 1, 2)),
                random.randrange(20),
                offset=random.randrange(16),
                length=random.randrange(32),
                data=random.randbytes(32),
            )
        )
        if number % 41 == 40:
            drained = judge.change(_drain)
            assert drained[0] == drained[1] == drained[2] != []


def _drain(found: Object) -> list[object]:
    ring: Any = found.maps["ring"]
    return list(ring)


def test_dynptr() -> None:
    random, judge = _random("dynptr"), Judge("judge_xdp", "judge_dynptr")
    for _ in range(ROUNDS):
        head, tail = random.choice((0, 0, 0, 1)), random.choice((0, 5, 17, 32, 33, -1))
        offset, length = random.choice((0, 3, 16, 17, 31, 32, 33, 0xFFFF)), random.randrange(16)
        judge.run(_request(head, tail, 0, offset, length, random.randbytes(32)))


def test_perf_events() -> None:
    random, judge = _random("events"), Judge("judge_xdp", "judge_events")
    for _ in range(ROUNDS):
        head, cpu = random.choice((0, -1)), random.choice((0, 1, 5, 64, 100, -1))
        judge.run(_request(head, cpu, offset=random.choice((0, 1, 14, 56, 57, 1000))))


def _targets(found: Object) -> None:
    for name in ("devices", "devices_by_hash", "cpus", "sockets"):
        table: Any = found.maps[name]
        table[1] = 1
        if name == "cpus":
            table[1] = 128
        elif name == "devices_by_hash":
            table[1000] = 1


@pytest.mark.parametrize("kind", range(6))
def test_redirects(kind: int) -> None:
    judge = Judge("judge_xdp", "judge_redirect", _targets)
    for key in (0, 1, 7, 8, 1000, 0xFFFF):
        for flags in (0, 1, 2, 3, 4, 5, 8, 16, 24, 32, 0x100):
            judge.run(_request(offset=key, length=flags, data=bytes([kind])))
