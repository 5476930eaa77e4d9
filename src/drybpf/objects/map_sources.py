"""What an object file says of a map, whichever way it says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from drybpf.maps.definition import MapDefinition

Contents = Mapping[int, str]


@dataclass(frozen=True)
class MapSource:
    """A map and its place: byte `offset` of the section with index `section`.

    `maps` and `programs` are what it holds from the beginning, names by index.  `id` is the number
    that iproute2 and Cilium give it, None where it has none.
    """

    definition: MapDefinition
    section: int
    offset: int
    maps: Contents = field(default_factory=lambda: MappingProxyType({}))
    programs: Contents = field(default_factory=lambda: MappingProxyType({}))
    id: int | None = None

    @property
    def name(self) -> str:
        """The map's name."""
        return self.definition.name
