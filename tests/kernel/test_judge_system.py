"""Helpers that ask the kernel about itself: its answers, as far as they can be compared."""

from __future__ import annotations

import struct
from random import Random

from drybpf.host import Host, Interface
from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel

LOOPBACK_MTU = 65536


def _host(host: Host) -> None:
    host.network.interfaces[1] = Interface(1, "lo", mtu=LOOPBACK_MTU)


def test_system() -> None:
    random = Random(3)  # noqa: S311 (repeatable)
    judge = Judge("judge_system", "judge_system", lambda found: _host(found.host))
    texts = (b"drybpf", b"", b"0123456789abcdef", b"a\0b")
    for _ in range(60):
        ifindex = random.choice((0, 0, 1, 1_000_000))
        difference = random.choice((0, 1, -1, 65000, 65443, 65522, -65000, -100))
        flags, mtu = random.choice((0, 0, 1, 2)), random.choice((0, 0, 1, 1500, 65536, 70000))
        words = struct.pack("<IiII", ifindex, difference, flags, mtu)
        judge.run(bytes(14) + words + random.choice(texts).ljust(16, b"\0") + bytes(50))


def test_sockets_that_nobody_has() -> None:
    judge = Judge("judge_system", "judge_sockets")
    judge.run(bytes(12) + b"\x08\x00\x45" + bytes(39))
    judge.run(bytes(12) + b"\x86\xdd\x60" + bytes(39))
