"""Every hook: its context by name, what programs may write, its verdicts, both engines."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest

from drybpf.entry import Field, Layout
from drybpf.errors import MemoryFault
from drybpf.hooks import HOOKS, ContextHook, Hook
from drybpf.host import Host, Socket
from drybpf.memory import CONTEXT
from drybpf.program import Program
from drybpf.result import Result
from helper_programs import FRAMES, IPV4

PLAIN = [hook for hook in HOOKS.values() if isinstance(hook, ContextHook)]
FRAME = FRAMES["ipv4"]


def run(
    text: str,
    hook: Hook,
    packet: bytes | None = None,
    host: Callable[[], Host] = Host,
    **fields: Any,  # noqa: ANN401 (the hook's own)
) -> Result:
    """Run on both engines; the results must be the same."""
    given = (FRAME if getattr(hook, "packet_size", 0) else b"") if packet is None else packet
    results = [
        Program.from_asm(text, hook=hook, host=host()).run(given, engine=engine, **fields)
        for engine in ("interpreter", "jit")
    ]
    assert results[0] == results[1]
    return results[0]


def _as(name: str, value: object) -> dict[str, Any]:
    """An argument whose name is known only here."""
    return {name: value}


def _load(field: Field) -> str:
    size = {1: "b", 2: "h", 4: "w", 8: "dw"}[field.size]
    return f"ldx{size} r0, [r1+{field.offset}]"


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_each_field_is_where_the_layout_says(hook: ContextHook) -> None:
    for name, field in hook.layout.items():
        if isinstance(field.source, str) or name in ("sk", "flow_keys"):
            continue
        width = {"be16": 16, "be32": 32}.get(field.order, 8 * field.size)
        value = 0x1122334455667788 & (1 << width - 1) - 1
        given = (value,) * field.count if field.count > 1 else value
        result = run(f"{_load(field)}\nexit", hook, **_as(name, given))
        stored = field.pack(given)[: field.size]
        assert result.value == int.from_bytes(stored, "little"), name
        assert result.context[name] == given


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_fields_that_may_be_written_and_others(hook: ContextHook) -> None:
    sizes = {1: "b", 2: "h", 4: "w", 8: "dw"}
    for name, field in hook.layout.items():
        text = f"stx{sizes[field.size]} [r1+{field.offset}], r2\nmov r0, 0\nexit"
        if field.writable:
            assert name in run(text, hook).context
        else:
            with pytest.raises(MemoryFault, match="read-only"):
                run(text, hook)


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_the_context_ends_where_it_ends(hook: ContextHook) -> None:
    for offset, size in ((hook.layout.size, "b"), (hook.layout.size - 1, "h"), (-1, "b")):
        with pytest.raises(MemoryFault):
            run(f"ldx{size} r0, [r1{offset:+}]\nexit", hook)


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_what_is_given_must_fit(hook: ContextHook) -> None:
    with pytest.raises(TypeError, match="has no nonsense"):
        run("mov r0, 0\nexit", hook, nonsense=1)
    for name, field in hook.layout.items():
        if isinstance(field.source, str):
            with pytest.raises(TypeError, match="follows from the packet"):
                run("mov r0, 0\nexit", hook, **_as(name, 1))
        elif field.count == 1:
            with pytest.raises(ValueError, match=r"does not fit|has 12"):
                run("mov r0, 0\nexit", hook, **_as(name, 1 << 65))
            with pytest.raises(TypeError):
                run("mov r0, 0\nexit", hook, **_as(name, 1.5))


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_hooks_can_be_pickled(hook: ContextHook) -> None:
    twin = pickle.loads(pickle.dumps(hook))  # noqa: S301 (our own)
    assert (twin.name, twin.program_type, twin.shape) == (hook.name, hook.program_type, hook.shape)
    assert dict(twin.layout) == dict(hook.layout)
    program = Program.from_asm("mov r0, 1\nexit", hook=hook)
    assert pickle.loads(pickle.dumps(program)).hook.name == hook.name  # noqa: S301


@pytest.mark.parametrize("hook", PLAIN, ids=lambda hook: hook.program_type)
def test_verdicts(hook: ContextHook) -> None:
    for verdict in hook.verdicts or ():
        result = run(f"mov r0, {int(verdict)}\nexit", hook)
        assert result.action == verdict
    unknown = run("mov r0, 77\nexit", hook).action
    assert unknown is None or unknown.name in ("KEEP", "ABORTED")


PACKETS = "xdp sched_cls socket_filter cgroup_skb lwt_in sk_msg sk_reuseport cgroup_sockopt"


@pytest.mark.parametrize("kind", PACKETS.split())
def test_data_begins_where_the_program_sees_it(kind: str) -> None:
    hook = HOOKS[kind]
    names = ("optval", "optval_end") if kind == "cgroup_sockopt" else ("data", "data_end")
    first, last = (hook.layout[name] for name in names)
    text = f"{_load(first).replace('r0', 'r2')}\n{_load(last).replace('r0', 'r3')}\n"
    length = run(text + "mov r0, r3\nsub r0, r2\nexit", hook).value
    hidden = 14 if kind in ("cgroup_skb", "lwt_in") else 0
    assert length == len(FRAME) - hidden
    result = run(text + "ldxb r0, [r2]\nstb [r2], 9\nexit", hook)
    assert (result.value, result.packet[0]) == (FRAME[hidden], 9)
    with pytest.raises(MemoryFault):
        run(text + "ldxb r0, [r3]\nexit", hook)


def test_a_packet_without_a_link_header() -> None:
    hook = HOOKS["cgroup_skb"]
    text = "ldxw r2, [r1+76]\nldxw r0, [r1+16]\nldxb r2, [r2]\nlsh r2, 16\nor r0, r2\nexit"
    with_header = run(text, hook)
    assert with_header.value == 0x45 << 16 | 0x0008
    assert run(text, hook, IPV4, link_header=0) == with_header
    with pytest.raises(ValueError, match="link_header"):
        run(text, hook, IPV4, link_header=-1)


def test_the_protocol_follows_from_the_frame() -> None:
    program = "ldxw r0, [r1+16]\nexit"
    wanted = {"ipv4": 0x0800, "ipv6": 0x86DD, "vlan": 0x8100, "qinq": 0x88A8, "ipx": 1, "llc": 4}
    for name, protocol in wanted.items():
        result = run(program, HOOKS["sched_cls"], FRAMES[name])
        assert result.context["protocol"] == protocol
        assert result.value == (protocol & 0xFF) << 8 | protocol >> 8
    for short in (b"", b"\0", bytes(13)):
        assert run(program, HOOKS["sched_cls"], short).value == 0


def test_cb_is_kept_across_a_call_of_another_program() -> None:
    from drybpf.maps import MapType  # noqa: PLC0415 (of this test alone)
    from space_programs import Twins  # noqa: PLC0415

    text = "stw [r1+52], 7\nlddw r2, {programs}\nmov r3, 0\ncall 12\nmov r0, 0\nexit"
    twins = Twins(text, "socket_filter", programs=(MapType.PROG_ARRAY, 4, 4, 1))
    for maps, program in zip(twins.maps, twins.programs, strict=True):
        maps["programs"][0] = Program.from_asm(
            "ldxw r0, [r1+52]\nldxw r2, [r1+56]\nlsh r2, 8\nor r0, r2\nexit",
            hook=program.hook,
            space=program.space,
        )
    assert twins.run(cb=(1, 2, 3)).value == 3 << 8 | 7


def test_packet_loads_of_socket_filters() -> None:
    text = "mov r6, r1\nldabsh 12\nmov r7, r0\nldabsb 14\nlsh r0, 16\nor r0, r7\nexit"
    assert run(text, HOOKS["socket_filter"]).value == 0x45 << 16 | 0x0800


def _server() -> Host:
    return Host(socket=Socket("tcp", ("192.0.2.1", 80), ("192.0.2.9", 5000), mark=3))


def test_the_hosts_socket_is_in_the_context() -> None:
    for kind in ("sock_ops", "sk_msg", "sched_cls"):
        result = run("mov r0, 0\nexit", HOOKS[kind], host=_server)
        assert result.context["family"] == 2
        assert result.context["local_port"] == 80
        assert result.context["remote_port"] == 5000
        assert result.context["remote_ip4"] == 0xC0000209
        sk = HOOKS[kind].layout["sk"].offset
        text = f"ldxdw r2, [r1+{sk}]\nldxw r0, [r2+16]\nexit"
        assert run(text, HOOKS[kind], host=_server).value == 3
    given = run("mov r0, 0\nexit", HOOKS["sock_ops"], host=_server, remote_ip4="10.0.0.1")
    assert given.context["remote_ip4"] == 0x0A000001


def test_addresses_as_text() -> None:
    hook = HOOKS["cgroup_sock_addr"]
    result = run("ldxw r0, [r1+4]\nexit", hook, user_ip4="10.1.2.3", user_port=8080)
    assert result.value == int.from_bytes(bytes((10, 1, 2, 3)), "little")
    result = run("ldxw r0, [r1+24]\nexit", hook, user_port=8080, user_ip6="2001:db8::1")
    assert result.value == int.from_bytes((8080).to_bytes(2, "big"), "little")
    assert result.context["user_ip6"] == (0x20010DB8, 0, 0, 1)
    rewritten = run("stw [r1+4], 0x0100007f\nmov r0, 1\nexit", hook, user_ip4="10.1.2.3")
    assert rewritten.context["user_ip4"] == 0x7F000001


def test_kernel_parameters() -> None:
    hook = HOOKS["cgroup_sysctl"]
    fields: dict[str, Any] = {"name": "net/ipv4/ip_forward", "current": "0", "new": "1"}
    text = "mov r2, r10\nadd r2, -32\nmov r3, 32\nmov r4, FLAG\ncall 101\nexit"
    assert run(text.replace("FLAG", "0"), hook, **fields).value == 19
    assert run(text.replace("FLAG", "1"), hook, **fields).value == 10
    assert run("ldxw r0, [r1]\nexit", hook, **fields).value == 1
    short = text.replace("mov r3, 32", "mov r3, 8").replace("FLAG", "0")
    assert run(short, hook, **fields).value == (1 << 64) - 7


def test_flow_keys() -> None:
    text = "ldxdw r2, [r1+144]\nsth [r2+2], 34\nldxh r0, [r2]\nstb [r2+9], 6\nexit"
    result = run(text, HOOKS["flow_dissector"])
    assert (result.value, result.context["thoff"], result.context["ip_proto"]) == (14, 34, 6)
    assert result.context["n_proto"] == 0x0800


def test_registers_and_arguments() -> None:
    assert run("ldxdw r0, [r1+112]\nexit", HOOKS["kprobe"], arg1=5).value == 5
    assert run("ldxdw r0, [r1+80]\nexit", HOOKS["kprobe"], ret=-5).value == (1 << 64) - 5
    assert run("ldxdw r0, [r1+8]\nexit", HOOKS["tracing"], args=(1, 2, 3)).value == 2
    assert run("ldxdw r0, [r1+16]\nexit", HOOKS["tracing"], args=(1, 2), ret=7).value == 7
    raw = bytes(range(100))
    assert run("ldxb r0, [r1+99]\nexit", HOOKS["tracepoint"], raw).value == 99
    assert run("ldxdw r0, [r1+8]\nexit", HOOKS["tracepoint"], id=59, args=(1,)).value == 59
    assert (
        run("ldxw r0, [r1+4]\nstw [r1], 1\nexit", HOOKS["syscall"], bytes(4) + b"\5\0\0\0").value
        == 5
    )


def test_layouts() -> None:
    layout = Layout("x", 12, "0 4 a\n4 2x2 b rw\n8 4 c be16 =5")
    assert layout.protected == ((0, 4), (8, 12))
    assert layout["c"].pack(0x102) == b"\1\2\0\0"
    assert layout["b"].pack((1,)) == b"\1\0\0\0"
    assert layout.shape == ((8, 4, 0x0500),)
    for value in ((1, 2, 3), -0x8001):
        with pytest.raises(ValueError, match="b"):
            layout["b"].pack(value)
    assert CONTEXT == 1 << 28


def _traced() -> Host:
    host = Host()
    host.memory[0xFFFF_8880_0000_0000] = bytes(range(64))
    return host


def test_typed_pointers_lead_into_the_kernels_memory() -> None:
    text = "ldxdw r1, [r1]\nldxb r0, [r1+7]\nexit"
    arguments = (0xFFFF_8880_0000_0000,)
    assert run(text, HOOKS["tracing"], host=_traced, args=arguments).value == 7
    for bad in ("ldxb r0, [r1+64]", "stb [r1], 0"):
        with pytest.raises(MemoryFault, match="kernel memory"):
            run(f"ldxdw r1, [r1]\n{bad}\nexit", HOOKS["lsm"], host=_traced, args=arguments)
    with pytest.raises(MemoryFault):
        run(text, HOOKS["raw_tracepoint"], host=_traced, args=arguments)


@pytest.mark.parametrize("start", [0, 1, 2])
def test_headers_before_a_datagram_are_not_there(start: int) -> None:
    """An sk_reuseport program's packet begins at the transport header: as if none were set."""
    text = f"""mov r6, r1
        mov r2, 0
        mov r3, r10
        add r3, -8
        stdw [r3], 77
        mov r4, 8
        mov r5, {start}
        call 68
        ldxdw r1, [r10-8]
        mul r1, 1000
        sub r0, r1
        exit"""
    assert run(text, HOOKS["sk_reuseport"]).value == (1 << 64) - 14  # -EFAULT and zeros
