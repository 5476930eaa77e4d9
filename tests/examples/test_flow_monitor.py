"""The flow monitor's table and events are what the packets say."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

import pytest

from drybpf.testing.build import ethernet, ipv4, ipv6, tcp, udp
from example_runs import same_on_both, same_text, script

MONITOR = script("flow_monitor")
SYN, FIN, RST, ACK = 2, 1, 4, 16


def watch(packets: Iterable[bytes]) -> tuple[list[tuple[str, int]], dict[str, int], int]:
    """Events as kind and packets, the open flows with their packets, and how many strays."""
    packets = list(packets)
    done = same_on_both(lambda: (MONITOR.load()[0], packets))
    assert set(done["verdicts"]) == {2}
    assert done["packets"] == packets
    events = [(event.kind.name, event.flow.packets) for event in done["maps"]["events"]]
    flows = {MONITOR.name(key): flow.packets for key, flow in done["maps"]["flows"].items()}
    assert done["variables"]["missed"] == 0
    return events, flows, done["variables"]["strays"]


def segment(flags: int, port: int = 40000) -> bytes:
    return ethernet(ipv4(tcp(sport=port, flags=flags)))


@pytest.mark.parametrize("last", [FIN, RST, FIN | ACK])
def test_a_connection(last: int) -> None:
    events, flows, strays = watch(map(segment, (SYN, ACK, ACK, last, ACK)))
    assert events == [("FLOW_NEW", 1), ("FLOW_CLOSED", 4)]
    assert (flows, strays) == ({}, 1)


def test_a_port_used_again() -> None:
    events, flows, _ = watch(map(segment, (SYN, FIN, SYN)))
    assert [kind for kind, _ in events] == ["FLOW_NEW", "FLOW_CLOSED", "FLOW_NEW"]
    assert flows == {"tcp 10.0.0.1:40000 → 10.0.0.2:80": 1}


def test_flows_of_both_families() -> None:
    frames = [
        ethernet(ipv4(udp(b"x", sport=5, dport=53), options=bytes(8))),
        ethernet(ipv6(udp(b"x", sport=5, dport=53))),
        ethernet(ipv4(udp(b"y", sport=5, dport=53))),
    ]
    events, flows, _ = watch(frames)
    assert events == [("FLOW_NEW", 1), ("FLOW_NEW", 1)]
    assert flows == {"udp 10.0.0.1:5 → 10.0.0.2:53": 2, "udp [fd00::1]:5 → [fd00::2]:53": 1}


def test_what_is_no_flow() -> None:
    whole = ethernet(ipv4(udp(b"text", sport=5)))
    later = ethernet(ipv4(udp(b"text", sport=5), fragment=7))
    odd = whole[:14] + b"\x41" + whole[15:]  # a header of 4 bytes
    cut = [whole[:length] for length in range(42)]
    assert watch([*cut, later, odd]) == ([], {}, 0)


def test_a_full_ring_is_told() -> None:
    frames = [segment(SYN, port) for port in range(1, 12_001)]
    obj, _ = MONITOR.load()
    for frame in frames:
        obj["flow_monitor"](frame)
    assert obj.data.missed == len(frames) - len(obj.maps.events)
    assert obj.data.missed > 0
    assert len(obj.maps.flows) == len(frames)


def test_times_are_those_of_the_capture(capsys: pytest.CaptureFixture[str]) -> None:
    def begin() -> object:
        obj, clock = MONITOR.load()
        return obj, MONITOR.replay(MONITOR.CAPTURE, clock)

    events = same_on_both(begin)["maps"]["events"]  # type: ignore[arg-type]
    assert len({event.flow.first for event in events}) > 20
    assert all(event.flow.first <= event.flow.last for event in events)
    assert ip_address(events[0].key.source[12:]) == ip_address("127.0.0.1")
    text = same_text(MONITOR.main, capsys, MONITOR.CAPTURE)
    assert "26 flows opened, 4 closed" in text
