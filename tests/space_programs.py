"""Programs over maps: one space and program for each engine, all results compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drybpf.errors import ExecutionError
from drybpf.hooks import HOOKS
from drybpf.host import Host
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.maps.limits import NEEDED
from drybpf.program import Program
from drybpf.result import Result
from drybpf.space import Space

ENGINES = ("interpreter", "jit")
T = TypeVar("T")
Outcome = tuple[Result | None, tuple[str, str, int]]


class Twins:
    """A program with maps of its own on each engine; `{name}` in its text is a map's handle."""

    def __init__(
        self,
        text: str,
        hook: str = "xdp",
        prepare: Callable[[Host], object] | None = None,
        **maps: tuple[MapType, int, int, int],
    ) -> None:
        """Make maps by name: type, bytes of key and value, entries."""
        self.maps: list[dict[str, Any]] = []
        self.programs: list[Program] = []
        for engine in ENGINES:
            host = Host()
            if prepare is not None:
                prepare(host)
            space, made = Space(), {}
            for name, (kind, key, value, entries) in maps.items():
                flags = NEEDED.get(kind, 0)
                made[name] = Map.create(MapDefinition(name, kind, key, value, entries, flags))
                space.add_map(made[name])
            handles = {name: each.handle for name, each in made.items()}
            self.programs.append(
                Program.from_asm(
                    text.format(**handles),
                    hook=HOOKS[hook],
                    host=host,
                    space=space,
                    engine=engine,
                )
            )
            self.maps.append(made)

    def run(self, packet: bytes = bytes(64), **fields: Any) -> Result:  # noqa: ANN401 (the hook's own)
        """Run on both and compare; gives the result, raises the fault."""
        outcomes: list[Outcome] = []
        faults: list[ExecutionError] = []
        for program in self.programs:
            try:
                outcomes.append((program.run(packet, **fields), ("", "", -1)))
            except ExecutionError as fault:
                faults.append(fault)
                outcomes.append((None, (type(fault).__name__, str(fault), fault.pc)))
        assert outcomes[0] == outcomes[1]
        if faults:
            raise faults[0]
        result = outcomes[0][0]
        assert result is not None
        return result

    def each(self, look: Callable[[dict[str, Any]], T]) -> T:
        """What both engines' maps show, which must be the same."""
        first, second = (look(made) for made in self.maps)
        assert first == second
        return first
