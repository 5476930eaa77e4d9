"""Does the firewall do what the comment at its head says?"""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drybpf.testing import Expect, build, strategies

pytestmark = pytest.mark.bpf("xdp_firewall.o", max_instructions=120)

ip4, ip6 = build.ipv4, build.ipv6
ICMP6_ECHO = 128
MORE_FRAGMENTS = 0x2000
RECORD_ROUTE = bytes([7, 7, 4, 0, 0, 0, 0])  # an option of IPv4

RULES = [
    ("ARP", build.ethernet(build.arp(), type=build.ARP), "PASS"),
    ("ping", build.ethernet(ip4(build.icmp())), "PASS"),
    ("ping 6", build.ethernet(ip6(build.icmp(type=ICMP6_ECHO))), "PASS"),
    ("telnet", build.ethernet(ip4(build.tcp(dport=23))), "DROP"),
    (
        "telnet behind options",
        build.ethernet(ip4(build.tcp(dport=23), options=RECORD_ROUTE)),
        "DROP",
    ),
    ("SMB 6", build.ethernet(ip6(build.tcp(dport=445))), "DROP"),
    ("web", build.ethernet(ip4(build.tcp(dport=443))), "PASS"),
    ("DNS query", build.ethernet(ip4(build.udp(dport=53))), "PASS"),
    ("DNS answer", build.ethernet(ip4(build.udp(sport=53), dst="127.66.1.2")), "PASS"),
    ("blocked net", build.ethernet(ip4(build.udp(dport=123), dst="127.66.1.2")), "DROP"),
    ("fragment", build.ethernet(ip4(build.udp(dport=53), fragment=MORE_FRAGMENTS)), "DROP"),
    (
        "fragment 6",
        build.ethernet(ip6(build.udp(), extensions=((build.FRAGMENT, bytes(6)),))),
        "DROP",
    ),
    ("GRE", build.ethernet(ip4(build.gre(ip4(build.tcp())))), "DROP"),
    ("unknown type", build.ethernet(b"?", type=0x9999), "DROP"),
    ("nothing", b"", "ABORTED"),
    ("no header", build.ethernet(ip4(build.tcp()))[:40], "ABORTED"),
    ("header of 4 bytes", build.ethernet(ip4(build.tcp(), ihl=1)), "ABORTED"),
]


@pytest.mark.parametrize(("frame", "verdict"), [r[1:] for r in RULES], ids=[r[0] for r in RULES])
def test_rule(bpf, frame, verdict):
    assert bpf.run(frame) == Expect(action=verdict, packet=frame)


def test_recorded_traffic(bpf):
    verdicts = Counter(outcome.action.name for outcome in bpf.run_all("../traffic.pcap"))
    assert verdicts == {"PASS": 60, "DROP": 11, "ABORTED": 4, "TX": 2}


@pytest.mark.parametrize(
    ("ip", "here", "there"), [(ip4, "10.0.0.1", "10.0.0.2"), (ip6, "fd00::1", "fd00::2")]
)
def test_an_echo_comes_back_as_it_was(bpf, ip, here, there):
    def between(sender, receiver, src, dst, **ports):
        segment = build.udp(b"hello", **ports)
        return build.ethernet(ip(segment, src=src, dst=dst), src=sender, dst=receiver)

    sent = between(build.MAC_A, build.MAC_B, here, there, sport=4242, dport=7)
    answer = between(build.MAC_B, build.MAC_A, there, here, sport=7, dport=4242)
    assert bpf.run(sent) == Expect(action="TX", packet=answer)


# `derandomize` has Hypothesis think of the same packets in every run.
@strategies.one_object(derandomize=True)
@given(strategies.packets())
def test_no_packet_makes_it_fault(bpf, frame):
    outcome = bpf.run(frame)
    if outcome.action.name != "TX":
        assert outcome.packet == frame


@strategies.one_object(max_examples=300, derandomize=True)
@given(strategies.ethernet(strategies.ipv4(strategies.udp(dport=st.just(7)), fragments=False)))
def test_an_answer_is_never_answered(bpf, frame):
    first = bpf.run(frame)
    if first.action.name == "TX":
        assert bpf.run(first.packet) != Expect(action="TX"), "two of these would never stop"
