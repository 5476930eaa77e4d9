"""Storage that belongs to sockets, tasks and groups; SYN cookies; what a plain host answers."""

from __future__ import annotations

import pytest

from drybpf.errors import HelperError, MemoryFault
from drybpf.hooks import HOOKS
from drybpf.host import Host, Socket
from drybpf.maps import MapType
from drybpf.program import Program
from drybpf.space import Space
from space_programs import Twins

SOCKETS = (MapType.SK_STORAGE, 4, 8, 0)
INODES = (MapType.INODE_STORAGE, 4, 8, 0)
TASKS = (MapType.TASK_STORAGE, 4, 8, 0)
GROUPS = (MapType.CGROUP_STORAGE, 16, 8, 0)
NO_SOCKET = 4
KEY = 9  # the cookie of the host's socket


def _with_socket(host: Host) -> None:
    host.socket = Socket("tcp", ("10.0.0.1", 80), ("10.0.0.9", 4000), cookie=9)


COUNT = """
    mov r6, r1
    ldxdw r2, [r6+184]
    lddw r1, {stored}
    mov r3, VALUE
    mov r4, FLAGS
    call 107
    jne r0, 0, +2
    mov r0, 4
    exit
    ldxdw r1, [r0]
    add r1, 1
    stxdw [r0], r1
    mov r0, r1
    exit
"""


def test_a_sockets_value_stays_between_runs() -> None:
    text = COUNT.replace("VALUE", "0").replace("FLAGS", "1")
    twins = Twins(text, "sock_ops", _with_socket, stored=SOCKETS)
    assert [twins.run(b"").value for _ in range(3)] == [1, 2, 3]
    assert twins.each(lambda maps: dict(maps["stored"])) == {KEY: (3).to_bytes(8, "little")}
    for maps in twins.maps:
        maps["stored"][KEY] = 10
    assert twins.run(b"").value == 11
    for maps in twins.maps:
        maps["stored"].clear()
    assert twins.run(b"").value == 1


def test_a_value_is_made_only_when_asked_for() -> None:
    text = COUNT.replace("VALUE", "0")
    for flags, value in ((0, NO_SOCKET), (2, NO_SOCKET), (1, 1)):
        twins = Twins(text.replace("FLAGS", str(flags)), "sock_ops", _with_socket, stored=SOCKETS)
        assert twins.run(b"").value == value
    twins = Twins(text.replace("FLAGS", "1"), "sock_ops", stored=SOCKETS)
    assert twins.run(b"").value == NO_SOCKET  # there is no socket


def test_the_first_value_and_the_end_of_one() -> None:
    text = COUNT.replace("mov r3, VALUE", "stdw [r10-8], 41\nmov r3, r10\nadd r3, -8")
    twins = Twins(text.replace("FLAGS", "1"), "sock_ops", _with_socket, stored=SOCKETS)
    assert [twins.run(b"").value for _ in range(2)] == [42, 43]
    delete = "ldxdw r2, [r1+184]\nlddw r1, {stored}\ncall 108\nexit"
    twins = Twins(delete, "sock_ops", _with_socket, stored=SOCKETS)
    assert twins.run(b"").value == (1 << 64) - 2
    for maps in twins.maps:
        maps["stored"][KEY] = 0
    assert twins.run(b"").value == 0
    twins.each(lambda maps: len(maps["stored"]))


def test_sockets_whose_numbers_differ_beyond_32_bits() -> None:
    text = COUNT.replace("VALUE", "0").replace("FLAGS", "1")
    twins = Twins(text, "sock_ops", _with_socket, stored=SOCKETS)
    assert twins.run(b"").value == 1
    for program in twins.programs:
        program.host.socket = Socket(
            "tcp", ("10.0.0.1", 80), ("10.0.0.9", 4000), cookie=9 + (1 << 32)
        )
    assert twins.run(b"").value == 1
    assert twins.each(lambda maps: list(maps["stored"])) == [9, 9 + (1 << 32)]


def test_inodes_are_told_apart_by_their_whole_address() -> None:
    text = """
        lddw r2, INODE
        lddw r1, {stored}
        mov r3, 0
        mov r4, 1
        call 145
        ldxdw r1, [r0]
        add r1, 1
        stxdw [r0], r1
        mov r0, r1
        exit
    """
    twins = Twins(text.replace("INODE", str(0xFFFF_8880_0000_1000)), "lsm", stored=INODES)
    assert [twins.run(b"").value for _ in range(2)] == [1, 2]
    for maps in twins.maps:
        maps["stored"][0xFFFF_8881_0000_1000] = 50
    assert twins.run(b"").value == 3
    assert twins.each(lambda maps: len(maps["stored"])) == 2


@pytest.mark.parametrize("offset", [1, -1])
def test_a_value_ends_where_it_ends(offset: int) -> None:
    text = COUNT.replace("VALUE", "0").replace("FLAGS", "1").replace("[r0]", f"[r0{offset:+}]")
    twins = Twins(text, "sock_ops", _with_socket, stored=SOCKETS)
    with pytest.raises(MemoryFault):
        twins.run(b"")


def test_what_is_no_storage() -> None:
    text = COUNT.replace("VALUE", "0").replace("FLAGS", "1")
    twins = Twins(text, "sock_ops", _with_socket, stored=(MapType.HASH, 4, 8, 4))
    with pytest.raises(HelperError, match="does not belong to anything"):
        twins.run(b"")
    text = text.replace("ldxdw r2, [r6+184]", "mov r2, 77")
    twins = Twins(text, "sock_ops", _with_socket, stored=SOCKETS)
    with pytest.raises(HelperError, match="is no socket"):
        twins.run(b"")


def test_storage_of_tasks_and_groups() -> None:
    task = """
        call 158
        mov r2, r0
        lddw r1, {stored}
        mov r3, 0
        mov r4, 1
        call 156
        ldxdw r1, [r0]
        add r1, 5
        stxdw [r0], r1
        mov r0, r1
        exit
    """
    twins = Twins(task, "kprobe", stored=TASKS)
    assert [twins.run(b"").value for _ in range(2)] == [5, 10]
    group = "lddw r1, {stored}\nmov r2, 0\ncall 81\n"
    group += "ldxdw r1, [r0]\nadd r1, 1\nstxdw [r0], r1\nmov r0, r1\nexit"
    twins = Twins(group, "cgroup_skb", stored=GROUPS)
    assert [twins.run().value for _ in range(2)] == [1, 2]


SYN = bytes.fromhex("45000028000000004006000 0c0a80001c0a80002".replace(" ", "")) + bytes.fromhex(
    "1f90005000000001000000006002ffff00000000020405b4"
)


def _syncookie(flags: int, acknowledged: int, calls: str) -> int:
    packet = bytearray(bytes(14) + SYN)
    packet[14 + 20 + 13] = flags
    packet[14 + 28 : 14 + 32] = acknowledged.to_bytes(4, "big")
    text = "ldxw r2, [r1]\nmov r6, r2\nadd r6, 14\nmov r7, r6\nadd r7, 20\n" + calls + "exit"
    values = []
    for engine in ("interpreter", "jit"):
        program = Program.from_asm(text, hook=HOOKS["xdp"], space=Space())
        values.append(program.run(bytes(packet), engine=engine).value)
    assert values[0] == values[1]
    return values[0]


def test_a_cookie_comes_back() -> None:
    made = _syncookie(2, 0, "mov r1, r6\nmov r2, r7\nmov r3, 24\ncall 204\n")
    assert made >> 32 == 1460
    check = "mov r1, r6\nmov r2, r7\ncall 206\n"
    cookie = made & 0xFFFF_FFFF
    assert _syncookie(16, cookie + 1 & 0xFFFF_FFFF, check) == 0
    assert _syncookie(16, cookie + 99 & 0xFFFF_FFFF, check) == (1 << 64) - 13
    wrong = "mov r1, r6\nmov r2, r7\nmov r3, 20\ncall 204\n"
    assert _syncookie(2, 0, wrong) == (1 << 64) - 22


@pytest.mark.parametrize(
    ("hook", "text", "value"),
    [
        ("sched_cls", "call 24\nexit", 0),
        ("sched_cls", "mov r3, r10\nadd r3, -8\nmov r4, 8\nmov r5, 0\ncall 66\nexit", -22),
        ("perf_event", "mov r2, r10\nadd r2, -8\nmov r3, 8\nmov r4, 0\ncall 119\nexit", -2),
        ("kprobe", "mov r1, r10\nadd r1, -8\nmov r2, 8\nmov r3, 0\ncall 176\nexit", -2),
        ("kprobe", "call 180\nexit", -2),
    ],
)
def test_what_the_host_does_not_have(hook: str, text: str, value: int) -> None:
    packet = bytes(64) if hook == "sched_cls" else b""
    assert Twins(text, hook).run(packet).value == value % (1 << 64)
