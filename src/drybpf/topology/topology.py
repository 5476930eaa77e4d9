"""Packets on their way through linked hosts, and the programs at the interfaces."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum
from ipaddress import ip_address
from typing import Any

from drybpf.errors import BudgetExceeded
from drybpf.helpers.redirect import BROADCAST, EXCLUDE_INGRESS, slot
from drybpf.hooks.verdicts import TcAction, XdpAction
from drybpf.maps import MapType
from drybpf.program import Program
from drybpf.records import Redirect
from drybpf.result import Result
from drybpf.topology import frames
from drybpf.topology.node import Device, Node

MOST_STEPS = 10_000  # of what one packet sets going

_ACCEPT = TcAction.OK
_TAKEN = (TcAction.SHOT, TcAction.STOLEN, TcAction.TRAP)  # of others the next program decides
_FORWARDED = ("mark", "priority")  # what stays with a packet that a host sends on


@dataclass(frozen=True)
class Step:
    """Something that happened to a packet, at a device.

    `stage` is `xdp`, `ingress` or `egress` where a program ran; `result` and `action` are what came
    of it.  Other stages are `wire` (it went over a link), `local` (the host took it), `forward`,
    `drop` (`reason` says why) and `left` (it went out of a device without a peer).
    """

    device: Device
    stage: str
    packet: bytes
    result: Result | None = None
    reason: str = ""

    @property
    def action(self) -> IntEnum | None:
        """The program's verdict."""
        return self.result.action if self.result is not None else None

    def __str__(self) -> str:
        """`balancer/eth0 xdp TX`."""
        what = self.action.name if self.action is not None else self.reason
        return f"{self.device.name} {self.stage} {what}".rstrip()


@dataclass(frozen=True)
class _Work:
    """A packet at a place: `stage` is what is to be done with it next."""

    stage: str
    device: Device
    packet: bytes
    fields: dict[str, int] = field(default_factory=dict)  # that stay with a socket buffer


class Topology:
    """Nodes and the links between their devices."""

    def __init__(self) -> None:
        """Begin without nodes."""
        self.nodes: dict[str, Node] = {}
        self._work: deque[_Work] = deque()
        self._steps: list[Step] = []

    def add(self, name: str) -> Node:
        """Add a host."""
        node = self.nodes[name] = Node(name)
        return node

    def link(self, one: Device, other: Device) -> None:
        """Connect two devices by a wire; each host learns the other's addresses as neighbours."""
        one.peer, other.peer = other, one
        for near, far in ((one, other), (other, one)):
            for text in far.interface.addresses:
                address = text.partition("/")[0]
                near.node.host.network.neighbours.setdefault(address, far.interface.mac)

    def receive(self, device: Device, packet: bytes) -> tuple[Step, ...]:
        """Let a frame arrive at a device from outside; all that happened, in order."""
        return self._run(lambda: self._then("receive", device, bytes(packet)))

    def send(self, node: Node, packet: bytes) -> tuple[Step, ...]:
        """Let a host send an IP packet; all that happened, in order.

        The host puts the checksum into an IPv4 header.  Who gets a packet looks at it, as at the
        lengths, so that a program which forgets to mend it does not get away with that.
        Raises `ValueError` for a host without devices.
        """
        if not node.devices:
            raise ValueError(f"{node.name} has no devices to send by")
        return self._run(lambda: self._route(node, None, frames.summed(bytes(packet)), {}))

    def _run(self, begin: Callable[[], None]) -> tuple[Step, ...]:
        before = self._work, self._steps  # a host's handler may send something itself
        self._work, self._steps = deque(), []
        try:
            begin()
            while self._work:
                if len(self._steps) > MOST_STEPS:
                    raise BudgetExceeded(f"a packet goes round: {MOST_STEPS} steps and no end")
                work = self._work.popleft()
                getattr(self, f"_{work.stage}")(work)
            return tuple(self._steps)
        finally:
            self._work, self._steps = before

    def _tell(self, work: _Work, stage: str, *, reason: str = "") -> None:
        self._steps.append(Step(work.device, stage, work.packet, reason=reason))

    def _then(
        self, stage: str, device: Device, packet: bytes, fields: dict[str, int] | None = None
    ) -> None:
        self._work.append(_Work(stage, device, packet, fields or {}))

    # What comes in

    def _receive(self, work: _Work) -> None:
        """A frame that has come over the wire: XDP, then the socket buffer begins."""
        device = work.device
        program = device.xdp
        if program is None:
            self._then("ingress", device, *frames.untagged(work.packet))
            return
        program.host = device.node.host
        result = program.run(work.packet, ifindex=device.ifindex)
        self._steps.append(Step(device, "xdp", result.packet, result))
        if result.action == XdpAction.PASS:
            self._then("ingress", device, *frames.untagged(result.packet))
        elif result.action == XdpAction.TX:
            self._then("wire", device, result.packet)
        elif result.action == XdpAction.REDIRECT and result.redirects:
            self._redirect_xdp(device, program, result)
        else:
            self._tell(_Work("", device, result.packet), "drop", reason="by XDP")

    def _redirect_xdp(self, device: Device, program: Program, result: Result) -> None:
        redirect, packet = result.redirects[-1], result.packet
        targets = _map_of(program, redirect.map) if redirect.map else None
        kind = targets.definition.type if targets is not None else None
        if kind == MapType.CPUMAP:  # another CPU takes it on
            self._then("ingress", device, *frames.untagged(packet))
        elif kind == MapType.XSKMAP:  # a process takes it
            device.node.received.append((device, packet))
            reason = f"to a socket of {redirect.map}"
            self._tell(_Work("", device, packet), "local", reason=reason)
        elif redirect.flags & BROADCAST and targets is not None:
            for ifindex in _devices_in(targets):
                if ifindex != device.ifindex or not redirect.flags & EXCLUDE_INGRESS:
                    self._to(device, replace(redirect, ifindex=ifindex), packet, "wire", {})
        else:
            self._to(device, redirect, packet, "wire", {})

    def _to(
        self,
        device: Device,
        redirect: Redirect,
        packet: bytes,
        stage: str,
        fields: dict[str, int],
    ) -> None:
        """Go on at the device that a redirect names."""
        found = device.node.devices.get(redirect.ifindex)
        if redirect.how == "redirect_peer" and found is not None:
            found = found.peer
        if found is None:
            reason = f"there is no device {redirect.ifindex}"
            self._tell(_Work("", device, packet), "drop", reason=reason)
            return
        if redirect.how == "redirect_neigh":
            packet = self._addressed(found, redirect, packet)
        self._then(stage, found, packet, fields)

    def _addressed(self, device: Device, redirect: Redirect, packet: bytes) -> bytes:
        """The packet for a neighbour of a device, the one that its addresses ask for."""
        inner = packet[frames.ETHERNET :]
        hop = redirect.next_hop or frames.target(inner)
        mac = device.node.host.network.neighbour(hop) if hop else None
        return packet if mac is None else frames.framed(inner, mac, device.interface.mac_bytes)

    def _ingress(self, work: _Work) -> None:
        done = self._classify(work, "ingress", work.device.ingress)
        if done is not None:
            self._stack(done)

    def _stack(self, work: _Work) -> None:
        """The host's own work: take the packet, or send it on."""
        device, node = work.device, work.device.node
        packet = work.packet[frames.ETHERNET :]
        if frames.protocol(work.packet) not in (frames.IPV4, frames.IPV6) or not (
            address := frames.target(packet)
        ):
            node.received.append((device, work.packet))
            self._tell(work, "local", reason="no IP")
            return
        if why := frames.objection(packet):
            self._tell(work, "drop", reason=why)
            return
        packet = packet[: frames.length(packet)]
        route = node.host.network.route(address)
        if route is not None and route.kind == "local":
            node.received.append((device, packet))
            self._tell(work, "local")
            for answer in node.handler(device, packet) if node.handler else ():
                self._route(node, device, frames.summed(bytes(answer)), {})
        elif not device.interface.forwarding:
            self._tell(work, "drop", reason="the interface does not forward")
        elif (older := frames.aged(packet)) is None:
            self._tell(work, "drop", reason="its time to live is over")
        else:
            self._tell(work, "forward")
            kept = {name: value for name, value in work.fields.items() if name in _FORWARDED}
            self._route(node, device, older, kept)

    # What goes out

    def _route(
        self, node: Node, device: Device | None, packet: bytes, kept: dict[str, int]
    ) -> None:
        """Send an IP packet by the host's routes."""
        address = frames.target(packet)
        route = node.host.network.route(address) if address else None
        leaving = node.devices.get(route.ifindex) if route and route.kind == "unicast" else None
        here = _Work("", device or next(iter(node.devices.values())), packet)
        if route is None or leaving is None:
            self._tell(here, "drop", reason=f"no route to {address or 'nowhere'}")
            return
        if len(packet) > (route.mtu or leaving.interface.mtu):
            self._tell(here, "drop", reason="too long for its way")
            return
        hop = route.via or address
        mac = node.host.network.neighbour(str(ip_address(hop)))
        if mac is None:
            self._tell(here, "drop", reason=f"{hop} is no known neighbour")
            return
        self._then("egress", leaving, frames.framed(packet, mac, leaving.interface.mac_bytes), kept)

    def _egress(self, work: _Work) -> None:
        done = self._classify(work, "egress", work.device.egress)
        if done is not None:
            self._wire(done)

    def _wire(self, work: _Work) -> None:
        """A frame leaves a device, its VLAN tag in its bytes."""
        device, packet = work.device, work.packet
        if work.fields.get("vlan_present"):
            packet = frames.tagged(packet, work.fields["vlan_proto"], work.fields["vlan_tci"])
        if device.peer is None:
            self._steps.append(Step(device, "left", packet))
            return
        self._steps.append(Step(device, "wire", packet))
        self._then("receive", device.peer, packet)

    # Traffic control

    def _classify(self, work: _Work, stage: str, programs: list[Program]) -> _Work | None:
        """Run programs of tc one after the other; the packet where they let it go on."""
        device, packet, fields = work.device, work.packet, dict(work.fields)
        for program in programs:
            program.host = device.node.host
            given: dict[str, Any] = fields | {"ifindex": device.ifindex}
            if stage == "ingress":
                given["ingress_ifindex"] = device.ifindex
            result = program.run(packet, **given)
            packet, fields = result.packet, _kept(result)
            self._steps.append(Step(device, stage, packet, result))
            for clone in result.cloned:
                how = Redirect("redirect", clone.ifindex, clone.flags)
                self._to(device, how, clone.packet, "ingress" if clone.ingress else "egress", {})
            if result.action == TcAction.REDIRECT and result.redirects:
                redirect = result.redirects[-1]
                where = "ingress" if redirect.ingress else "egress"
                self._to(device, redirect, packet, where, fields)
                return None
            if result.action == _ACCEPT:
                break
            if result.action == TcAction.REDIRECT or result.action in _TAKEN:
                self._tell(_Work("", device, packet), "drop", reason=f"by tc {stage}")
                return None
        return _Work("", device, packet, fields)


def _map_of(program: Program, name: str) -> Any:  # noqa: ANN401 (a map)
    """The map of a program's space that a record names."""
    maps: Any = program.space.maps.values()
    return next((each for each in maps if each.definition.name == name), None)


def _devices_in(targets: Any) -> Iterator[int]:  # noqa: ANN401 (a map of devices)
    """The interfaces that a map of devices names."""
    contents = targets._contents()  # noqa: SLF001 (bytes, whatever the codecs are)
    keys = contents if isinstance(contents, dict) else [key for key, _ in contents]
    for key in keys:
        value = slot(targets, key if isinstance(key, int) else int.from_bytes(key, "little"))
        if value is not None:
            yield int.from_bytes(value[:4], "little")


def _kept(result: Result) -> dict[str, int]:
    """What stays with a socket buffer between programs."""
    names = "mark priority vlan_present vlan_proto vlan_tci protocol tc_index queue_mapping"
    found = {name: result.context.get(name, 0) for name in names.split()}
    return {name: value for name, value in found.items() if value and isinstance(value, int)}
