"""Send at three different rates through the limiter, for five simulated seconds.

python examples/rate_limiter/rate_limiter.py [ENGINE]
"""

import heapq
import sys
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import drybpf
from drybpf.testing.build import ethernet, ipv4, udp

OBJECT = Path(__file__).with_suffix(".o")
SECOND = 1_000_000_000  # nanoseconds
RATES = {"192.0.2.1": 50, "192.0.2.2": 150, "192.0.2.3": 2000}  # packets a second


def load(limit=100, burst=20):
    """The object, set to a number of packets a second, and the clock that it reads."""
    clock = drybpf.Clock(step=0)  # it moves only when we move it
    obj = drybpf.load(OBJECT, host=drybpf.Host(clock=clock))
    obj.data.interval = SECOND // limit
    obj.data.burst = burst
    return obj, clock


def traffic(clock, seconds=5):
    """Packets of all sources in the order of their time, to which the clock is set."""
    streams = [
        [(number * SECOND // rate, source) for number in range(seconds * rate)]
        for source, rate in RATES.items()
    ]
    packets = {source: ethernet(ipv4(udp(), src=source)) for source in RATES}
    for clock.now, source in heapq.merge(*streams):
        yield packets[source]


def main(engine="auto"):
    obj, clock = load()
    limiter = obj["rate_limiter"]
    limiter.engine = engine
    passed = Counter()
    for packet in traffic(clock):
        if limiter(packet) == drybpf.XdpAction.PASS:
            passed[packet[26:30], clock.now // SECOND] += 1

    print("source     sent/s  passed in each second          passed  dropped")
    for source, rate in RATES.items():
        address = ip_address(source).packed
        seconds = [passed[address, second] for second in range(5)]
        bucket = obj.maps.buckets[address]
        print(f"{source} {rate:7}  {seconds!s:29} {bucket.passed:7} {bucket.dropped:8}")


if __name__ == "__main__":
    main(*sys.argv[1:])
