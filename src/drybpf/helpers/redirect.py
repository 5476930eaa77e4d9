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

_XDP_REDIRECT, _XDP_ABORTED = 4, 0
_TC_REDIRECT, _TC_SHOT = 7, 2
_INGRESS = 1  # BPF_F_INGRESS
_ACTIONS = 3  # the verdict in the flags of a redirect by a map, for a slot that is empty
_BROADCAST, _EXCLUDE_INGRESS = 8, 16
_NEIGHBOUR = 20  # bytes of a struct bpf_redir_neigh
_DEVICES = (MapType.DEVMAP, MapType.DEVMAP_HASH)


def redirect(context: Context, ifindex: int, flags: int, *_: int) -> int:
    """Send the packet out of an interface, or into it; the verdict that says so.

    With unknown flags nothing is recorded, and the verdict drops the packet.
    """
    if context.state.hook.program_type == "xdp":
        if flags:
            return _XDP_ABORTED
        context.record(Redirect("redirect", u32(ifindex)))
        return _XDP_REDIRECT
    if flags & ~_INGRESS:
        return _TC_SHOT
    context.record(Redirect("redirect", u32(ifindex), flags))
    return _TC_REDIRECT


def redirect_map(context: Context, handle: int, key: int, flags: int, *_: int) -> int:
    """Send the packet where a map's slot says; the verdict that says so.

    Where the slot is empty, the verdict is that in the low two bits of the flags.
    """
    targets = map_of(context, handle)
    kind = targets.definition.type
    allowed = _ACTIONS | (_BROADCAST | _EXCLUDE_INGRESS if kind in _DEVICES else 0)
    if flags & ~allowed:
        return _XDP_ABORTED
    value = _slot(targets, u32(key))
    if value is None and not flags & _BROADCAST:
        return flags & _ACTIONS
    name = targets.definition.name
    ifindex = int.from_bytes(value[:4], "little") if value and kind in _DEVICES else 0
    context.record(Redirect("redirect_map", ifindex, flags, name, u32(key), value or b""))
    return _XDP_REDIRECT


def _slot(targets: Any, key: int) -> bytes | None:  # noqa: ANN401 (a map)
    """What a slot of a map of devices, CPUs or sockets holds; None where it is empty."""
    offset: int = targets.lookup_element(key.to_bytes(4, "little"))
    size: int = targets.definition.value_size
    return None if offset < 0 else bytes(targets.store.buffer[offset : offset + size])


def clone_redirect(context: Context, _skb: int, ifindex: int, flags: int, *_: int) -> int:
    """Send a copy of the packet out of an interface, or into it; 0 or -EINVAL."""
    if flags & ~_INGRESS or not context.host.has_interface(u32(ifindex)):
        return -EINVAL
    skb = skb_of(context)
    context.record(Clone(u32(ifindex), flags, skb.hidden + whole_packet(context)))
    return 0


def redirect_peer(context: Context, ifindex: int, flags: int, *_: int) -> int:
    """Send the packet into the other end of a pair of interfaces; the verdict that says so."""
    if flags:
        return _TC_SHOT
    context.record(Redirect("redirect_peer", u32(ifindex)))
    return _TC_REDIRECT


def redirect_neigh(
    context: Context, ifindex: int, parameters: int, size: int, flags: int, *_: int
) -> int:
    """Send the packet out of an interface, to a neighbour; the verdict that says so."""
    size = s32(size)
    data = context.read(parameters, size) if size > 0 else b""
    if flags or 0 < size < _NEIGHBOUR or size < 0:
        return _TC_SHOT
    context.record(Redirect("redirect_neigh", u32(ifindex), next_hop=_next_hop(data)))
    return _TC_REDIRECT


def _next_hop(data: bytes) -> str:
    """The address in a `struct bpf_redir_neigh`; empty where there is none."""
    family = int.from_bytes(data[:4], "little")
    if family == 2:
        return str(ip_address(data[4:8]))
    return str(ip_address(data[4:20])) if family == 10 else ""
