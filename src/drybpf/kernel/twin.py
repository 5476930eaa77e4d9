"""A space's twin in the kernel: its maps, data sections and programs there, kept equal to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drybpf.code import Code
from drybpf.errors import KernelError
from drybpf.kernel.maps import KernelMap
from drybpf.kernel.programs import KernelProgram
from drybpf.kernel.relocation import relocate
from drybpf.maps import MapDefinition, MapType
from drybpf.maps.definition import MapFlag
from drybpf.memory import SLOT_BITS, Region
from drybpf.space import Placed

_KEY = bytes(4)  # of the one value of a section's map


@dataclass(frozen=True, slots=True)
class Kind:
    """How programs are loaded: type, licence, flags."""

    type: int
    license: str = "GPL"
    flags: int = 0


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


class Twin:
    """What the programs of a space need in the kernel, made when it is first needed."""

    def __init__(
        self, maps: Mapping[int, Placed], slots: Mapping[int, Sequence[Region]], kind: Kind
    ) -> None:
        """Begin with nothing.  `maps` by handle and regions by slot are the space's."""
        self._ours, self._slots, self._kind = maps, slots, kind
        self._maps: dict[int, KernelMap] = {}
        self._sections: dict[int, _Section] = {}
        self._programs: dict[int, tuple[Code, KernelProgram]] = {}

    def program(self, code: Code) -> KernelProgram:
        """The program of some code, loaded.  Raises `KernelError`."""
        known = self._programs.get(id(code))
        if known is None:
            bytecode = relocate(code, self)
            loaded = KernelProgram(
                bytecode,
                self._kind.type,
                name=code.name,
                license=self._kind.license,
                functions=code.functions,
                flags=self._kind.flags,
            )
            known = self._programs[id(code)] = code, loaded  # the code too: its id is the key
        return known[1]

    def map(self, handle: int) -> int:
        """The descriptor of a map's twin.  Raises `KernelError` where it can have none."""
        ours = self._ours.get(handle)
        if ours is None:
            raise KernelError(f"no map has the handle {handle:#x}")
        if handle not in self._maps:
            self._maps[handle] = KernelMap(ours.definition)
        return self._maps[handle].fd

    def value(self, address: int) -> tuple[int, int] | None:
        """Where the bytes at a guest address lie in the kernel: an array, and the offset in it."""
        for region in self._slots.get(address >> SLOT_BITS, ()):
            offset = address - region.start
            for handle, ours in self._ours.items():
                if ours.region is region:
                    index, inner = divmod(offset, ours.values.stride)
                    return self.map(handle), index * (-(-ours.values.size // 8) * 8) + inner
            if region.start not in self._sections:
                self._sections[region.start] = _Section(region)
            return self._sections[region.start].map.fd, offset
        return None

    @property
    def outdated(self) -> bool:
        """Whether a constant of the programs has changed, so that they must be loaded anew."""
        return any(section.outdated for section in self._sections.values())

    def push(self) -> None:
        """Make the kernel's contents those of ours."""
        for section in self._sections.values():
            section.push()

    def pull(self) -> None:
        """Make our contents those of the kernel."""
        for section in self._sections.values():
            section.pull()

    def close(self) -> None:
        """Let everything in the kernel go."""
        for _, program in self._programs.values():
            program.close()
        for each in (*self._maps.values(), *(section.map for section in self._sections.values())):
            each.close()
        self._programs.clear()
        self._maps.clear()
        self._sections.clear()
