"""Real objects and captures, end to end, on both engines; skipped where they are not at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from drybpf import load, verifier
from drybpf.asm import assemble, disassemble
from drybpf.code import Code
from drybpf.hooks import XdpAction
from drybpf.objects import ObjectProgram
from drybpf.packets import read_capture
from firewall_reference import expected
from support import FIREWALL, TRAFFIC, shared, shared_or_none

ROOT = shared_or_none("objects")
CAPTURES = shared_or_none("pcaps")
OBJECTS = sorted(ROOT.rglob("*.o")) if ROOT else []
CAPTURE_FILES = sorted(CAPTURES.glob("*.pcap*")) if CAPTURES else []


def check(path: Path) -> int:
    """Compare both engines and the reference on every packet of a capture."""
    program, count = load(FIREWALL)["xdp_firewall"], 0
    function = program.function
    for packet in read_capture(path):
        verdict, frame = expected(packet.data)
        for engine in ("interpreter", "jit"):
            result = program.run(packet.data, engine=engine)
            assert (result.action, result.packet) == (XdpAction(verdict), frame)
        assert function(packet.data) == verdict
        count += 1
    return count


def test_the_recorded_capture() -> None:
    assert check(TRAFFIC) == 77


@pytest.mark.parametrize("path", CAPTURE_FILES, ids=lambda path: path.name)
def test_every_shared_capture(path: Path) -> None:
    check(path)


def _programs() -> list[tuple[str, ObjectProgram]]:
    return [
        (f"{path.parent.name}/{path.name}:{name}", program)
        for path in sorted(shared("objects").rglob("*.o"))
        for name, program in load(path).programs.items()
    ]


def test_objects_without_maps_are_text_and_back_and_verify() -> None:
    count = 0
    for name, program in _programs():
        if program.linked.unresolved:
            continue
        bytecode = program.code.bytecode
        for dialect in ("ubpf", "llvm"):
            text = disassemble(bytecode, dialect=dialect)
            assert assemble(text) == bytecode, name
        findings = verifier.verify(Code(bytecode, functions=program.code.functions))
        assert not findings, (name, findings[:3])
        count += 1
    assert count == 20


def test_objects_with_maps_are_bound_and_verify() -> None:
    for name, program in _programs():
        assert len(program.bound.obstacles) + len(program.code.references) >= len(
            [found for found in program.linked.unresolved.values() if found.kind == "address"]
        ), name
        program.verify()
        assert assemble(program.disassemble()) == program.code.bytecode, name
