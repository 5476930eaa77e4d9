"""A program's twin in the kernel, with the maps, data sections and programs that it needs there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from drybpf.code import Code
from drybpf.errors import KernelError
from drybpf.kernel import holders
from drybpf.kernel.btf import special_members
from drybpf.kernel.maps import KernelMap
from drybpf.kernel.mirror import Array, Keyed, Mirror
from drybpf.kernel.programs import KernelProgram
from drybpf.kernel.relocation import relocate
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from drybpf.memory import SLOT_BITS, Region

if TYPE_CHECKING:
    from drybpf.space import Space

_KEY = bytes(4)  # of the one value of a section's map
_MIRRORS: dict[MapType, type[Mirror]] = {
    MapType.ARRAY: Array,
    MapType.PERCPU_ARRAY: Array,
    MapType.QUEUE: holders.Queue,
    MapType.STACK: holders.Queue,
    MapType.BLOOM_FILTER: holders.Bloom,
    MapType.RINGBUF: holders.Ring,
    MapType.PERF_EVENT_ARRAY: holders.Perf,
}
_THINGS: dict[MapType, type[holders.Things]] = {
    MapType.PROG_ARRAY: holders.Things,
    MapType.ARRAY_OF_MAPS: holders.Things,
    MapType.HASH_OF_MAPS: holders.Things,
    MapType.DEVMAP: holders.Numbers,
    MapType.DEVMAP_HASH: holders.Numbers,
    MapType.CPUMAP: holders.Numbers,
    MapType.XSKMAP: holders.Sockets,
    MapType.SOCKMAP: holders.Unfilled,
    MapType.SOCKHASH: holders.Unfilled,
    MapType.CGROUP_ARRAY: holders.Unfilled,
    MapType.REUSEPORT_SOCKARRAY: holders.Unfilled,
    MapType.STACK_TRACE: holders.Unfilled,
}


@dataclass(frozen=True, slots=True)
class Kind:
    """How programs are loaded: type, licence, flags."""

    type: int
    license: str = "GPL"
    flags: int = 0


class Twin:
    """What a program needs in the kernel, made when it is first needed."""

    def __init__(self, kind: Kind) -> None:
        """Begin with nothing."""
        self._kind = kind
        self._mirrors: dict[int, Mirror] = {}  # by the id of our map, which the mirror keeps
        self._order: list[Mirror] = []
        self._sections: dict[int, _Section] = {}  # by the id of our region
        self._programs: dict[int, tuple[Code, KernelProgram]] = {}  # by the id of our code

    def program(self, code: Code, space: Space) -> KernelProgram:
        """The program of some code, loaded.  Raises `KernelError`."""
        known = self._programs.get(id(code))
        if known is None:
            loaded = KernelProgram(
                relocate(code, _Descriptors(self, space)),
                self._kind.type,
                name=code.name,
                license=self._kind.license,
                functions=code.functions,
                flags=self._kind.flags,
            )
            known = self._programs[id(code)] = code, loaded
        return known[1]

    def map(self, ours: Map) -> KernelMap:
        """The twin of a map.  Raises `KernelError` where it can have none."""
        if id(ours) not in self._mirrors:
            mirror = self._mirror(ours)
            self._mirrors[id(ours)] = mirror
            self._order.append(mirror)
        return self._mirrors[id(ours)].theirs

    def section(self, region: Region) -> KernelMap:
        """The array that stands for a data section."""
        if id(region) not in self._sections:
            self._sections[id(region)] = _Section(region)
        return self._sections[id(region)].map

    def _mirror(self, ours: Map) -> Mirror:
        definition = ours.definition
        kind = definition.type
        # Flags against user space would keep us from filling it.
        flags = definition.flags & ~(MapFlag.RDONLY | MapFlag.WRONLY)
        wanted = replace(definition, flags=flags)
        special = special_members(definition.value)
        if kind == MapType.USER_RINGBUF:
            raise KernelError(f"map {ours.name!r}: user ring buffers are not brought to the kernel")
        if kind not in (MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS):
            theirs = KernelMap(wanted, special=special)
        else:
            with KernelMap(_inner(ours)) as inner:
                theirs = KernelMap(wanted, inner=inner)
        try:
            if kind in _THINGS:
                return _THINGS[kind](ours, theirs, self._find)
            return _MIRRORS.get(kind, Keyed)(ours, theirs)
        except KernelError:
            theirs.close()
            raise

    def _find(self, thing: Any) -> int:  # noqa: ANN401 (what a map holds: a map or a program)
        if isinstance(thing, Map):
            return self.map(thing).fd
        return self.program(thing.code, thing.space).fd

    @property
    def outdated(self) -> bool:
        """Whether a constant of the programs has changed, so that they must be loaded anew."""
        return any(section.outdated for section in self._sections.values())

    def push(self) -> None:
        """Make the kernel's contents those of ours."""
        for mirror in self._order:  # grows while it is walked: what a map holds comes behind it
            mirror.push()
        for section in self._sections.values():
            section.push()

    def pull(self) -> None:
        """Make our contents those of the kernel."""
        for mirror in self._order:
            mirror.pull()
        for section in self._sections.values():
            section.pull()

    def close(self) -> None:
        """Let everything in the kernel go."""
        for _, program in self._programs.values():
            program.close()
        for mirror in self._order:
            mirror.close()
        for section in self._sections.values():
            section.map.close()
        self._programs.clear()
        self._mirrors.clear()
        self._order.clear()
        self._sections.clear()


class _Section:
    """A data section: an array of one value; a read-only one is frozen, and so constant."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._constant = not region.writable
        definition = MapDefinition(region.name, MapType.ARRAY, 4, region.length, 1)
        self.map = KernelMap(definition, flags=MapFlag.RDONLY_PROG if self._constant else 0)
        self._known = bytes(region.length)
        self.push()
        if self._constant:
            self.map.freeze()

    @property
    def outdated(self) -> bool:
        """Whether Python has changed what the kernel holds for constant."""
        return self._constant and self._known != self.region.data

    def push(self) -> None:
        data = bytes(self.region.data)
        if data != self._known:
            self.map.update(_KEY, data)
            self._known = data

    def pull(self) -> None:
        if not self._constant:
            self._known = self.map.lookup(_KEY) or self._known
            if self._known != self.region.data:
                self.region.data[:] = self._known


@dataclass(frozen=True)
class _Descriptors:
    """The descriptors for the references of a space."""

    twin: Twin
    space: Space

    def map(self, handle: int) -> int:
        ours = self.space.maps.get(handle)
        if ours is None:
            raise KernelError(f"no map has the handle {handle:#x}")
        return self.twin.map(cast("Map", ours)).fd

    def value(self, address: int) -> tuple[int, int] | None:
        for region in self.space.slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            for ours in self.space.maps.values():
                if ours.region is region:
                    if ours.definition.max_entries != 1:
                        raise KernelError(
                            f"map {ours.definition.name!r}: the kernel knows addresses of values "
                            "in arrays of one value only"
                        )
                    return self.twin.map(cast("Map", ours)).fd, offset
            return self.twin.section(region).fd, offset
        return None


def _inner(ours: Map) -> MapDefinition:
    """What the maps look like that a map of maps holds."""
    definition = ours.definition.inner or next(_held(ours), None)
    if definition is None:
        raise KernelError(f"map {ours.name!r}: it is not known what maps it holds")
    return definition


def _held(ours: Map) -> Iterator[MapDefinition]:
    yield from (inner.definition for inner in ours.snapshot().values())
