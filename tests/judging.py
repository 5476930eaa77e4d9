"""The kernel as judge: a program on interpreter, JIT and kernel, with the same packets and maps.

Each engine has an object of its own, so that contents of maps and variables can be compared after
every run, not only verdict and packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import drybpf
from drybpf.engine import Engine
from drybpf.host import Host
from drybpf.kernel import cpus
from drybpf.maps import BloomFilter, Event, Map, MapType, PerfEventArray
from drybpf.objects import Object
from drybpf.result import Result
from support import fixture

OURS: tuple[Engine, ...] = ("interpreter", "jit")
THINGS = frozenset(
    {MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.HASH_OF_MAPS, MapType.CGROUP_ARRAY}
)
TELLABLE = ("mark", "priority", "ingress_ifindex", "ifindex", "cb", "tstamp", "wire_len")


class Judge:
    """One program of a fixture, on all engines."""

    def __init__(self, name: str, program: str, prepare: Callable[[Object], object] = id) -> None:
        """Load an object for each engine; `prepare` fills its maps."""
        self.program = program
        self.objects: dict[Engine, Object] = {}
        for engine in (*OURS, "kernel"):
            self.objects[engine] = drybpf.load(fixture(name), host=Host(cpus=cpus.possible()))
            prepare(self.objects[engine])

    def run(
        self,
        packet: bytes,
        *,
        cpu: int = 0,
        **fields: Any,  # noqa: ANN401 (of the hook)
    ) -> Result:
        """Run on every engine and compare all that can be seen; gives the interpreter's result."""
        results = {}
        for engine, each in self.objects.items():
            each.host.cpu = cpu
            results[engine] = each[self.program].run(packet, engine=engine, **fields)
        first, compiled, judged = (results[engine] for engine in (*OURS, "kernel"))
        _same("JIT", compiled, first)
        _same("r0", first.value & 0xFFFF_FFFF, judged.value)
        _same("packet", first.packet.hex(), judged.packet.hex())
        for name in TELLABLE:
            if name in judged.context:
                _same(name, first.context[name], judged.context[name])
        self.compare()
        return first

    def compare(self) -> None:
        """Compare what maps and variables hold."""
        wanted = contents(self.objects["kernel"])
        for engine in OURS:
            for name, found in contents(self.objects[engine]).items():
                _same(f"{name} of the {engine}", found, wanted[name])

    def change(self, change: Callable[[Object], Any]) -> list[Any]:
        """Change every engine's object in the same way; gives what the changes gave."""
        return [change(each) for each in self.objects.values()]

    def results(self) -> list[int]:
        """What the interpreter's program told in the map `results`."""
        found: list[int] = self.objects["interpreter"].maps["results"].snapshot()
        return found


def _same(what: str, found: object, wanted: object) -> None:
    assert found == wanted, f"{what}: {found!r} instead of {wanted!r}"


def contents(found: Object) -> dict[str, Any]:
    """Everything that the maps and variables of an object hold, but for what is an engine's own."""
    maps = {name: _contents(each) for name, each in found.maps.items()}
    return {name: each for name, each in maps.items() if each is not None} | dict(found.data)


def _contents(found: Map) -> object:
    if found.definition.type in THINGS or isinstance(found, BloomFilter):
        return None  # what they hold is compared by itself, or cannot be
    if isinstance(found, PerfEventArray):
        return [_padded(event) for event in found._contents()]
    snapshot = found.snapshot()
    if isinstance(snapshot, Mapping):
        return {key: _without_timer(value) for key, value in snapshot.items()}
    return [_without_timer(value) for value in snapshot]


def _padded(event: Event) -> Event:
    """The event as the kernel gives it: with zeros up to 8·n + 4 bytes."""
    return Event(event.cpu, event.data + bytes(-(len(event.data) + 4) % 8))


def _without_timer(value: Any) -> object:  # noqa: ANN401 (whatever the map shows)
    fields = getattr(value, "_fields", ())
    return {name: value[name] for name in fields if name != "timer"} if "timer" in fields else value
