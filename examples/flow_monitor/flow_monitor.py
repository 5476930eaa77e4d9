"""Watch the flows of a capture: events as they come, then a report.

python examples/flow_monitor/flow_monitor.py [CAPTURE [ENGINE]]
"""

import sys
from ipaddress import IPv6Address
from pathlib import Path

import drybpf

OBJECT = Path(__file__).with_suffix(".o")
CAPTURE = Path(__file__).parent.parent / "firewall" / "traffic.pcap"
PROTOCOLS = {6: "tcp", 17: "udp"}


def load():
    """The object, and the clock that it reads."""
    clock = drybpf.Clock(step=0)
    return drybpf.load(OBJECT, host=drybpf.Host(clock=clock)), clock


def replay(capture, clock):
    """The packets of a capture, each at its own time."""
    for packet in drybpf.read_capture(capture):
        clock.now = packet.timestamp_ns
        yield packet.data


def name(key):
    """A flow as text: `udp 127.0.0.1:40000 → 127.0.0.1:53`."""
    ends = end(key.source, key.source_port), end(key.destination, key.destination_port)
    return f"{PROTOCOLS[key.protocol]} {ends[0]} → {ends[1]}"


def end(address, port):
    address = IPv6Address(address)
    return f"{address.ipv4_mapped}:{port}" if address.ipv4_mapped else f"[{address}]:{port}"


def line(key, flow):
    took = (flow.last - flow.first) / 1000
    return f"{name(key)}: {flow.packets} packets, {flow.bytes} bytes, {took:.0f} µs"


def main(capture=CAPTURE, engine="auto"):
    obj, clock = load()
    opened = closed = 0
    for packet in replay(capture, clock):
        obj["flow_monitor"].run(packet, engine=engine)
        for event in obj.maps.events:  # takes them out
            if event.kind.name == "FLOW_NEW":
                opened += 1
            else:
                closed += 1
                print("closed", line(event.key, event.flow))

    print(f"{opened} flows opened, {closed} closed; {obj.data.strays} packets of none")
    for key, flow in sorted(obj.maps.flows.items(), key=lambda item: -item[1].bytes)[:5]:
        print("open  ", line(key, flow))


if __name__ == "__main__":
    main(*sys.argv[1:])
