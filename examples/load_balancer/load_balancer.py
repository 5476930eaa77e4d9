"""Balance connections over five backends, take one away, and count who has to move.

python examples/load_balancer/load_balancer.py [ENGINE]
"""

import random
import sys
from collections import Counter
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path

import drybpf
from drybpf.testing.build import ethernet, ipv4, tcp

OBJECT = Path(__file__).with_suffix(".o")
SIZE = 1021  # slots of a table, as in the program
SERVICE = {"address": ip_address("192.0.2.80").packed, "port": 443, "protocol": 6}
BACKENDS = [f"10.0.1.{number}" for number in range(1, 6)]


def maglev(backends):
    """The backend of each slot: all take turns in choosing the next free one on their list.

    A list follows from the backend's own name, so that the others choose nearly the same slots
    where one is missing (Eisenbud and others, "Maglev", 2016, section 3.4).
    """
    lists = {number: iter(preferences(name)) for number, name in backends.items()}
    table = [None] * SIZE
    for turn in range(SIZE):
        number = list(backends)[turn % len(backends)]
        table[next(slot for slot in lists[number] if table[slot] is None)] = number
    return table


def preferences(name):
    digest = blake2b(name.encode(), digest_size=16).digest()
    offset, skip = (int.from_bytes(half, "big") for half in (digest[:8], digest[8:]))
    offset, skip = offset % SIZE, skip % (SIZE - 1) + 1
    return [(offset + turn * skip) % SIZE for turn in range(SIZE)]


def load():
    """The object, with one service and all backends."""
    obj = drybpf.load(OBJECT)
    obj.maps.services[SERVICE] = 0
    balance(obj, dict(enumerate(BACKENDS)))
    return obj


def balance(obj, backends):
    """Send new connections to these backends, and no others."""
    for number, name in enumerate(BACKENDS):
        mac = bytes([2, 0, 0, 0, 1, number])
        alive = number in backends
        obj.maps.backends[number] = {"address": ip_address(name).packed, "mac": mac, "alive": alive}
    obj.maps.tables[:SIZE] = maglev(backends)


def clients(count=1000):
    """A SYN of each of a number of clients, the same at every call."""
    chance = random.Random(1)
    for _ in range(count):
        source = ip_address(chance.randrange(1 << 24, 224 << 24)).packed
        port = chance.randrange(1024, 65536)
        yield ethernet(ipv4(tcp(sport=port, dport=443), src=source, dst=SERVICE["address"]))


def destinations(obj, engine):
    """Where the packet of each client goes: the destination of the outer IP header."""
    results = [obj["load_balancer"].run(packet, engine=engine) for packet in clients()]
    return [str(ip_address(result.packet[30:34])) for result in results]


def main(engine="auto"):
    obj = load()
    before = destinations(obj, engine)
    print("five backends:", dict(sorted(Counter(before).items())))

    balance(obj, {number: name for number, name in enumerate(BACKENDS) if number != 2})
    after = destinations(obj, engine)
    print("without 10.0.1.3:", dict(sorted(Counter(after).items())))
    moved = [old for old, new in zip(before, after, strict=True) if old != new]
    print(f"connections that moved: {len(moved)}, all from {set(moved)}")

    obj.maps.connections.clear()  # as another balancer would see them, or this one restarted
    fresh = destinations(obj, engine)
    moved = [old for old, new in zip(before, fresh, strict=True) if old != new]
    others = sum(old != "10.0.1.3" for old in moved)
    print(f"by the table alone: {len(moved)}, {others} of them from other backends")


if __name__ == "__main__":
    main(*sys.argv[1:])
