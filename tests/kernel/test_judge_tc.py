"""The helpers of traffic control that change packets, as the kernel has them."""

from __future__ import annotations

import struct
from random import Random

import pytest

from judging import Judge
from kernel_here import needs_kernel

pytestmark = needs_kernel

ROUNDS = 80
ETHERNET = bytes(12)  # to the loopback device: packets to others have another pkt_type
IPV4 = ETHERNET + bytes.fromhex("0800 4500002e000100004011f96a0a0000010a000002 0035 0035 001a 1234")
IPV6 = ETHERNET + bytes.fromhex("86dd 6000000000241140") + bytes(range(32)) + bytes(8)
OTHER = ETHERNET + bytes.fromhex("1234") + bytes(20)
VLAN = ETHERNET + bytes.fromhex("8100 0005 0800") + IPV4[14:]
FRAMES = {"ipv4": IPV4, "ipv6": IPV6, "other": OTHER, "vlan": VLAN}


def _packet(frame: bytes, a: int, b: int, c: int, d: int, data: bytes = b"") -> bytes:
    """A frame with, at its end, what tells a program of judge_tc.c what to do."""
    words = (word & 0xFFFF_FFFF for word in (a, b, c, d))
    return frame + struct.pack("<4I", *words) + data.ljust(16, b"\3")


CHOICES: dict[str, tuple[tuple[int, ...], ...]] = {
    "judge_direct": ((0,),) * 4,
    "judge_store": (
        (0, 12, 14, 16, 30, 60, 70, 200, -1),
        (0, 3, 15, 100),
        (0, 1, 2, 3, 4),
        (0, 14, 50, 99),
    ),
    "judge_checksum_fields": (
        (0, 1, 0x1234, 0xFFFF_FFFF),
        (0, 2, 0x4321, 0xFFFF_0000),
        (0, 2, 4, 1, 3),
        (40, 40 | 2 << 8, 40 | 4 << 8, 40 | 0x12 << 8, 40 | 0x22 << 8, 41, 250, 40 | 0x24 << 8),
    ),
    "judge_vlan": (
        (0x0081, 0xA888, 0x0008, 0),
        (0, 5, 0x2FFF, 0x1005, 0xFFFF),
        (0x0081, 0xA888),
        (0, 1, 2, 3, 4, 6, 7),
    ),
    "judge_tail": ((0, 13, 14, 33, 34, 50, 100, 200, 4000), (0, 1), (0,), (0,)),
    "judge_head": ((0, 1, 14, 20, 100, 1000, 70000), (0, 1), (0,), (0,)),
    "judge_room": (
        (0, 8, 20, -4, -8, -20, -40, 40, 0x1000),
        (0, 1, 2),
        (0, 1, 2, 4, 8, 16, 32, 2 | 8, 2 | 16, 4 | 8, 64, 256, 512),
        (0,),
    ),
    "judge_protocol": ((0xDD86, 0x0008, 0), (0, 1), (0, 1, 2, 3, 4, 9), (0,)),
    # The kernel keeps 16 bits of tc_classid (made of the first) and tc_index (the last); we 32.
    "judge_fields": ((0, 5, 0x1234), (0, 6, 0xFFFF_FFFF), (0, 7), (0, 8, 0x8000)),
    "judge_redirects": ((0, 1, 9), (0, 1, 2, 3), (0,), (0,)),
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("program", CHOICES)
def test_helpers(program: str, kind: str) -> None:
    random = Random(program + kind)  # noqa: S311 (repeatable)
    judge = Judge("judge_tc", program)
    for _ in range(ROUNDS):
        a, b, c, d = map(random.choice, CHOICES[program])
        judge.run(_packet(FRAMES[kind], a, b, c, d, random.randbytes(16)))


def test_fields_that_are_given() -> None:
    judge = Judge("judge_tc", "judge_fields")
    packet = _packet(IPV4, 1, 2, 3, 4)
    judge.run(packet, mark=3, priority=4, cb=(5, 6, 7, 8, 9), tstamp=10)
    judge.run(packet, ifindex=1, ingress_ifindex=1)
    judge.run(packet, gso_segs=2, gso_size=100, wire_len=500)
