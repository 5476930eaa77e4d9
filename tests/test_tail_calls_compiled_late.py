"""A program compiled while others run finds its helpers and maps; it once read beyond tables."""

from __future__ import annotations

import pytest

from drybpf.hooks import Xdp
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.space import Space

PACKETS = [bytes(64)] * 5


def chain(engine: str) -> tuple[Program, Map]:
    """One that calls another, which asks a helper of a higher number and a later map."""
    space = Space()
    programs = Map.create(MapDefinition("programs", MapType.PROG_ARRAY, 4, 4, 2))
    handle = space.add_map(programs)
    first = Program.from_asm(
        f"lddw r2, {handle}\nmov r3, 0\ncall 12\nmov r0, 1\nexit",
        space=space,
        hook=Xdp(),
        engine=engine,
    )
    assert first(PACKETS[0]) == 1  # compiled, with an empty slot
    counts = Map.create(MapDefinition("counts", MapType.ARRAY, 4, 8, 1))
    later = space.add_map(counts)
    programs[0] = Program.from_asm(
        f"call 125\nmov r6, r0\nstw [r10-4], 0\nmov r2, r10\nadd r2, -4\nlddw r1, {later}\ncall 1\n"
        "jeq r0, 0, out\nmov r1, 1\nlock add [r0], r1\nout:\nmov r0, r6\nexit",
        space=space,
        hook=Xdp(),
        engine=engine,
    )
    return first, counts


@pytest.mark.parametrize("batch", [False, True])
def test_a_target_compiled_in_the_middle(batch: bool) -> None:
    seen = []
    for engine in ("interpreter", "jit"):
        first, counts = chain(engine)
        verdicts = (
            list(first.run_batch(PACKETS)) if batch else [first(packet) for packet in PACKETS]
        )
        seen.append((verdicts, counts.snapshot()))
    assert seen[0] == seen[1]
    assert seen[0][0] == [0, 1000, 2000, 3000, 4000]
