"""Maps of prefixes: the value of the longest one that covers a key."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_network,
)
from typing import Any

from drybpf.maps import layout
from drybpf.maps.algorithms.trie import NODE
from drybpf.maps.definition import MapType
from drybpf.maps.keyed import KeyedMap
from drybpf.maps.storage import Areas

MAX_NODES = 1 << 27

_ADDRESSES = IPv4Address, IPv6Address
_NETWORKS = IPv4Network, IPv6Network
_INTERFACES = IPv4Interface, IPv6Interface
_MISSING: Any = object()
_VERSIONS = {4: 4, 16: 6}  # by the bytes of the data


class LpmMap(KeyedMap):
    """A mapping of prefixes.

    `map[key]`, `get` and `in` look up as programs do: the value of the longest prefix that covers
    the key.  Setting, deleting and iterating are about prefixes as they are.  Where the data of a
    key has 4 or 16 bytes, a key may be an address or network, as text or of `ipaddress`; those of
    programs whose data is something else pass bytes or what the codec takes.
    """

    TYPES = (MapType.LPM_TRIE,)

    def _lay_out(self, areas: Areas) -> dict[int, int]:
        words = super()._lay_out(areas)
        data = self.definition.key_size - 4
        # As many nodes as if no two prefixes shared one, and twice that for blocks not full.
        nodes = 2 * words[layout.CAPACITY] * (data * 8 // 6 + 2)
        nodes = min(nodes, MAX_NODES)
        return words | {layout.NODES: areas.add((nodes + 2) * NODE), layout.LAST_NODE: nodes + 1}

    def prefixes(self) -> list[Any]:
        """The prefixes as networks of `ipaddress`, in order; only where the data has 4 or 16 bytes.

        Bits behind a prefix's length, which the kernel keeps as they were given, are left out.
        """
        if self.definition.key_size - 4 not in _VERSIONS:
            raise TypeError(f"the keys of {self.name} are no addresses")
        return [
            ip_network((key[4:], int.from_bytes(key[:4], "little")), strict=False)
            for key in self.keys_in_order()
        ]

    def pop(self, key: Any, default: Any = _MISSING) -> Any:  # noqa: ANN401 (as codecs show it)
        """Take just this prefix out, for its value; without it the default, else `KeyError`."""
        offset = self._operate["exact"](self._packed_key(key), 0)
        if offset != layout.NOTHING:
            value = self._get(offset)
            del self[key]
            return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def _packed_key(self, key: Any) -> bytes:  # noqa: ANN401 (as codecs show it)
        version = _VERSIONS.get(self.definition.key_size - 4)
        if version and isinstance(key, (str, *_ADDRESSES, *_INTERFACES, *_NETWORKS)):
            if isinstance(key, _INTERFACES):
                key = key.network
            network = key if isinstance(key, _NETWORKS) else ip_network(key, strict=False)
            if network.version != version:
                raise ValueError(f"{key} is no IPv{version} prefix, as {self.name} wants")
            return network.prefixlen.to_bytes(4, "little") + network.network_address.packed
        return super()._packed_key(key)
