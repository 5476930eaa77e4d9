"""Helpers that call: loops, walks over maps, tail calls, timers."""

from __future__ import annotations

import time

import pytest

from drybpf.errors import BudgetExceeded, HelperError
from drybpf.helpers.kfuncs import kfunc_number
from drybpf.hooks import HOOKS
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from space_programs import Twins

HASH = (MapType.HASH, 4, 8, 16)
LOOP = """
    stdw [r10-8], 0
    lddw r1, TIMES
    lddw r2, code_addr(body)
    mov r3, r10
    add r3, -8
    lddw r4, FLAGS
    call 181
    mov r6, r0
    ldxdw r0, [r10-8]
    lsh r6, 32
    or r0, r6
    exit
body:
    ldxdw r3, [r2]
    add r3, r1
    stxdw [r2], r3
    mov r0, 0
    jne r1, 6, +1
    mov r0, 1
    exit
"""


def loop(times: int, flags: int = 0) -> int:
    return Twins(LOOP.replace("TIMES", str(times)).replace("FLAGS", str(flags))).run().value


def test_a_loop_counts_and_can_be_ended() -> None:
    assert loop(0) == 0
    assert loop(3) == 3 << 32 | 3
    assert loop(100) == 7 << 32 | 21
    assert loop(1 << 32) == 0  # 32 bits


def test_loops_that_are_refused() -> None:
    assert loop(3, flags=1) == -22 << 32 & (1 << 64) - 1
    assert loop((1 << 23) + 1) == -7 << 32 & (1 << 64) - 1


@pytest.mark.parametrize("function", ["0", "1", "0x58000001", "-1"])
def test_what_is_no_function_is_not_called(function: str) -> None:
    text = f"mov r1, 3\nlddw r2, {function}\nmov r3, 0\nmov r4, 0\ncall 181\nexit"
    with pytest.raises(HelperError, match="is no function"):
        Twins(text).run()


WALK = """
    stdw [r10-8], 0
    lddw r1, {flows}
    lddw r2, code_addr(body)
    mov r3, r10
    add r3, -8
    mov r4, 0
    call 164
    mov r6, r0
    ldxdw r0, [r10-8]
    lsh r6, 32
    or r0, r6
    exit
body:
    BODY
    exit
"""
SUM = """
    ldxw r5, [r2]
    ldxdw r6, [r3]
    mul r5, r6
    ldxdw r6, [r4]
    add r6, r5
    stxdw [r4], r6
    stdw [r3], 1
    mov r0, 0
"""


def test_a_walk_sees_keys_and_changes_values() -> None:
    twins = Twins(WALK.replace("BODY", SUM), flows=HASH)
    for maps in twins.maps:
        maps["flows"].update({key: key + 10 for key in range(1, 6)})
    assert twins.run().value == 5 << 32 | sum(key * (key + 10) for key in range(1, 6))
    assert twins.each(lambda maps: dict(maps["flows"])) == {
        key.to_bytes(4, "little"): (1).to_bytes(8, "little") for key in range(1, 6)
    }


def test_a_walk_that_deletes_as_it_goes() -> None:
    body = "lddw r1, {flows}\ncall 3\nmov r0, 0\n"
    twins = Twins(WALK.replace("BODY", body), flows=HASH)
    for maps in twins.maps:
        maps["flows"].update(dict.fromkeys(range(9), 0))
    assert twins.run().value == 9 << 32
    assert twins.each(lambda maps: len(maps["flows"])) == 0


def test_a_walk_of_an_endless_array_begins_at_once() -> None:
    """Keys are made one after the other: the array has gigabytes, the walk stops at the third."""
    body = "ldxw r5, [r2]\nmov r0, 0\njne r5, 2, +1\nmov r0, 1\n"
    twins = Twins(WALK.replace("BODY", body), flows=(MapType.ARRAY, 4, 4, 1 << 29))
    begin = time.process_time()
    assert twins.run().value == 3 << 32
    assert time.process_time() - begin < 5


def test_a_walk_leaves_out_what_was_deleted_and_what_came() -> None:
    body = """
        ldxw r5, [r2]
        stxdw [r10-8], r5
        add r5, 1
        stxw [r10-16], r5
        lddw r1, {flows}
        mov r2, r10
        add r2, -16
        call 3
        ldxdw r5, [r10-8]
        add r5, 100
        stxw [r10-16], r5
        lddw r1, {flows}
        mov r2, r10
        add r2, -16
        mov r3, r10
        add r3, -8
        mov r4, 0
        call 2
        mov r0, 0
    """
    twins = Twins(WALK.replace("BODY", body), flows=HASH)
    for maps in twins.maps:
        maps["flows"].update(dict.fromkeys(range(6), 0))
    assert twins.run().value == 3 << 32
    expected = [0, 2, 4, 100, 102, 104]
    assert twins.each(lambda maps: [key[0] for key in maps["flows"]]) == expected


def test_a_walk_sees_values_that_were_updated_before_their_turn() -> None:
    body = """
        ldxdw r5, [r3]
        ldxdw r0, [r4]
        add r0, r5
        stxdw [r4], r0
        stdw [r10-8], 10
        stw [r10-16], 2
        lddw r1, {flows}
        mov r2, r10
        add r2, -16
        mov r3, r10
        add r3, -8
        mov r4, 0
        call 2
        mov r0, 0
    """
    twins = Twins(WALK.replace("BODY", body), flows=HASH)
    for maps in twins.maps:
        maps["flows"].update(dict.fromkeys(range(4), 1))
    assert twins.run().value == 4 << 32 | 13


@pytest.mark.parametrize("access", ["stw [r2], 1", "ldxdw r0, [r2]", "ldxw r0, [r2+4]"])
def test_a_key_can_be_read_and_no_more(access: str) -> None:
    twins = Twins(WALK.replace("BODY", access), flows=HASH)
    for maps in twins.maps:
        maps["flows"][1] = 1
    with pytest.raises(Exception, match="key"):
        twins.run()


def test_a_walk_of_an_array_and_an_empty_map() -> None:
    twins = Twins(WALK.replace("BODY", SUM), flows=(MapType.ARRAY, 4, 8, 7))
    assert twins.run().value == 7 << 32
    assert Twins(WALK.replace("BODY", SUM), flows=HASH).run().value == 0


@pytest.mark.parametrize("kind", [MapType.PROG_ARRAY, MapType.ARRAY_OF_MAPS, MapType.QUEUE])
def test_a_walk_of_what_programs_cannot_see(kind: MapType) -> None:
    twins = Twins(WALK.replace("BODY", SUM), flows=(kind, 0 if kind == MapType.QUEUE else 4, 4, 4))
    for maps, program in zip(twins.maps, twins.programs, strict=True):
        if kind == MapType.PROG_ARRAY:
            maps["flows"][1] = program
        elif kind == MapType.ARRAY_OF_MAPS:
            maps["flows"][1] = Map.create(MapDefinition("inner", MapType.ARRAY, 4, 4, 1))
    with pytest.raises(HelperError, match="map 'flows' has no values that programs see"):
        twins.run()


def test_a_walk_is_no_use_of_what_it_meets() -> None:
    """As in the kernel, whose walk goes through the table past the look-up that marks."""
    twins = Twins(WALK.replace("BODY", "mov r0, 1\n"), flows=(MapType.LRU_HASH, 4, 8, 2))
    for maps in twins.maps:
        maps["flows"].update({1: 1, 2: 2})
    twins.run()
    for maps in twins.maps:
        maps["flows"][3] = 3
    assert twins.each(lambda maps: [key[0] for key in maps["flows"]]) == [2, 3]


@pytest.mark.parametrize(
    ("kind", "count"), [(MapType.HASH, 3), (MapType.LRU_HASH, 3), (MapType.ARRAY, 0)]
)
def test_hashes_count_their_elements(kind: MapType, count: int) -> None:
    """Others have no counter in the kernel, where the answer is 0."""
    text = f"lddw r1, {{flows}}\ncall {kfunc_number('bpf_map_sum_elem_count')}\nexit"
    twins = Twins(text, "syscall", flows=(kind, 4, 8, 9))
    for maps in twins.maps:
        for key in range(3):
            maps["flows"][key] = 1
    assert twins.run(b"").value == count


TAIL = """
    mov r6, r1
    ldxw r7, [r1+12]
    lddw r2, {programs}
    mov r3, INDEX
    call 12
    add r0, 1000
    exit
"""
ARRAY = (MapType.PROG_ARRAY, 4, 4, 4)


def tail(index: int) -> Twins:
    twins = Twins(TAIL.replace("INDEX", str(index)), programs=ARRAY)
    for maps, program in zip(twins.maps, twins.programs, strict=True):
        maps["programs"][0] = Program.from_asm(
            "ldxw r0, [r1+12]\nadd r0, 7\nexit", hook=HOOKS["xdp"], space=program.space
        )
        maps["programs"][1] = program
    return twins


def test_tail_calls() -> None:
    assert tail(0).run(ifindex=3).value == 10
    assert tail(2).run().value == 1000 - 2
    assert tail(4).run().value == 1000 - 2
    assert tail(-1).run().value == 1000 - 2


def test_33_tail_calls_and_no_more() -> None:
    result = tail(1).run()
    assert result.value == 1000 - 2
    assert result.instructions == 33 * 5 + 7


def test_what_is_no_array_of_programs() -> None:
    text = TAIL.replace("INDEX", "0")
    with pytest.raises(HelperError, match="holds no programs"):
        Twins(text, programs=HASH).run()
    with pytest.raises(HelperError, match="is no map"):
        Twins(text.replace("{programs}", "77")).run()


TIMER = """
    mov r6, r1
    stw [r10-4], 1
    lddw r1, {timers}
    mov r2, r10
    add r2, -4
    call 1
    jne r0, 0, +1
    exit
    mov r7, r0
    mov r1, r7
    lddw r2, {timers}
    mov r3, 1
    call 169
    mov r8, r0
    mov r1, r7
    lddw r2, code_addr(ring)
    call 170
    add r8, r0
    mov r1, r7
    mov r2, 5000
    mov r3, 0
    call 171
    add r8, r0
    CANCEL
    mov r0, r8
    exit
ring:
    ldxdw r4, [r3+16]
    add r4, 1
    stxdw [r3+16], r4
    ldxw r0, [r2]
    mov r6, r3
    mov r1, r3
    mov r2, 1000
    mov r3, 0
    call 171
    mov r0, 0
    exit
"""
TIMERS = (MapType.ARRAY, 4, 24, 2)


def test_timers_fire_when_they_are_told_to_and_the_clock_has_passed() -> None:
    twins = Twins(TIMER.replace("CANCEL", ""), timers=TIMERS)
    assert twins.run().value == 0
    counts = []
    for now in (3000, 7000, 7001, 7500, 30_000):
        for program in twins.programs:
            program.host.clock.now = now  # type: ignore[attr-defined]
            program.run_timers()
        counts.append(twins.each(lambda maps: int.from_bytes(maps["timers"][1][16:], "little")))
    assert counts == [0, 1, 1, 1, 2]


def test_timers_that_are_cancelled_or_wrong() -> None:
    cancel = "mov r1, r7\ncall 172\nadd r8, r0\nmov r1, r7\ncall 172\nadd r8, r0"
    twins = Twins(TIMER.replace("CANCEL", cancel), timers=TIMERS)
    assert twins.run().value == 1  # it was running, the first time
    assert twins.run().value == (1 << 64) - 16 + 1  # it is there, and runs once more
    for program in twins.programs:
        program.host.clock.now = 1 << 40  # type: ignore[attr-defined]
        assert program.run_timers() == ()


NEW_TIMER = """
    stw [r10-4], 1
    stdw [r10-32], 0
    stdw [r10-24], 0
    stdw [r10-16], 0
    lddw r1, {timers}
    mov r2, r10
    add r2, -4
    mov r3, r10
    add r3, -32
    mov r4, 1
    call 2
""" + TIMER.replace("stw [r10-4], 1", "")


@pytest.mark.parametrize("kind", [MapType.HASH, MapType.LRU_HASH])
@pytest.mark.parametrize("gone", ["deleted", "cleared", "reset", "pushed out"])
def test_the_timer_of_an_element_goes_with_it(kind: MapType, gone: str) -> None:
    """As in the kernel, where deleting frees it: another element in its place has none."""
    twins = Twins(NEW_TIMER.replace("CANCEL", ""), timers=(kind, 4, 24, 1))
    for _ in range(3):
        assert twins.run().value == 0
        for maps in twins.maps:
            if gone == "deleted" or (kind == MapType.HASH and gone == "pushed out"):
                del maps["timers"][1]
            elif gone == "cleared":
                maps["timers"].clear()
            elif gone == "reset":
                maps["timers"].reset()
            else:
                maps["timers"][2] = 0
                del maps["timers"][2]
    for maps, program in zip(twins.maps, twins.programs, strict=True):
        maps["timers"][7] = 0  # lies where one of the others was
        program.host.clock.now = 1 << 40  # type: ignore[attr-defined]
        assert program.run_timers() == ()


@pytest.mark.parametrize("kind", [MapType.ARRAY, MapType.HASH, MapType.LRU_HASH])
@pytest.mark.parametrize("by", ["program", "Python"])
def test_an_update_frees_the_timer_of_an_element(kind: MapType, by: str) -> None:
    """As in the kernel: it does not fire, and a new one can be made."""
    text = NEW_TIMER if by == "program" else TIMER
    twins = Twins(
        text.replace("CANCEL", "").replace("mov r4, 1", "mov r4, 0"), timers=(kind, 4, 24, 2)
    )
    for _ in range(3):
        if by == "Python":
            for maps in twins.maps:
                maps["timers"][1] = 0
        assert twins.run().value == 0
    for maps, program in zip(twins.maps, twins.programs, strict=True):
        maps["timers"][1] = 0
        program.host.clock.now = 1 << 40  # type: ignore[attr-defined]
        assert program.run_timers() == ()


def test_a_timer_for_ever_ends() -> None:
    """A timer that starts itself for a time that has passed waits for the next call."""
    text = TIMER.replace("CANCEL", "").replace(
        "mov r2, 1000\n    mov r3, 0", "mov r2, 1\n    mov r3, 1"
    )
    twins = Twins(text, timers=TIMERS)
    twins.run()
    for program in twins.programs:
        program.host.clock.now = 1 << 40  # type: ignore[attr-defined]
        assert [len(program.run_timers()) for _ in range(3)] == [1, 1, 1]


LOCK = """
    stw [r10-4], 0
    lddw r1, {locks}
    mov r2, r10
    add r2, -4
    call 1
    mov r7, r0
    mov r1, r7
    call 93
    REST
    mov r0, 0
    exit
"""


def test_locks() -> None:
    locks = (MapType.ARRAY, 4, 8, 1)
    assert Twins(LOCK.replace("REST", "mov r1, r7\ncall 94"), locks=locks).run().value == 0
    with pytest.raises(HelperError, match="deadlock"):
        Twins(LOCK.replace("REST", "mov r1, r7\ncall 93"), locks=locks).run()
    with pytest.raises(HelperError, match="is not held"):
        Twins(LOCK.replace("call 93", "call 94").replace("REST", ""), locks=locks).run()


def test_a_long_loop_ends_by_the_budget() -> None:
    twins = Twins(LOOP.replace("TIMES", "8000000").replace("FLAGS", "0").replace("r1, 6", "r1, -1"))
    with pytest.raises(BudgetExceeded):
        twins.run(budget=5000)


DRAIN = """
    stdw [r10-8], 0
    lddw r1, {ring}
    lddw r2, code_addr(body)
    mov r3, r10
    add r3, -8
    mov r4, 0
    call 209
    mov r6, r0
    ldxdw r0, [r10-8]
    lsh r6, 32
    or r0, r6
    exit
body:
    mov r6, r1
    mov r7, r2
    mov r1, r10
    add r1, -8
    mov r2, 4
    mov r3, r6
    mov r4, 1
    mov r5, 0
    call 201
    ldxw r1, [r10-8]
    ldxdw r2, [r7]
    add r2, r1
    stxdw [r7], r2
    mov r0, 0
    jne r1, 9, +1
    mov r0, 1
    exit
"""


def test_samples_of_users_are_drained() -> None:
    twins = Twins(DRAIN, ring=(MapType.USER_RINGBUF, 0, 0, 4096))
    assert twins.run().value == 0
    for maps in twins.maps:
        for number in (3, 5, 9, 7):
            maps["ring"].push(b"x" + number.to_bytes(4, "little"))
    assert twins.run().value == 3 << 32 | 17
    assert twins.run().value == 1 << 32 | 7
    refused = Twins(DRAIN, ring=(MapType.RINGBUF, 0, 0, 4096)).run()
    assert refused.value == -22 << 32 & (1 << 64) - 1
