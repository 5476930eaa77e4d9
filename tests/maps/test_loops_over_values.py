"""Loops over a map value: a guard proves them up to its end, and one byte more faults."""

from __future__ import annotations

import pytest

from drybpf.errors import MemoryFault
from drybpf.hooks import Xdp
from drybpf.jit.compiled import Jit
from drybpf.jit.loops import Analysis, Plan
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.space import Space

LOOP = """
    stw [r10-4], 1
    mov r2, r10
    add r2, -4
    lddw r1, {handle}
    call 1
    mov64 r6, 0
    jeq r0, 0, out
    mov64 r3, {first}
    l: mov64 r4, r0
    add64 r4, r3
    ldxb r5, [r4]
    add64 r6, r5
    add64 r3, 1
    jlt r3, {end}, l
    out: mov64 r0, r6
    exit
"""


@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.HASH])
@pytest.mark.parametrize("size", [1, 7, 8, 32, 100])
def test_up_to_the_end_of_a_value(
    kind: MapType, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Plan] = []
    begin = Analysis.__init__

    def keep(self: Analysis, *arguments: object) -> None:
        begin(self, *arguments)  # type: ignore[arg-type]  # as they were
        found.extend(self.plans.values())

    monkeypatch.setenv("DRYBPF_CACHE", "0")
    monkeypatch.setattr(Analysis, "__init__", keep)
    space, made = Space(), Map.create(MapDefinition("m", kind, 4, size, 4))
    handle = space.add_map(made)
    for key in range(4):
        made[key] = bytes([key]) * size
    for first, end, faults in ((0, size, False), (0, size + 1, True), (size - 1, size + 1, True)):
        text = LOOP.format(handle=handle, first=first, end=end)
        program = Program.from_asm(text, space=space, hook=Xdp(), engine="interpreter")
        for paranoid in (False, True):
            jit = Jit(program.code, program.hook.shape, space, paranoid=paranoid)
            for run in (jit.run, program._runner.run):
                state = program.state(bytes(64))
                arguments = () if run == jit.run else ("interpreter",)
                if faults:
                    with pytest.raises(MemoryFault) as caught:
                        run(state, *arguments)
                    assert caught.value.address & 0xFF == (state.registers[0] + size) & 0xFF
                else:
                    assert run(state, *arguments) == size
    assert any(plan.touches for plan in found)
