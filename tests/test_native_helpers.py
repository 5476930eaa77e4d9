"""Helpers in restricted Python: inlined by the compiler, run as they are by the interpreter."""

from __future__ import annotations

import pytest

from drybpf.helpers.native import NativeHelper
from drybpf.native.restricted import load64, restricted, store64
from drybpf.program import Program

COUNT = """
    mov r6, 100
loop:
    mov r1, r6
    call 7
    add r7, r0
    sub r6, 1
    jne r6, 0, loop
    mov r0, r7
    exit
"""


@restricted
def bump(table: int, key: int) -> int:
    place = table + (key & 7) * 8
    store64(place, load64(place) + 1)
    return load64(place)


@restricted
def nothing() -> int:
    return 0


def test_both_engines_see_the_same_bytes() -> None:
    seen = []
    for engine in ("interpreter", "jit"):
        storage = bytearray(64)
        program = Program.from_asm(COUNT, helpers={7: NativeHelper(bump, storage)})
        result = program.run(engine=engine)
        seen.append((result.value, result.instructions, bytes(storage)))
    assert seen[0] == seen[1]
    assert seen[0][0] == sum(sum(range(1, n + 1)) for n in (12, 13, 13, 13, 13, 12, 12, 12))


def test_it_needs_no_way_back_to_python() -> None:
    storage = bytearray(64)
    program = Program.from_asm(COUNT, helpers={7: NativeHelper(bump, storage)}, engine="jit")
    assert program.function is not program
    assert program(b"") == 676
    assert list(program.run_batch([b""])) == [1928]
    assert program.jit_stats.exits == {}


def test_another_helper_in_its_place_is_called() -> None:
    program = Program.from_asm(COUNT, helpers={7: NativeHelper(bump, bytearray(64))}, engine="jit")
    assert program.run().value == 676
    with program.helpers.replace(7, lambda *_: 2) as calls:
        assert program.run().value == 200
    assert len(calls) == 100
    assert program.run().value == 1928


def test_misuse() -> None:
    with pytest.raises(TypeError, match="1 to 6 parameters"):
        NativeHelper(nothing, bytearray(8))
