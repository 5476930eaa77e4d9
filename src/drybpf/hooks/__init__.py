"""Hooks: where a program is attached, and so what it is given and what its verdict means."""

from drybpf.hooks.base import Hook
from drybpf.hooks.context import ContextHook
from drybpf.hooks.raw import FixedMetadata, Metadata, NoData, Raw
from drybpf.hooks.skb import SkbHook
from drybpf.hooks.table import HOOKS
from drybpf.hooks.verdicts import TcAction, XdpAction
from drybpf.hooks.xdp import Xdp

__all__ = [
    "HOOKS",
    "ContextHook",
    "FixedMetadata",
    "Hook",
    "Metadata",
    "NoData",
    "Raw",
    "SkbHook",
    "TcAction",
    "Xdp",
    "XdpAction",
]
