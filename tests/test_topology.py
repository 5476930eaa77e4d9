"""Packets followed through linked hosts, and the example that does so."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from typing import Any

import pytest

from drybpf.errors import BudgetExceeded
from drybpf.helpers.checksums import fold, sum32
from drybpf.hooks import HOOKS
from drybpf.host import Route
from drybpf.maps import MapType
from drybpf.program import Program
from drybpf.topology import Device, Node, Step, Topology
from helper_programs import frame
from space_programs import Twins
from support import ROOT

EXAMPLE = ROOT / "examples" / "topology"


def program(text: str, hook: str = "sched_cls") -> Program:
    return Program.from_asm(text, hook=HOOKS[hook])


_NAMES = ("abort", "drop", "pass", "tx")
XDP = {name: f"mov r0, {number}\nexit" for number, name in enumerate(_NAMES)}


def stages(steps: tuple[Step, ...]) -> list[str]:
    return [str(step) for step in steps]


class Line:
    """left — middle — right, with routes both ways."""

    def __init__(self) -> None:
        self.topology = Topology()
        self.left, self.middle, self.right = map(self.topology.add, ("left", "middle", "right"))
        self.a = self.left.add("a", "02:00:00:00:00:0a", "10.0.1.2/24")
        self.b = self.middle.add("b", "02:00:00:00:00:0b", "10.0.1.1/24")
        self.c = self.middle.add("c", "02:00:00:00:00:0c", "10.0.2.1/24")
        self.d = self.right.add("d", "02:00:00:00:00:0d", "10.0.2.2/24")
        self.topology.link(self.a, self.b)
        self.topology.link(self.c, self.d)
        for node, device, via in ((self.left, self.a, 1), (self.right, self.d, 2)):
            route = Route("0.0.0.0/0", device.ifindex, via=f"10.0.{via}.1")
            node.host.network.routes.append(route)

    def send(self, ttl: int = 64, to: str = "10.0.2.2") -> tuple[Step, ...]:
        return self.topology.send(self.left, packet(ttl, to))


def packet(ttl: int = 64, to: str = "10.0.2.2", size: int = 28) -> bytes:
    header = bytearray(bytes.fromhex("4500") + size.to_bytes(2, "big") + bytes(4))
    header += bytes((ttl, 17, 0, 0, 10, 0, 1, 2)) + bytes(map(int, to.split(".")))
    header[10:12] = (~fold(sum32(bytes(header))) & 0xFFFF).to_bytes(2, "little")
    return bytes(header) + bytes(size - 20)


def test_a_packet_is_routed() -> None:
    line = Line()
    assert stages(line.send()) == [
        "left/a wire",
        "middle/b forward",
        "middle/c wire",
        "right/d local",
    ]
    ((device, seen),) = line.right.received
    assert (device, seen[8]) == (line.d, 63)
    assert fold(sum32(seen[:20])) == 0xFFFF


@pytest.mark.parametrize(
    ("ttl", "to", "reason"),
    [
        (1, "10.0.2.2", "middle/b drop its time to live is over"),
        (64, "10.0.2.9", "middle/b drop 10.0.2.9 is no known neighbour"),
        (64, "172.16.0.1", "middle/b drop no route to 172.16.0.1"),
    ],
)
def test_packets_that_do_not_get_there(ttl: int, to: str, reason: str) -> None:
    assert stages(Line().send(ttl, to))[-1] == reason


def test_a_packet_that_is_too_long() -> None:
    line = Line()
    line.c.interface.mtu = 100
    steps = line.topology.send(line.left, packet(size=200))
    assert stages(steps)[-1] == "middle/b drop too long for its way"


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("abort", "middle/b drop by XDP"),
        ("drop", "middle/b drop by XDP"),
        ("pass", "right/d local"),
        ("tx", "left/a drop the interface does not forward"),
    ],
)
def test_verdicts_of_xdp(name: str, last: str) -> None:
    line = Line()
    line.a.interface.forwarding = False
    line.b.xdp = program(XDP[name], "xdp")
    steps = line.send()
    assert stages(steps)[-1] == last
    assert stages(steps)[1].startswith("middle/b xdp")


def test_xdp_sends_out_of_another_device() -> None:
    line = Line()
    text = f"mov r1, {line.c.ifindex}\nmov r2, 0\ncall 23\nexit"
    line.b.xdp = program(text, "xdp")
    assert stages(line.send()) == [
        "left/a wire",
        "middle/b xdp REDIRECT",
        "middle/c wire",
        "right/d local",
    ]
    assert line.right.received[0][1][8] == 64  # nobody has routed it
    line.b.xdp = program(text.replace(f"r1, {line.c.ifindex}", "r1, 99"), "xdp")
    assert stages(line.send())[-1] == "middle/b drop there is no device 99"


TARGETS = {
    "devs": (MapType.DEVMAP, 4, 4, 8),
    "hash": (MapType.DEVMAP_HASH, 4, 8, 8),
    "cpus": (MapType.CPUMAP, 4, 4, 8),
    "socks": (MapType.XSKMAP, 4, 4, 8),
}


def by_map(name: str, flags: int, *filled: tuple[int, int]) -> Iterator[Program]:
    """A program for each engine that sends to slot 1 of a map; in the map are slots and values."""
    text = f"lddw r1, {{{name}}}\nmov r2, 1\nmov r3, {flags}\ncall 51\nexit"
    twins = Twins(text, "xdp", None, **{name: TARGETS[name]})
    for made in twins.maps:
        for index, number in filled:
            value = number.to_bytes(TARGETS[name][2], "little")
            made[name].update_element(index.to_bytes(4, "little"), value)
    yield from twins.programs


@pytest.mark.parametrize("name", ["devs", "hash"])
def test_xdp_sends_out_of_all_devices_of_a_map(name: str) -> None:
    """BPF_F_BROADCAST, with and without BPF_F_EXCLUDE_INGRESS."""
    line = Line()
    b, c = line.b.ifindex, line.c.ifindex
    line.a.interface.forwarding = False
    for filled in ([(4, b), (6, c)], [(1, b), (6, c)]):  # the slot itself may be empty
        for line.b.xdp in by_map(name, 8, *filled):
            steps = stages(line.send())
            assert sorted(step for step in steps if "middle" in step) == [
                "middle/b wire",
                "middle/b xdp REDIRECT",
                "middle/c wire",
            ]
        for line.b.xdp in by_map(name, 8 | 16, *filled):
            assert stages(line.send())[2:] == ["middle/c wire", "right/d local"]
    for line.b.xdp in by_map(name, 0, (1, c)):
        assert stages(line.send())[2:] == ["middle/c wire", "right/d local"]


def test_xdp_hands_over_to_another_cpu_or_a_process() -> None:
    line = Line()
    for line.b.xdp in by_map("cpus", 0, (1, 3)):
        assert stages(line.send())[-1] == "right/d local"
    for line.b.xdp in by_map("socks", 0, (1, 3)):
        assert stages(line.send())[2:] == ["middle/b local to a socket of socks"]
    ((device, taken),) = line.middle.received[:1]
    assert (device, taken[12:14], len(taken)) == (line.b, b"\x08\0", 42)


@pytest.mark.parametrize(
    ("verdict", "last"),
    [
        *((-1, "local"), (0, "local"), (1, "local"), (2, "drop"), (3, "local"), (4, "drop")),
        *((5, "local"), (6, "local"), (8, "drop"), (99, "local")),  # what the kernel does not know
    ],
)
@pytest.mark.parametrize("where", ["ingress", "egress"])
def test_verdicts_of_tc(where: str, verdict: int, last: str) -> None:
    line = Line()
    device = line.b if where == "ingress" else line.c
    getattr(device, where).append(program(f"mov r0, {verdict}\nexit"))
    assert line.send()[-1].stage == last


def test_programs_of_tc_run_until_one_decides() -> None:
    line = Line()
    mark = "ldxw r2, [r1+8]\nadd r2, 5\nstxw [r1+8], r2\nmov r0, {}\nexit"
    line.b.ingress += [program(mark.format(verdict)) for verdict in (3, 0, 3)]
    line.c.egress.append(program(mark.format(0)))
    steps = line.send()
    marks = [step.result.context["mark"] for step in steps if step.result]
    assert marks == [5, 10, 15]  # the third did not run; the mark stays when it is forwarded


def test_tc_sends_elsewhere_and_copies() -> None:
    line = Line()
    clone = f"mov r6, r1\nmov r2, {line.c.ifindex}\nmov r3, 0\ncall 13\nmov r0, 2\nexit"
    line.b.ingress.append(program(clone))
    steps = line.send()
    assert [step.stage for step in steps] == ["wire", "ingress", "drop", "wire", "local"]
    line.b.ingress[:] = [program(f"mov r1, {line.c.ifindex}\nmov r2, 1\ncall 23\nexit")]
    line.c.ingress.append(program("mov r0, 2\nexit"))
    assert stages(line.send())[-2:] == ["middle/c ingress SHOT", "middle/c drop by tc ingress"]
    line.b.ingress[:] = [program(f"mov r1, {line.c.ifindex}\nmov r2, 0\ncall 155\nexit")]
    assert stages(line.send())[-1] == "right/d local"
    neighbour = f"mov r1, {line.c.ifindex}\nmov r2, 0\nmov r3, 0\nmov r4, 0\ncall 152\nexit"
    line.b.ingress[:] = [program(neighbour)]
    steps = line.send()
    assert steps[-2].packet[:12] == bytes.fromhex("02000000000d02000000000c")


def test_vlan_tags_travel_in_the_bytes() -> None:
    line = Line()
    push = "mov r2, 0x0081\nmov r3, 77\ncall 18\nmov r0, 0\nexit"
    line.c.egress.append(program(push))
    line.d.ingress.append(program("ldxw r0, [r1+24]\nstxw [r1+8], r0\nmov r0, 0\nexit"))
    steps = line.send()
    wire = next(step for step in steps if str(step) == "middle/c wire")
    assert wire.packet[12:16] == bytes.fromhex("8100004d")
    assert steps[-2].result is not None
    assert steps[-2].result.context["mark"] == 77
    assert steps[-1].stage == "local"


def test_a_packet_that_goes_round_is_stopped() -> None:
    line = Line()
    line.a.xdp = line.b.xdp = program(XDP["tx"], "xdp")
    with pytest.raises(BudgetExceeded, match="goes round"):
        line.send()


def test_what_is_no_ip_is_left_to_the_host() -> None:
    line = Line()
    steps = line.topology.receive(line.b, frame(0x0806, bytes(46)))
    assert stages(steps) == ["middle/b local no IP"]
    assert stages(line.topology.receive(line.b, b"")) == ["middle/b local no IP"]


def test_a_host_without_devices_cannot_send() -> None:
    topology = Topology()
    with pytest.raises(ValueError, match="alone has no devices"):
        topology.send(topology.add("alone"), packet())


def test_a_host_may_send_while_it_receives() -> None:
    line = Line()
    inner: list[tuple[Step, ...]] = []

    def answer(*_: object) -> list[bytes]:
        back = packet(to="10.0.1.2")
        inner.append(line.topology.send(line.right, back))
        return [back]

    line.right.handler = answer
    steps = stages(line.send())
    assert steps[0] == "left/a wire"
    assert steps[-1] == "left/a local"
    assert stages(inner[0]) == ["right/d wire", "middle/c forward", "middle/b wire", "left/a local"]


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (8, b"\x20", "its header's checksum is wrong"),  # a program that mends no checksum
        (0, b"\x44", "the lengths in its header are wrong"),
        (2, b"\x00\x13", "the lengths in its header are wrong"),
        (2, b"\x00\x1d", "the lengths in its header are wrong"),
    ],
)
def test_a_host_looks_at_headers(place: int, change: bytes, reason: str) -> None:
    line = Line()
    data = bytearray(packet())
    data[place : place + len(change)] = change
    steps = line.topology.receive(line.d, frame(0x0800, bytes(data)))
    assert stages(steps) == [f"right/d drop {reason}"]


def test_a_host_takes_off_what_fills_a_frame() -> None:
    line = Line()
    whole = packet()
    line.topology.receive(line.d, frame(0x0800, whole + bytes(18)))
    assert line.right.received == [(line.d, whole)]
    line.topology.receive(line.b, frame(0x0800, packet(to="10.0.2.2") + bytes(18)))
    assert len(line.right.received[1][1]) == len(whole)
    new = bytes.fromhex("60000000 0004 3b 40") + bytes(32) + b"abcd"
    for length, last in ((44, "no route"), (43, "lengths")):
        steps = line.topology.receive(line.d, frame(0x86DD, new[:length]))
        assert last in stages(steps)[-1]


def test_a_host_sums_up_what_it_sends() -> None:
    line = Line()
    bare = bytearray(packet())
    bare[10:12] = bytes(2)
    assert stages(line.topology.send(line.left, bytes(bare)))[-1] == "right/d local"


def test_hosts_answer() -> None:
    line = Line()

    def answer(_: Device, seen: bytes) -> list[bytes]:
        return [seen[:12] + seen[16:20] + seen[12:16] + seen[20:]]

    line.right.handler = answer
    steps = line.send()
    assert stages(steps)[-1] == "left/a local"
    assert len(line.left.received) == 1
    assert isinstance(line.left, Node)


def _example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE / "follow.py"))


def test_a_connection_through_the_example() -> None:
    world = _example()["build"]()
    servers = set()
    for port in range(40000, 40016):
        steps = world.connect(port)
        (server,) = {step.split("/")[0] for step in steps if step.startswith("server")}
        assert steps.count(f"{server}/eth0 ingress OK") == 2
        assert steps.count("client/eth0 local") == 1
        servers.add(server)
    assert servers == {"server0", "server1"}
    counts = list(world.balancer.maps["packets"])[:2]
    assert sum(counts) == 32
    accepted = [sum(watch.maps["accepted"].values()) for watch in world.watchers]
    assert accepted == [count // 2 for count in counts]
    assert [policy.data["refused"] for policy in world.policies] == [0, 0]


def test_the_policy_of_the_example_refuses_other_ports() -> None:
    world = _example()["build"]()
    steps = world.connect(40000, to=23)
    assert steps[-2].endswith("ingress SHOT")
    assert sum(policy.data["refused"] for policy in world.policies) == 1
    assert all(not watch.maps["accepted"] for watch in world.watchers)
