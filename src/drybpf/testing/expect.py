"""What a run did, what a test expects of it, and how the two differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from drybpf.testing.difference import filled, map_difference, packet_difference
from drybpf.testing.packets import PacketBytes, as_bytes

if TYPE_CHECKING:
    from drybpf.result import Result

_ENTRIES, _LARGE = 8, 100_000  # entries of a map that are told, and that are looked through


class Outcome:
    """A run of a test: all that its `Result` has, and what the run was.

    `packet` is the packet afterwards, `sent` as it was before, `maps` are the object's, as they
    are now.  An outcome equals an `Expect` that it fulfils.
    """

    def __init__(
        self, result: Result, sent: PacketBytes, program: str, engine: str, maps: Mapping[str, Any]
    ) -> None:
        """Keep them together."""
        self.result, self.sent = result, sent
        self.program, self.engine, self.maps = program, engine, maps
        self.packet = PacketBytes(result.packet)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (whatever the result has)
        """What the result has: `action`, `value`, `printed`, `instructions`."""
        if name.startswith("__") or name == "result":
            raise AttributeError(name)
        return getattr(self.result, name)

    def __eq__(self, other: object) -> bool:
        """Whether an expectation is fulfilled; two outcomes compare by their results."""
        if isinstance(other, Expect):
            return not other.differences(self)
        return isinstance(other, Outcome) and self.result == other.result

    __hash__ = None  # type: ignore[assignment]  # it equals expectations, which differ

    @property
    def verdict(self) -> str:
        """`DROP (1)`, or the value where the hook has no verdicts."""
        return verdict(self.result.action, self.result.value)

    def describe(self) -> list[str]:
        """A few lines for a report."""
        what = f"{self.result.instructions} instructions, packet of {len(self.sent)} bytes"
        lines = [f"{self.program} on {self.engine}: {self.verdict}, {what}"]
        if self.packet != self.sent:
            lines += ["packet, before → after:", *packet_difference(self.sent, self.packet)]
        lines += [f"printed: {text}" for text in self.result.printed]
        return [*lines, *self._maps()]

    def _maps(self) -> Iterator[str]:
        """What is in the maps, as far as it is worth a line."""
        for name, each in self.maps.items():
            try:
                held = filled(each, _ENTRIES) if len(each) <= _LARGE else {}
            except (TypeError, AttributeError):  # a map without entries, such as a filter
                continue
            if held:
                more = ", …" if len(held) >= _ENTRIES else ""
                yield f"map {name}: {', '.join(f'{k!r}: {v!r}' for k, v in held.items())}{more}"

    def __repr__(self) -> str:
        """`<Outcome xdp_firewall: DROP (1)>`."""
        return f"<Outcome {self.program}: {self.verdict}>"


def verdict(action: object, value: int) -> str:
    """A verdict with its number."""
    name = getattr(action, "name", None)
    return f"{name} ({value})" if name else f"{value:#x}"


@dataclass(frozen=True)
class Expect:
    """What a run should come to; what is None is not compared.

    `action` is a verdict, its name or its number; `packet` anything that is a packet; `maps` has
    for each map's name the entries that it should have, no others; `check` is a function of the
    outcome.
    """

    action: object = None
    value: int | None = None
    packet: object = None
    printed: tuple[str, ...] | None = None
    max_instructions: int | None = None
    maps: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    check: Callable[[Outcome], bool] | None = None

    def differences(self, outcome: Outcome) -> list[str]:
        """What is not as it should be, as lines; empty where all is."""
        return list(self._differences(outcome))

    def _differences(self, outcome: Outcome) -> Iterator[str]:
        if self.action is not None and not _same_action(self.action, outcome):
            wanted = getattr(self.action, "name", self.action)
            yield f"verdict: {outcome.verdict}, expected {wanted}"
        if self.value is not None and outcome.result.value != self.value:
            yield f"r0: {outcome.result.value:#x}, expected {self.value:#x}"
        if self.packet is not None:
            lines = packet_difference(outcome.packet, as_bytes(self.packet))
            if lines:
                yield "packet, as it is → as expected:"
                yield from lines
        if self.printed is not None and outcome.result.printed != tuple(self.printed):
            yield f"printed: {outcome.result.printed!r}, expected {tuple(self.printed)!r}"
        most = self.max_instructions
        if most is not None and outcome.result.instructions > most:
            yield f"instructions: {outcome.result.instructions}, at most {most} are allowed"
        for name, entries in self.maps.items():
            lines = map_difference(outcome.maps[name], entries)
            if lines:
                yield f"map {name}, as it is → as expected:"
                yield from lines
        if self.check is not None and not self.check(outcome):
            yield f"check: {getattr(self.check, '__name__', self.check)} does not hold"

    def __eq__(self, other: object) -> bool:
        """Whether an outcome fulfils it."""
        if isinstance(other, Outcome):
            return not self.differences(other)
        return self is other

    __hash__ = None  # type: ignore[assignment]  # it equals outcomes

    def __repr__(self) -> str:
        """`Expect(action='DROP')`."""
        given = {name: value for name, value in vars(self).items() if value not in (None, {})}
        if self.packet is not None:
            given["packet"] = as_bytes(self.packet)  # shown shortened
        return f"Expect({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _same_action(wanted: object, outcome: Outcome) -> bool:
    if isinstance(wanted, str):
        name = getattr(outcome.result.action, "name", "")
        return name == wanted.upper().removeprefix("XDP_").removeprefix("TC_ACT_")
    if outcome.result.action is None:
        return bool(outcome.result.value == wanted)
    return bool(outcome.result.action == wanted)
