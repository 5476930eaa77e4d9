"""The host around a program, as far as programs can ask about it: simulated and deterministic."""

from drybpf.host.card import Card
from drybpf.host.clock import Clock
from drybpf.host.host import Host
from drybpf.host.memory import HostMemory
from drybpf.host.network import Interface, Network, Route, TunnelInfo
from drybpf.host.process import Cgroup, Process
from drybpf.host.randomness import Randomness
from drybpf.host.sockets import Socket, Sockets

__all__ = [
    "Card",
    "Cgroup",
    "Clock",
    "Host",
    "HostMemory",
    "Interface",
    "Network",
    "Process",
    "Randomness",
    "Route",
    "Socket",
    "Sockets",
    "TunnelInfo",
]
