"""What maps hold is brought to the kernel and back, or refused in words."""

from __future__ import annotations

from typing import Any

import pytest

import drybpf
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import KernelError
from drybpf.hooks import Xdp
from drybpf.kernel import KernelMap
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.memory import DATA
from drybpf.program import Program
from drybpf.space import Space
from kernel_here import needs_kernel
from support import fixture

pytestmark = needs_kernel

PACKET = bytes(64)


def _holding(kind: MapType, key: int, value: int, entries: int) -> tuple[Any, Program]:
    """A map, and a program that refers to it and does nothing."""
    space, table = Space(), Map.create(MapDefinition("table", kind, key, value, entries))
    references = {0: space.add_map(table)}
    code = Code(assemble("lddw r1, 0\nmov r0, 2\nexit"), references=references)
    return table, Program(code, hook=Xdp(), space=space, engine="kernel")


def test_a_bloom_filter_with_something_in_it() -> None:
    bloom, program = _holding(MapType.BLOOM_FILTER, 0, 4, 10)
    assert program(PACKET) == 2
    bloom.add(b"1234")
    with pytest.raises(KernelError, match=r"'table'.*Bloom filter"):
        program(PACKET)
    bloom.clear()
    assert program(PACKET) == 2


@pytest.mark.parametrize("kind", [MapType.DEVMAP, MapType.DEVMAP_HASH])
def test_devices_that_are_not_there(kind: MapType) -> None:
    devices, program = _holding(kind, 4, 4, 4)
    key: Any = 2 if kind == MapType.DEVMAP else (2).to_bytes(4, "little")
    devices[key] = (1).to_bytes(4, "little")
    assert program(PACKET) == 2
    devices[key] = (1_000_000).to_bytes(4, "little")
    with pytest.raises(KernelError, match="'table', key 02000000"):
        program(PACKET)
    del devices[key]
    assert program(PACKET) == 2


def test_what_only_we_have() -> None:
    groups, program = _holding(MapType.CGROUP_ARRAY, 4, 4, 4)
    assert program(PACKET) == 2
    groups[1] = (7).to_bytes(4, "little")
    with pytest.raises(KernelError, match="'table': the kernel has no such cgroup_array entry"):
        program(PACKET)
    _, program = _holding(MapType.USER_RINGBUF, 0, 0, 4096)
    with pytest.raises(KernelError, match="user ring buffers"):
        program(PACKET)


def test_an_address_that_is_nothing() -> None:
    code = Code(assemble("lddw r1, 0\nmov r0, 2\nexit"), references={0: DATA + 8})
    with pytest.raises(KernelError, match="insn 0 refers to 0x60000008"):
        Program(code, hook=Xdp()).run(PACKET, engine="kernel")
    weak = Code(assemble("lddw r0, 1\nexit"), references={0: 0})
    assert Program(weak, hook=Xdp()).run(PACKET, engine="kernel").value == 0


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH, MapType.PERCPU_HASH])
def test_many_entries(kind: MapType) -> None:
    table, program = _holding(kind, 4, 8, 20_000)
    wanted = {number.to_bytes(4, "little"): bytes([number & 255] * 8) for number in range(9000)}
    table.restore(wanted)
    assert program(PACKET) == 2
    kernel = program.kernel._twin.map(table)  # type: ignore[union-attr]  # it has run
    assert _first_values(kernel) == wanted
    table.restore({key: value for key, value in wanted.items() if key[0] & 1})
    assert program(PACKET) == 2
    assert _first_values(kernel) == {key: value for key, value in wanted.items() if key[0] & 1}
    assert len(table) == len(_first_values(kernel))


def _first_values(table: KernelMap) -> dict[bytes, bytes]:
    return {key: value[:8] for key, value in table.items()}


@pytest.mark.parametrize("size", [1, 7, 5000, 200_000])
def test_arrays_of_all_sizes_of_values(size: int) -> None:
    table, program = _holding(MapType.ARRAY, 4, size, 40)
    wanted = [bytes(size) for _ in range(40)]
    for index in (0, 3, 39):
        wanted[index] = bytes([index + 1]) * (size - 1) + b"\xff"
        table[index] = wanted[index]
    assert program(PACKET) == 2
    kernel = program.kernel._twin.map(table)  # type: ignore[union-attr]  # it has run
    assert [value for _, value in sorted(kernel.items())] == wanted
    kernel.update((7).to_bytes(4, "little"), wanted[3])  # as a program would
    kernel.update((3).to_bytes(4, "little"), bytes(size))
    program.kernel._twin.pull()  # type: ignore[union-attr]
    wanted[3], wanted[7] = wanted[7], wanted[3]
    assert table.snapshot() == wanted


def test_programs_in_arrays_are_loaded_with_their_variables() -> None:
    first, second = (drybpf.load(fixture("judge_calls")) for _ in range(2))
    programs: Any = first.maps["programs"]
    programs[1] = first.programs["judge_variables"]
    packet = bytes(14) + (1).to_bytes(4, "little") + bytes(20)
    assert first["judge_tail_calls"].run(packet, engine="kernel").value == 2
    assert first.data["counters"] == (0, 1, 0, 0)
    assert second.data["counters"] == (0, 0, 0, 0)


def test_tables_shared_by_programs_and_engines() -> None:
    found = drybpf.load(fixture("judge_calls"))
    packet = bytes(14) + (1).to_bytes(4, "little") + bytes(20)
    for engine in ("kernel", "jit", "kernel", "interpreter", "kernel"):
        found["judge_locks"].run(packet, engine=engine)
    assert found.maps["guarded_array"][1].count == 5
