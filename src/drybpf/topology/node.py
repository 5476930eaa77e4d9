"""A host of a topology, and its interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from drybpf.host import Host, Interface, Socket
from drybpf.program import Program
from drybpf.result import Result


@dataclass(eq=False)
class Device:
    """A network interface and what is attached to it.

    `xdp` runs first for what comes in, then `ingress`; `egress` for what goes out.  Programs use
    the host of their node.
    """

    node: Node
    interface: Interface
    peer: Device | None = None
    xdp: Program | None = None
    ingress: list[Program] = field(default_factory=list)
    egress: list[Program] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`node/interface`."""
        return f"{self.node.name}/{self.interface.name}"

    @property
    def ifindex(self) -> int:
        """The interface's number on its host."""
        return self.interface.ifindex

    def __repr__(self) -> str:
        """`<Device balancer/eth0>`."""
        return f"<Device {self.name}>"


class Node:
    """A host with devices.

    `handler(device, packet)` is what the host does with an IP packet for itself: it gives the IP
    packets that the host sends in answer.  What came in is kept in `received`.
    """

    def __init__(self, name: str, host: Host | None = None) -> None:
        """Make a host without devices."""
        self.name = name
        self.host = host or Host()
        self.devices: dict[int, Device] = {}
        self.received: list[tuple[Device, bytes]] = []
        self.handler: Callable[[Device, bytes], Iterable[bytes]] | None = None
        self.sock_ops: list[Program] = []

    def add(
        self, name: str, mac: str, *addresses: str, mtu: int = 1500, forwarding: bool = True
    ) -> Device:
        """Add an interface; addresses as text with their prefix, `10.0.0.1/24`."""
        ifindex = len(self.devices) + 2  # 1 is the loopback device
        interface = Interface(ifindex, name, mac, mtu, addresses, forwarding)
        self.host.network.interfaces[ifindex] = interface
        device = self.devices[ifindex] = Device(self, interface)
        return device

    def socket_event(self, operation: int, socket: Socket, **fields: int) -> tuple[Result, ...]:
        """Tell the programs in `sock_ops` of an event of a socket; what each of them did.

        `operation` is one of the kernel's `BPF_SOCK_OPS_*`.
        """
        results = []
        before, self.host.socket = self.host.socket, socket
        try:
            for program in self.sock_ops:
                program.host = self.host
                results.append(program.run(op=operation, **fields))  # type: ignore[arg-type]  # fields
        finally:
            self.host.socket = before
        return tuple(results)

    def __repr__(self) -> str:
        """`<Node balancer: eth0, eth1>`."""
        return f"<Node {self.name}: {', '.join(d.interface.name for d in self.devices.values())}>"
