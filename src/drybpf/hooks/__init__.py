"""Hooks: where a program is attached, and so what it is given and what its verdict means."""

from drybpf.hooks.base import Hook
from drybpf.hooks.raw import FixedMetadata, Metadata, NoData, Raw
from drybpf.hooks.xdp import Xdp, XdpAction

__all__ = ["FixedMetadata", "Hook", "Metadata", "NoData", "Raw", "Xdp", "XdpAction"]
