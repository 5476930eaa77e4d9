"""What the network card knows of an XDP program's packet."""

from __future__ import annotations

from drybpf.helpers.errno import ENODEV, EOPNOTSUPP
from drybpf.state import Context


def bpf_xdp_metadata_rx_timestamp(context: Context, _xdp: int, to: int, *_: int) -> int:
    """When the card received the packet; -EOPNOTSUPP where the host does not say."""
    context.memory.check(to, 8, write=True)
    when = context.host.card.timestamp
    if when is None:
        return -EOPNOTSUPP
    context.memory.store(to, 8, when)
    return 0


def bpf_xdp_metadata_rx_hash(context: Context, _xdp: int, to: int, kind: int, *_: int) -> int:
    """The card's hash of the packet and its kind."""
    context.memory.check(to, 4, write=True)
    context.memory.check(kind, 4, write=True)
    if context.host.card.hash is None:
        return -EOPNOTSUPP
    context.memory.store(to, 4, context.host.card.hash)
    context.memory.store(kind, 4, context.host.card.hash_type)
    return 0


def bpf_xdp_metadata_rx_vlan_tag(
    context: Context, _xdp: int, protocol: int, tag: int, *_: int
) -> int:
    """The VLAN tag that the card took off; -ENODEV where there was none."""
    context.memory.check(protocol, 2, write=True)
    context.memory.check(tag, 2, write=True)
    card = context.host.card
    if card.vlan is None:
        return -EOPNOTSUPP if card.timestamp is None and card.hash is None else -ENODEV
    context.write(protocol, card.vlan[0].to_bytes(2, "big"))
    context.memory.store(tag, 2, card.vlan[1])
    return 0
