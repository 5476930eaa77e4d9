"""Maps: what programs and Python share, with the kernel's semantics."""

from drybpf.maps.codec import Codec, RawBytes
from drybpf.maps.definition import MapDefinition, MapType

__all__ = ["Codec", "MapDefinition", "MapType", "RawBytes"]
