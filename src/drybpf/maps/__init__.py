"""Maps: what programs and Python share, with the kernel's semantics.

layout, storage                  the bytes
algorithms, operations           what maps do, in restricted Python
calls, native                    run in CPython, run natively
base, percpu, keyed, array       what Python sees
"""

from drybpf.maps.array import ArrayMap
from drybpf.maps.base import Map
from drybpf.maps.codec import Codec, RawBytes
from drybpf.maps.definition import MapDefinition, MapFlag, MapType
from drybpf.maps.keyed import HashMap

__all__ = [
    "ArrayMap",
    "Codec",
    "HashMap",
    "Map",
    "MapDefinition",
    "MapFlag",
    "MapType",
    "RawBytes",
]
