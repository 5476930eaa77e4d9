"""The host around a program, as far as programs can ask about it: simulated and deterministic."""

from drybpf.host.card import Card
from drybpf.host.clock import Clock
from drybpf.host.host import Host
from drybpf.host.memory import HostMemory

__all__ = ["Card", "Clock", "Host", "HostMemory"]
