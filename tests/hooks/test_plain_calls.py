"""Calls that need a packet only: `program(packet)` and batches find the context of `run`."""

from __future__ import annotations

import pytest

from drybpf.hooks import HOOKS
from drybpf.host import Host, Socket
from drybpf.program import Program
from helper_programs import FRAMES

KINDS = ["xdp", "sched_cls", "sched_act", "socket_filter", "cgroup_skb", "lwt_xmit", "sk_skb"]
# The program looks at every word of its context and, in a buffer of its own, at the packet.
DIGEST = """
mov r0, 0
{loads}
exit
"""
WORD = "ldxw r2, [r1+{offset}]\nmul r0, 31\nadd r0, r2"
FRAMES_AND_PARTS = [
    *FRAMES.values(),
    *(FRAMES["ipv4"][:length] for length in range(18)),
    *(bytes(12) + kind + b"\xff\xff"[:tail] for kind in (b"\0\5", b"\6\0") for tail in range(3)),
    b"\xff" * 13,
]


def digest(kind: str) -> str:
    """A program over all words of a context that it may read in any run."""
    length = HOOKS[kind].shape.context_length
    loads = "\n".join(WORD.format(offset=offset) for offset in range(0, length, 4))
    return DIGEST.format(loads=loads)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("store", ["", "stw [r1+48], 7\nldxw r0, [r1+48]\n"])
def test_calls_and_batches_find_the_context_of_a_run(kind: str, store: str) -> None:
    text = digest(kind)
    if store and kind not in ("xdp", "sk_skb"):
        text = text.replace("exit", store + "exit")
    programs = [
        Program.from_asm(text, hook=HOOKS[kind], engine=engine) for engine in ("interpreter", "jit")
    ]
    expected = [programs[0].run(frame).value for frame in FRAMES_AND_PARTS]
    for program in programs:
        assert [program(frame) for frame in FRAMES_AND_PARTS] == expected
        assert [program(bytearray(frame)) for frame in FRAMES_AND_PARTS] == expected
        assert list(program.run_batch(FRAMES_AND_PARTS)) == expected
        assert [program.run(frame).value for frame in FRAMES_AND_PARTS] == expected
    assert programs[1].function is not programs[1]  # compiled code takes the packet itself


def test_a_host_with_a_socket_is_asked_at_each_call() -> None:
    host = Host()
    text = "ldxw r0, [r1+88]\nexit"  # family
    program = Program.from_asm(text, hook=HOOKS["sched_cls"], host=host, engine="jit")
    frame = FRAMES["ipv4"]
    assert (program(frame), list(program.run_batch([frame]))) == (0, [0])
    host.socket = Socket("tcp", ("10.0.0.1", 80), ("10.0.0.2", 4000))
    family = program.run(frame).value
    assert family == 2
    assert (program(frame), list(program.run_batch([frame]))) == (family, [family])
    host.socket = None
    assert (program(frame), list(program.run_batch([frame]))) == (0, [0])


def test_the_length_on_the_wire_stays_when_a_program_cuts_the_packet() -> None:
    text = (
        "mov r6, r1\nmov r2, 20\nmov r3, 0\ncall 38\n"  # skb_change_tail
        "ldxw r0, [r6+160]\nlsh r0, 16\nldxw r1, [r6]\nor r0, r1\nexit"
    )
    for engine in ("interpreter", "jit"):
        program = Program.from_asm(text, hook=HOOKS["sched_cls"], engine=engine)
        length = len(FRAMES["ipv4"])
        assert program(FRAMES["ipv4"]) == length << 16 | 20
        assert program.run(FRAMES["ipv4"]).value == length << 16 | 20
