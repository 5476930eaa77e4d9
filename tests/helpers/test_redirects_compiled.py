"""Redirects in compiled code: the verdict where r0 is all that is seen, the record in a `run`."""

from __future__ import annotations

import pytest

from drybpf import meter
from drybpf.maps import MapType
from drybpf.records import Redirect
from space_programs import Twins

# The packet's bytes are the arguments: key or interface, and flags.
LOAD = "ldxw r6, [r1+0]\nldxw r7, [r1+4]\nmov r8, r6\nadd r8, 16\nmov r0, 99\njgt r8, r7, +{skip}\n"
NUMBERS = [0, 1, 2, 3, 4, 7, 8, 9, 11, 16, 27, 31, 32, 1 << 31, 1 << 32, (1 << 64) - 1]
PACKETS = [
    first.to_bytes(8, "little") + flags.to_bytes(8, "little")
    for first in (0, 1, 2, 5, 1 << 32, (1 << 32) + 1)
    for flags in NUMBERS
]
MAPS = {
    "devmap": (MapType.DEVMAP, 4, 4, 4),
    "devmap_hash": (MapType.DEVMAP_HASH, 4, 8, 4),
    "cpumap": (MapType.CPUMAP, 4, 4, 4),
    "xskmap": (MapType.XSKMAP, 4, 4, 4),
}


def _compare(twins: Twins) -> None:
    expected = [twins.run(packet).value for packet in PACKETS]
    assert len(set(expected)) > 1
    for program in twins.programs:
        assert [program(packet) for packet in PACKETS] == expected
        assert list(program.run_batch(PACKETS)) == expected
    interpreted, compiled = twins.programs
    assert compiled.function is not compiled  # no call needs more than the packet
    assert interpreted.run(PACKETS[0]).records == compiled.run(PACKETS[0]).records


@pytest.mark.parametrize("kind", MAPS)
def test_by_a_map(kind: str) -> None:
    text = LOAD.format(skip=5) + "lddw r1, {targets}\nldxdw r2, [r6]\nldxdw r3, [r6+8]\ncall 51\n"
    twins = Twins(text + "exit", targets=MAPS[kind])
    for made in twins.maps:
        made["targets"].update_element(bytes(4), (3).to_bytes(MAPS[kind][2], "little"))
        made["targets"].update_element(b"\1\0\0\0", (1).to_bytes(MAPS[kind][2], "little"))
    _compare(twins)
    result = twins.run(bytes(16))
    (record,) = result.records
    assert isinstance(record, Redirect)
    assert (result.value, record.map) == (4, "targets")


def test_a_slot_that_is_filled_later_is_found() -> None:
    text = "lddw r1, {targets}\nmov r2, 2\nmov r3, 2\ncall 51\nexit"
    twins = Twins(text, targets=MAPS["devmap"])
    assert [program(bytes(16)) for program in twins.programs] == [2, 2]
    for made in twins.maps:
        made["targets"].update_element(b"\2\0\0\0", b"\7\0\0\0")
    assert [program(bytes(16)) for program in twins.programs] == [4, 4]
    for made in twins.maps:
        made["targets"].delete_element(b"\2\0\0\0")
    assert [program(bytes(16)) for program in twins.programs] == [2, 2]


@pytest.mark.parametrize("hook", ["xdp", "sched_cls"])
def test_to_an_interface(hook: str) -> None:
    load = LOAD if hook == "xdp" else LOAD.replace("[r1+0]", "[r1+76]").replace("[r1+4]", "[r1+80]")
    text = load.format(skip=3) + "ldxdw r1, [r6]\nldxdw r2, [r6+8]\ncall 23\nexit"
    _compare(Twins(text, hook=hook))


def test_a_helper_in_its_place_is_called() -> None:
    twins = Twins("mov r1, 3\nmov r2, 0\ncall 23\nexit")
    for program in twins.programs:
        assert program(bytes(16)) == 4
        with program.helpers.replace(23, lambda *_: 77) as calls:
            assert program(bytes(16)) == 77
            assert list(program.run_batch([bytes(16)])) == [77]
            assert len(calls) == 2
        assert program(bytes(16)) == 4


def test_calls_are_counted_too() -> None:
    twins = Twins("mov r1, 3\nmov r2, 0\ncall 23\nexit")
    for program in twins.programs:
        with meter.Meter() as counted:
            assert program(bytes(16)) == 4
            assert list(program.run_batch([bytes(16)])) == [4]
        (counts,) = counted.take()
        assert counts.executed[2] == 2
