"""Fill the blacklist, send a flood at it, and tell what each rule has dropped.

python examples/blacklist/blacklist.py [ENGINE]
"""

import random
import sys
from pathlib import Path

import drybpf
from drybpf.testing.build import ethernet, ipv4, ipv6, udp

OBJECT = Path(__file__).with_suffix(".o")
RULES = {
    "bogons": ["0.0.0.0/8", "10.0.0.0/8", "192.168.0.0/16", "fc00::/7"],
    "botnet": ["203.0.113.0/24", "2001:db8:bad::/48"],
    "scanner": ["198.51.100.7"],
}
SPARED = ["10.1.2.0/24"]  # the monitoring, from within a network that is listed
SENDERS = [
    "10.1.2.",
    "10.9.8.",
    "203.0.113.",
    "198.51.100.",
    "192.0.2.",
    "2001:db8:bad::",
    "2001:db8::",
]


def load():
    """The object, with the rules in its tries: their numbers count from 1, 0 lets pass."""
    obj = drybpf.load(OBJECT)
    for number, prefixes in enumerate([SPARED, *RULES.values()]):
        for prefix in prefixes:
            obj.maps["ipv6" if ":" in prefix else "ipv4"][prefix] = number
    return obj


def flood(count=2000):
    """Packets of random senders, the same at every call."""
    chance = random.Random(1)
    for _ in range(count):
        source = chance.choice(SENDERS) + str(chance.randrange(1, 10))
        payload = udp(bytes(chance.randrange(1000)), dport=53)
        yield ethernet(ipv6(payload, src=source) if ":" in source else ipv4(payload, src=source))


def report(obj):
    """A line for each rule: its counters are one a CPU, so they are added up."""
    for number, name in enumerate(["(passed)", *RULES]):
        counters = obj.maps.counters[number]
        packets, size = sum(c.packets for c in counters), sum(c.bytes for c in counters)
        print(
            f"{name:9} {packets:5} packets {size:7} bytes  by CPU {[c.packets for c in counters]}"
        )


def main(engine="auto"):
    obj = load()
    print("listed:", ", ".join(map(str, [*obj.maps.ipv4.prefixes(), *obj.maps.ipv6.prefixes()])))
    print("10.9.8.7 falls under rule", obj.maps.ipv4["10.9.8.7"])
    blacklist = obj["blacklist"]
    blacklist.engine = engine
    for number, packet in enumerate(flood()):
        obj.host.cpu = number % obj.host.cpus  # as a card spreads packets over CPUs
        blacklist(packet)
    report(obj)


if __name__ == "__main__":
    main(*sys.argv[1:])
