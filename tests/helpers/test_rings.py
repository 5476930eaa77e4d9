"""Ring buffers and perf buffers: samples, their memory while reserved, and what is refused."""

from __future__ import annotations

import pytest

from drybpf.errors import HelperError, MemoryFault
from drybpf.maps import MapType
from drybpf.records import Event
from space_programs import Twins

RING = (MapType.RINGBUF, 0, 0, 4096)
RESERVE = """
    mov r6, r1
    lddw r1, {ring}
    mov r2, 16
    mov r3, 0
    call 131
    jne r0, 0, +2
    mov r0, 99
    exit
    mov r7, r0
"""
SUBMIT = "mov r1, r7\nmov r2, 0\ncall 132\n"
END = "mov r0, 0\nexit"


def test_a_sample_is_reserved_written_and_submitted() -> None:
    twins = Twins(RESERVE + "stdw [r7], 1\nstdw [r7+8], 2\n" + SUBMIT + END, ring=RING)
    result = twins.run()
    data = (1).to_bytes(8, "little") + (2).to_bytes(8, "little")
    assert result.events == (Event("ring", 0, data),)
    assert twins.each(lambda maps: list(maps["ring"])) == [data]


@pytest.mark.parametrize("offset", [16, 9, -1, -8, 1 << 20])
def test_just_the_reserved_bytes_can_be_accessed(offset: int) -> None:
    for access in (f"stxdw [r1], r7\n{SUBMIT}", "ldxdw r0, [r1]\n"):
        twins = Twins(RESERVE + f"mov r1, r7\nadd r1, {offset}\n" + access + END, ring=RING)
        with pytest.raises(MemoryFault):
            twins.run()


@pytest.mark.parametrize("finish", [132, 133])
def test_a_sample_is_gone_afterwards(finish: int) -> None:
    given_back = SUBMIT.replace("132", str(finish))
    for access in ("ldxb r0, [r7]\n", "stb [r7], 1\n"):
        twins = Twins(RESERVE + given_back + access + END, ring=RING)
        with pytest.raises(MemoryFault, match="nothing is mapped"):
            twins.run()
    twins = Twins(RESERVE + given_back + SUBMIT + END, ring=RING)
    with pytest.raises(HelperError, match="no reserved sample"):
        twins.run()
    # The same with a helper that would write there.
    copy = "mov r1, r7\nmov r2, 8\ncall 16\n"
    with pytest.raises(MemoryFault):
        Twins(RESERVE + given_back + copy + END, ring=RING).run()


def test_a_discarded_sample_is_not_seen() -> None:
    twins = Twins(RESERVE + SUBMIT.replace("132", "133") + END, ring=RING)
    assert twins.run().events == ()
    assert twins.each(lambda maps: list(maps["ring"])) == []


def test_a_full_ring() -> None:
    twins = Twins(RESERVE.replace("r2, 16", "r2, 2048") + SUBMIT + END, ring=RING)
    assert [twins.run().value for _ in range(3)] == [0, 99, 99]
    twins.each(lambda maps: len(list(maps["ring"])))
    assert twins.run().value == 0


def test_a_sample_that_is_larger_than_the_ring() -> None:
    for size in (4096, 1 << 20, (1 << 32) - 1, 1 << 40):
        text = RESERVE.replace("mov r2, 16", f"lddw r2, {size}") + SUBMIT + END
        assert Twins(text, ring=RING).run().value == 99


OUTPUT = """
    lddw r2, 0x0102030405060708
    stxdw [r10-8], r2
    lddw r1, {ring}
    mov r2, r10
    add r2, -8
    mov r3, 8
    mov r4, FLAGS
    call 130
    mov r6, r0
    lddw r1, {ring}
    mov r2, 0
    call 134
    lsh r0, 8
    add r0, r6
    exit
"""


def test_output_and_query() -> None:
    twins = Twins(OUTPUT.replace("FLAGS", "0"), ring=RING)
    assert [twins.run().value for _ in range(3)] == [16 << 8, 32 << 8, 48 << 8]
    assert twins.each(lambda maps: list(maps["ring"])) == [bytes(range(8, 0, -1))] * 3
    refused = Twins(OUTPUT.replace("FLAGS", "4"), ring=RING).run()
    assert refused.value == (1 << 64) - 22
    assert refused.events == ()


DYNPTR = """
    lddw r1, {ring}
    mov r2, 24
    mov r3, 0
    mov r4, r10
    add r4, -16
    call 198
    mov r6, r0
    stdw [r10-24], 7
    mov r1, r10
    add r1, -16
    mov r2, 16
    mov r3, r10
    add r3, -24
    mov r4, 8
    mov r5, 0
    call 202
    add r6, r0
    mov r1, r10
    add r1, -16
    mov r2, 0
    call 199
    mov r0, r6
    exit
"""


def test_a_ring_buffers_dynptr() -> None:
    twins = Twins(DYNPTR, ring=RING)
    assert twins.run().value == 0
    assert twins.each(lambda maps: list(maps["ring"]))[0][16:] == (7).to_bytes(8, "little")


PERF = """
    mov r6, r1
    stdw [r10-8], 5
    lddw r2, {events}
    lddw r3, FLAGS
    mov r4, r10
    add r4, -8
    mov r5, 8
    call 25
    exit
"""
EVENTS = (MapType.PERF_EVENT_ARRAY, 4, 4, 4)
CURRENT = 0xFFFF_FFFF
FIVE = (5).to_bytes(8, "little")


@pytest.mark.parametrize("hook", ["xdp", "sched_cls", "socket_filter", "cgroup_skb"])
def test_perf_events_with_the_packets_bytes(hook: str) -> None:
    packet = bytes(range(64))
    seen = packet[14:] if hook == "cgroup_skb" else packet
    twins = Twins(PERF.replace("FLAGS", str(CURRENT | 10 << 32)), hook, events=EVENTS)
    assert twins.run(packet).events == (Event("events", 0, FIVE + seen[:10], seen[:10]),)
    assert twins.each(lambda maps: list(maps["events"])) == [FIVE + seen[:10]]
    twins = Twins(PERF.replace("FLAGS", str(CURRENT | 65 << 32)), hook, events=EVENTS)
    assert twins.run(packet).value == (1 << 64) - 14


@pytest.mark.parametrize(
    ("flags", "error"), [(0, 0), (1, 95), (4, 7), (CURRENT, 0), (1 << 52, 22), (1 << 63, 22)]
)
def test_the_cpu_of_a_perf_event(flags: int, error: int) -> None:
    twins = Twins(PERF.replace("FLAGS", str(flags)), events=EVENTS)
    assert twins.run().value == -error % (1 << 64)


def test_tracing_programs_have_no_packet_to_append() -> None:
    twins = Twins(PERF.replace("FLAGS", str(CURRENT | 1 << 32)), "kprobe", events=EVENTS)
    assert twins.run(b"").value == (1 << 64) - 22


def test_a_run_on_another_cpu() -> None:
    twins = Twins(
        PERF.replace("FLAGS", str(CURRENT)),
        prepare=lambda host: setattr(host, "cpu", 3),
        events=EVENTS,
    )
    assert twins.run().events == (Event("events", 3, FIVE),)


def test_a_run_that_faults_gives_its_sample_up() -> None:
    """What it reserved would stop whoever reads the ring for ever."""
    text = (
        RESERVE + "ldxw r1, [r6+12]\njeq r1, 1, +1\nldxb r0, [r7+16]\nstdw [r7], 6\n" + SUBMIT + END
    )
    twins = Twins(text, ring=RING)
    for _ in range(3):
        with pytest.raises(MemoryFault):
            twins.run(ifindex=2)
    assert twins.run(ifindex=1).value == 0
    assert twins.each(lambda maps: [data[0] for data in maps["ring"]]) == [6]
