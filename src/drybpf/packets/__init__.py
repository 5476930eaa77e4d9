"""Packets out of capture files and into them: pcap and pcapng, read lazily, without libpcap."""

from drybpf.packets.capture import Capture, read_capture
from drybpf.packets.link_types import ETHERNET, link_type_name
from drybpf.packets.packet import Packet
from drybpf.packets.writer import write_capture

__all__ = [
    "ETHERNET",
    "Capture",
    "Packet",
    "link_type_name",
    "read_capture",
    "write_capture",
]
