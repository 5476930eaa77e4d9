"""The verifier against tables of programs and findings: `verifier/*.toml`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from struct import pack
from typing import Any

import pytest

from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import Finding, VerifierError
from drybpf.helpers import Helpers
from slots import EXIT, MOV, lddw

FOLDER = Path(__file__).parent / "verifier"


def _cases(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = tomllib.loads((FOLDER / name).read_text("utf-8"))["case"]
    return cases


def _code(case: dict[str, Any]) -> Code:
    if "raw" in case:
        return Code(b"".join(pack("<Q", int(word, 16)) for word in case["raw"]))
    return Code(assemble(case["asm"]))


def _found(code: Code, *, strict: bool) -> list[list[object]]:
    return [[found.pc, found.reason] for found in verifier.verify(code, strict=strict)]


@pytest.mark.parametrize("case", _cases("structure.toml"), ids=lambda case: case["name"])
def test_structure(case: dict[str, Any]) -> None:
    assert _found(_code(case), strict=False) == case["findings"]
    if case["findings"]:  # the strict mode has the same objections, and no others beside them
        assert _found(_code(case), strict=True) == case["findings"]


@pytest.mark.parametrize("case", _cases("strict.toml"), ids=lambda case: case["name"])
def test_strict(case: dict[str, Any]) -> None:
    assert _found(_code(case), strict=True) == case["findings"]
    if "structural" not in case["name"]:
        assert _found(_code(case), strict=False) == []


def test_names_are_told_apart() -> None:
    names = [case["name"] for name in ("structure.toml", "strict.toml") for case in _cases(name)]
    assert len(names) == len(set(names))


def test_a_finding_shows_its_instruction() -> None:
    with pytest.raises(VerifierError) as caught:
        verifier.check(Code(assemble("exit\nadd r10, 8\nexit")))
    assert str(caught.value) == "insn 1: add64 r10, 0x8: r10 is read-only"
    assert caught.value.findings == (Finding(1, "add64 r10, 0x8", "r10 is read-only"),)


def test_a_finding_of_the_whole_program_shows_none() -> None:
    with pytest.raises(VerifierError) as caught:
        verifier.check(Code(b""))
    assert str(caught.value) == "the program is empty"


def test_ten_findings_are_shown() -> None:
    with pytest.raises(VerifierError) as caught:
        verifier.check(Code(b"\xff" * 8 * 13))
    assert len(caught.value.findings) == 13
    assert str(caught.value).splitlines()[10:] == ["and 3 more"]


def test_references_may_be_resolved() -> None:
    program = lddw(1, 5, src=1) + MOV + EXIT
    assert verifier.verify(Code(program))
    assert not verifier.verify(Code(program, references={0: 0x5000_0000}), strict=True)


def test_declared_functions_bound_jumps() -> None:
    text = "ja +1\nexit\nexit"
    assert not verifier.verify(Code(assemble(text)))
    (finding,) = verifier.verify(Code(assemble(text), functions={2: "second"}))
    assert finding.reason == "jump to 2, into another function"


def test_a_declared_function_that_nothing_calls_is_unreachable() -> None:
    code = Code(assemble("mov r0, 0\nexit\nmov r0, 0\nexit"), functions={2: "second"})
    assert not verifier.verify(code)
    assert [finding.pc for finding in verifier.verify(code, strict=True)] == [2, 3]


def test_known_helpers() -> None:
    code = Code(assemble("call 1\nexit"))
    assert verifier.verify(code, strict=True) == ()
    assert verifier.verify(code, strict=True, helpers={1}) == ()
    (finding,) = verifier.verify(code, strict=True, helpers={2})
    assert finding.reason == "helper 1 is unknown"
    assert verifier.verify(code, helpers={2}) == ()  # only in the strict mode
    assert verifier.verify(code, strict=True, helpers=Helpers(default=lambda *_: 0)) == ()
