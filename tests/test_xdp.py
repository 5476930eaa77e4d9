"""XDP programs, written by hand as clang writes them."""

from __future__ import annotations

import pytest

from drybpf.hooks import Xdp, XdpAction
from drybpf.memory import CONTEXT, PACKET
from drybpf.program import Program
from engines import run_everywhere

BEGIN = PACKET + 256
LONG_ENOUGH = """
    r2 = *(u32 *)(r1 + 4)
    r1 = *(u32 *)(r1 + 0)
    r3 = r1
    r3 += 14
    r0 = 1
    if r3 > r2 goto out
    r3 = *(u16 *)(r1 + 12)
    r0 = 2
    if r3 == 8 goto out        ; IPv4, big-endian, read as little-endian
    r0 = 0
out:
    exit
"""
IPV4 = bytes(12) + b"\x08\x00" + bytes(20)


@pytest.mark.parametrize(
    ("packet", "verdict"),
    [(b"", 1), (IPV4[:13], 1), (IPV4[:14], 2), (IPV4, 2), (bytes(14), 0)],
)
def test_a_parser(packet: bytes, verdict: int) -> None:
    assert run_everywhere(LONG_ENOUGH, packet, hook=Xdp()).value == verdict
    result = Program.from_asm(LONG_ENOUGH, hook=Xdp()).run(packet)
    assert (result.action, result.packet) == (XdpAction(verdict), packet)


FIELDS = [("data", 0, BEGIN), ("data_end", 4, BEGIN + 3), ("data_meta", 8, BEGIN)]
FIELDS += [("ingress_ifindex", 12, 1), ("rx_queue_index", 16, 0), ("egress_ifindex", 20, 0)]


@pytest.mark.parametrize(("name", "offset", "expected"), FIELDS)
def test_the_context(name: str, offset: int, expected: int) -> None:
    text = f"ldxw r0, [r1+{offset}]\nexit"
    assert run_everywhere(text, b"abc", hook=Xdp()).value == expected, name


def test_fields_of_the_run() -> None:
    fields = {"ifindex": 3, "rx_queue": 4, "egress_ifindex": 5}
    for offset, expected in ((12, 3), (16, 4), (20, 5)):
        text = f"ldxw r0, [r1+{offset}]\nexit"
        assert run_everywhere(text, hook=Xdp(), fields=fields).value == expected
    with pytest.raises(TypeError, match="xdp has no colour, mark"):
        Program.from_asm("exit", hook=Xdp()).run(b"", mark=3, colour=4)


def test_registers_at_entry() -> None:
    for register, expected in ((1, CONTEXT), (2, 0), (9, 0)):
        assert run_everywhere(f"mov r0, r{register}\nexit", b"a", hook=Xdp()).value == expected


def test_the_context_is_read_only_and_ends() -> None:
    outcome = run_everywhere("stw [r1], 0\nexit", hook=Xdp())
    assert outcome.access == (CONTEXT, 4, "write", "xdp_md")
    outcome = run_everywhere("ldxw r0, [r1+24]\nexit", hook=Xdp())
    assert outcome.access == (CONTEXT + 24, 4, "read", "xdp_md")


def test_bytes_around_the_packet() -> None:
    for offset in (-1, 3):
        text = f"ldxw r1, [r1]\nldxb r0, [r1{offset:+}]\nexit"
        outcome = run_everywhere(text, b"abc", hook=Xdp())
        assert outcome.access == (BEGIN + offset, 1, "read", "packet")


def test_the_callers_packet_never_changes() -> None:
    program = Program.from_asm("ldxw r1, [r1]\nstb [r1], 9\nmov r0, 2\nexit", hook=Xdp())
    packet = bytearray(b"abc")
    assert program.run(packet).packet == b"\x09bc"
    assert packet == b"abc"


VERDICTS = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 0), (-1, 0), ((7 << 32) | 2, 2)]


@pytest.mark.parametrize(("value", "action"), VERDICTS)
def test_verdicts(value: int, action: int) -> None:
    program = Program.from_asm(f"lddw r0, {value}\nexit", hook=Xdp())
    assert program.run(b"").action is XdpAction(action)


def test_repr() -> None:
    assert repr(Xdp()) == "<Hook xdp>"
