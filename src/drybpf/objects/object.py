"""A loaded object file: programs, maps and variables by name."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from drybpf.errors import BpfError, MapError, ObjectError
from drybpf.helpers import Helpers
from drybpf.helpers.kernel import kernel_helpers
from drybpf.helpers.kfuncs import helper_number
from drybpf.host import Host
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.objects.binding import bind
from drybpf.objects.data import Data, Section
from drybpf.objects.externs import KCONFIG
from drybpf.objects.loader import BtfSource, ObjectFile, ProgramTypes, read_object
from drybpf.objects.map_sources import MapSource
from drybpf.objects.memory_functions import MEMORY_FUNCTIONS
from drybpf.objects.namespace import Namespace
from drybpf.objects.obstacles import Faults
from drybpf.objects.options import option_source
from drybpf.objects.programs import ObjectProgram
from drybpf.objects.resolver import Resolver
from drybpf.space import Space
from drybpf.state import Helper

if TYPE_CHECKING:
    from drybpf.objects.btf import Btf

_SHAPE = ("type", "key_size", "value_size")  # what a program relies on
_PAGE = 4096  # bytes


class Object:
    """A loaded object file: its programs by name, which share maps, data, helpers and host.

    `obj["parser"]` and `obj.programs.parser` are the same program.  `maps` and `data` are what
    the programs share, `file` is what stands in the file, `unsupported` what is not supported.
    """

    def __init__(
        self,
        file: ObjectFile,
        *,
        helpers: Helpers | None = None,
        host: Host | None = None,
        space: Space | None = None,
        maps: Mapping[str, Map] | None = None,
        kconfig: Mapping[str, object] | None = None,
        kfuncs: Mapping[str, Helper] | None = None,
    ) -> None:
        """Place the data of a file, make its maps; a program is linked when it is asked for."""
        for name, given in (maps or {}).items():
            if not isinstance(given, Map):
                raise TypeError(f"maps: a Map is wanted for {name!r}, not {type(given).__name__}")
        self.file = file
        self.helpers = Helpers(parent=helpers)
        for name, function in {**MEMORY_FUNCTIONS, **(kfuncs or {})}.items():
            if name in (kfuncs or {}) or helper_number(name) not in self.helpers:
                self.helpers.register(name, function)
        self.host = host or Host()
        self.space = space or _space_of(maps or {}) or Space()
        self._faults = Faults(self.helpers)
        self._filled = False
        options, unknown = option_source(file.options, kconfig or {}, self.host)
        sources = [*file.data, *([options] if options.size else [])]
        self._sections = {source.section: Section(source, self.space) for source in sources}
        self.data = Data(self._sections.values())
        for name in maps or {}:
            if name not in file.maps:
                there = ", ".join(file.maps) or "none"
                raise ValueError(f"maps: the object has no map {name!r}; it has {there}")
        self._failed: dict[str, str] = {}
        self._null: dict[str, str] = {}  # pointers in data sections that cannot be given
        self._maps: dict[str, Map] = {}
        self._own: set[str] = set()  # the names of maps that are not another's, too
        for source in file.maps.values():
            found = self._map(source, maps or {})
            if isinstance(found, str):
                self._failed[source.name] = found
            else:
                self._maps[source.name] = found
        # Which class of maps one is, and so what it can do, is not known before.
        self.maps: Namespace[Any] = Namespace(self._maps, self._filled_map, "map")
        for name, source in file.maps.items():
            held = {slot: self._maps.get(inner) for slot, inner in source.maps.items()}
            if name in self._own:
                self._put(name, {slot: inner for slot, inner in held.items() if inner is not None})
        self._resolver = self._resolve(unknown)
        self.programs: Namespace[ObjectProgram] = Namespace(file.programs, self._bind, "program")

    @property
    def name(self) -> str:
        """The file's name, without directory and ending."""
        return self.file.name

    @property
    def license(self) -> str:
        """What the section `license` says, such as `GPL`; empty where there is none."""
        return self.file.license

    @property
    def btf(self) -> Btf | None:
        """The types of the object; None where it has none."""
        return self.file.btf

    @property
    def unsupported(self) -> tuple[str, ...]:
        """What is not supported, a sentence each, the program's name before what is only its."""
        maps = [f"map {name!r}: {why}" for name, why in self._failed.items()]
        maps += [f"{place} {why}" for place, why in self._null.items()]
        programs = [
            f"{name}: {obstacle}"
            for name, program in self.programs.items()
            for obstacle in program.obstacles
        ]
        return (*maps, *programs)

    def reset(self) -> None:
        """Bring maps and data back to their first content.

        Maps that are shared with other objects are emptied for these, too.  Constant data that
        has been frozen by a run stays as it is.
        """
        self._fill()
        self.data.reset()
        for found in self._maps.values():
            found.reset()

    def _map(self, source: MapSource, given: Mapping[str, Map]) -> Map | str:
        """The map for a definition: given, pinned by another object, or new; else why not."""
        definition = source.definition
        if definition.name in given:
            found = given[definition.name]
            if why := _difference(found.definition, definition, _SHAPE):
                raise ValueError(f"maps: {definition.name!r} {why}")
            self.space.add_map(found)
            return found
        pinned = _pinned(definition.name, self.space) if definition.pinned else None
        if pinned is not None:
            if why := _difference(pinned.definition, definition, (*_SHAPE, "max_entries", "flags")):
                raise ObjectError(f"the pinned map {definition.name!r} {why}")
            return pinned
        try:
            created: Map = Map.create(_fitted(definition), cpus=self.host.cpus)
        except (ValueError, BpfError) as error:
            return f"{error}; give load(..., maps={{{definition.name!r}: Map.create(…)}})"
        self.space.add_map(created)
        self._own.add(definition.name)
        return created

    def _resolve(self, unknown: frozenset[str]) -> Resolver:
        places: dict[tuple[int, int], int | str] = {
            (source.section, source.offset): (
                self._failed[name] if name in self._failed else self._maps[name].handle
            )
            for name, source in self.file.maps.items()
        }
        section = self.data.sections.get(KCONFIG)
        options = section.addresses if section else {}
        symbols = {name: address for address, name in self.host.symbols.items()}
        functions = self.helpers.over(kernel_helpers())
        resolver = Resolver(self._sections, places, options, unknown, symbols, functions)
        for data in self._sections.values():
            for pointer in data.source.pointers:
                value = resolver.pointer(pointer)
                if isinstance(value, str):
                    self._null[f"{data.name}+{pointer.offset}"] = value
                    value = 0  # the file has the addend there
                data.put(pointer.offset, value.to_bytes(pointer.size, "little"))
        return resolver

    def _bind(self, name: str) -> ObjectProgram:
        linked = self.file.programs[name]
        bound = bind(linked, self._resolver, self._faults)
        return ObjectProgram(
            linked,
            bound,
            helpers=self.helpers,
            host=self.host,
            space=self.space,
            prepare=self._prepare,
            license=self.license,
        )

    def _prepare(self, *, run: bool = True) -> None:
        """What must have happened when a program runs: arrays filled, constants constant."""
        self._fill()
        for section in self._sections.values() if run else ():
            section.freeze()

    def _filled_map(self, name: str) -> Map:
        self._fill()
        return self._maps[name]

    def _fill(self) -> None:
        """Put programs into program arrays: late, since they have to be linked for that."""
        if self._filled:
            return
        self._filled = True
        for name, slots in self.file.filling.items():
            self._put(name, {slot: self.programs[program] for slot, program in slots.items()})

    def _put(self, name: str, contents: Mapping[int, object]) -> None:
        """Put into a map what the object says is in it from the beginning."""
        if name not in self._maps or not contents:
            return
        filled: Any = self._maps[name]  # each class of maps has its own ways to be filled
        try:
            for slot, value in contents.items():
                filled[slot] = value
        except (ValueError, TypeError, IndexError, MapError) as error:
            raise ObjectError(f"map {name!r}: {error}") from error
        if name in self._own:
            filled.keep()

    def __getitem__(self, name: str) -> ObjectProgram:
        """The program of that name; a `KeyError` names those that there are."""
        return self.programs[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a program of that name."""
        return name in self.programs

    def __iter__(self) -> Iterator[str]:
        """The names of the programs, in the order of the file."""
        return iter(self.programs)

    def __len__(self) -> int:
        """How many programs there are."""
        return len(self.programs)

    def __repr__(self) -> str:
        """`<Object firewall: 1 program: xdp_firewall>`."""
        return f"<Object {self.name}: {repr(self.programs)[1:]}"


def _space_of(maps: Mapping[str, Map]) -> Space | None:
    """The space that maps to be shared are in already."""
    return next((found.space for found in maps.values() if found.space is not None), None)


def _pinned(name: str, space: Space) -> Map | None:
    """The map of that name that another object has pinned."""
    for found in space.maps.values():
        if isinstance(found, Map) and found.definition.pinned and found.name == name:
            return found
    return None


def _fitted(definition: MapDefinition) -> MapDefinition:
    """As libbpf does it, a ring buffer's size is rounded up to a power of two of pages."""
    rings = MapType.RINGBUF, MapType.USER_RINGBUF
    if definition.type not in rings or definition.max_entries <= 0:
        return definition
    size = max(_PAGE, 1 << (definition.max_entries - 1).bit_length())
    return replace(definition, max_entries=size)


def _difference(there: MapDefinition, wanted: MapDefinition, names: Iterable[str]) -> str:
    """How a map differs from what the object wants; empty where it fits."""
    for name in names:
        has, wants = getattr(there, name), getattr(wanted, name)
        if has != wants:
            shown = [getattr(value, "name", value) for value in (has, wants)]
            return f"has {name} {shown[0]}, the object wants {shown[1]}"
    return ""


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    types: ProgramTypes = None,
    helpers: Helpers | None = None,
    host: Host | None = None,
    space: Space | None = None,
    maps: Mapping[str, Map] | None = None,
    kconfig: Mapping[str, object] | None = None,
    kfuncs: Mapping[str, Helper] | None = None,
    btf: BtfSource = None,
) -> Object:
    """Load an object file from its path or its bytes, with its programs ready to run.

    `types` overrides the program types that the section names stand for: one type for all
    programs, or types by the names of programs or sections.  `maps` are used in place of the
    object's own of these names; maps of another object go with its `space`, in which maps that
    are pinned by name are shared by themselves.  `kconfig` gives the kernel's options, `kfuncs`
    Python functions for the kernel's by name, called as helpers are.  `btf` are the types that
    CO-RE makes the programs fit: a file, its bytes, or `"kernel"` for the running kernel's; None
    are the object's own.

    Raises `ObjectError` where the file cannot be read or is malformed, `ValueError` for a name
    that is not there or a map or value that does not fit.
    """
    return Object(
        read_object(source, types=types, btf=btf),
        helpers=helpers,
        host=host,
        space=space,
        maps=maps,
        kconfig=kconfig,
        kfuncs=kfuncs,
    )
