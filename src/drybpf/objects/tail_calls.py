"""Which programs an object means to be in its program arrays from the beginning.

what says so                                             whose custom
`.values = {[1] = program}` in a BTF map                 libbpf
a tag `tail:MAP/SLOT` on the function                    Cilium, since 2025
a section `N/SLOT`: the array with the id N              iproute2, Cilium
a section `tail-SLOT`, `TYPE/SLOT` (socket, kprobe, …)   Open vSwitch; the kernel's samples

The last two go into the last program array of the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from drybpf.maps.definition import MapType
from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf
from drybpf.objects.map_sources import MapSource

_TAG = re.compile(r"tail:(\w+)/(\d+)")
_BY_ID = re.compile(r"(\d+)/(0x[0-9a-fA-F]+|\d+)")
_BY_SLOT = re.compile(r"(?:tail-|(?:socket|kprobe|xdp_prog|xdp|classifier|tc)/)(\d+)")

Filling = Mapping[str, Mapping[int, str]]


def fillings(maps: Sequence[MapSource], programs: Mapping[str, str], btf: Btf | None) -> Filling:
    """The names of programs by map and slot; `programs` are names of programs with sections."""
    arrays = [found for found in maps if found.definition.type == MapType.PROG_ARRAY]
    filled = {found.name: dict(found.programs) for found in arrays}
    sizes = {found.name: found.definition.max_entries for found in arrays}
    for array, slot, program in (*_tagged(btf, programs), *_by_section(arrays, programs)):
        if slot < sizes.get(array, 0):
            filled[array].setdefault(slot, program)
    return filled


def _tagged(btf: Btf | None, programs: Mapping[str, str]) -> Iterator[tuple[str, int, str]]:
    for tag in btf.types if btf else ():
        match = _TAG.fullmatch(tag.name) if isinstance(tag, t.DeclarationTag) else None
        if btf and match and isinstance(tag, t.DeclarationTag):
            name = btf.types[tag.target].name
            if name in programs:
                yield match[1], int(match[2]), name


def _by_section(
    arrays: Sequence[MapSource], programs: Mapping[str, str]
) -> Iterator[tuple[str, int, str]]:
    ids = {found.id: found.name for found in reversed(arrays) if found.id is not None}
    for name, section in programs.items():
        if match := _BY_ID.fullmatch(section):
            if int(match[1]) in ids:
                yield ids[int(match[1])], int(match[2], 0), name
        elif arrays and (match := _BY_SLOT.fullmatch(section)):
            yield arrays[-1].name, int(match[1]), name
