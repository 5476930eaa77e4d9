"""The rate limiter agrees with a bucket written in Python."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from drybpf import Object
from drybpf.testing.build import ethernet, ipv4, udp
from example_runs import same_on_both, same_text, script

LIMITER = script("rate_limiter")
DROP, PASS = 1, 2


def bucket(times: list[int], interval: int, burst: int) -> Iterator[int]:
    """The verdicts on packets of one source at these times."""
    credit, before = burst * interval, times[0]
    for now in times:
        credit, before = min(credit + now - before, burst * interval), now
        passes = credit >= interval
        credit -= interval * passes
        yield PASS if passes else DROP


@pytest.mark.parametrize("seed", range(4))
def test_random_times(seed: int) -> None:
    chance = random.Random(seed)
    limit, burst = chance.choice([1, 100, 3000]), chance.choice([1, 2, 30])
    interval = LIMITER.SECOND // limit
    sources = [f"192.0.2.{number}" for number in range(3)]
    now, arrivals = 1, []
    for _ in range(200):
        now += chance.choice([0, interval // 5, interval // 2, interval, 3 * interval])
        arrivals.append((now, chance.choice(sources)))

    def begin() -> tuple[Object, Iterator[bytes]]:
        obj, clock = LIMITER.load(limit, burst)

        def send() -> Iterator[bytes]:
            for time, source in arrivals:
                clock.now = time
                yield ethernet(ipv4(udp(), src=source))

        return obj, send()

    done = same_on_both(begin)
    for source in sources:
        times = [time for time, sender in arrivals if sender == source]
        verdicts = [
            verdict
            for (_, sender), verdict in zip(arrivals, done["verdicts"], strict=True)
            if sender == source
        ]
        assert verdicts == list(bucket(times, interval, burst))
        key = bytes(map(int, source.split(".")))
        found = done["maps"]["buckets"][key]
        assert (found.passed, found.dropped) == (verdicts.count(PASS), verdicts.count(DROP))


def test_what_is_not_ipv4() -> None:
    arp, cut = bytes(12) + b"\x08\x06" + bytes(46), ethernet(ipv4(udp()))[:33]
    done = same_on_both(lambda: (LIMITER.load()[0], [arp, cut, b""]))
    assert done["verdicts"] == [PASS, 0, 0]
    assert not done["maps"]["buckets"]


def test_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    lines = same_text(LIMITER.main, capsys).splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [
        ["250", "0"],
        ["519", "231"],
        ["519", "9481"],
    ]


def test_it_is_proven() -> None:
    assert LIMITER.load()[0]["rate_limiter"].checks_left() == ()
