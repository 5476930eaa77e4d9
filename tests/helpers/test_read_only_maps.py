"""Maps that programs may only read: the helpers that change maps say so, on both engines."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from drybpf import Program
from drybpf.errors import HelperError
from drybpf.hooks import HOOKS
from drybpf.maps import MapFlag, create
from drybpf.space import Space

CHANGE = """
    stw [r10-8], 1
    stdw [r10-16], 9
    lddw r1, {handle}
    mov r2, r10
    add r2, {at}
    mov r3, r10
    add r3, -16
    mov r4, 0
    call {helper}
    exit
"""


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
@pytest.mark.parametrize(
    ("kind", "helper"),
    [("array", 2), ("hash", 2), ("hash", 3), ("lpm_trie", 3), ("queue", 87), ("stack", 88)],
)
def test_programs_do_not_change_them(
    kind: str, helper: int, engine: Literal["interpreter", "jit"]
) -> None:
    keys = {"queue": 0, "stack": 0, "lpm_trie": 8}
    made: Any = create(
        kind, key=keys.get(kind, 4), value=8, entries=4, flags=MapFlag.RDONLY_PROG, name="fixed"
    )
    if kind == "hash":
        made[1] = 5
    before, space = made.snapshot(), Space()
    at = -16 if helper > 3 else -8  # what stands in r2: a value, or a key
    text = CHANGE.format(handle=space.add_map(made), at=at, helper=helper)
    program = Program.from_asm(text, hook=HOOKS["xdp"], space=space, engine=engine)
    with pytest.raises(HelperError, match="map 'fixed' is read-only for programs"):
        program.run(bytes(64))
    assert made.snapshot() == before
    twin: Any = create(kind, key=keys.get(kind, 4), value=8, entries=4)
    text = CHANGE.format(handle=(other := Space()).add_map(twin), at=at, helper=helper)
    program = Program.from_asm(text, hook=HOOKS["xdp"], space=other, engine=engine)
    assert program.run(bytes(64)).value in (0, -2 % (1 << 64), -22 % (1 << 64))
