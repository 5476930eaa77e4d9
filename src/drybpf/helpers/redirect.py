"""Sending packets elsewhere: recorded, and told by the verdict."""

from __future__ import annotations

from typing import Any

from drybpf.helpers.arguments import map_of, u32
from drybpf.maps import MapType
from drybpf.records import Redirect
from drybpf.state import Context

_XDP_REDIRECT, _XDP_ABORTED = 4, 0
_TC_REDIRECT, _TC_SHOT = 7, 2
_INGRESS = 1  # BPF_F_INGRESS
_ACTIONS = 3  # the verdict in the flags of a redirect by a map, for a slot that is empty
_BROADCAST, _EXCLUDE_INGRESS = 8, 16
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
