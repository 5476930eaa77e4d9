"""Every file under `vectors`, on every engine; and every row of the table in some file."""

from __future__ import annotations

from pathlib import Path

import pytest

from drybpf.code import Code
from drybpf.errors import BpfError
from drybpf.isa import ROWS, Row
from drybpf.vectors import read_vector
from vector_runs import check_vector

FOLDER = Path(__file__).parent / "vectors"
FILES = sorted(FOLDER.rglob("*.data"))


NAMES = [str(path.relative_to(FOLDER).with_suffix("")) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_vector(path: Path) -> None:
    check_vector(read_vector(path))


def _rows(path: Path) -> set[Row | None]:
    try:
        code = Code(read_vector(path).program())
    except BpfError:  # a vector of the assembler
        return set()
    return {instruction.row for instruction in code.slots if instruction}


def test_every_instruction_has_a_vector() -> None:
    seen = {row for path in FILES for row in _rows(path)}
    assert [row.ubpf for row in ROWS if row not in seen] == []
