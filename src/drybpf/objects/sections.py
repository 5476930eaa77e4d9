"""From the name of a section to the type of the programs in it.

The names are libbpf's, and the habits that are older than libbpf.
"""

from __future__ import annotations

import re
from enum import IntEnum


class ProgramType(IntEnum):
    """The kernel's program types, by the kernel's numbers (`enum bpf_prog_type`)."""

    UNSPEC = 0
    SOCKET_FILTER = 1
    KPROBE = 2
    SCHED_CLS = 3
    SCHED_ACT = 4
    TRACEPOINT = 5
    XDP = 6
    PERF_EVENT = 7
    CGROUP_SKB = 8
    CGROUP_SOCK = 9
    LWT_IN = 10
    LWT_OUT = 11
    LWT_XMIT = 12
    SOCK_OPS = 13
    SK_SKB = 14
    CGROUP_DEVICE = 15
    SK_MSG = 16
    RAW_TRACEPOINT = 17
    CGROUP_SOCK_ADDR = 18
    LWT_SEG6LOCAL = 19
    LIRC_MODE2 = 20
    SK_REUSEPORT = 21
    FLOW_DISSECTOR = 22
    CGROUP_SYSCTL = 23
    RAW_TRACEPOINT_WRITABLE = 24
    CGROUP_SOCKOPT = 25
    TRACING = 26
    STRUCT_OPS = 27
    EXT = 28
    LSM = 29
    SK_LOOKUP = 30
    SYSCALL = 31
    NETFILTER = 32


_T = ProgramType
_PREFIXES: dict[str, ProgramType] = {
    prefix: kind
    for kind, prefixes in {
        _T.SOCKET_FILTER: "socket filter loadbalancer",  # the last two: Suricata
        _T.KPROBE: "kprobe kretprobe uprobe uretprobe ksyscall kretsyscall usdt",
        _T.SCHED_CLS: (
            "tc tcx classifier netkit ingress egress downcall tail- "  # the last four: Open vSwitch
            "from-container from-host from-lxc from-netdev from-network from-overlay "  # Cilium
            "to-container to-host to-netdev to-overlay"
        ),
        _T.SCHED_ACT: "action",
        _T.TRACEPOINT: "tracepoint tp",
        _T.XDP: "xdp af_xdp",
        _T.PERF_EVENT: "perf_event",
        _T.CGROUP_SKB: "cgroup_skb cgroup/skb",
        _T.CGROUP_SOCK: "cgroup/sock cgroup/post_bind4 cgroup/post_bind6",
        _T.LWT_IN: "lwt_in",
        _T.LWT_OUT: "lwt_out",
        _T.LWT_XMIT: "lwt_xmit",
        _T.SOCK_OPS: "sockops",
        _T.SK_SKB: "sk_skb",
        _T.CGROUP_DEVICE: "cgroup/dev",
        _T.SK_MSG: "sk_msg",
        _T.RAW_TRACEPOINT: "raw_tracepoint raw_tp",
        _T.CGROUP_SOCK_ADDR: " ".join(
            f"cgroup/{verb}{family}"
            for verb in ("bind", "connect", "sendmsg", "recvmsg", "getpeername", "getsockname")
            for family in ("4", "6", "_unix")
        ),
        _T.LWT_SEG6LOCAL: "lwt_seg6local",
        _T.LIRC_MODE2: "lirc_mode2",
        _T.SK_REUSEPORT: "sk_reuseport",
        _T.FLOW_DISSECTOR: "flow_dissector",
        _T.CGROUP_SYSCTL: "cgroup/sysctl",
        _T.RAW_TRACEPOINT_WRITABLE: "raw_tracepoint.w raw_tp.w",
        _T.CGROUP_SOCKOPT: "cgroup/getsockopt cgroup/setsockopt",
        _T.TRACING: "tp_btf fentry fexit fmod_ret fsession iter",
        _T.STRUCT_OPS: "struct_ops",
        _T.EXT: "freplace",
        _T.LSM: "lsm lsm_cgroup",
        _T.SK_LOOKUP: "sk_lookup",
        _T.SYSCALL: "syscall",
        _T.NETFILTER: "netfilter",
    }.items()
    for prefix in prefixes.split()
}
_CILIUM_TAIL_CALL = re.compile(r"[0-9]+/[0-9a-zA-Z_]+")  # map / slot
# a prefix ends where its letters end: xdp, xdp/devmap, xdp.frags, xdp1, xdp_mark, but not xdpump
_NAME = re.compile(
    "(?:" + "|".join(map(re.escape, sorted(_PREFIXES, key=len, reverse=True))) + ")(?![a-z])"
)


def program_type(section: str) -> ProgramType:
    """The type that a section's name stands for; `UNSPEC` where it stands for none.

    A leading `?` (libbpf: do not load by itself) does not count.  Numbers such as `2/16` are
    Cilium's tail calls, here taken as traffic control's; see `customs` for where they are XDP's.
    """
    name = section.removeprefix("?")
    if _CILIUM_TAIL_CALL.fullmatch(name):
        return ProgramType.SCHED_CLS
    match = _NAME.match(name)
    return _PREFIXES[match[0]] if match else ProgramType.UNSPEC
