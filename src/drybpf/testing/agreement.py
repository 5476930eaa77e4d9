"""Whether two engines came to the same: what runs came to as plain data, and where two differ.

Plain data, since the halves of a test may have run in different processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, TypedDict

from drybpf.errors import ExecutionError, MemoryFault
from drybpf.testing.difference import packet_difference
from drybpf.testing.expect import Outcome

Facts = dict[str, str]  # what is told of a run, by what it is
_GIVEN, _PACKET = "given", "packet"
_LONGEST = 4096  # characters of a fact; longer ones are told apart by a digest


@dataclass(frozen=True, slots=True)
class Attempt:
    """A run of a test: what it was given, and what it came to."""

    program: str
    sent: bytes
    fields: Mapping[str, Any]
    end: Outcome | ExecutionError

    def facts(self) -> Facts:
        """All that engines must agree on."""
        # Of what is no plain value only the type: functions show where they lie in memory.
        fields = {
            name: value if isinstance(value, int | str | bytes | tuple) else type(value).__name__
            for name, value in self.fields.items()
        }
        given = f"{self.program}, {_short(repr(fields))}, {_hex(self.sent)}"
        end = self.end
        if isinstance(end, ExecutionError):
            fault = f"{type(end).__name__} at insn {end.pc} of {end.code}"
            if isinstance(end, MemoryFault):
                fault += f": {end.kind} of {end.size} bytes at {end.address:#x}"
            return {_GIVEN: given, "fault": fault}
        result = end.result
        return {
            _GIVEN: given,
            "verdict": end.verdict,
            "r0": f"{result.value:#x}",
            "instructions": str(result.instructions),
            _PACKET: _hex(result.packet),
            "printed": _short(repr(result.printed)),
            "records": _short(repr(result.records)),
            "context": _short(repr(dict(result.context))),
        }


class Half(TypedDict):
    """A test on one of two engines, as plain data; `names` may be the test's but for the engine."""

    names: list[str]
    engine: str
    drawn: bool  # whether what its runs are given is random
    runs: list[Facts]


def half(
    nodeid: str, parameters: str, engine: str, attempts: Iterable[Attempt], *, drawn: bool
) -> Half:
    """What to tell of a test that ran on an engine, which is one of its parameters."""
    return {
        "names": list(_without_engine(nodeid, parameters, engine)),
        "engine": engine,
        "drawn": drawn,
        "runs": [attempt.facts() for attempt in attempts],
    }


def _without_engine(nodeid: str, parameters: str, engine: str) -> Iterator[str]:
    """What a test may be called but for its engine, which another parameter may be called, too.

    The right name is the one that both halves have.
    """
    words = parameters.split("-")
    for place in (place for place, word in enumerate(words) if word == engine):
        rest = "-".join([*words[:place], "{engine}", *words[place + 1 :]])
        yield f"{nodeid.removesuffix(f'[{parameters}]')}[{rest}]"


class Halves:
    """Brings the halves of tests together, whatever comes between them."""

    def __init__(self) -> None:
        """Nothing has run."""
        self._known: dict[str, Half] = {}

    def judge(self, told: Half) -> list[str]:
        """How a half differs from the other one; empty where that has not run yet."""
        found: list[str] = []
        for name in told["names"]:
            other = self._known.pop(name, None)
            if other is None or other["engine"] == told["engine"]:  # the latter: it runs again
                self._known[name] = told
            else:
                runs, engines = zip(*((h["runs"], h["engine"]) for h in (other, told)), strict=True)
                found += disagreement(runs, engines, drawn=told["drawn"])
        return found


def disagreement(
    runs: Sequence[Sequence[Facts]], engines: Sequence[str], *, drawn: bool = False
) -> list[str]:
    """How the runs of one test differ on two engines, as lines; empty where they do not.

    With `drawn`, what runs are given is random: they are compared up to the first that was given
    something else.
    """
    first, second = runs
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if drawn and one[_GIVEN] != other[_GIVEN]:
            return []
        if one != other:
            head = f"the engines differ in run {number}, {engines[0]} → {engines[1]}:"
            return [head, *_differences(one, other)]
    if len(first) != len(second) and not drawn:
        counts = f"{len(first)} on {engines[0]}, {len(second)} on {engines[1]}"
        return [f"the engines differ in the number of runs: {counts}"]
    return []


def _differences(one: Facts, other: Facts) -> Iterator[str]:
    for name in dict.fromkeys((*one, *other)):
        was, now = one.get(name, "none"), other.get(name, "none")
        if was == now:
            continue
        if name != _PACKET or "none" in (was, now) or "…" in was + now:
            yield f"  {name}: {was} → {now}"
        else:
            yield f"  {name}:"
            lines = packet_difference(bytes.fromhex(was), bytes.fromhex(now))
            yield from (f"  {line}" for line in lines)


def _hex(data: bytes) -> str:
    return _short(bytes(data).hex())


def _short(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:64]}… ({len(text)} characters, SHA-256 {sha256(text.encode()).hexdigest()})"
