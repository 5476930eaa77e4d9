"""Runs the examples' scripts, and their programs on both engines."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from drybpf import Object
from support import ROOT

if TYPE_CHECKING:
    import pytest

ENGINES = ("interpreter", "jit")


def script(name: str) -> Any:  # noqa: ANN401 (modules without types)
    """The names that an example's script defines."""
    path = ROOT / "examples" / name / f"{name}.py"
    return SimpleNamespace(**runpy.run_path(str(path), run_name=name))


def outcome(obj: Object, packets: Iterable[bytes], engine: Any) -> dict[str, Any]:  # noqa: ANN401
    """What the object's one program makes of packets, and what maps and variables hold then."""
    (name,) = obj
    results = [obj[name].run(packet, engine=engine) for packet in packets]
    return {
        "verdicts": [result.value for result in results],
        "packets": [result.packet for result in results],
        "instructions": [result.instructions for result in results],
        "events": [result.events for result in results],
        "maps": {name: obj.maps[name].snapshot() for name in obj.maps},
        "variables": dict(obj.data),
    }


def same_on_both(begin: Callable[[], tuple[Object, Iterable[bytes]]]) -> dict[str, Any]:
    """The outcome on which both engines agree, each on an object of its own."""
    first, second = (outcome(*begin(), engine) for engine in ENGINES)
    for part, value in first.items():
        assert value == second[part], part
    return first


def same_text(main: Callable[..., None], capsys: pytest.CaptureFixture[str], *first: str) -> str:
    """What a script prints, on either engine and on `auto`."""
    texts = set()
    for engine in (*ENGINES, "auto"):
        main(*first, engine=engine)
        texts.add(capsys.readouterr().out)
    (text,) = texts
    return text
