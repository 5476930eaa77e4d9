"""The blacklist agrees with a reference that asks every prefix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from drybpf import Object, read_capture
from drybpf.testing.build import ethernet, ipv4, ipv6, udp
from example_runs import same_on_both, same_text, script
from support import TRAFFIC

BLACKLIST = script("blacklist")
NUMBERS = {
    ip_network(prefix): number
    for number, prefixes in enumerate([BLACKLIST.SPARED, *BLACKLIST.RULES.values()])
    for prefix in prefixes
}
ABORTED, DROP, PASS = 0, 1, 2


def rule_of(packet: bytes) -> int:
    place = packet[26:30] if packet[12:14] == b"\x08\x00" else packet[22:38]
    source = ip_address(place)
    covering = [each for each in NUMBERS if each.version == source.version and source in each]
    return NUMBERS[max(covering, key=lambda each: each.prefixlen)] if covering else 0


def test_every_source_falls_under_its_longest_prefix() -> None:
    packets = list(BLACKLIST.flood(700))
    edges = [str(end) for each in NUMBERS for end in (each[0], each[-1])]
    packets += [ethernet((ipv6 if ":" in each else ipv4)(udp(), src=each)) for each in edges]
    done = same_on_both(lambda: (BLACKLIST.load(), packets))
    assert done["verdicts"] == [DROP if rule_of(packet) else PASS for packet in packets]
    counted = {
        number: sum(counter.packets for counter in counters)
        for number, counters in enumerate(done["maps"]["counters"])
        if any(counter.packets for counter in counters)
    }
    assert counted == Counter(map(rule_of, packets))


def test_each_cpu_counts_for_itself() -> None:
    packets = list(BLACKLIST.flood(200))

    def begin() -> tuple[Object, Iterator[bytes]]:
        obj = BLACKLIST.load()

        def spread() -> Iterator[bytes]:
            for number, packet in enumerate(packets):
                obj.host.cpu = number % 4
                yield packet

        return obj, spread()

    counters = same_on_both(begin)["maps"]["counters"]
    sums = [sum(counter[cpu].packets for counter in counters) for cpu in range(4)]
    assert sums == [50, 50, 50, 50]


@pytest.mark.parametrize("length", [0, 13, 14, 33, 34, 53])
def test_cut_packets(length: int) -> None:
    packets = [packet[:length] for packet in BLACKLIST.flood(20)]
    verdicts = same_on_both(lambda: (BLACKLIST.load(), packets))["verdicts"]
    assert (ABORTED in verdicts) == (length < 54)
    assert length != 14 or set(verdicts) == {ABORTED}


def test_a_capture() -> None:
    packets = [packet.data for packet in read_capture(TRAFFIC)]
    verdicts = same_on_both(lambda: (BLACKLIST.load(), packets))["verdicts"]
    assert Counter(verdicts) == {PASS: 75, ABORTED: 2}


def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    text = same_text(BLACKLIST.main, capsys)
    passed = sum(not rule_of(packet) for packet in BLACKLIST.flood())
    assert f"(passed)  {passed:5} packets" in text


def test_it_is_proven() -> None:
    assert BLACKLIST.load()["blacklist"].checks_left() == ()
