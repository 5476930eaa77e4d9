"""Sending packets elsewhere: recorded, and told by the verdict."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from drybpf.helpers.arguments import map_of, s32, u32
from drybpf.helpers.errno import EINVAL
from drybpf.helpers.packet import whole_packet
from drybpf.helpers.skb import skb_of
from drybpf.maps import MapType
from drybpf.records import Clone, Redirect
from drybpf.state import Context

XDP_REDIRECT, XDP_ABORTED = 4, 0
TC_REDIRECT, TC_SHOT = 7, 2
INGRESS = 1  # BPF_F_INGRESS
ACTIONS = 3  # the verdict in the flags of a redirect by a map, for a slot that is empty
BROADCAST, EXCLUDE_INGRESS = 8, 16
_NEIGHBOUR = 20  # bytes of a struct bpf_redir_neigh
DEVICES = (MapType.DEVMAP, MapType.DEVMAP_HASH)


def redirect(context: Context, ifindex: int, flags: int, *_: int) -> int:
    """Send the packet out of an interface, or into it; the verdict that says so.

    With unknown flags nothing is recorded, and the verdict drops the packet.
    """
    if context.state.hook.program_type == "xdp":
        if flags:
            return XDP_ABORTED
        context.record(Redirect("redirect", u32(ifindex)))
        return XDP_REDIRECT
    if flags & ~INGRESS:
        return TC_SHOT
    context.record(Redirect("redirect", u32(ifindex), flags))
    return TC_REDIRECT


def redirect_map(context: Context, handle: int, key: int, flags: int, *_: int) -> int:
    """Send the packet where a map's slot says; the verdict that says so.

    Where the slot is empty, the verdict is that in the low two bits of the flags.
    """
    targets = map_of(context, handle)
    kind = targets.definition.type
    allowed = ACTIONS | (BROADCAST | EXCLUDE_INGRESS if kind in DEVICES else 0)
    if flags & ~allowed:
        return XDP_ABORTED
    value = slot(targets, u32(key))
    if value is None and not flags & BROADCAST:
        return flags & ACTIONS
    name = targets.definition.name
    ifindex = int.from_bytes(value[:4], "little") if value and kind in DEVICES else 0
    context.record(Redirect("redirect_map", ifindex, flags, name, u32(key), value or b""))
    return XDP_REDIRECT


def slot(targets: Any, key: int) -> bytes | None:  # noqa: ANN401 (a map)
    """What a slot of a map of devices, CPUs or sockets holds; None where it is empty."""
    offset: int = targets.lookup_element(key.to_bytes(4, "little"))
    size: int = targets.definition.value_size
    return None if offset < 0 else bytes(targets.store.buffer[offset : offset + size])


def clone_redirect(context: Context, _skb: int, ifindex: int, flags: int, *_: int) -> int:
    """Send a copy of the packet out of an interface, or into it; 0 or -EINVAL."""
    if flags & ~INGRESS or not context.host.has_interface(u32(ifindex)):
        return -EINVAL
    skb = skb_of(context)
    context.record(Clone(u32(ifindex), flags, skb.hidden + whole_packet(context)))
    return 0


def redirect_peer(context: Context, ifindex: int, flags: int, *_: int) -> int:
    """Send the packet into the other end of a pair of interfaces; the verdict that says so."""
    if flags:
        return TC_SHOT
    context.record(Redirect("redirect_peer", u32(ifindex)))
    return TC_REDIRECT


def redirect_neigh(
    context: Context, ifindex: int, parameters: int, size: int, flags: int, *_: int
) -> int:
    """Send the packet out of an interface, to a neighbour; the verdict that says so."""
    size = s32(size)
    data = context.read(parameters, size) if size > 0 else b""
    if flags or 0 < size < _NEIGHBOUR or size < 0:
        return TC_SHOT
    context.record(Redirect("redirect_neigh", u32(ifindex), next_hop=_next_hop(data)))
    return TC_REDIRECT


def _next_hop(data: bytes) -> str:
    """The address in a `struct bpf_redir_neigh`; empty where there is none."""
    family = int.from_bytes(data[:4], "little")
    if family == 2:
        return str(ip_address(data[4:8]))
    return str(ip_address(data[4:20])) if family == 10 else ""
