"""Hooks whose programs get a `struct __sk_buff`: tc, socket filters, cgroups, tunnels, sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf.entry import FieldValue, Layout
from drybpf.helpers.skb import ETHERNET, SkbState
from drybpf.hooks.context import ContextHook
from drybpf.hooks.packets import fill_socket
from drybpf.hooks.verdicts import (
    CgroupSkbAction,
    FlowAction,
    LwtAction,
    SkAction,
    SocketAction,
    TcAction,
)
from drybpf.state import HookState, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

_FIELDS = """
      0 4   len             length
      4 4   pkt_type
      8 4   mark
     12 4   queue_mapping
     16 4   protocol        be16
     20 4   vlan_present
     24 4   vlan_tci
     28 4   vlan_proto      be16
     32 4   priority
     36 4   ingress_ifindex
     40 4   ifindex         =1
     44 4   tc_index
     48 4x5 cb
     68 4   hash
     72 4   tc_classid
     76 4   data            data
     80 4   data_end        data_end
     84 4   napi_id
     88 4   family
     92 4   remote_ip4      be32
     96 4   local_ip4       be32
    100 4x4 remote_ip6      be32
    116 4x4 local_ip6       be32
    132 4   remote_port     be32
    136 4   local_port
    140 4   data_meta       data_meta
    144 8   flow_keys
    152 8   tstamp
    160 4   wire_len
    164 4   gso_segs
    168 8   sk
    176 4   gso_size
    180 1   tstamp_type
    184 8   hwtstamp
"""


def sk_buff(writable: str) -> Layout:
    """`struct __sk_buff`, with the names of the fields that a kind of program may write."""
    names = writable.split()
    lines = [
        f"{line} rw" if line.split()[2] in names else line for line in _FIELDS.strip().splitlines()
    ]
    return Layout("__sk_buff", 192, "\n".join(lines))


FLOW_KEYS = Layout(
    "bpf_flow_keys",
    56,
    """
     0 2   nhoff
     2 2   thoff
     4 2   addr_proto
     6 1   is_frag
     7 1   is_first_frag
     8 1   is_encap
     9 1   ip_proto
    10 2   n_proto    be16
    12 2   sport      be16
    14 2   dport      be16
    16 4x4 source     be32
    32 4x4 target     be32
    48 4   flags
    52 4   flow_label be32
    """,
)
"""`struct bpf_flow_keys`; of IPv4 addresses, the second is `source[1]`."""


class SkbHook(ContextHook):
    """A program on a socket buffer.

    A packet is an Ethernet frame.  Programs at the network layer see it from the network header
    on; `run(packet, link_header=0)` gives them one without a link header.
    """

    packet_size = 2048
    headroom = 256
    aliases: Mapping[str, str] = MappingProxyType({"length": "len"})

    def __init__(
        self,
        name: str,
        program_type: str,
        writable: str,
        verdicts: type[IntEnum] | None = None,
        *,
        network_layer: bool = False,
    ) -> None:
        """Describe the hook; `writable` are the fields that programs may write."""
        self.verdicts = verdicts
        self._writable, self._network_layer = writable, network_layer
        super().__init__(name, program_type, sk_buff(writable))
        self.shape = replace(
            self.shape,
            context=(*(self.shape.context or ()), *self._at_entry()),
            hidden=ETHERNET if network_layer else 0,
            socket=True,
        )

    def _at_entry(self) -> tuple[tuple[int, int, str], ...]:
        """What follows from a frame unless the caller says otherwise."""
        fields = {"protocol": "protocol", "wire_len": "first_length"}
        return tuple(
            (self.layout[name].offset, self.layout[name].size, kind)
            for name, kind in fields.items()
        )

    def enter(
        self,
        state: State,
        packet: Buffer = b"",
        /,
        *,
        link_header: FieldValue = ETHERNET,
        **fields: FieldValue,
    ) -> None:
        """Map the packet and the context.

        `link_header` is the length of the link header that the packet begins with.
        """
        if not isinstance(link_header, int) or link_header < 0:
            raise ValueError(f"link_header is a number of bytes, not {link_header!r}")
        view = memoryview(packet).cast("B")
        hook = SkbState(self.program_type, self.layout)
        protocol = ethernet_protocol(view) if link_header == ETHERNET else ip_protocol(view)
        hook.network = link_header
        if self._network_layer:
            hook.hidden, view = bytes(view[:link_header]), view[link_header:]
            hook.network = 0
        hook.received = state.host.tunnel
        state.hook = hook
        fields = {"protocol": protocol, "wire_len": len(view)} | fields
        super().enter(state, view, **fields)

    def finish(self, state: State, context: bytearray) -> None:
        """Describe the socket that the packet belongs to, where the host says one."""
        fill_socket(self.layout, state, context)

    def hook_state(self, state: State) -> HookState:
        """The socket buffer, which `enter` has made."""
        return state.hook

    def action(self, value: int) -> IntEnum | None:
        """The verdict in r0."""
        if self.verdicts is SocketAction:
            return SocketAction(bool(value & 0xFFFF_FFFF))
        return super().action(value)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the hook was made of."""
        arguments = self.name, self.program_type, self._writable, self.verdicts
        return _skb_hook, (*arguments, self._network_layer)


def _skb_hook(
    name: str,
    program_type: str,
    writable: str,
    verdicts: type[IntEnum] | None,
    network_layer: bool,
) -> SkbHook:
    return SkbHook(name, program_type, writable, verdicts, network_layer=network_layer)


def ethernet_protocol(frame: memoryview) -> int:
    """The protocol of an Ethernet frame as the kernel tells it (`eth_type_trans`)."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind >= 0x600 or len(frame) < ETHERNET:
        return kind
    # An old frame with a length: raw IPX (ETH_P_802_3), or 802.2 (ETH_P_802_2).
    return 1 if bytes(frame[14:16]) == b"\xff\xff" else 4


def ip_protocol(packet: memoryview) -> int:
    """The protocol of a packet without a link header."""
    version = packet[0] >> 4 if len(packet) else 0
    return {4: 0x0800, 6: 0x86DD}.get(version, 0)


_TC = "mark tc_index priority tc_classid cb tstamp queue_mapping"
TC = SkbHook("tc", "sched_cls", _TC, TcAction)
TC_ACTION = SkbHook("tc action", "sched_act", _TC, TcAction)
SOCKET_FILTER = SkbHook("socket filter", "socket_filter", "cb", SocketAction)
CGROUP_SKB = SkbHook(
    "cgroup_skb", "cgroup_skb", "mark priority cb tstamp", CgroupSkbAction, network_layer=True
)
_LWT = "mark priority cb"
LWT_IN = SkbHook("lwt_in", "lwt_in", _LWT, LwtAction, network_layer=True)
LWT_OUT = SkbHook("lwt_out", "lwt_out", _LWT, LwtAction, network_layer=True)
LWT_XMIT = SkbHook("lwt_xmit", "lwt_xmit", _LWT, LwtAction, network_layer=True)
LWT_SEG6LOCAL = SkbHook("lwt_seg6local", "lwt_seg6local", _LWT, LwtAction, network_layer=True)
SK_SKB = SkbHook("sk_skb", "sk_skb", "tc_index priority", SkAction, network_layer=True)


class FlowDissector(SkbHook):
    """A program that finds the headers of a packet and tells them in `struct bpf_flow_keys`."""

    def __init__(self) -> None:
        """The hook of flow dissectors."""
        super().__init__("flow_dissector", "flow_dissector", "", FlowAction)
        self.shape = replace(self.shape, derived=True)  # the keys are a region of their own

    def finish(self, state: State, context: bytearray) -> None:
        """Map the keys and point at them."""
        keys = bytearray(FLOW_KEYS.size)
        for name, value in (("nhoff", ETHERNET), ("thoff", ETHERNET)):
            field = FLOW_KEYS[name]
            keys[field.offset : field.end] = field.pack(value)
        kind = self.layout["protocol"]
        protocol = FLOW_KEYS["n_proto"]
        keys[protocol.offset : protocol.end] = context[kind.offset : kind.offset + 2]
        address = state.memory.add(FLOW_KEYS.name, keys).start
        field = self.layout["flow_keys"]
        context[field.offset : field.end] = field.pack(address)

    def fields(self, state: State) -> dict[str, int | tuple[int, ...]]:
        """The context's fields, and the keys that the program has found."""
        found = super().fields(state)
        address = found["flow_keys"]
        keys = state.memory.dynamic(address) if isinstance(address, int) else None
        if keys is not None:
            found |= {name: field.unpack(keys.data) for name, field in FLOW_KEYS.items()}
        return found

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as what it is."""
        return type(self), ()


FLOW_DISSECTOR = FlowDissector()
