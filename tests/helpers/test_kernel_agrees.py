"""The helpers of socket buffers do to a packet what the kernel does, for all kinds of arguments.

One program a helper, on interpreter, JIT and the running kernel's test run.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from random import Random

import pytest

from drybpf.hooks import HOOKS
from drybpf.program import Program
from helper_programs import FRAMES, IPV4, agree, frame, skb_program
from kernel_here import needs_kernel

pytestmark = needs_kernel
M32 = (1 << 32) - 1
LENGTH = len(FRAMES["ipv4"])


def check(
    calls: Iterable[str], words: Iterable[tuple[int, ...]], frames: Iterable[str] = ("ipv4",)
) -> int:
    """Run for all words and frames; gives the number of different results, so that none is idle."""
    program = Program.from_asm(skb_program(*calls), hook=HOOKS["sched_cls"])
    seen = {
        agree(program, FRAMES[name], cb=tuple(word & M32 for word in given))
        for given in words
        for name in frames
    }
    return len(seen)


OFFSETS = (0, 1, 13, 60, LENGTH - 32, LENGTH - 31, LENGTH, 0xFFFF, 1 << 16, (1 << 31) - 1, -1)


def test_store_bytes() -> None:
    words = product(OFFSETS, (0, 1, 2, 3, 4))
    assert check(["9 skb w0 stack:32 32 w1"], words) > 5


def test_load_bytes() -> None:
    assert check(["26 skb w0 stack:32 32"], product(OFFSETS)) > 4
    assert check(["68 skb w0 stack:32 32 w1"], product(OFFSETS, (0, 1, 2))) > 5


NETWORK, LINK = -0x10_0000, -0x20_0000  # SKF_NET_OFF, SKF_LL_OFF


@pytest.mark.parametrize("load", ["ldabs{0} {1}", "mov r7, {1}\nldind{0} r7, 0"])
def test_legacy_loads_from_a_header_on(load: str) -> None:
    begins = (0, 1, 9, LENGTH - 18, LENGTH - 14, LENGTH - 4, LENGTH - 1, LENGTH, 0xF_FFFF)
    offsets = [start + begin for start in (NETWORK, LINK) for begin in begins]
    seen = set()
    for size, offset in product("bhw", (*offsets, LINK - 1, NETWORK - 1, -1, -(1 << 31))):
        text = f"mov r6, r1\n{load.format(size, offset)}\nexit"
        program = Program.from_asm(text, hook=HOOKS["sched_cls"])
        seen |= {agree(program, FRAMES[name]) for name in ("ipv4", "vlan")}
    assert len(seen) > 20


FIELDS = (
    (0, 0),
    (0x1234, 0xFFFF),
    (0, M32),
    (M32, 1),
    (0x12345678, 0x9ABCDEF0),
    (0, 1 << 16),
    (0xFFFF, 0),
    (0xFFFF, 0xFFFF),
    (0, 0xFFFF),
)


@pytest.mark.parametrize("helper", [10, 11])
def test_checksums_in_headers(helper: int) -> None:
    flags = (0, 2, 4, 1, 3, 0x10, 0x12, 0x14, 0x20, 0x22, 0x64, 0x34, 0x80, 0x90, 0x100)
    places = (24, 25, 50, LENGTH - 2, LENGTH - 1, 0xFFFE, 1 << 16)
    words = [(place, *pair, flag) for place in places for pair in FIELDS for flag in flags]
    assert check([f"{helper} skb w0 w1 w2 w3"], words) > 10


@pytest.mark.parametrize("stored", [b"\0\0", b"\xff\xff"])
@pytest.mark.parametrize("helper", [10, 11])
def test_checksums_at_the_two_zeros(helper: int, stored: bytes) -> None:
    program = Program.from_asm(skb_program(f"{helper} skb 24 w0 w1 w2"), hook=HOOKS["sched_cls"])
    packet = FRAMES["ipv4"][:24] + stored + FRAMES["ipv4"][26:]
    for pair, flags in product(FIELDS, (0, 2, 4, 0x20, 0x22, 0x24, 0x60, 0x64, 0x62)):
        agree(program, packet, cb=(*pair, flags))


SIZES = (0, 1, 2, 3, 4, 5, 8, 16, 31, 32)


@pytest.mark.parametrize("before", SIZES)
def test_csum_diff(before: int) -> None:
    for after in SIZES:
        old, new = "stack:32" if before else "0", "stack:56" if after else "0"
        text = f"28 {old} {before} {new} {after} w0"
        check([text], product((0, 1, 0xFFFF, M32, 0x12345678)))


@pytest.mark.parametrize("first", range(6))
def test_checksum_levels(first: int) -> None:
    words = product((first,), range(5), range(5))
    assert check(["135 skb w0", "135 skb w1", "135 skb w2", "135 skb 0"], words)
    check(["40 skb w0"], [(first,)])


TAILS = (0, 1, 13, 14, 15, 33, 60, LENGTH - 1, LENGTH, LENGTH + 1, 1500, 16063, 16064, 16065, -1)
HEADS = (0, 1, 4, 14, 100, 255, 256, 257, 1000, 4000, 16000, -1, (1 << 31) - 1)


def test_change_tail() -> None:
    assert check(["38 skb w0 w1"], product(TAILS, (0, 1)), FRAMES) > 10


def test_change_head() -> None:
    assert check(["43 skb w0 w1"], product(HEADS, (0, 1)), FRAMES) > 10


def test_change_head_then_tail() -> None:
    words = product((0, 4, 300), (0, 14, 17, 18, 19, 400, 8000))
    assert check(["43 skb w0 0", "38 skb w1 0"], words, FRAMES) > 10


PROTOCOLS = (0x0008, 0xDD86, 0x0081, 0)  # as in the packet


def test_change_proto() -> None:
    words = product(PROTOCOLS, PROTOCOLS, (0, 1))
    assert check(["31 skb w0 w2", "31 skb w1 0"], words, FRAMES) > 8


def test_vlan_tags() -> None:
    words = list(product((0x0081, 0xA888, 0x0008, 0), (0, 1, 100, 0xFFF, 0x1000, 0xFFFF, 0x10001)))
    push, again, pop = "18 skb w0 w1", "18 skb 0x0081 7", "19 skb"
    for calls in ([push], [push, again], [push, pop], [push, again, pop], [push, again, again]):
        assert check(calls, words, FRAMES) > 5
    for count in (1, 2, 3):
        assert check([pop] * count, [()], FRAMES) > 2


def test_pull_and_hash() -> None:
    check(["39 skb w0"], product((0, 1, LENGTH, LENGTH + 1, 1 << 31, -1)), FRAMES)
    check(["48 skb w0", "34 skb", "41 skb"], product((1, 77, M32)), FRAMES)


def test_congestion_is_marked() -> None:
    program = Program.from_asm(skb_program("97 skb"), hook=HOOKS["sched_cls"])
    marked = set()
    for name, packet in FRAMES.items():
        for tos in range(256):
            changed = packet[:15] + bytes([tos]) + packet[16:]
            marked.add((name, agree(program, changed).value))
    assert {("ipv4", 0), ("ipv4", 1), ("ipv6", 0), ("ipv6", 1), ("llc", 0)} <= marked


def test_time_stamps() -> None:
    check(["192 skb w0 w1"], product((0, 5, M32), range(4)), FRAMES)


ROOMS = (
    *(0, 1, 8, 20, 28, 36, 50, -1, -8, -20, -22, -25, -30, -35, -36, -40, -60),
    *(0xFFF, 0x1000, -0x1000, 1500, 4000),
)
ROOM_FLAGS = (0, 1, 2, 4, 6, 10, 18, 26, 20, 32, 64, 128, 256, 384, 160, 512, 130)


def test_adjust_room() -> None:
    words = list(product(ROOMS, (0, 1, 2), ROOM_FLAGS))
    for name in FRAMES:
        chosen = words if name == "ipv4" else Random(name).sample(words, 200)  # noqa: S311
        check(["50 skb s0 w1 w2"], chosen, [name])


def test_adjust_room_for_an_inner_link_header() -> None:
    for inner, flags in product((0, 13, 14, 30), (2, 66, 68, 64)):
        check([f"50 skb s0 w1 {inner << 56 | flags}"], product((0, 14, 20, 40), (0, 1)))


def test_room_after_room() -> None:
    deltas = (20, -20, 40, -40)
    flags = (0, 2, 4, 128, 256)
    words = [(a, fa, b, fb) for a in deltas for fa in flags for b in deltas for fb in flags]
    calls = ["50 skb s0 1 w1", "50 skb s2 1 w3", "38 skb 100 0"]
    assert check(calls, words, ["ipv4", "ipv6"]) > 20


TUNNEL_SIZES = (8, 12, 20, 22, 24, 28, 43, 44)


@pytest.mark.parametrize("size", TUNNEL_SIZES)
def test_tunnel_keys(size: int) -> None:
    flags = product((0, 1, 2, 4, 8, 16, 17, 32))
    check([f"20 skb stack:48 {size} w0"], flags)
    check([f"21 skb stack:48 {size} w0"], flags)
    check([f"30 skb stack:48 {size}", f"29 skb stack:48 {size}"], [()])


def test_verdicts_of_redirects() -> None:
    words = list(product((0, 1, 5, 77777), (0, 1, 2, 3)))
    for call in ("23 w0 w1", "155 w0 w1", "152 w0 0 0 w1"):
        assert check([call], words) > 1


def test_xdp_packets_move_as_in_the_kernel() -> None:
    """Random walks of the three helpers; lengths of packet and metadata after each step."""
    text = ["mov r6, r1", "mov r8, 0"]
    for index in range(4):
        text += ["mov r1, r6", f"mov r2, {{{index}}}", f"call {{{index + 4}}}", "mul r8, 31"]
        text += ["add r8, r0", "ldxw r1, [r6+4]", "ldxw r2, [r6]", "ldxw r3, [r6+8]"]
        text += ["sub r1, r2", "sub r2, r3", "mul r8, 31", "add r8, r1", "mul r8, 31", "add r8, r2"]
    template = "\n".join([*text, "mov r0, r8", "exit"])
    random = Random(5)  # noqa: S311
    deltas = (0, 1, 2, 4, 8, 14, -1, -4, -14, -100, -212, -216, -217, -256, 60, 61, 1000, 3446, -60)
    seen = set()
    for _ in range(60):
        walk = [random.choice(deltas) for _ in range(4)]
        helpers = [random.choice((44, 54, 65)) for _ in range(4)]
        program = Program.from_asm(template.format(*walk, *helpers), hook=HOOKS["xdp"])
        runs = [program.run(FRAMES["ipv4"], engine=e) for e in ("interpreter", "jit", "kernel")]
        first, second, judged = ((run.value & M32, run.packet) for run in runs)
        assert first == second == judged, (walk, helpers)
        seen.add(first)
    assert len(seen) > 40


def test_text_to_numbers() -> None:
    """`bpf_strtol` and `bpf_strtoul` over a text in the packet's place: cb and priority."""
    texts = (
        *("42", "-42", "  17", "+5", "0x1f", "0x", "0xg", "077", "08", "0", "-", " -", "12ab"),
        *("ab", "AB", "1\0002", "\x0b\x0c7", "00x5", "0X1F", "--5", "- 5", "0b1", "9" * 19),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808"),
        *("18446744073709551615", "18446744073709551616"),
    )
    for helper in (105, 106):
        lines = ["mov r6, r1", "mov r0, 0", "stdw [r10-40], -1"]
        for word in range(5):
            lines += [f"ldxw r1, [r6+{48 + 4 * word}]", f"stxw [r10-{20 - 4 * word}], r1"]
        lines += ["mov r1, r10", "add r1, -20", "mov r2, 20", "ldxw r3, [r6+8]", "mov r4, r10"]
        lines += ["add r4, -40", f"call {helper}", "ldxdw r1, [r10-40]", "stxw [r6+32], r1"]
        lines += ["rsh r1, 32", "stxw [r6+8], r1", "exit"]
        program = Program.from_asm("\n".join(lines), hook=HOOKS["sched_cls"])
        for text, base in product(texts, (0, 8, 10, 16, 1, 36)):
            data = text.encode("latin-1")[:20].ljust(20, b"\0")
            words = tuple(int.from_bytes(data[at : at + 4], "little") for at in range(0, 20, 4))
            agree(program, FRAMES["ipv4"], cb=words, mark=base)


FORMATS = (
    *(b"hello", b"%d", b"%d %d %d", b"%d %d %d %d", b"%", b"%%", b"%l", b"%ld", b"%lld"),
    *(b"%llld", b"%h", b"%5d", b"%05d", b"%-5d|", b"%+d", b"% d", b"%x", b"%X", b"%lx"),
    *(b"%llx", b"%o", b"%c", b"%p", b"%px", b"%pK", b"%pI5", b"%i", b"%u", b"%lu", b"%f"),
    *(b"%#x", b"\x80", b"\x01", b"a\nb", b"%.5d", b"%*d", b"%10c", b"%pa", b"%p.", b"%p "),
    *(b"%-10x|", b"%08llx", b"%+05d", b"%ll", b"%lc", b"%z", b"%d%%%d", b"%ss"),
)


@pytest.mark.parametrize("text", FORMATS)
def test_the_length_of_what_is_printed(text: bytes) -> None:
    size = len(text) + 1
    padded = text.ljust(-(-size // 8) * 8, b"\0")
    lines = []
    for at in range(0, len(padded), 8):
        word = int.from_bytes(padded[at : at + 8], "little")
        lines += [f"lddw r1, {word}", f"stxdw [r10-{len(padded) - at}], r1"]
    lines += ["mov r1, r10", f"add r1, -{len(padded)}", f"mov r2, {size}", "mov r3, -5"]
    lines += ["lddw r4, 0xffffffff", "lddw r5, 0x10000000000", "call 6", "exit"]
    program = Program.from_asm("\n".join(lines), hook=HOOKS["xdp"])
    runs = [program.run(bytes(64), engine=e) for e in ("interpreter", "jit", "kernel")]
    first, second, judged = (run.value & M32 for run in runs)
    assert first == second == judged


@pytest.mark.parametrize("room", [0, 1, 4, 100])
def test_congestion_behind_a_new_head(room: int) -> None:
    program = Program.from_asm(skb_program(f"43 skb {room} 0", "97 skb"), hook=HOOKS["sched_cls"])
    tagged = frame(0x8100, bytes.fromhex("000181000002 0800") + IPV4)
    seen = agree(program, tagged)
    assert seen.value % 31 == 1  # the network header is said to begin at the first tag


@pytest.mark.parametrize("tags", [1, 2, 6, 7, 8, 9])
def test_congestion_behind_many_tags(tags: int) -> None:
    program = Program.from_asm(skb_program("97 skb"), hook=HOOKS["sched_cls"])
    inside = bytes.fromhex("00018100") * (tags - 1) + bytes.fromhex("00010800") + IPV4
    agree(program, frame(0x8100, inside))
