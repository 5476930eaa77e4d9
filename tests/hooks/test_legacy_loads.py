"""Legacy packet loads with negative offsets: from the network header or the link header on."""

from __future__ import annotations

import pytest

from drybpf import HOOKS, Program
from helper_programs import FRAMES, ours

NETWORK, LINK = -0x10_0000, -0x20_0000  # SKF_NET_OFF, SKF_LL_OFF
PACKET = FRAMES["ipv4"]


@pytest.mark.parametrize("hook", ["socket_filter", "sched_cls", "cgroup_skb"])
@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (NETWORK + 9, 6),  # TCP
        (LINK + 12, 8),  # the first byte of the type
        (LINK + len(PACKET) - 1, PACKET[-1]),
        (LINK + len(PACKET), 0),
        (NETWORK + len(PACKET) - 15, PACKET[-1]),
        (NETWORK + len(PACKET) - 14, 0),
        (NETWORK - 1, 0),
        (LINK - 1, 0),
        (-1, 0),
    ],
)
def test_what_stands_there(hook: str, offset: int, value: int) -> None:
    text = f"mov r6, r1\nmov r7, -1\nldabsb {offset}\nadd r0, 256\nexit"
    program = Program.from_asm(text, hook=HOOKS[hook])
    assert ours(program, PACKET).value == (value + 256 if value else 0)


def test_there_is_no_link_header() -> None:
    program = Program.from_asm(f"mov r6, r1\nldabsb {LINK}\nexit", hook=HOOKS["sched_cls"])
    assert ours(program, PACKET[14:], link_header=0).value == 0
    network = Program.from_asm(f"mov r6, r1\nldabsb {NETWORK}\nexit", hook=HOOKS["sched_cls"])
    assert ours(network, PACKET[14:], link_header=0).value == 0x45


def test_in_a_function_that_was_called_and_in_a_batch() -> None:
    text = f"mov r6, r1\ncall local f\nadd r0, 256\nexit\nf: mov r6, r1\nldabsb {NETWORK + 9}\nexit"
    program = Program.from_asm(text, hook=HOOKS["sched_cls"])
    assert ours(program, PACKET).value == 256 + 6
    assert list(program.run_batch([PACKET, PACKET[:20], PACKET])) == [262, 0, 262]
