"""Two servers behind a balancer, and a client: follow connections through four hosts."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import drybpf
from drybpf.host import Route, Socket
from drybpf.topology import Node, Topology

HERE = Path(__file__).parent
SERVICE = "203.0.113.80"
CLIENT = "198.51.100.7"
SYN, ACK, SYN_ACK = 2, 16, 18
PASSIVE_ESTABLISHED = 5  # BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB


def segment(source: str, port: int, target: str, to: int, flags: int) -> bytes:
    """An IPv4 packet with a TCP segment; checksums of TCP are left out."""
    tcp = port.to_bytes(2, "big") + to.to_bytes(2, "big") + bytes(8) + bytes((0x50, flags))
    tcp += bytes(6)
    ends = ip_address(source).packed + ip_address(target).packed
    header = bytes.fromhex("4500") + (20 + len(tcp)).to_bytes(2, "big")
    header += bytes.fromhex("00000000 40060000") + ends
    return header + tcp


@dataclass
class World:
    """The hosts, and the objects whose programs run on them."""

    topology: Topology = field(default_factory=Topology)
    balancer: drybpf.Object = field(default_factory=lambda: drybpf.load(HERE / "balancer.o"))
    policies: list[drybpf.Object] = field(default_factory=list)
    watchers: list[drybpf.Object] = field(default_factory=list)

    def connect(self, port: int, to: int = 80) -> list[str]:
        """Open a connection from a port of the client; what happened, a line a step."""
        client = self.topology.nodes["client"]
        steps = self.topology.send(client, segment(CLIENT, port, SERVICE, to, SYN))
        if client.received:
            client.received.clear()
            steps += self.topology.send(client, segment(CLIENT, port, SERVICE, to, ACK))
        return [str(step) for step in steps]


def answer(node: Node, packet: bytes) -> list[bytes]:
    """What a server does with a segment: it accepts connections."""
    source, target = (str(ip_address(packet[place : place + 4])) for place in (12, 16))
    port, to = (int.from_bytes(packet[place : place + 2], "big") for place in (20, 22))
    if packet[33] == SYN:
        return [segment(target, to, source, port, SYN_ACK)]
    node.socket_event(PASSIVE_ESTABLISHED, Socket("tcp", (target, to), (source, port)))
    return []


def build() -> World:
    """Make hosts, links and routes; load the programs and put them in their places."""
    world = World()
    topology, balancer = world.topology, world.topology.add("balancer")
    client = topology.add("client")
    near = client.add("eth0", "02:00:00:00:01:01", f"{CLIENT}/24")
    outside = balancer.add("eth0", "02:00:00:00:01:02", "198.51.100.1/24")
    topology.link(near, outside)
    client.host.network.routes.append(Route("0.0.0.0/0", near.ifindex, via="198.51.100.1"))
    world.balancer.data["service"] = int.from_bytes(ip_address(SERVICE).packed, "little")
    world.balancer.data["server_count"] = 2
    outside.xdp = world.balancer["balance"]
    for number in range(2):
        server = topology.add(f"server{number}")
        inside = balancer.add(
            f"eth{number + 1}", f"02:00:00:00:02:{number:02x}", f"10.0.{number}.1/24"
        )
        uplink = server.add(
            "eth0", f"02:00:00:00:03:{number:02x}", f"10.0.{number}.2/24", f"{SERVICE}/32"
        )
        topology.link(inside, uplink)
        server.host.network.routes.append(
            Route("0.0.0.0/0", uplink.ifindex, via=f"10.0.{number}.1")
        )
        entry = world.balancer.maps["servers"]
        macs = inside.interface.mac_bytes + uplink.interface.mac_bytes
        entry[number] = {
            "ifindex": inside.ifindex,
            "own": list(macs[:6]),
            "mac": list(macs[6:]),
        }
        policy, watch = (drybpf.load(HERE / f"{name}.o") for name in ("policy", "watch"))
        policy.maps["allowed"][80] = 7
        uplink.ingress.append(policy["policy"])
        server.sock_ops.append(watch["watch"])
        server.handler = lambda _, packet, node=server: answer(node, packet)
        world.policies.append(policy)
        world.watchers.append(watch)
    return world


def main(arguments: list[str]) -> None:
    """Follow a connection from each port that is given."""
    world = build()
    for port in map(int, arguments or ["40000"]):
        print(f"from port {port}:", *world.connect(port), sep="\n  ")
    print("packets to each server:", list(world.balancer.maps["packets"])[:2])
    for number, watch in enumerate(world.watchers):
        clients = {
            str(ip_address(client.to_bytes(4, "little"))): count
            for client, count in watch.maps["accepted"].items()
        }
        print(f"server{number} accepted from", clients)


if __name__ == "__main__":
    main(sys.argv[1:])
