"""The load balancer's tables are fair and stable, and its packets well formed."""

from __future__ import annotations

from collections import Counter
from ipaddress import ip_address

import pytest

from drybpf.testing.build import checksum, ethernet, ipv4, tcp, udp
from example_runs import same_on_both, same_text, script

BALANCER = script("load_balancer")
DROP, PASS, TX = 1, 2, 3
SERVICE = "192.0.2.80"


def test_every_packet_is_wrapped() -> None:
    packets = [*BALANCER.clients(150)] * 2
    done = same_on_both(lambda: (BALANCER.load(), packets))
    assert set(done["verdicts"]) == {TX}
    for before, after in zip(packets, done["packets"], strict=True):
        outer, inner = after[14:34], after[34:]
        assert inner == before[14:]
        assert checksum(outer) == 0
        assert int.from_bytes(outer[2:4], "big") == len(after) - 14
        assert (outer[0], outer[9], outer[12:16]) == (0x45, 4, bytes((10, 0, 0, 1)))
        backend = str(ip_address(outer[16:20]))
        assert after[:6] == bytes((2, 0, 0, 0, 1, BALANCER.BACKENDS.index(backend)))
        assert after[6:14] == bytes((2, 0, 0, 0, 0, 1)) + b"\x08\x00"
    half = len(packets) // 2
    assert done["packets"][:half] == done["packets"][half:]
    assert len(done["maps"]["connections"]) == half
    counts = [sum(cpu.packets for cpu in each) for each in done["maps"]["forwarded"]]
    assert sum(counts) == len(packets)


def test_what_is_for_no_service_passes() -> None:
    packet = next(BALANCER.clients(1))
    others = [
        ethernet(ipv4(tcp(dport=80), dst=SERVICE)),
        ethernet(ipv4(udp(dport=443), dst=SERVICE)),
        ethernet(ipv4(tcp(dport=443), dst="192.0.2.81")),
        ethernet(ipv4(tcp(dport=443), dst=SERVICE, fragment=0x2000)),
        bytes(60),
        *(packet[:length] for length in range(42)),
    ]
    done = same_on_both(lambda: (BALANCER.load(), others))
    assert set(done["verdicts"]) == {PASS}
    assert done["packets"] == others


def test_without_backends_nothing_is_sent() -> None:
    def begin() -> object:
        obj = BALANCER.load()
        for number in range(len(BALANCER.BACKENDS)):
            obj.maps.backends[number] = obj.maps.backends[number]._replace(alive=0)
        return obj, BALANCER.clients(10)

    done = same_on_both(begin)  # type: ignore[arg-type]
    assert set(done["verdicts"]) == {DROP}
    assert not done["maps"]["connections"]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_tables_are_fair(count: int) -> None:
    table = BALANCER.maglev({number: f"backend {number}" for number in range(count)})
    shares = Counter(table)
    assert len(shares) == count
    assert max(shares.values()) - min(shares.values()) <= 1


@pytest.mark.parametrize("gone", range(5))
def test_a_backend_that_leaves_takes_few_with_it(gone: int) -> None:
    backends = dict(enumerate(BALANCER.BACKENDS))
    before = BALANCER.maglev(backends)
    after = BALANCER.maglev({n: name for n, name in backends.items() if n != gone})
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    assert sum(old != gone for old in moved) < 0.1 * BALANCER.SIZE
    assert gone not in after


def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    text = same_text(BALANCER.main, capsys)
    assert "all from {'10.0.1.3'}" in text
