"""Dynptrs over memory and packets, and the kernel's small functions: iterators and strings."""

from __future__ import annotations

import pytest

from drybpf.errors import MemoryFault
from drybpf.helpers.kfuncs import kfunc_number
from helper_programs import FRAMES
from space_programs import Twins

M64 = (1 << 64) - 1
FRAME = FRAMES["ipv4"]


def kfunc(name: str) -> str:
    return f"call {kfunc_number(f'bpf_{name}')}"


def errno(number: int) -> int:
    return M64 + 1 - number


def value(text: str, hook: str = "xdp", packet: bytes = FRAME) -> int:
    return Twins(text, hook).run(packet).value


LOCAL = """
    mov r6, r1
    lddw r1, 0x0807060504030201
    stxdw [r10-24], r1
    lddw r1, 0x100f0e0d0c0b0a09
    stxdw [r10-16], r1
    mov r1, r10
    add r1, -24
    mov r2, 16
    lddw r3, {flags}
    mov r4, r10
    add r4, -48
    call 197
    mov r9, r0
"""
POINTER = "mov r{0}, r10\nadd r{0}, -48\n"
FREE = "mov r{0}, r10\nadd r{0}, -8\n"


def local(rest: str, flags: int = 0) -> int:
    return value(LOCAL.format(flags=flags) + rest + "exit")


def read(offset: int, length: int, flags: int = 0) -> str:
    head = "stdw [r10-8], 0\n" + FREE.format(1) + f"mov r2, {length}\n" + POINTER.format(3)
    return head + f"mov r4, {offset}\nlddw r5, {flags}\ncall 201\n"


def test_reading_a_dynptr() -> None:
    assert local(read(0, 8) + "ldxdw r0, [r10-8]\n") == 0x0807060504030201
    assert local(read(12, 4) + "ldxdw r0, [r10-8]\n") == 0x100F0E0D
    for offset, length in ((9, 8), (16, 1), (17, 0), (-1, 1), (0x7FFFFFFF, 8)):
        assert local(read(offset, length)) == errno(7)
    assert local(read(0, 8, flags=1)) == errno(22)


def test_what_makes_no_dynptr() -> None:
    assert local("mov r0, r9\n", flags=1) == errno(22)
    assert local(read(0, 8), flags=1) == errno(22)  # it is null
    huge = LOCAL.replace("mov r2, 16", "mov r2, 0x1000000").format(flags=0) + "exit"
    with pytest.raises(MemoryFault):  # so much is nowhere, whatever the dynptr would say
        value(huge)


def test_writing_and_addressing_a_dynptr() -> None:
    write = "stdw [r10-8], 0x77\n" + POINTER.format(1) + "mov r2, {}\n" + FREE.format(3)
    write += "mov r4, 1\nmov r5, {}\ncall 202\n"
    assert local(write.format(3, 0) + "mov r0, 0\nldxb r0, [r10-21]\n") == 0x77
    assert local(write.format(16, 0)) == errno(7)
    assert local(write.format(0, 1)) == errno(22)
    data = POINTER.format(1) + "mov r2, {}\nmov r3, {}\ncall 203\n"
    assert local(data.format(8, 8) + "ldxb r0, [r0]\n") == 9
    for offset, length in ((9, 8), (17, 0), (-1, 1)):
        assert local(data.format(offset, length)) == 0


ADJUST = POINTER.format(1) + "mov r2, {}\nmov r3, {}\n" + kfunc("dynptr_adjust") + "\n"
SIZE = POINTER.format(1) + kfunc("dynptr_size") + "\n"


def test_a_dynptr_is_cut_down() -> None:
    assert local(ADJUST.format(4, 10) + "mov r9, r0\n" + SIZE + "add r0, r9\n") == 6
    assert local(ADJUST.format(4, 10) + read(0, 4) + "ldxw r0, [r10-8]\n") == 0x08070605
    assert local(ADJUST.format(4, 10) + read(3, 4)) == errno(7)
    assert local(ADJUST.format(5, 4)) == errno(22)
    assert local(ADJUST.format(4, 17)) == errno(34)
    assert local(ADJUST.format(16, 16) + SIZE) == 0


def test_copies_of_a_dynptr() -> None:
    clone = POINTER.format(1) + "mov r2, r10\nadd r2, -64\n" + kfunc("dynptr_clone") + "\n"
    cut = clone + ADJUST.format(8, 16) + POINTER.format(1).replace("48", "64")
    assert local(cut + kfunc("dynptr_size") + "\n") == 16
    fill = POINTER.format(1) + "mov r2, 2\nmov r3, 3\nmov r4, 0xaa\n" + kfunc("dynptr_memset")
    assert local(fill + "\nldxdw r0, [r10-24]\n") == 0x080706AAAAAA0201
    copy = (
        clone + POINTER.format(1) + "mov r2, 8\nmov r3, r10\nadd r3, -64\nmov r4, 0\nmov r5, {}\n"
    )
    copy += kfunc("dynptr_copy") + "\n"
    assert local(copy.format(8) + "ldxdw r0, [r10-16]\n") == 0x0807060504030201
    assert local(copy.format(9)) == errno(7)
    assert local(POINTER.format(1) + kfunc("dynptr_is_null") + "\n") == 0
    assert local(POINTER.format(1) + kfunc("dynptr_is_null") + "\n", flags=1) == 1
    assert local(SIZE, flags=1) == errno(22) & 0xFFFF_FFFF


def over_packet(kind: str, rest: str) -> str:
    make = "mov r6, r1\nmov r2, 0\nmov r3, r10\nadd r3, -48\n" + kfunc(f"dynptr_from_{kind}")
    return make + "\n" + rest + "exit"


SLICE = POINTER.format(1) + "mov r2, {}\nmov r3, 0\nmov r4, {}\n"


@pytest.mark.parametrize(("kind", "hook"), [("xdp", "xdp"), ("skb", "sched_cls")])
def test_a_packets_dynptr(kind: str, hook: str) -> None:
    assert value(over_packet(kind, SIZE), hook) == len(FRAME)
    piece = SLICE.format(12, 2) + kfunc("dynptr_slice") + "\n"
    assert value(over_packet(kind, piece + "ldxh r0, [r0]\n"), hook) == 0x0008
    beyond = SLICE.format(len(FRAME) - 1, 2) + kfunc("dynptr_slice") + "\n"
    assert value(over_packet(kind, beyond), hook) == 0
    written = SLICE.format(0, 8) + kfunc("dynptr_slice_rdwr") + "\nstb [r0], 0x55\nmov r0, 0\n"
    assert Twins(over_packet(kind, written), hook).run(FRAME).packet[0] == 0x55
    store = "stdw [r10-8], 0x99\n" + POINTER.format(1) + "mov r2, 5\n" + FREE.format(3)
    store += "mov r4, 1\nmov r5, 0\ncall 202\n"
    assert Twins(over_packet(kind, store), hook).run(FRAME).packet[5] == 0x99
    assert value(over_packet(kind, read(12, 2) + "ldxh r0, [r10-8]\n"), hook) == 0x0008
    assert (
        value(over_packet(kind, POINTER.format(1) + "mov r2, 0\nmov r3, 4\ncall 203\n"), hook) == 0
    )


def test_a_socket_filter_may_not_write_by_a_dynptr() -> None:
    only = POINTER.format(1) + kfunc("dynptr_is_rdonly") + "\n"
    assert value(over_packet("skb", only), "socket_filter") == 1
    written = SLICE.format(0, 8) + kfunc("dynptr_slice_rdwr") + "\n"
    assert value(over_packet("skb", written), "socket_filter") == 0


NUMBERS = """
    mov r1, r10
    add r1, -16
    mov r2, {}
    mov r3, {}
    NEW
    mov r8, r0
    mov r7, 0
again:
    mov r1, r10
    add r1, -16
    NEXT
    jeq r0, 0, done
    ldxw r1, [r0]
    add r7, r1
    ja again
done:
    mov r1, r10
    add r1, -16
    DESTROY
    mov r0, r7
    add r0, r8
    exit
"""
for _name in ("new", "next", "destroy"):
    NUMBERS = NUMBERS.replace(_name.upper(), kfunc(f"iter_num_{_name}"))


@pytest.mark.parametrize(
    ("start", "end", "total"),
    [(0, 5, 10), (3, 3, 0), (-2, 1, 2 * (1 << 32) - 3), (5, 3, errno(22)), (0, 1 << 24, errno(7))],
)
def test_numbers_one_after_the_other(start: int, end: int, total: int) -> None:
    assert value(NUMBERS.format(start, end)) == total % (1 << 64)


def test_bits_one_after_the_other() -> None:
    text = NUMBERS.replace(kfunc("iter_num_new"), kfunc("iter_bits_new"))
    text = text.replace(kfunc("iter_num_next"), kfunc("iter_bits_next"))
    text = text.replace(kfunc("iter_num_destroy"), kfunc("iter_bits_destroy"))
    head = "lddw r1, 0x8000000000000022\nstxdw [r10-32], r1\nstdw [r10-24], 4\n"
    text = head + text.replace("mov r2, {}", "mov r2, r10\nadd r2, -32")
    assert value(text.format(2)) == 1 + 5 + 63 + 66
    assert value(text.format(1)) == 1 + 5 + 63
    assert value(text.format(0)) == errno(22)
    with pytest.raises(MemoryFault):
        value(text.format(8))


STRINGS = """
    lddw r1, 0x2062612062610a
    stxdw [r10-16], r1
    stdw [r10-8], 0x6261
    mov r1, r10
    add r1, -16
    mov r2, r10
    add r2, -8
"""  # "\nab ab " and "ab"


@pytest.mark.parametrize(
    ("name", "more", "result"),
    [
        ("strlen", "", 7),
        ("strnlen", "mov r2, 3\n", 3),
        ("strcmp", "", -1),
        ("strcasecmp", "mov r2, r1\n", 0),
        ("strstr", "", 1),
        ("strnstr", "mov r3, 2\n", -2),
        ("strchr", "mov r2, 0x62\n", 2),
        ("strchr", "mov r2, 0x7a\n", -2),
        ("strchr", "mov r2, 0\n", 7),
        ("strnchr", "mov r2, 2\nmov r3, 0x62\n", -2),
        ("strchrnul", "mov r2, 0x7a\n", 7),
        ("strrchr", "mov r2, 0x61\n", 4),
        ("strspn", "mov r1, r2\n", 2),
        ("strcspn", "", 1),
        ("strlen", "mov r1, 8\n", -14),
    ],
)
def test_strings(name: str, more: str, result: int) -> None:
    assert value(STRINGS + more + kfunc(name) + "\nexit") == result % (1 << 64)


def test_sections_that_mean_nothing_here() -> None:
    for name in ("rcu_read_lock", "rcu_read_unlock", "preempt_disable", "preempt_enable"):
        assert value(f"{kfunc(name)}\nexit") == 0
    assert value(f"mov r1, 77\n{kfunc('rdonly_cast')}\nexit") == 77


def test_what_the_card_knows() -> None:
    stamp = f"mov r2, r10\nadd r2, -8\n{kfunc('xdp_metadata_rx_timestamp')}\n"
    assert value(stamp + "exit") == errno(95)
    twins = Twins(
        stamp + "ldxdw r0, [r10-8]\nexit", prepare=lambda host: setattr(host.card, "timestamp", 9)
    )
    assert twins.run(FRAME).value == 9
