"""What tests are made of: packets, header fields, differences, expectations, mocks, strategies."""

from __future__ import annotations

import pickle
import re
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import drybpf
from drybpf.errors import ExecutionError
from drybpf.helpers import Helpers
from drybpf.helpers.kfuncs import kfunc_number
from drybpf.maps import ArrayMap, MapDefinition, MapType
from drybpf.testing import (
    Expect,
    HelperMocks,
    PacketBytes,
    Subject,
    as_bytes,
    build,
    capture,
    fields,
    map_difference,
    packet_difference,
    strategies,
)
from drybpf.testing.difference import filled
from support import FIREWALL, TRAFFIC, fixture

FRAME = build.ethernet(build.ipv4(build.udp(b"hello", dport=7)))

# Packets


class Scapy:
    """As scapy's packets: built by `bytes()`."""

    def __bytes__(self) -> bytes:
        return b"built"


@pytest.mark.parametrize(
    "packet",
    [
        b"built",
        bytearray(b"built"),
        memoryview(b"built"),
        Scapy(),
        drybpf.Packet(b"built", 0, 5),
        PacketBytes(b"built"),
    ],
)
def test_packets_of_every_form(packet: object) -> None:
    assert as_bytes(packet) == b"built"
    assert isinstance(as_bytes(packet), PacketBytes)


@pytest.mark.parametrize("packet", [5, "text", None, object(), 1.5, [1, 2]])
def test_what_is_no_packet_is_refused(packet: object) -> None:
    with pytest.raises(TypeError):
        as_bytes(packet)


def test_a_packet_is_shown_shortened() -> None:
    assert repr(PacketBytes(b"\1\2")) == "<2 bytes: 01 02>"
    assert repr(PacketBytes(bytes(100))).endswith("00 …>")


def test_a_capture_as_bytes() -> None:
    assert len(list(capture(TRAFFIC))) == 77


# Fields


def _names(frame: bytes) -> list[str]:
    return [field.name for field in fields(frame)]


def test_the_fields_of_a_frame() -> None:
    assert _names(FRAME) == [
        *("ethernet.dst", "ethernet.src", "ethernet.type"),
        *("ipv4.version_ihl", "ipv4.tos", "ipv4.total_length", "ipv4.id", "ipv4.fragment"),
        *("ipv4.ttl", "ipv4.protocol", "ipv4.checksum", "ipv4.src", "ipv4.dst"),
        *("udp.src_port", "udp.dst_port", "udp.length", "udp.checksum", "payload"),
    ]
    by_name = {field.name: FRAME[field.start : field.end] for field in fields(FRAME)}
    assert by_name["udp.dst_port"] == b"\0\7"
    assert by_name["ipv4.dst"] == bytes([10, 0, 0, 2])
    assert by_name["payload"] == b"hello"


def test_the_fields_of_options_tags_and_tunnels() -> None:
    tagged = build.vlan(
        build.ethernet(build.ipv4(build.tcp(options=b"\2\4\5\xb4"), options=b"\x94\4\0\0"))
    )
    assert {"vlan.tci", "ipv4.options", "tcp.options"} <= set(_names(tagged))
    extended = build.ipv6(
        build.udp(), extensions=((build.HOP_BY_HOP, bytes(6)), (build.FRAGMENT, bytes(6)))
    )
    assert {"ipv6.hop_by_hop", "ipv6.fragment", "udp.length"} <= set(
        _names(build.ethernet(extended))
    )
    inner = build.ethernet(build.ipv4(build.icmp()))
    assert _names(build.ethernet(build.ipv4(build.vxlan(inner)))).count("ethernet.type") == 2
    for carried in (
        build.tunnelled(build.ipv6(build.tcp())),
        build.gre(build.ipv6(build.tcp()), key=5),
    ):
        assert "tcp.flags" in _names(build.ethernet(build.ipv4(carried)))
    assert "arp.spa" in _names(build.ethernet(build.arp(), type=build.ARP))


@settings(max_examples=300, deadline=None)
@given(strategies.packets())
def test_fields_cover_any_frame_without_gaps(frame: bytes) -> None:
    found = fields(frame)
    assert b"".join(frame[field.start : field.end] for field in found) == frame
    assert all(a.end == b.start for a, b in pairwise(found))


# Differences


def test_a_difference_names_the_fields() -> None:
    other = bytearray(FRAME)
    other[22] = 63
    other[37] = 9
    assert packet_difference(FRAME, bytes(other)) == [
        "2 of 47 bytes differ:",
        "  0x0016 ipv4.ttl                 40 → 3f",
        "  0x0024 udp.dst_port             00 07 → 00 09",
    ]
    assert packet_difference(FRAME, FRAME) == []


def test_a_difference_in_length_shows_what_was_put_in() -> None:
    tagged = build.vlan(FRAME, 5)
    assert packet_difference(FRAME, tagged) == [
        "47 bytes against 51:",
        "  0x000c ethernet.type: 4 bytes more on the right: 81 00 00 05",
    ]
    assert "4 bytes more on the left" in packet_difference(tagged, FRAME)[1]
    assert packet_difference(b"", b"ab")[1] == "  0x0000 end: 2 bytes more on the right: 61 62"
    assert packet_difference(b"abc", b"axyc")[1] == "  0x0001 ethernet.dst: 62 → 78 79"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=90), st.binary(max_size=90))
def test_a_difference_is_told_for_any_two(left: bytes, right: bytes) -> None:
    assert bool(packet_difference(left, right)) == (left != right)


def test_scapy_tells_its_fields_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in that has the attributes of scapy's packets that are used."""

    class Ether:
        name, payload = "Ether", None

        def __init__(self, data: bytes) -> None:
            self.fields_desc = [SimpleNamespace(name="type")]
            self.type = data[13]

        def getfieldval(self, name: str) -> object:
            return getattr(self, name)

    module = ModuleType("scapy.layers.l2")
    module.Ether = Ether  # type: ignore[attr-defined]  # what scapy has there
    monkeypatch.setitem(sys.modules, "scapy.layers.l2", module)
    lines = packet_difference(bytes(14), bytes(13) + b"\1")
    assert lines[-2:] == ["as scapy reads them:", "  Ether[0].type: 0 → 1"]


def test_real_scapy_packets() -> None:
    inet = pytest.importorskip("scapy.layers.inet", reason="scapy is not installed here")
    link = pytest.importorskip("scapy.layers.l2")
    packet = link.Ether(src=build.MAC_A, dst=build.MAC_B)
    packet /= inet.IP(src="10.0.0.1", dst="10.0.0.2", id=0) / inet.UDP(sport=40000, dport=7)
    packet /= b"hello"
    assert as_bytes(packet) == FRAME
    other = build.ethernet(build.ipv4(build.udp(b"hello", dport=7), ttl=3))
    assert "  IP[1].ttl: 64 → 3" in packet_difference(FRAME, other)


def test_a_difference_of_maps() -> None:
    assert map_difference({1: "a", 2: "b", 3: "c"}, {2: "b", 3: "x", 4: "d"}) == [
        "  [1]: 'a', only on the left",
        "  [3]: 'c' → 'x'",
        "  [4]: 'd', only on the right",
    ]
    assert map_difference({1: 1}, {1: 1}) == []
    assert map_difference(dict.fromkeys(range(99), 0), {})[-1] == "  … and 59 more"


# Expectations


@pytest.fixture
def firewall() -> Subject:
    return Subject(FIREWALL, folder=Path(TRAFFIC).parent)


def test_an_outcome_equals_what_it_fulfils(firewall: Subject) -> None:
    outcome = firewall.run(FRAME)
    for action in (drybpf.XdpAction.TX, "TX", "tx", "XDP_TX", 3):
        assert outcome == Expect(action=action)
        assert Expect(action=action) == outcome
    assert outcome != Expect(action="PASS")
    assert outcome == Expect(value=3, printed=(), max_instructions=200, packet=outcome.packet)
    assert outcome == firewall.run(FRAME)
    assert outcome != 3


def test_an_expectation_tells_every_difference(firewall: Subject) -> None:
    wanted = Expect(
        action="DROP",
        value=1,
        packet=FRAME,
        printed=("hello",),
        max_instructions=5,
        check=lambda outcome: outcome.value == 1,
    )
    lines = wanted.differences(firewall.run(FRAME))
    assert lines[:2] == ["verdict: TX (3), expected DROP", "r0: 0x3, expected 0x1"]
    assert "packet, as it is → as expected:" in lines
    assert "printed: (), expected ('hello',)" in lines
    assert "instructions: 84, at most 5 are allowed" in lines
    assert lines[-1] == "check: <lambda> does not hold"


def test_an_expectation_of_maps(firewall: Subject) -> None:
    outcome = firewall.run(FRAME)
    outcome.maps = {"counters": {0: 5, 1: 6}}
    assert outcome == Expect(maps={"counters": {0: 5, 1: 6}})
    assert Expect(maps={"counters": {0: 5, 1: 7}}).differences(outcome) == [
        "map counters, as it is → as expected:",
        "  [1]: 6 → 7",
    ]


def test_an_outcome_has_all_that_a_result_has(firewall: Subject) -> None:
    outcome = firewall.run(FRAME)
    assert (outcome.value, outcome.action.name, outcome.instructions) == (3, "TX", 84)
    assert outcome.describe()[0].startswith("xdp_firewall on auto: TX (3), 84 instructions")
    assert repr(outcome) == "<Outcome xdp_firewall: TX (3)>"
    with pytest.raises(AttributeError):
        _ = outcome.nothing
    assert repr(Expect(action="TX")) == "Expect(action='TX')"


# The subject


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_a_subject_runs_its_program(engine: str) -> None:
    subject = Subject(FIREWALL, engine=engine, folder=TRAFFIC.parent)  # type: ignore[arg-type]
    assert subject(FRAME) is drybpf.XdpAction.TX
    outcomes = subject.run_all(TRAFFIC.name)
    assert len(outcomes) == 77
    assert len(subject.runs) == 78
    assert subject.worst == max(run.instructions for run in subject.runs)
    assert subject.program.engine == engine
    assert subject.run_all([FRAME, b""])[1] == Expect(action="ABORTED")


def test_a_subject_with_several_programs_wants_a_name() -> None:
    subject = Subject(fixture("xdp_two_programs"))
    with pytest.raises(ValueError, match="xdp_first, xdp_second"):
        subject.run(b"")
    assert subject.run(bytes(64), program="xdp_first").program == "xdp_first"
    named = Subject(fixture("xdp_two_programs"), program="xdp_second", budget=3)
    with pytest.raises(drybpf.BudgetExceeded):
        named.run(bytes(64))


def test_zeros_of_an_array_of_structures_need_not_be_named() -> None:
    codec = drybpf.load(fixture("load_maps")).maps["flows"].definition.value
    assert codec is not None
    array: Any = ArrayMap(MapDefinition("a", MapType.ARRAY, 4, codec.size, 4, value=codec))
    array[2] = {"packets": 7}
    assert map_difference(array, {2: array[2]}) == []
    assert map_difference({2: array[2]}, array) == []
    (line,) = map_difference(array, {})
    assert line.startswith("  [2]: ")
    assert filled(array, 8) == {2: array[2]}


def test_too_many_instructions_fail_with_the_hot_lines() -> None:
    subject = Subject(FIREWALL, max_instructions=20)
    with pytest.raises(AssertionError, match="84 instructions, 20 are allowed") as caught:
        subject.run(FRAME)
    assert "xdp_firewall.c:40: eth->h_dest[i] = eth->h_source[i];" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build.udp(dport=70_000), "70000"),
        (lambda: build.ipv4(ttl=300), "300"),
        (lambda: build.tcp(seq=-1), "-1"),
        (lambda: build.ethernet(type=1 << 16), "65536"),
        (lambda: build.ethernet(src="02:00:00:00:01"), "'02:00:00:00:01' is not a MAC address"),
        (lambda: build.ethernet(dst=b"12345"), "b'12345' is not a MAC address"),
        (lambda: build.ipv4(src="fd00::1"), "'fd00::1' is not an IPv4 address"),
        (lambda: build.ipv6(dst="10.0.0.1"), "'10.0.0.1' is not an IPv6 address"),
        (lambda: build.arp(tpa=bytes(16)), "is not an IPv4 address"),
    ],
)
def test_what_fits_no_field_is_refused(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_a_fault_is_told_with_its_source() -> None:
    subject = Subject(fixture("xdp_bad_access"), program="xdp_unchecked")
    with pytest.raises(ExecutionError) as caught:
        subject.run(b"abc")
    lines = subject.describe_fault(caught.value)
    assert lines[1] == "in xdp_unchecked, ./tests/fixtures/src/xdp_bad_access.c:10"
    assert any(line.startswith(">    10") and "data[100]" in line for line in lines)
    assert "insn 1: r1 = *(u8 *)(r1 + 100)" in lines
    assert lines[-2].startswith("r0=0x0 r1=0x30000100")


def test_a_fault_behind_a_tail_call_is_told_of_the_code_that_ran() -> None:
    subject = Subject(fixture("load_tails"), program="first", budget=8)
    for engine in ("interpreter", "jit"):
        subject.engine = engine
        with pytest.raises(drybpf.BudgetExceeded) as caught:
            subject.run(bytes(60))
        assert caught.value.code == subject["tagged"].code
        lines = subject.describe_fault(caught.value)
        assert lines[1] == "in tagged, ./tests/fixtures/src/load_tails.c:26"
        assert pickle.loads(pickle.dumps(caught.value)).code == caught.value.code  # noqa: S301 (ours)


def test_a_fault_of_another_run_is_not_told_of_the_last_program() -> None:
    subject = Subject(fixture("xdp_bad_access"), program="xdp_unchecked")
    with pytest.raises(ExecutionError) as caught:
        subject["xdp_past_end"].run(b"abc")
    assert "insn 1: r0 = *(u8 *)(r1 + 0)" in subject.describe_fault(caught.value)


# Mocks


def _calling(*numbers: int) -> tuple[drybpf.Program, HelperMocks]:
    text = "".join(f"mov r1, {n}\ncall {n}\n" for n in numbers) + "exit"
    helpers = Helpers()
    return drybpf.Program.from_asm(text, helpers=helpers), HelperMocks(helpers)


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_mocks_record_their_calls(engine: str) -> None:
    program, mocks = _calling(7, 5, 5)
    program.engine = engine  # type: ignore[assignment]  # a literal
    random = mocks.mock("bpf_get_prandom_u32", 77)
    clock = mocks.mock("ktime_get_ns", [10, 20])
    assert program.run().value == 20
    assert program.run().value == 20
    assert random.called
    assert [call.arguments[0] for call in random.calls] == [7, 7]
    assert [call.result for call in clock.calls] == [10, 20, 20, 20]
    clock.assert_called(4)
    assert mocks["bpf_ktime_get_ns"] is mocks[5] is clock
    assert repr(clock) == "<HelperMock bpf_ktime_get_ns: 4 calls>"


def test_a_mock_can_compute() -> None:
    program, mocks = _calling(9000)
    mocks.mock(9000, lambda context, r1, *_: r1 * 2 + context.number)
    assert program.run().value == 27000


def test_kfuncs_are_mocked_by_name() -> None:
    number = kfunc_number("bpf_kfunc_of_a_test")  # as an object does that calls it
    program, mocks = _calling(number)
    mock = mocks.mock("bpf_kfunc_of_a_test", 9)
    for engine in ("interpreter", "jit"):
        assert program.run(engine=engine).value == 9
    assert (mock.name, len(mock.calls)) == ("bpf_kfunc_of_a_test", 2)
    assert mocks.mock("bpf_dynptr_size").name == "bpf_dynptr_size"
    with pytest.raises(ValueError, match="no helper 'bpf_dynptr_sized'"):
        mocks.mock("bpf_dynptr_sized")


def test_mocks_assert() -> None:
    program, mocks = _calling(5)
    mock = mocks.mock(5)
    mock.assert_not_called()
    with pytest.raises(AssertionError, match="called 0 times, not at least once"):
        mock.assert_called()
    program.run()
    with pytest.raises(AssertionError, match="called 1 times, not 2 times"):
        mock.assert_called(2)
    with pytest.raises(AssertionError, match="was called"):
        mock.assert_not_called()


def test_odd_mocks_are_refused() -> None:
    _, mocks = _calling(5)
    with pytest.raises(ValueError, match="no helper 'bpf_nothing'"):
        mocks.mock("bpf_nothing")
    with pytest.raises(ValueError, match="at least one"):
        mocks.mock(5, [])
    with pytest.raises(KeyError):
        _ = mocks[5]


# Packets made by hand


def _sum(data: bytes) -> int:
    return build.checksum(data)


def test_checksums_fit() -> None:
    """A sum over a header with its checksum is 0 (RFC 1071)."""
    packet = FRAME[14:]
    assert _sum(packet[:20]) == 0
    pseudo = packet[12:20] + bytes([0, 17]) + (len(packet) - 20).to_bytes(2, "big")
    assert _sum(pseudo + packet[20:]) == 0
    echo = build.ipv6(build.icmp(b"x", type=128))
    pseudo = echo[8:40] + (len(echo) - 40).to_bytes(4, "big") + bytes([0, 0, 0, 58])
    assert _sum(pseudo + echo[40:]) == 0
    assert _sum(build.ipv4(build.icmp(b"xyz"))[20:]) == 0


def test_lengths_fit_unless_told_otherwise() -> None:
    assert build.ipv4(build.tcp(), options=b"\1")[0] == 0x46
    assert int.from_bytes(build.ipv4(b"abc", total_length=9999)[2:4], "big") == 9999
    assert build.ipv4(b"", ihl=15)[0] == 0x4F
    assert int.from_bytes(build.ipv6(b"abcd")[4:6], "big") == 4


def test_the_firewall_understands_them(firewall: Subject) -> None:
    assert firewall(FRAME) == drybpf.XdpAction.TX
    assert firewall(build.ethernet(build.ipv4(build.tcp(dport=23)))) == drybpf.XdpAction.DROP
    optional = build.ipv4(build.tcp(dport=23), options=b"\x94\4\0\0")
    assert firewall(build.ethernet(optional)) == drybpf.XdpAction.DROP
    assert firewall(build.ethernet(build.ipv6(build.icmp(type=128)))) == drybpf.XdpAction.PASS


# Strategies

KINDS = {
    *("vlan.tci", "ipv4.options", "tcp.options", "ipv6.hop_by_hop", "ipv6.fragment"),
    *("tcp.flags", "udp.length", "icmp.type", "icmpv6.type", "arp.spa"),
    *("gre.protocol", "gre.options", "vxlan.vni", "payload"),
}


def test_strategies_reach_every_kind() -> None:
    seen: set[str] = set()

    @settings(max_examples=600, deadline=None, derandomize=True, database=None)
    @given(strategies.frames())
    def look(frame: bytes) -> None:
        seen.update(_names(frame))

    look()
    assert seen >= KINDS


@settings(max_examples=150, deadline=None)
@given(strategies.frames())
def test_valid_frames_have_right_lengths_and_checksums(frame: bytes) -> None:
    at = {field.name: field.start for field in reversed(fields(frame))}
    if "ipv4.src" in at and at["ipv4.version_ihl"] <= 22:  # not in a tunnel
        head = frame[at["ipv4.version_ihl"] :]
        assert _sum(head[: 4 * (head[0] & 15)]) == 0
        assert int.from_bytes(head[2:4], "big") == len(head)


@settings(max_examples=100, deadline=None)
@given(strategies.packets())
def test_both_engines_agree_on_any_packet(frame: bytes) -> None:
    ends = [Subject(FIREWALL, engine=engine).run(frame).result for engine in ("interpreter", "jit")]
    assert ends[0] == ends[1]


def test_names_of_the_package() -> None:
    import drybpf.testing as package  # noqa: PLC0415 (what is asked)

    assert set(package.__all__) <= set(dir(package))
    for name in package.__all__:
        assert getattr(package, name) is not None
    with pytest.raises(AttributeError):
        _ = package.nothing
