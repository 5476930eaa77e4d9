"""The open half of bpf_conformance, on every engine; and what must be refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import AssemblyError, BpfError, VerifierError
from drybpf.vectors import VectorError, parse_vector
from engines import run_everywhere
from support import shared_or_none


def _rows(name: str) -> list[dict[str, Any]]:
    path: Path | None = shared_or_none(f"conformance/{name}")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path else []


def _unwind(_context: object, *_arguments: int) -> int:
    """Helper 5 of the suite: with -1 it asks for an unwind, which is declined."""
    return 0


@pytest.mark.parametrize("row", _rows("open.jsonl"), ids=lambda row: row["name"])
def test_open(row: dict[str, Any]) -> None:
    memory = bytes.fromhex(row["mem_hex"] or "")
    bytecode = bytes.fromhex(row["bytecode_hex"])
    assert run_everywhere(bytecode, memory, helpers={5: _unwind}).value == row["expected"]


@pytest.mark.parametrize("row", _rows("open.jsonl"), ids=lambda row: row["name"])
def test_open_assembles_to_the_same_bytes(row: dict[str, Any]) -> None:
    assert assemble(row["asm"]).hex() == row["bytecode_hex"]


def _refuse(row: dict[str, Any]) -> None:
    match row["kind"]:
        case "assembler-error":
            assemble(row["asm"])
        case "must-reject-bytecode":
            verifier.check(Code(bytes.fromhex(row["bytecode_hex"])))
        case "must-reject-verifier":
            verifier.check(Code(bytes.fromhex(row["bytecode_hex"])), strict=True)
        case "file-format":
            parse_vector(row["asm"])


_REFUSALS: dict[str, type[BpfError]] = {
    "assembler-error": AssemblyError,
    "must-reject-bytecode": VerifierError,
    "must-reject-verifier": VerifierError,
    "file-format": VectorError,
}


@pytest.mark.parametrize("row", _rows("negative_open.jsonl"), ids=lambda row: row["name"])
def test_negative(row: dict[str, Any]) -> None:
    with pytest.raises(_REFUSALS[row["kind"]]) as caught:
        _refuse(row)
    if row["kind"] == "must-reject-bytecode":
        field = row["unused_field"]  # or one that tells mov from movsx
        assert f"the reserved field {field} is" in str(caught.value) or f"the {field} " in str(
            caught.value
        )


def test_the_count() -> None:
    rows = _rows("open.jsonl")
    assert len(rows) in (0, 174)  # nothing is left out where the suite is here
