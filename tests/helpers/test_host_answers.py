"""What programs ask the host: routes, sockets, tunnels, processes, memory, time."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from drybpf.errors import HelperError, MemoryFault
from drybpf.hooks import HOOKS
from drybpf.host import Cgroup, Clock, Host, Interface, Network, Process, Route, Socket, TunnelInfo
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.records import Bound, MemoryWrite, OptionSet, Output, Signal, SocketAssigned, TunnelSet
from drybpf.result import Result
from drybpf.space import Space
from helper_programs import FRAMES

M64 = (1 << 64) - 1


def both(
    text: str,
    hook: str,
    make: Callable[[], Host],
    packet: bytes = b"",
    **f: Any,  # noqa: ANN401 (the hook's own)
) -> Result:
    """Run on both engines, each on a host of its own; the results must be the same."""
    results = []
    for engine in ("interpreter", "jit"):
        program = Program.from_asm(text, hook=HOOKS[hook], host=make())
        results.append(program.run(packet, engine=engine, **f))
    assert results[0].value == results[1].value
    assert results[0].packet == results[1].packet
    assert results[0].printed == results[1].printed
    assert list(map(repr, results[0].records)) == list(map(repr, results[1].records))
    return results[0]


def call(number: int, *arguments: object, size: int = 0, data: bytes = b"") -> str:
    """A program that puts data on the stack, calls, and shows bytes of the stack as packets do.

    `data` lies at `stack`; after the call the helper's result is r0.
    """
    lines = ["mov r6, r1"]
    padded = data.ljust(-(-max(len(data), size) // 8) * 8, b"\0")
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        lines += [f"lddw r1, {word}", f"stxdw [r10-{len(padded) - at}], r1"]
    for place, argument in enumerate(arguments, 1):
        if argument == "ctx":
            lines.append(f"mov r{place}, r6")
        elif argument == "stack":
            lines += [f"mov r{place}, r10", f"add r{place}, -{len(padded)}"]
        else:
            lines.append(f"lddw r{place}, {argument}")
    lines += [f"call {number}", "mov r9, r0"]
    return "\n".join(lines) + "\n"


def show(size: int, then: str = "mov r0, r9\nexit") -> str:
    """Print the bytes at the stack's end, 8 at a time."""
    lines = []
    for at in range(0, -(-size // 8) * 8, 8):
        lines += ["lddw r1, 0x786c6c3230252520", "lddw r1, 0x786c6c2520", "stxdw [r10-200], r1"]
        lines += ["mov r1, r10", "add r1, -200", "mov r2, 8"]
        lines += [f"ldxdw r3, [r10-{-(-size // 8) * 8 - at}]", "call 6"]
    return "\n".join([*lines, then])


def shown(result: Result, size: int) -> bytes:
    """What such a program printed."""
    words = (int(text, 16) for text in result.printed)
    return b"".join(word.to_bytes(8, "little") for word in words)[:size]


def routed() -> Host:
    """Two interfaces, a network behind a router, and some that are refused."""
    network = Network(
        interfaces={
            2: Interface(2, "lan", "02:00:00:00:00:02", 1500, ("10.0.0.1/24", "fd00::1/64")),
            3: Interface(3, "wan", "02:00:00:00:00:03", 1400, ("192.0.2.2/30",)),
            4: Interface(4, "closed", "02:00:00:00:00:04", forwarding=False),
        },
        routes=[
            Route("0.0.0.0/0", 3, via="192.0.2.1", metric=5),
            Route("198.51.100.0/24", kind="blackhole"),
            Route("203.0.113.0/25", kind="unreachable"),
            Route("203.0.113.128/25", kind="prohibit"),
            Route("10.9.0.0/16", 2, table=7),
            Route("fd01::/16", 2, via="fd00::99"),
        ],
        neighbours={
            "192.0.2.1": "02:00:00:00:01:01",
            "10.0.0.7": "02:00:00:00:00:77",
            "fd00::99": "02:00:00:00:00:99",
        },
    )
    return Host(network=network)


def fib(
    target: str, *, ifindex: int = 2, length: int = 0, flags: int = 0, table: int = 0
) -> tuple[int, bytes]:
    address = ip_address(target)
    question = bytearray(64)
    question[0] = 2 if address.version == 4 else 10
    question[6:8] = length.to_bytes(2, "little")
    question[8:12] = ifindex.to_bytes(4, "little")
    question[32 : 32 + len(address.packed)] = address.packed
    question[48:52] = table.to_bytes(4, "little")
    text = call(69, "ctx", "stack", 64, flags, data=bytes(question)) + show(64)
    result = both(text, "xdp", routed, bytes(64))
    signed = result.value - (result.value >> 63 << 64)
    return signed, shown(result, 64)


def test_a_neighbour_on_the_own_network() -> None:
    result, answer = fib("10.0.0.7", length=1000)
    assert result == 0
    assert int.from_bytes(answer[8:12], "little") == 2
    assert (answer[52:58].hex(), answer[58:64].hex()) == ("020000000002", "020000000077")
    assert int.from_bytes(answer[6:8], "little") == 1500


def test_a_router_on_the_way() -> None:
    result, answer = fib("8.8.8.8")
    assert result == 0
    assert int.from_bytes(answer[8:12], "little") == 3
    assert int.from_bytes(answer[12:16], "little") == 5
    assert str(ip_address(answer[32:36])) == "192.0.2.1"
    assert answer[58:64].hex() == "020000000101"
    result, answer = fib("fd01::5")
    assert (result, str(ip_address(answer[32:48]))) == (0, "fd00::99")


@pytest.mark.parametrize(
    ("target", "options", "expected"),
    [
        ("198.51.100.1", {}, 1),
        ("203.0.113.1", {}, 2),
        ("203.0.113.200", {}, 3),
        ("10.0.0.1", {}, 4),  # one of its own addresses
        ("fd77::1", {}, 4),
        ("8.8.8.8", {"ifindex": 4}, 5),
        ("8.8.8.8", {"ifindex": 4, "flags": 2}, 0),
        ("10.0.0.8", {}, 7),
        ("10.0.0.8", {"flags": 4}, 0),
        ("8.8.8.8", {"length": 1401}, 8),
        ("8.8.8.8", {"length": 1400}, 0),
        ("10.9.1.1", {"flags": 13, "table": 7}, 0),
        ("10.9.1.1", {"flags": 13, "table": 8}, 4),
        ("10.0.0.8", {"flags": 12, "table": 7}, 0),  # a table is asked for with DIRECT alone
        ("8.8.8.8", {"ifindex": 99}, -19),
        ("8.8.8.8", {"flags": 64}, -22),
    ],
)
def test_what_the_routes_say(target: str, options: dict[str, int], expected: int) -> None:
    assert fib(target, **options)[0] == expected


@pytest.mark.parametrize(("flags", "left"), [(13, 0), (12, 8), (5, 8)])
def test_the_number_of_a_table_makes_room_for_the_vlan(flags: int, left: int) -> None:
    """It is zeroed where it has been used, even if there is no way."""
    result, answer = fib("203.0.113.1", flags=flags, table=8)
    assert result == (4 if flags == 13 else 2)
    assert int.from_bytes(answer[48:52], "little") == left


def test_the_source_address_that_a_packet_would_get() -> None:
    result, answer = fib("8.8.8.8", flags=16)
    assert (result, str(ip_address(answer[16:20]))) == (0, "192.0.2.2")


def test_a_family_that_is_none_and_a_host_without_network() -> None:
    text = call(69, "ctx", "stack", 64, 0, data=bytes(64)) + "exit"
    assert both(text, "xdp", routed, bytes(64)).value == M64 + 1 - 97
    text = call(69, "ctx", "stack", 64, 0, data=b"\2" + bytes(63)) + "exit"
    assert both(text, "xdp", Host, bytes(64)).value == 4
    text = call(69, "ctx", "stack", 63, 0, data=b"\2" + bytes(63)) + "exit"
    assert both(text, "xdp", Host, bytes(64)).value == M64 + 1 - 22


def served() -> Host:
    host = Host()
    host.sockets.append(Socket("tcp", ("0.0.0.0", 80), cookie=1))  # noqa: S104
    host.sockets.append(Socket("tcp", ("10.0.0.1", 80), ("10.0.0.9", 1000), mark=7, cookie=2))
    host.sockets.append(Socket("udp", ("::1", 53), cookie=3))
    return host


def tuple_of(source: str, source_port: int, target: str, target_port: int) -> bytes:
    ends = ip_address(source).packed + ip_address(target).packed
    return ends + source_port.to_bytes(2, "big") + target_port.to_bytes(2, "big")


RELEASE = "jne r9, 0, +2\nmov r0, 0\nexit\n{look}mov r1, r9\ncall 86\nmov r0, r7\nexit"
LOOKS = {"state": 72, "mark": 16, "src_port": 44, "dst_port": 48, "src_ip4": 24, "family": 4}


def look_up(data: bytes, field: str, helper: int = 84, hook: str = "xdp") -> int:
    text = call(helper, "ctx", "stack", len(data), -1, 0, data=data)
    look = f"ldxw r7, [r9+{LOOKS[field]}]\n"
    return both(text + RELEASE.format(look=look), hook, served, FRAMES["ipv4"]).value


def test_sockets_are_found_by_the_ends_of_a_packet() -> None:
    connected = tuple_of("10.0.0.9", 1000, "10.0.0.1", 80)
    assert [look_up(connected, name) for name in ("state", "mark", "src_port", "family")] == [
        1, 7, 80, 2,
    ]  # fmt: skip
    assert look_up(connected, "dst_port") == 1000 >> 8 | (1000 & 0xFF) << 8
    assert look_up(connected, "src_ip4") == int.from_bytes(bytes((10, 0, 0, 1)), "little")
    listening = tuple_of("10.0.0.8", 1000, "10.0.0.1", 80)
    assert look_up(listening, "state", 99, "sched_cls") == 10
    assert look_up(tuple_of("10.0.0.8", 1000, "10.0.0.1", 81), "state") == 0
    assert look_up(tuple_of("::9", 9, "::1", 53), "family", 85) == 10
    assert look_up(tuple_of("::9", 9, "::2", 53), "family", 85) == 0
    assert look_up(bytes(13), "state") == 0


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ("mov r1, r9\ncall 86\nldxw r0, [r9]\nexit", MemoryFault),
        ("mov r1, r9\ncall 86\nmov r1, r9\ncall 86\nexit", HelperError),
        ("stw [r9], 1\nexit", MemoryFault),
        ("ldxdw r0, [r9+76]\nexit", MemoryFault),
        ("mov r1, r9\nadd r1, 4\ncall 86\nexit", HelperError),
        ("mov r1, 0\ncall 86\nexit", HelperError),
        ("mov r1, r10\ncall 96\nexit", HelperError),
    ],
)
def test_sockets_are_used_as_they_may(rest: str, error: type[Exception]) -> None:
    data = tuple_of("10.0.0.9", 1000, "10.0.0.1", 80)
    text = call(84, "ctx", "stack", 12, -1, 0, data=data) + rest
    with pytest.raises(error):
        both(text, "sched_cls", served, FRAMES["ipv4"])


def test_a_packet_is_given_to_a_socket() -> None:
    data = tuple_of("10.0.0.9", 1000, "10.0.0.1", 80)
    text = call(84, "ctx", "stack", 12, -1, 0, data=data)
    text += "mov r1, r6\nmov r2, r9\nmov r3, 0\ncall 124\nmov r7, r0\nmov r1, r9\ncall 86\n"
    result = both(text + "mov r0, r7\nexit", "sched_cls", served, FRAMES["ipv4"])
    (record,) = result.records
    assert isinstance(record, SocketAssigned)
    assert (result.value, record.socket and record.socket.cookie) == (0, 2)


def test_the_socket_of_the_packet() -> None:
    def host() -> Host:
        socket = Socket("tcp", ("10.0.0.1", 80), ("10.0.0.9", 1000), uid=33, cookie=9)
        return Host(socket=socket, netns_cookie=5)

    expected = {46: 9, 47: 33, 122: 5}
    for number, value in expected.items():
        for hook in ("sched_cls", "socket_filter"):
            assert both(call(number, "ctx") + "exit", hook, host, bytes(64)).value == value
    assert both(call(46, "ctx") + "exit", "sched_cls", Host, bytes(64)).value == 0
    assert both(call(47, "ctx") + "exit", "sched_cls", Host, bytes(64)).value == 65534


def test_tunnels() -> None:
    def host() -> Host:
        info = TunnelInfo(77, "192.0.2.9", "192.0.2.1", 3, 64, options=b"\1\2\3\4")
        return Host(tunnel=info)

    text = call(20, "ctx", "stack", 44, 0, size=48) + show(48)
    result = both(text, "sched_cls", host, bytes(64))
    key = shown(result, 44)
    assert result.value == 0
    assert int.from_bytes(key[:4], "little") == 77
    assert str(ip_address(key[4:8][::-1])) == "192.0.2.9"
    assert (key[20], key[21], str(ip_address(key[28:32][::-1]))) == (3, 64, "192.0.2.1")
    options = call(29, "ctx", "stack", 8, size=8) + show(8)
    result = both(options, "sched_cls", host, bytes(64))
    assert (result.value, shown(result, 8)) == (4, b"\1\2\3\4\0\0\0\0")
    assert both(options, "sched_cls", Host, bytes(64)).value == M64 + 1 - 2
    data = (5).to_bytes(4, "little") + bytes((9, 2, 0, 192)) + bytes(36)
    text = call(21, "ctx", "stack", 44, 2, data=data) + "mov r0, r9\nexit"
    result = both(text, "sched_cls", Host, bytes(64))
    assert result.recorded(TunnelSet)[0].tunnel.remote == "192.0.2.9"
    assert result.recorded(TunnelSet)[0].tunnel.id == 5


def process() -> Host:
    host = Host(pid=42, uid=1000)
    host.process = Process(
        comm="nginx", tid=43, gid=100, cgroup=Cgroup(9, (1, 4)), stack=(0x10, 0x20, 0x30),
        user_stack=(0x1, 0x2), namespace=(5, 6), namespace_pid=2,
    )  # fmt: skip
    host.memory[0x7F00_0000_0000] = b"hello\0world"
    host.memory[0xFFFF_8880_0000_1000] = bytes(range(64))
    host.symbols[0xFFFF_FFFF_8100_0000] = "tcp_v4_connect"
    return host


@pytest.mark.parametrize(
    ("number", "arguments", "value"),
    [
        (14, (), 42 << 32 | 43),
        (15, (), 100 << 32 | 1000),
        (80, (), 9),
        (123, (0,), 1),
        (123, (1,), 4),
        (123, (2,), 9),
        (123, (3,), 0),
        (35, (), 0xFFFF_8880_0000_1000),
        (8, (), 0),
        (42, (), 0),
    ],
)
def test_who_is_running(number: int, arguments: tuple[int, ...], value: int) -> None:
    assert both(call(number, *arguments) + "exit", "kprobe", process).value == value


@pytest.mark.parametrize("size", [1, 3, 5, 6, 7, 16, 24])
def test_the_name_of_the_task(size: int) -> None:
    result = both(call(16, "stack", size, size=24) + show(24), "kprobe", process)
    assert result.value == 0
    start = shown(result, 24)
    assert start[:size] == b"nginx"[: min(size, 16) - 1].ljust(size, b"\0")


USER, KERNEL = 0x7F00_0000_0000, 0xFFFF_8880_0000_1000


@pytest.mark.parametrize(
    ("number", "source", "size", "value", "data"),
    [
        (4, USER, 5, 0, b"hello"),
        (112, USER, 5, 0, b"hello"),
        (113, KERNEL + 60, 4, 0, bytes(range(60, 64))),
        (113, KERNEL + 60, 5, -14, bytes(5)),
        (112, USER + 8, 4, -14, bytes(4)),
        (45, USER, 16, 6, b"hello\0"),
        (114, USER, 4, 4, b"hel\0"),
        (115, USER + 6, 16, -14, bytes(16)),
        (114, USER, 6, 6, b"hello\0"),
        (114, 0, 6, -14, bytes(6)),
        (148, USER, 5, 0, b"hello"),
    ],
)
def test_memory_of_the_process_and_the_kernel(
    number: int, source: int, size: int, value: int, data: bytes
) -> None:
    text = call(number, "stack", size, source, size=16) + show(16)
    result = both(text, "kprobe", process)
    assert result.value == value % (1 << 64)
    assert shown(result, len(data)) == data


def test_writing_into_the_process() -> None:
    text = call(36, USER, "stack", 3, data=b"HEL") + "mov r0, r9\nexit"
    result = both(text, "kprobe", process)
    assert (result.value, result.records) == (0, (MemoryWrite(USER, b"HEL"),))
    text = call(36, 8, "stack", 3, data=b"HEL") + "mov r0, r9\nexit"
    assert both(text, "kprobe", process).value == M64


def test_stacks_and_signals() -> None:
    result = both(call(67, "ctx", "stack", 32, 1, size=32) + show(32), "kprobe", process)
    assert (result.value, shown(result, 16)[0]) == (16, 0x20)
    result = both(call(67, "ctx", "stack", 32, 256, size=32) + show(32), "kprobe", process)
    assert (result.value, shown(result, 16)[8]) == (16, 2)
    result = both(call(109, 9) + "exit", "kprobe", process)
    assert result.records == (Signal(9, 42),)
    assert both(call(109, 65) + "exit", "kprobe", process).value == M64 + 1 - 22
    result = both(call(120, 5, 6, "stack", 8, size=8) + show(8), "kprobe", process)
    assert (result.value, shown(result, 8)) == (0, b"\3\0\0\0\2\0\0\0")


STACKS = (  # the flags, the size, and what the kernel says: the skipped frames in the low bits
    (0, 32, 24), (1, 32, 16), (3, 32, 0), (4, 32, -14), (0, 16, 16),
    (0, 12, -22), (1 << 9, 32, -22),
    (1 << 8 | 1 << 11, 64, 64), (1 << 8 | 1 << 11, 96, 64), (1 << 8 | 1 << 11 | 1, 96, 32),
    (1 << 8 | 1 << 11 | 2, 96, 0), (1 << 8 | 1 << 11 | 3, 96, -14),
    (1 << 8 | 1 << 11, 40, -22), (1 << 11, 32, -22),
)  # fmt: skip


@pytest.mark.parametrize(("flags", "size", "value"), STACKS)
def test_how_much_of_a_stack_there_is(flags: int, size: int, value: int) -> None:
    full = call(67, "ctx", "stack", size, flags, size=96, data=b"\xff" * 96)
    result = both(full + show(96), "kprobe", process)
    assert result.value == value % (M64 + 1)
    data = shown(result, 96)
    filled = max(value, 0)
    assert data[filled:size] == bytes(size - filled)
    assert data[size:] == b"\xff" * (96 - size)
    if flags & 1 << 11 and value > 0:
        frame = (2).to_bytes(4, "little") + bytes(20)  # BPF_STACK_BUILD_ID_IP: there is no file
        addresses = (0x1, 0x2)[flags & 0xFF :]
        assert data[:value] == b"".join(frame + a.to_bytes(8, "little") for a in addresses)


def test_stacks_in_a_map_by_build_id() -> None:
    for flags, frame, begin in ((32, 32, 24), (0, 8, 0)):
        what = MapDefinition("m", MapType.STACK_TRACE, 4, 2 * frame, 4, flags)
        for engine in ("interpreter", "jit"):
            space, traces = Space(), Map.create(what)
            handle = space.add_map(traces)
            text = call(27, "ctx", handle, 0) + "exit"
            program = Program.from_asm(text, hook=HOOKS["kprobe"], host=process(), space=space)
            slot = program.run(b"", engine=engine).value
            assert program.run(b"", engine=engine).value == slot  # it is the same one
            first, second = (traces[slot][at : at + frame] for at in (0, frame))
            assert (first[begin], second[begin]) == (0x10, 0x20)
            assert first[0] == (2 if flags else 0x10)


WRITES = """
    mov r6, r1
    mov r7, 0
    mov r8, 0
again:
    mov r1, r6
    mov r2, r10
    add r2, -256
    mov r3, SIZE
    call 127
    jeq r0, 0, +1
    mov r8, r0
    add r7, 1
    jne r7, TIMES, again
    REST
    mov r0, r8
    exit
"""


@pytest.mark.parametrize(
    ("size", "times", "value"),
    [(256, 127, 0), (256, 128, -75), (255, 128, 0), (0, 200, 0), (256, 300, -75)],
)
def test_a_readers_buffer_has_room_for_32_kib(size: int, times: int, value: int) -> None:
    """As the kernel's seq files: what fills it to the last byte has already been too much."""
    text = WRITES.replace("SIZE", str(size)).replace("TIMES", str(times))
    result = both(text.replace("REST", ""), "tracing", process)
    assert result.value == value % (M64 + 1)
    assert sum(len(each.data) for each in result.records if isinstance(each, Output)) < 1 << 15
    assert len(result.records) == (times if value == 0 else 127)


def test_a_full_buffer_stays_full() -> None:
    """A format of one byte then does not fit either."""
    rest = """
        stdw [r10-8], 0x78
        mov r1, r6
        mov r2, r10
        add r2, -8
        mov r3, 2
        mov r4, 0
        mov r5, 0
        call 126
        mov r8, r0
    """
    for times, value in ((127, 0), (128, -75)):
        text = WRITES.replace("SIZE", "256").replace("TIMES", str(times)).replace("REST", rest)
        assert both(text, "tracing", process).value == value % (M64 + 1)


def test_where_a_function_is_attached() -> None:
    for number, value in ((173, 0xFFFF_FFFF_8100_0000), (174, 99)):
        result = both(
            call(number, "ctx") + "exit",
            "kprobe",
            process,
            function=0xFFFF_FFFF_8100_0000,
            cookie=99,
        )
        assert result.value == value
    text = call(6, "stack", 8, 0xFFFF_FFFF_8100_0010, data=b"at %ps\0") + "exit"
    assert both(text, "kprobe", process).printed == ("at tcp_v4_connect+0x10",)


def test_arguments_of_a_traced_function() -> None:
    fields: dict[str, Any] = {"args": (7, 8, 9), "ret": 5}
    assert both(call(185, "ctx") + "exit", "tracing", Host, **fields).value == 3
    result = both(call(183, "ctx", 1, "stack", size=8) + show(8), "tracing", Host, **fields)
    assert (result.value, shown(result, 8)[0]) == (0, 8)
    assert (
        both(call(183, "ctx", 3, "stack", size=8) + "exit", "tracing", Host, **fields).value >> 63
    )
    result = both(call(184, "ctx", "stack", size=8) + show(8), "tracing", Host, **fields)
    assert (result.value, shown(result, 8)[0]) == (0, 5)


def test_options_of_sockets_and_binding() -> None:
    def host() -> Host:
        return Host(socket=Socket("tcp", ("10.0.0.1", 80), options={(6, 2): b"\x44\x33"}))

    result = both(call(57, "ctx", 6, 2, "stack", 4, size=8) + show(8), "sock_ops", host)
    assert (result.value, shown(result, 4)) == (0, b"\x44\x33\0\0")
    result = both(call(49, "ctx", 1, 8, "stack", 4, data=b"\1\2\3\4") + "exit", "sock_ops", host)
    assert result.records == (OptionSet(1, 8, b"\1\2\3\4"),)
    address = b"\2\0" + (8080).to_bytes(2, "big") + bytes((10, 0, 0, 1)) + bytes(8)
    result = both(call(64, "ctx", "stack", 16, data=address) + "exit", "cgroup_sock_addr", host)
    assert result.records == (Bound("10.0.0.1", 8080),)
    assert (
        both(call(64, "ctx", "stack", 16, data=bytes(16)) + "exit", "cgroup_sock_addr", host).value
        >> 63
    )


def test_clocks() -> None:
    def host() -> Host:
        return Host(clock=Clock(10_000_000_123), asleep=5, tai_at_boot=7)

    expected = {5: 10_000_000_123, 125: 10_000_000_128, 208: 10_000_000_130}
    expected |= {118: 2500, 160: 10_000_000_000}
    for number, value in expected.items():
        assert both(call(number) + "exit", "xdp", host, bytes(64)).value == value
    text = "call 5\nmov r6, r0\ncall 5\nsub r0, r6\nexit"
    assert both(text, "xdp", host, bytes(64)).value == 1000


def test_random_numbers_are_the_same_in_every_run() -> None:
    first = both("call 7\nexit", "xdp", Host, bytes(64)).value
    assert first == both("call 7\nexit", "xdp", Host, bytes(64)).value
    assert 0 < first < 1 << 32
