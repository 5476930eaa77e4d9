"""All hooks by the type of their programs."""

from __future__ import annotations

from types import MappingProxyType

from drybpf.hooks import skb
from drybpf.hooks.base import Hook
from drybpf.hooks.xdp import Xdp

_ALL: tuple[Hook, ...] = (
    Xdp(),
    skb.TC,
    skb.TC_ACTION,
    skb.SOCKET_FILTER,
    skb.CGROUP_SKB,
    skb.LWT_IN,
    skb.LWT_OUT,
    skb.LWT_XMIT,
    skb.LWT_SEG6LOCAL,
    skb.SK_SKB,
    skb.FLOW_DISSECTOR,
)
HOOKS = MappingProxyType({hook.program_type: hook for hook in _ALL})
"""The hook of each program type, by the kernel's name of it, such as `xdp` or `sched_cls`."""
