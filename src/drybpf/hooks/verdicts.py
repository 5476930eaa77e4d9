"""What the results of programs mean, hook by hook, by the kernel's numbers."""

from __future__ import annotations

from enum import IntEnum


class XdpAction(IntEnum):
    """The verdicts of an XDP program; the kernel takes any other value for ABORTED."""

    ABORTED = 0
    DROP = 1
    PASS = 2
    TX = 3
    REDIRECT = 4


class TcAction(IntEnum):
    """The verdicts of traffic control (`TC_ACT_*`); for tcx -1 is NEXT, 0 PASS, 2 DROP."""

    UNSPEC = -1
    OK = 0
    RECLASSIFY = 1
    SHOT = 2
    PIPE = 3
    STOLEN = 4
    QUEUED = 5
    REPEAT = 6
    REDIRECT = 7
    TRAP = 8


class SocketAction(IntEnum):
    """What a socket filter does with a packet: any r0 but 0 is how many bytes are kept."""

    DROP = 0
    KEEP = 1


class CgroupSkbAction(IntEnum):
    """The verdicts of a cgroup's packets; those with CN tell TCP of congestion, on egress."""

    DROP = 0
    ALLOW = 1
    DROP_CN = 2
    ALLOW_CN = 3


class CgroupAction(IntEnum):
    """Whether a cgroup lets a call happen; a bind may also go without its privilege."""

    DENY = 0
    ALLOW = 1
    ALLOW_UNPRIVILEGED = 3


class LwtAction(IntEnum):
    """The verdicts of lightweight tunnels."""

    OK = 0
    DROP = 2
    REDIRECT = 7
    REROUTE = 128


class SkAction(IntEnum):
    """The verdicts about messages, streams and look-ups of sockets (`enum sk_action`)."""

    DROP = 0
    PASS = 1


class FlowAction(IntEnum):
    """The verdicts of a flow dissector."""

    OK = 0
    DROP = 2
    CONTINUE = 129


class NetfilterAction(IntEnum):
    """The verdicts of netfilter (`NF_*`)."""

    DROP = 0
    ACCEPT = 1
    STOLEN = 2
    QUEUE = 3
    REPEAT = 4
