"""The host's network: interfaces, routes, neighbours, and tunnels that packets come through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

Prefix = IPv4Network | IPv6Network


def mac_bytes(address: str | bytes) -> bytes:
    """The six bytes of `02:00:00:00:00:01`.  Raises `ValueError` for what is no MAC address."""
    data = address if isinstance(address, bytes) else bytes.fromhex(address.replace(":", ""))
    if len(data) != 6:
        raise ValueError(f"{address!r} is no MAC address")
    return data


@dataclass
class Interface:
    """A network interface; `addresses` are its own, as text, with their prefix (`10.0.0.1/24`)."""

    ifindex: int
    name: str = ""
    mac: str | bytes = "00:00:00:00:00:00"
    mtu: int = 1500
    addresses: Sequence[str] = ()
    forwarding: bool = True  # whether packets that come in are routed on

    @property
    def mac_bytes(self) -> bytes:
        """The MAC address as bytes."""
        return mac_bytes(self.mac)


@dataclass(frozen=True)
class Route:
    """A way to a network: out of an interface, to a next hop where `via` names one.

    `kind` is `unicast`, `blackhole`, `unreachable`, `prohibit` or `local`; `source` the address
    that packets get which the host sends.
    """

    prefix: str
    ifindex: int = 0
    via: str = ""
    kind: str = "unicast"
    metric: int = 0
    source: str = ""
    mtu: int = 0  # 0 for the interface's
    table: int = 254  # the main table

    @property
    def network(self) -> Prefix:
        """The prefix as a network."""
        return ip_network(self.prefix, strict=False)


@dataclass(frozen=True)
class TunnelInfo:
    """What a tunnel tells of a packet, or is told: its id, the two ends, and options."""

    id: int = 0
    remote: str = "0.0.0.0"  # noqa: S104 (no address, not all of them)
    local: str = ""
    tos: int = 0
    ttl: int = 0
    label: int = 0
    flags: int = 0
    options: bytes | None = None

    @property
    def is_ipv6(self) -> bool:
        """Whether its ends have IPv6 addresses."""
        return ip_address(self.remote).version == 6


@dataclass
class Network:
    """Interfaces by number, routes and neighbours."""

    interfaces: dict[int, Interface] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    neighbours: dict[str, str | bytes] = field(default_factory=dict)  # MAC addresses by IP address

    def route(self, target: str, table: int = 254) -> Route | None:
        """The route to an address: the longest prefix, then the smallest metric."""
        address = ip_address(target)
        fitting = [
            route
            for route in (*self.routes, *self._connected())
            if route.table == table and address in route.network
        ]
        return max(
            fitting, key=lambda route: (route.network.prefixlen, -route.metric), default=None
        )

    def _connected(self) -> list[Route]:
        """The routes that follow from the interfaces' addresses."""
        found = []
        for interface in self.interfaces.values():
            for text in interface.addresses:
                own, _, length = text.partition("/")
                whole = 32 if ip_address(own).version == 4 else 128
                found.append(Route(f"{own}/{whole}", interface.ifindex, kind="local"))
                if length and int(length) < whole:
                    found.append(Route(text, interface.ifindex, source=own))
        return found

    def neighbour(self, address: str) -> bytes | None:
        """The MAC address of a neighbour; None where it is not known."""
        wanted = ip_address(address)
        for known, mac in self.neighbours.items():
            if ip_address(known) == wanted:
                return mac_bytes(mac)
        return None
