"""The small parts of a run: packet buffers, clocks and random numbers, spaces, fields, hooks."""

from __future__ import annotations

import gc
import pickle

import pytest

from drybpf import Clock, Host
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.entry import Field
from drybpf.helpers import Helpers
from drybpf.helpers.host_natives import count_ticks, draw, read_clock, read_coarse, read_later
from drybpf.helpers.kernel import kernel_helpers
from drybpf.hooks import HOOKS, Hook, Xdp
from drybpf.host import Randomness, Socket, Sockets
from drybpf.memory import PACKET, Memory, PacketFrame, Region
from drybpf.native.restricted import Block
from drybpf.program import Program
from drybpf.space import MAX_PROGRAMS, Space
from drybpf.state import State


def test_a_packet_does_not_leave_its_buffer() -> None:
    frame = PacketFrame(PACKET, bytearray(100), PACKET + 10, PACKET + 20)
    for low, high in ((PACKET - 1, PACKET + 20), (PACKET, PACKET + 101), (PACKET + 9, PACKET + 8)):
        with pytest.raises(ValueError, match="leaves the packet's buffer"):
            frame.move(low, high)
    assert (frame.start, frame.length) == (PACKET + 10, 10)
    twin = pickle.loads(pickle.dumps(frame))  # noqa: S301 (our own)
    assert (twin.start, twin.length, twin.limit) == (frame.start, frame.length, frame.limit)


def test_a_packet_of_the_callers_cannot_be_moved() -> None:
    state = State(Code(assemble("exit")))
    state.memory.map(Region("packet", PACKET, bytearray(8)))
    with pytest.raises(ValueError, match="cannot be moved"):
        state.move_packet(PACKET, PACKET, PACKET + 4)


def test_only_what_is_mapped_can_be_taken_away() -> None:
    memory = Memory()
    with pytest.raises(ValueError, match="is not mapped"):
        memory.unmap(Region("elsewhere", PACKET, b"x"))


def test_clocks() -> None:
    clock = Clock(5, 10)
    assert [clock(), clock()] == [5, 15]
    assert clock == Clock(25, 10)
    assert clock != Clock(25, 11)
    assert repr(clock) == "Clock(now=25, step=10)"
    assert pickle.loads(pickle.dumps(clock)) == clock  # noqa: S301 (our own)
    for odd in (1.5, "1"):
        with pytest.raises(TypeError):
            clock.now = odd  # type: ignore[assignment]  # which is the point
    for wrong in (-1, 1 << 64):
        with pytest.raises(ValueError, match="not 0 to 2"):
            clock.now = wrong


def test_who_listens_to_which_addresses() -> None:
    """A socket of IPv6 takes IPv4, too, but none of IPv4 takes IPv6."""
    old, new = Socket("tcp", ("0.0.0.0", 80)), Socket("tcp", ("::", 81))  # noqa: S104
    sockets = Sockets([old, new])
    four, six = ("10.0.0.1", 1000), ("fd00::1", 1000)
    assert sockets.find("tcp", four, ("10.0.0.2", 80)) is old
    assert sockets.find("tcp", six, ("fd00::2", 80)) is None
    assert sockets.find("tcp", four, ("10.0.0.2", 81)) is new
    assert sockets.find("tcp", six, ("fd00::2", 81)) is new


def test_random_numbers() -> None:
    first, second = Randomness(7), Randomness(7)
    assert [first.getrandbits(n) for n in (1, 32, 64, 100)] == [
        second.getrandbits(n) for n in (1, 32, 64, 100)
    ]
    assert 0 <= first.random() < 1
    assert 1 <= first.randint(1, 6) <= 6
    assert first.getrandbits(0) == 0
    with pytest.raises(ValueError, match="not negative"):
        first.getrandbits(-1)
    twin = pickle.loads(pickle.dumps(first))  # noqa: S301 (our own)
    assert twin.getrandbits(64) == first.getrandbits(64)
    bits = sum(Randomness(0).getrandbits(10_000).bit_count() for _ in range(1))
    assert 4_700 < bits < 5_300


def test_compiled_code_reads_the_same_clock_and_numbers() -> None:
    """The functions that are compiled, run in CPython, beside those that Python calls."""
    clock, random = Clock(9_999_999, 7), Randomness(3)
    twin_clock, twin_random = Clock(9_999_999, 7), Randomness(3)
    words, state = Block(clock.words), Block(random.words)
    assert read_clock.python(words, 0) == twin_clock()
    assert read_later.bind(LATER=5).python(words, 0) == twin_clock() + 5
    assert (
        read_coarse.bind(TICK=4_000_000).python(words, 0) == twin_clock() // 4_000_000 * 4_000_000
    )
    assert count_ticks.bind(TICK=4_000_000).python(words, 0) == twin_clock() // 4_000_000
    assert [draw.python(state, 0) for _ in range(5)] == [
        twin_random.getrandbits(32) for _ in range(5)
    ]


@pytest.mark.parametrize("number", [5, 7, 118, 125, 160, 208])
def test_a_changed_host_is_seen(number: int) -> None:
    """`program(packet)` has the clock compiled into it; another one counts at once."""
    seen = []
    for engine in ("interpreter", "jit"):
        program = Program.from_asm(f"call {number}\nexit", hook=Xdp(), engine=engine)
        calls = [program(bytes(14)) for _ in range(3)]
        program.host.clock, program.host.random = Clock(1 << 40, 3), Randomness(99)
        calls += [program(bytes(14)) for _ in range(3)]
        program.host.clock = lambda: 77_000_000
        seen.append([*calls, program(bytes(14))])
    assert seen[0] == seen[1]


def test_a_space_counts_its_programs() -> None:
    space = Space()
    space._codes = [Code(b"")] * MAX_PROGRAMS
    with pytest.raises(ValueError, match="at most"):
        space.number(Code(assemble("exit")))


def test_a_table_of_helpers_may_go_before_its_parent() -> None:
    parent = Helpers()
    parent.over(kernel_helpers())
    gc.collect()
    parent.register(1, lambda *_: 0)  # tells nobody
    assert 1 in parent


def test_fields_refuse_what_does_not_fit() -> None:
    field = Field("cb", 48, 4, 5)
    assert field.pack(7) == (7).to_bytes(20, "little")
    assert field.pack([1, 2])[:8] == b"\1\0\0\0\2\0\0\0"
    assert field.pack(b"ab")[:3] == b"ab\0"
    for wrong in (bytes(21), [0] * 6, 1 << 32):
        with pytest.raises(ValueError, match="cb"):
            field.pack(wrong)
    with pytest.raises(TypeError, match="is a number"):
        field.pack([1.5])  # type: ignore[list-item]  # the point


@pytest.mark.parametrize("hook", HOOKS.values(), ids=lambda hook: hook.name)
def test_hooks_are_pickled_whole(hook: Hook) -> None:
    twin = pickle.loads(pickle.dumps(hook))  # noqa: S301 (our own)
    assert (twin.name, twin.program_type, twin.shape) == (hook.name, hook.program_type, hook.shape)


def test_hosts_are_pickled() -> None:
    host = Host(clock=Clock(4), random=Randomness(5), cpu=2)
    program = Program.from_asm("exit", host=host)
    host.watch(program)
    twin = pickle.loads(pickle.dumps(host))  # noqa: S301 (our own)
    assert (twin.clock(), twin.random.getrandbits(8), twin.cpu) == (
        host.clock(),
        host.random.getrandbits(8),
        2,
    )
