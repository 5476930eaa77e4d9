"""All hooks by the type of their programs."""

from __future__ import annotations

from types import MappingProxyType

from drybpf.hooks import contexts, packets, skb, sysctl
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
    packets.SkMsg(),
    packets.CgroupSockopt(),
    packets.SkReuseport(),
    contexts.CGROUP_SOCK,
    contexts.CGROUP_SOCK_ADDR,
    contexts.CGROUP_DEVICE,
    sysctl.CgroupSysctl(),
    contexts.SOCK_OPS,
    contexts.SK_LOOKUP,
    contexts.KPROBE,
    contexts.PERF_EVENT,
    contexts.TRACEPOINT,
    contexts.RAW_TRACEPOINT,
    contexts.RAW_TRACEPOINT_WRITABLE,
    contexts.TRACING,
    contexts.LSM,
    contexts.STRUCT_OPS,
    contexts.SYSCALL,
    contexts.LIRC_MODE2,
    contexts.NETFILTER,
)
HOOKS = MappingProxyType({hook.program_type: hook for hook in _ALL})
"""The hook of each program type, by the kernel's name of it, such as `xdp` or `sched_cls`."""
