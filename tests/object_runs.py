"""Runs of programs of objects: on each engine with an object of its own, and all must agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drybpf import BpfError, Object, load
from drybpf.engine import Engine

ENGINES: tuple[Engine, ...] = ("interpreter", "jit")
Prepare = Callable[[Object], object]


@dataclass(frozen=True)
class Outcome:
    """What a run of a program of an object leaves behind."""

    value: int | None  # r0; None after a fault
    error: str  # the class of the fault and its message
    packet: bytes
    instructions: int
    maps: Mapping[str, Any]
    data: Mapping[str, Any]


def run_object(
    source: Path | bytes,
    program: str,
    packet: bytes = b"",
    *,
    prepare: Prepare = lambda _: None,
    times: int = 1,
    **options: Any,  # noqa: ANN401 (those of `load`)
) -> Outcome:
    """Load, prepare and run, `times` times, on each engine; gives what all agree on."""
    first, *others = (
        _run(source, program, packet, engine, prepare, times, options) for engine in ENGINES
    )
    for other in others:
        assert other == first
    return first


def _run(
    source: Path | bytes,
    program: str,
    packet: bytes,
    engine: Engine,
    prepare: Prepare,
    times: int,
    options: Mapping[str, Any],
) -> Outcome:
    obj = load(source, **options)
    prepare(obj)
    value, error, after, count = None, "", b"", -1
    try:
        for _ in range(times):
            result = obj[program].run(packet, engine=engine)
            value, after, count = result.value, result.packet, result.instructions
    except BpfError as fault:
        value, error = None, f"{type(fault).__name__}: {fault}"
    maps = {name: contents(found) for name, found in obj.maps.items()}
    return Outcome(value, error, after, count, maps, dict(obj.data))


def contents(found: Any) -> Any:  # noqa: ANN401 (as the map's class has it)
    """What a map holds, comparable between objects."""
    kept = found.snapshot()
    if isinstance(kept, dict):
        return {key: getattr(value, "name", value) for key, value in kept.items()}
    return kept
