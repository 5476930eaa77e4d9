"""Maps: what programs and Python share, with the kernel's semantics.

layout, storage                  the bytes
algorithms, operations           what maps do, in restricted Python
calls, native                    run in CPython, run natively
base, and all others             what Python sees
"""

from drybpf.maps.array import ArrayMap
from drybpf.maps.base import Map
from drybpf.maps.codec import Codec, RawBytes
from drybpf.maps.create import create
from drybpf.maps.definition import MapDefinition, MapFlag, MapType
from drybpf.maps.keyed import HashMap
from drybpf.maps.lpm import LpmMap
from drybpf.maps.objects import ArrayOfMaps, HashOfMaps, ProgramArray
from drybpf.maps.queue import BloomFilter, QueueMap
from drybpf.maps.ring import Event, PerfEventArray, RingBuffer
from drybpf.maps.things import ThingMap

__all__ = [
    "ArrayMap",
    "ArrayOfMaps",
    "BloomFilter",
    "Codec",
    "Event",
    "HashMap",
    "HashOfMaps",
    "LpmMap",
    "Map",
    "MapDefinition",
    "MapFlag",
    "MapType",
    "PerfEventArray",
    "ProgramArray",
    "QueueMap",
    "RawBytes",
    "RingBuffer",
    "ThingMap",
    "create",
]
