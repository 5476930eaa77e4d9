"""Running off a value of any size faults; it never reads the next value."""

from __future__ import annotations

import pytest

from drybpf.errors import MemoryFault
from drybpf.hooks import Xdp
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.space import Space

TYPES = (MapType.ARRAY, MapType.HASH, MapType.PERCPU_ARRAY, MapType.LRU_HASH)


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
@pytest.mark.parametrize("size", [1, 4, 7, 8, 16, 24, 32, 64, 100, 4096])
@pytest.mark.parametrize("kind", TYPES)
def test_the_byte_behind_a_value(kind: MapType, size: int, engine: str) -> None:
    space, made = Space(), Map.create(MapDefinition("m", kind, 4, size, 4))
    handle = space.add_map(made)
    for key in range(4):
        made[key] = bytes(size)
    look_up = f"stw [r10-4], 1\nmov r2, r10\nadd r2, -4\nlddw r1, {handle}\ncall 1\n"
    for offset, faults in ((size - 1, False), (size, True), (-1, True)):
        text = f"{look_up}jeq r0, 0, out\nldxb r0, [r0{offset:+d}]\nout:\nexit"
        program = Program.from_asm(text, space=space, hook=Xdp(), engine=engine)
        if faults:
            with pytest.raises(MemoryFault) as caught:
                program.run(bytes(64))
            assert caught.value.size == 1
        else:
            assert program.run(bytes(64)).value == 0
