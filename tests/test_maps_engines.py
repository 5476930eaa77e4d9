"""Random programs over maps, moving packets and tail calls do the same on both engines."""

from __future__ import annotations

import pytest

from drybpf.maps import MapType
from map_programs import Case
from space_programs import Twins


@pytest.mark.parametrize("first", range(0, 120, 10))
def test_random_programs(first: int) -> None:
    finished = sum(Case(seed).check() for seed in range(first, first + 10))
    assert finished > 10  # of 60: the others fault, in the same way


@pytest.mark.parametrize("seed", range(1000, 1030))
def test_calls_and_batches(seed: int) -> None:
    Case(seed).check_ways_in()


def test_a_key_whose_address_nobody_guesses() -> None:
    """It is stored at a place in the frame that is not known, and seems to be null."""
    text = """
        ldxw r6, [r1+0]
        ldxw r7, [r1+4]
        mov64 r3, r6
        add64 r3, 8
        jgt r3, r7, none
        ldxb r8, [r6+0]
        stw [r10-8], 3
        mov64 r2, r10
        add64 r2, -8
        mov64 r4, r10
        sub64 r4, r8
        stxdw [r4+0], r2
        ldxdw r2, [r10-16]
        lddw r1, {array}
        call 1                    ; map_lookup_elem
        jeq r0, 0, none
        ldxdw r0, [r0+0]
        exit
    none:
        mov64 r0, 99
        exit"""
    twins = Twins(text, array=(MapType.ARRAY, 4, 8, 5))
    for made in twins.maps:
        for key in range(5):
            made["array"][key] = 100 + key
    assert twins.run(b"\x10" + bytes(63)).value == 103


@pytest.mark.parametrize("batch", [False, True])
def test_what_is_deleted_stays_when_a_run_leaves_compiled_code(batch: bool) -> None:
    """The run that goes on in the interpreter is the same one, in which nothing is used again."""
    key, value = "mov64 r2, r10\nadd64 r2, -8\n", "mov64 r3, r10\nadd64 r3, -16\nmov64 r4, 0\n"
    update = key + value + "lddw r1, {map}\ncall 2\n"
    text = f"""
        ldxw r6, [r1+0]
        ldxw r7, [r1+4]
        mov64 r3, r6
        add64 r3, 8
        jgt r3, r7, none
        ldxb r8, [r6+0]
        stw [r10-8], 1
        stdw [r10-16], 1111
        {update}
        {key}
        lddw r1, {{map}}
        call 1                    ; map_lookup_elem
        jeq r0, 0, none
        mov64 r7, r0
        {key}
        lddw r1, {{map}}
        call 3                    ; map_delete_elem
        stxdw [r10-32], r6
        mov64 r4, r10
        sub64 r4, r8
        mov64 r2, r10
        add64 r2, -16
        stxdw [r4+0], r2          ; perhaps over the pointer to the packet
        ldxdw r3, [r10-32]
        ldxb r5, [r3+0]
        stw [r10-8], 2
        stdw [r10-16], 2222
        {update}
        ldxdw r0, [r7+0]
        exit
    none:
        mov64 r0, 99
        exit"""
    for program in Twins(text, map=(MapType.HASH, 4, 8, 8)).programs:
        packets = [b"short", bytes([32]) + bytes(63), bytes([64]) + bytes(63)]
        found = list(program.run_batch(packets)) if batch else [program(p) for p in packets]
        assert found == [99, 1111, 1111]
