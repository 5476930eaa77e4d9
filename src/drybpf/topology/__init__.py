"""Hosts that are linked, with programs at their interfaces: packets followed from end to end."""

from drybpf.topology.node import Device, Node
from drybpf.topology.topology import Step, Topology

__all__ = ["Device", "Node", "Step", "Topology"]
