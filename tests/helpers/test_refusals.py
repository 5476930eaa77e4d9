"""Error numbers of helpers where the kernel has its own order or its own idea of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from drybpf.helpers.kfuncs import kfunc_number
from drybpf.hooks import HOOKS
from drybpf.host import Cgroup, Host, Process, Socket
from drybpf.maps import MapType
from drybpf.program import Program
from drybpf.records import Signal, SocketStored
from drybpf.result import Result
from space_programs import ENGINES, Twins

M64 = 1 << 64
E2BIG, EAGAIN, EEXIST, EFAULT, EINVAL, ENOENT, EPROTONOSUPPORT = 7, 11, 17, 14, 22, 2, 93


def run(
    text: str,
    hook: str,
    packet: bytes = b"",
    make: Callable[[], Host] = Host,
    **f: Any,  # noqa: ANN401 (the hook's own)
) -> Result:
    """The result, the same on both engines."""
    results = [
        Program.from_asm(text, hook=HOOKS[hook], host=make(), engine=engine).run(packet, **f)
        for engine in ENGINES
    ]
    assert results[0].value == results[1].value
    assert results[0].records == results[1].records
    return results[0]


def signed(value: int) -> int:
    return value - M64 if value >> 63 else value


# Kernel parameters

SYSCTL: dict[str, Any] = {"name": "net/ipv4/ip_forward", "current": "12", "new": "345"}
GET_NAME, GET_CURRENT, GET_NEW, SET_NEW = 101, 102, 103, 104


def parameter(number: int, size: int, flags: int = 0, **fields: str) -> int:
    text = f"mov r2, r10\nadd r2, -32\nmov r3, {size}\nlddw r4, {flags}\ncall {number}\nexit"
    if number == SET_NEW:
        text = "stdw [r10-32], 0x39\n" + text
    return signed(run(text, "cgroup_sysctl", **(SYSCTL | fields)).value)


def test_kernel_parameters() -> None:
    assert parameter(GET_NAME, 32, 1 << 5) == 19, "flags that are none"
    assert parameter(GET_NAME, 19) == -E2BIG
    assert parameter(GET_CURRENT, 8) == 2
    assert parameter(GET_CURRENT, 2) == -E2BIG
    assert parameter(GET_CURRENT, 8, current="") == -EINVAL
    assert parameter(GET_NEW, 8) == 3
    assert parameter(GET_NEW, 3) == -E2BIG
    assert parameter(GET_NEW, 8, new="") == -EINVAL
    assert parameter(SET_NEW, 1) == 0
    assert parameter(SET_NEW, 1, new="") == -EINVAL


# Messages

PUSH, POP, PULL = 90, 91, 63


@pytest.mark.parametrize(
    ("number", "start", "count", "flags", "value", "size"),
    [
        (PUSH, 0, 4, 0, 0, 12), (PUSH, 8, 4, 0, 0, 12), (PUSH, 9, 4, 0, -EINVAL, 8),
        (PUSH, 0, 4, 1, -EINVAL, 8), (PUSH, 99, 0, 0, 0, 8), (PUSH, 99, 0, 1, -EINVAL, 8),
        (POP, 0, 8, 0, 0, 0), (POP, 4, 4, 0, 0, 4), (POP, 4, 5, 0, -EINVAL, 8),
        (POP, 99, 0, 0, 0, 8), (POP, 0, 1, 2, -EINVAL, 8), (POP, 1, 0xFFFFFFFF, 0, -EINVAL, 8),
        (PULL, 2, 8, 0, 0, 8), (PULL, 8, 8, 0, -EINVAL, 8), (PULL, 0, 9, 0, -EINVAL, 8),
    ],
)  # fmt: skip
def test_messages(number: int, start: int, count: int, flags: int, value: int, size: int) -> None:
    text = f"mov r6, r1\nlddw r2, {start}\nlddw r3, {count}\nmov r4, {flags}\ncall {number}\n"
    text += "ldxw r1, [r6+68]\nlsh r1, 32\nlsh r0, 32\nrsh r0, 32\nor r0, r1\nexit"
    found = run(text, "sk_msg", b"12345678").value
    assert (signed((found & 0xFFFF_FFFF) << 32) >> 32, found >> 32) == (value, size)


# Control groups

UNDER, CLASS_ID, GROUP_ID = 33, 151, 79


def in_a_group(host: Host, *, socket: bool = True) -> None:
    host.process = Process(cgroup=Cgroup(9, (1, 4), classid=77))
    if socket:
        host.socket = Socket("tcp", ("10.0.0.1", 80), ("10.0.0.9", 4000), cookie=5, cgroup=9)


@pytest.mark.parametrize(
    ("index", "socket", "value"),
    [(0, True, 1), (1, True, 0), (2, True, -EAGAIN), (3, True, -E2BIG), (0, False, -ENOENT)],
)
def test_groups_of_packets(index: int, socket: bool, value: int) -> None:
    text = f"lddw r2, {{groups}}\nmov r3, {index}\ncall {UNDER}\nexit"
    twins = Twins(
        text,
        "sched_cls",
        partial(in_a_group, socket=socket),
        groups=(MapType.CGROUP_ARRAY, 4, 4, 3),
    )
    for maps in twins.maps:
        maps["groups"].update({0: 4, 1: 3})
    assert signed(twins.run().value) == value


def test_a_packet_without_a_socket_is_in_no_group() -> None:
    for number, with_socket in ((CLASS_ID, 77), (GROUP_ID, 9)):
        for socket in (True, False):
            enter = partial(in_a_group, socket=socket)
            twins = Twins(f"call {number}\nexit", "sched_cls", enter)
            assert twins.run().value == (with_socket if socket else 0)


# Signals


def test_a_signal_of_number_zero_only_asks() -> None:
    for number, records in ((0, ()), (64, (Signal(64, 1),)), (1, (Signal(1, 1),))):
        result = run(f"mov r1, {number}\ncall 109\nexit", "kprobe", make=lambda: Host(pid=1))
        assert (result.value, result.records) == (0, records)
    result = run("mov r1, 65\ncall 109\nexit", "kprobe")
    assert (signed(result.value), result.records) == (-EINVAL, ())


# Strings


def strings(name: str, left: bytes, right: bytes) -> int:
    """A string function's result for two strings in the host's memory."""
    first, second = 0xFFFF_8880_0000_0000, 0xFFFF_8881_0000_0000

    def make() -> Host:
        host = Host()
        host.memory[first], host.memory[second] = left, right
        return host

    text = f"lddw r1, {first}\nlddw r2, {second}\ncall {kfunc_number('bpf_' + name)}\nexit"
    value = run(text, "syscall", make=make).value & 0xFFFF_FFFF
    return value - ((value & 1 << 31) << 1)


LONG = b"a" * 65_535 + b"\0"


@pytest.mark.parametrize(
    ("name", "left", "right", "value"),
    [
        ("strcmp", b"abc\0", b"abd\0", -1), ("strcmp", b"abc\0", b"ab\0", 1),
        ("strcmp", b"abc\0", b"abc\0", 0), ("strcmp", b"\xff\0", b"a\0", 1),
        ("strcmp", b"abc", b"abd", -1),  # neither ends, but they differ first
        ("strcmp", b"abc", b"abc", -EFAULT), ("strcmp", b"abc", b"abc\0", -EFAULT),
        ("strcmp", LONG, LONG, 0), ("strcmp", b"a" * 70_000, b"a" * 70_000, -E2BIG),
        ("strcmp", b"b" + b"a" * 70_000, b"a" * 70_000, 1),
        ("strcasecmp", b"aBc\0", b"AbC\0", 0), ("strcasecmp", b"\xc9\0", b"\xe9\0", 0),
        ("strcasecmp", b"\xd7\0", b"\xf7\0", -1), ("strcmp", b"\xc9\0", b"\xe9\0", -1),
        ("strlen", LONG, b"", 65_535), ("strlen", b"a" + LONG, b"", -E2BIG),
        ("strlen", b"abc", b"", -EFAULT),
    ],
)  # fmt: skip
def test_strings(name: str, left: bytes, right: bytes, value: int) -> None:
    assert strings(name, left, right) == value


# SYN cookies

LISTENER, CHECK, GENERATE = 10, 100, 110


def syn_cookie(number: int, ip: bytes, tcp: bytes, family: int = 4, state: int = LISTENER) -> int:
    local = ("10.0.0.1", 80) if family == 4 else ("::1", 80)
    remote = ("10.0.0.9", 4000) if family == 4 else ("::2", 4000)

    def make() -> Host:
        host = Host()
        host.socket = Socket("tcp", local, remote, state=state, cookie=5)
        return host

    data = ip.ljust(40, b"\0") + tcp.ljust(40, b"\0")
    lines = ["mov r9, r1"]
    for at in range(0, 80, 8):
        word = int.from_bytes(data[at : at + 8], "little")
        lines += [f"lddw r1, {word}", f"stxdw [r10-{80 - at}], r1"]
    lines += ["ldxdw r1, [r9+168]", "mov r2, r10", "add r2, -80", f"mov r3, {len(ip)}"]
    lines += ["mov r4, r10", "add r4, -40", f"mov r5, {len(tcp)}", f"call {number}", "exit"]
    return signed(run("\n".join(lines), "sched_cls", bytes(64), make).value)


V4, V6, V5 = bytes([0x45]).ljust(20, b"\0"), bytes([0x60]).ljust(40, b"\0"), bytes([0x55] * 20)


def tcp(flags: int, words: int = 5, size: int = 20) -> bytes:
    return (bytes(12) + bytes([words << 4, flags])).ljust(size, b"\0")


@pytest.mark.parametrize(
    ("number", "ip", "header", "family", "value"),
    [
        (GENERATE, V4, tcp(2), 4, 0), (GENERATE, V6, tcp(2), 6, 0),
        (GENERATE, V4, tcp(3), 4, -EINVAL), (GENERATE, V4, tcp(18), 4, -EINVAL),
        (GENERATE, V4, tcp(0), 4, -EINVAL), (GENERATE, V4, tcp(2, 5, 24), 4, -EINVAL),
        (GENERATE, V4, tcp(2, 6), 4, -EINVAL), (GENERATE, V6, tcp(2), 4, -EINVAL),
        (GENERATE, V6[:20], tcp(2), 6, -EINVAL), (GENERATE, V5, tcp(2), 4, -EPROTONOSUPPORT),
        (CHECK, V4, tcp(16), 4, -ENOENT), (CHECK, V4, tcp(16, 9), 4, -ENOENT),
        (CHECK, V4, tcp(2), 4, -ENOENT), (CHECK, V5, tcp(16), 4, -EPROTONOSUPPORT),
        (CHECK, V6, tcp(16), 4, -EINVAL), (CHECK, V4, tcp(16)[:19], 4, -EINVAL),
    ],
)  # fmt: skip
def test_syn_cookies(number: int, ip: bytes, header: bytes, family: int, value: int) -> None:
    found = syn_cookie(number, ip, header, family)
    assert found >> 32 if value == 0 else found == value
    assert syn_cookie(number, ip, header, family, state=1) == -EINVAL


# Maps of sockets

UPDATES = [(0, 0, 0), (0, 1, -EEXIST), (0, 2, 0), (1, 2, -ENOENT), (1, 3, -EINVAL), (2, 0, -E2BIG)]


@pytest.mark.parametrize(("kind", "helper"), [(MapType.SOCKMAP, 53), (MapType.SOCKHASH, 70)])
@pytest.mark.parametrize(("key", "flags", "value"), UPDATES)
def test_sockets_put_into_maps(
    kind: MapType, helper: int, key: int, flags: int, value: int
) -> None:
    text = f"stw [r10-4], {key}\nlddw r2, {{sockets}}\nmov r3, r10\nadd r3, -4\n"
    text += f"mov r4, {flags}\ncall {helper}\nexit"
    twins = Twins(text, "sock_ops", in_a_group, sockets=(kind, 4, 8, 2))
    for maps in twins.maps:
        maps["sockets"][0] = 3
        if value == -E2BIG:
            maps["sockets"][1] = 3
    result = twins.run(b"")
    assert signed(result.value) == value
    stored = SocketStored("sockets", key.to_bytes(4, "little"))
    assert result.records == ((stored,) if value == 0 else ())
    if value == 0:
        assert twins.each(lambda maps: maps["sockets"][key]) == (5).to_bytes(8, "little")
