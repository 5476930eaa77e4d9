"""Accesses to the packet that need no check: each rule by an example, and random programs.

In an example, `+` marks an access that is implied, and `-` one that must be checked.  r1 holds the
packet's address and r2 its length.  `tools/fuzz_implied.py` runs more random programs.
"""

from __future__ import annotations

import pytest

from drybpf import verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.hooks import Raw, Xdp
from drybpf.jit.implied import implied
from packet_paths import Case, Tally, function_of

# Bounds: each access is the last that a fact allows, or the first that it does not.
ASKED = """
jlt r2, 14, out
+ ldxh r3, [r1+12]
+ ldxb r3, [r1+0]
- ldxh r3, [r1+13]
+ ldxb r3, [r1+14]
- ldxb r3, [r1-1]
out: mov r0, 0
exit"""

VARIABLE = """
jlt r2, 34, out
+ ldxb r3, [r1+14]
{narrow}
mov r4, r3
add r4, 34
jgt r4, r2, out
add r1, r3
+ ldxh r5, [r1+32]
- ldxh r5, [r1+33]
out: mov r0, 0
exit"""


def _check(text: str, hook: Raw | Xdp | None = None) -> None:
    """Compare what is found with the marks in a text."""
    lines = [line.strip() for line in text.strip().splitlines()]
    code = Code(assemble("\n".join(line.lstrip("+- ") for line in lines)))
    verifier.check(code)
    function = function_of(code, hook or Raw())
    found = implied(function)
    # An instruction a line: marks stand at instructions of one slot in these texts.
    slots = [pc for pc, instruction in enumerate(code.slots) if instruction is not None]
    marked = {pc: line[0] for pc, line in zip(slots, lines, strict=True) if line[0] in "+-"}
    assert {pc: "+" if pc in found else "-" for pc in marked} == marked


@pytest.mark.parametrize(
    ("comparison", "least"),
    [
        ("jlt r2, 14, out", 14), ("jle r2, 14, out", 15), ("jgt r3, r2, out", 20),
        ("jge r3, r2, out", 21), ("jlt r2, r3, out", 20), ("jle r2, r3, out", 21),
        ("jne r2, 9, out", 9), ("jne r2, r3, out", 20), ("jne r3, r2, out", 20),
        ("jslt r2, 14, out", 14), ("jsle r2, 14, out", 15), ("jsgt r3, r2, out", 20),
        ("jsge r3, r2, out", 21), ("jlt32 r2, 14, out", 14), ("jslt32 r2, 14, out", 14),
        ("jgt r2, 14, out", 0), ("jge r2, 14, out", 0), ("jeq r2, 9, out", 0),
        ("jset r2, 64, out", 0), ("jlt r2, -1, out", None), ("jslt r2, -1, out", 0),
        ("jslt32 r2, -1, out", 0), ("jsgt32 r4, r2, out", 0), ("jsgt r5, r2, out", 0),
        ("jgt32 r5, r2, out", 0),
    ],
)  # fmt: skip
def test_what_a_comparison_says(comparison: str, least: int | None) -> None:
    """Where control goes on; r3 is 20, r4 a negative number of 32 bits, r5 one of 64."""
    begin = ["mov r3, 20", "mov32 r4, -5", "mov r5, -5", comparison]
    if least is None:  # all is known of a way that is never gone
        return _check("\n".join([*begin, "+ ldxb r0, [r1+99]", "out: mov r0, 0", "exit"]))
    inside = [f"+ ldxb r0, [r1+{least - 1}]"] if least else []
    _check("\n".join([*begin, *inside, f"- ldxb r0, [r1+{least}]", "out: mov r0, 0", "exit"]))
    return None


@pytest.mark.parametrize(
    ("comparison", "least"),
    [
        ("jgt r2, 14, in", 15), ("jge r2, 14, in", 14), ("jlt r3, r2, in", 21),
        ("jle r3, r2, in", 20), ("jgt r2, r3, in", 21), ("jge r2, r3, in", 20),
        ("jeq r2, 9, in", 9), ("jeq r3, r2, in", 20), ("jsgt r2, 14, in", 15),
        ("jsge r2, 14, in", 14), ("jsgt32 r2, 14, in", 15), ("jne r2, 9, in", 0),
        ("jlt r2, 14, in", 0), ("jset r2, 64, in", 0),
    ],
)  # fmt: skip
def test_what_a_jump_says(comparison: str, least: int) -> None:
    inside = [f"+ ldxb r0, [r1+{least - 1}]"] if least else []
    begin = ["mov r3, 20", comparison, "mov r0, 0", "exit"]
    first, *others = [*inside, f"- ldxb r0, [r1+{least}]", "mov r0, 0", "exit"]
    _check("\n".join([*begin, f"{first[:2]}in: {first[2:]}", *others]))


def test_an_access_says_that_those_before_it_lie_inside() -> None:
    _check(ASKED)


@pytest.mark.parametrize(
    ("narrow", "most"),
    [
        ("and r3, 60", 60), ("mov r3, r3", 255), ("lsh r3, 2", 1020), ("rsh r3, 4", 15),
        ("or r3, 256", 511), ("xor r3, 256", 511), ("mul r3, 3", 765), ("mod r3, 20", 19),
        ("div r3, 4", 255), ("and32 r3, 60", 60), ("mul32 r3, 3", 765), ("mod r3, 0", 255),
        ("and r3, -4", 255), ("lsh32 r3, 2", 1020), ("add r3, 5", 260), ("or32 r3, 1", 255),
    ],
)  # fmt: skip
def test_how_large_a_number_may_be(narrow: str, most: int) -> None:
    """A length of as much makes an access by the number implied, at the last byte only."""
    begin = ["jlt r2, 2000, out", "+ ldxb r3, [r1+14]", narrow, "add r1, r3"]
    last = 1999 - most
    accesses = [f"+ ldxb r0, [r1+{last}]", f"- ldxb r0, [r1+{last + 1}]"]
    _check("\n".join([*begin, *accesses, "out: mov r0, 0", "exit"]))


@pytest.mark.parametrize("swap", ["be16", "le16", "bswap16"])
@pytest.mark.parametrize("load", ["ldxb", "ldxh", "ldxdw"])
def test_how_large_a_swapped_number_may_be(swap: str, load: str) -> None:
    begin = [
        "mov32 r6, 65636",
        "jlt r2, r6, out",
        f"+ {load} r3, [r1+14]",
        f"{swap} r3",
        "add r1, r3",
    ]
    accesses = ["+ ldxb r0, [r1+100]", "- ldxb r0, [r1+101]"]
    _check("\n".join([*begin, *accesses, "out: mov r0, 0", "exit"]))


@pytest.mark.parametrize(
    "narrow", ["and r3, 60", "mov32 r3, r3", "be16 r3", "lsh r3, 2", "add32 r3, -1"]
)
def test_sums_with_what_is_loaded(narrow: str) -> None:
    _check(VARIABLE.format(narrow=narrow))


@pytest.mark.parametrize(
    "change",
    [
        "neg r3", "arsh r3, 1", "mov r3, -8", "sub r3, 1", "lddw r3, 0xfffffffffffffff0",
        "ldxsb r3, [r1+13]", "lsh r3, r2", "ldxdw r3, [r1+1]",
        "sdiv r3, 2", "mul r3, -1", "lsh r3, 60", "sub r3, r2",
    ],
)  # fmt: skip
def test_numbers_that_may_have_wrapped(change: str) -> None:
    """With each of them the sum that is compared with the length may have wrapped."""
    lines = [
        "jlt r2, 34, out", "+ ldxb r3, [r1+14]", change, "mov r4, r3", "add r4, 34",
        "jgt r4, r2, out", "add r1, r3", "- ldxb r5, [r1+20]", "out: mov r0, 0", "exit",
    ]  # fmt: skip
    _check("\n".join(lines))


def test_numbers_of_32_bits_lose_their_upper_half() -> None:
    """The low half of a large number is small, and says nothing of the whole."""
    _check("""
    jlt r2, 34, out
    + ldxw r3, [r1+14]
    add r3, r3
    mov32 r4, r3
    add r4, 4
    jgt r4, r2, out
    add r1, r3
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")


def test_sums_of_32_bits_may_wrap() -> None:
    _check("""
    jlt r2, 34, out
    + ldxw r3, [r1+14]
    mov r4, r3
    add32 r4, 20
    jgt r4, r2, out
    add r1, r3
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")


def test_comparisons_of_32_bits_see_the_low_half() -> None:
    _check("""
    jlt r2, 34, out
    + ldxw r3, [r1+14]
    + ldxw r4, [r1+18]
    add r3, r4
    jgt32 r3, r2, out
    add r1, r3
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")


def test_a_number_counts_as_often_as_it_was_added() -> None:
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+14]
    mov r4, r3
    add r4, 8
    jgt r4, r2, out
    add r1, r3
    + ldxdw r0, [r1+0]
    add r1, r3
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")


def test_differences() -> None:
    """What is left of the packet, as far as it is known that something is."""
    _check("""
    mov r6, r1
    add r6, r2
    mov r7, r1
    add r7, 14
    jgt r7, r6, out
    mov r8, r6
    sub r8, r7
    jlt r8, 20, out
    + ldxb r0, [r7+19]
    - ldxb r0, [r7+20]
    out: mov r0, 0
    exit""")
    _check("""
    mov r6, r2
    sub r6, 14
    jlt r6, 20, out
    - ldxb r0, [r1+33]
    out: mov r0, 0
    exit""")
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+14]
    mov r4, r2
    sub r4, 20
    jlt r4, r3, out
    add r1, r3
    + ldxb r0, [r1+19]
    - ldxb r0, [r1+20]
    out: mov r0, 0
    exit""")


def test_pointers_below_the_packet() -> None:
    _check("""
    jlt r2, 34, out
    sub r1, 2
    + ldxb r0, [r1+2]
    - ldxb r0, [r1+1]
    + ldxb r0, [r1+35]
    - ldxb r0, [r1+36]
    out: mov r0, 0
    exit""")


def test_where_ways_meet() -> None:
    """A tag may move a header: what all ways know of it is known, and no more."""
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+12]
    mov r6, 14
    jne r3, 129, plain
    jlt r2, 42, out
    mov r6, 18
    plain: add r1, r6
    + ldxw r0, [r1+16]
    - ldxw r0, [r1+17]
    out: mov r0, 0
    exit""")
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+12]
    mov r6, 14
    jne r3, 129, plain
    ldxh r6, [r10-8]
    plain: add r1, r6
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")
    _check("""
    mov r6, 0
    jgt r2, 20, far
    jgt r2, 10, near
    ja out
    far: mov r6, 5
    near: add r1, r6
    + ldxb r0, [r1+10]
    - ldxb r0, [r1+11]
    out: mov r0, 0
    exit""")


def test_where_three_ways_meet() -> None:
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+12]
    mov r6, 14
    jeq r3, 1, plain
    jeq r3, 2, plain
    mov r6, 18
    plain: add r1, r6
    + ldxb r0, [r1+15]
    - ldxb r0, [r1+16]
    out: mov r0, 0
    exit""")


def test_a_sum_of_the_length_and_a_number_is_not_the_length() -> None:
    _check("""
    jlt r2, 34, out
    + ldxb r3, [r1+14]
    mov r6, r2
    add r6, r3
    jlt r6, 40, out
    - ldxb r0, [r1+39]
    out: mov r0, 0
    exit""")


def test_the_low_half_of_what_is_unknown() -> None:
    _check("""
    mov32 r6, 70000
    jlt r2, r6, out
    + ldxdw r3, [r1+14]
    mov32 r3, r3
    add r1, r3
    - ldxb r0, [r1+0]
    out: mov r0, 0
    exit""")


def test_calls_change_registers() -> None:
    """What is known of the length stays; r1 to r5 are zeros, and point at nothing."""
    _check("""
    jlt r2, 34, out
    mov r6, r1
    call 5
    + ldxb r0, [r6+33]
    - ldxb r0, [r1+33]
    out: mov r0, 0
    exit""")


def test_xdp_programs_ask_by_the_end() -> None:
    _check(
        """
        ldxw r2, [r1+4]
        ldxw r1, [r1+0]
        mov r3, r1
        add r3, 34
        jgt r3, r2, out
        + ldxb r4, [r1+33]
        - ldxb r4, [r1+34]
        out: mov r0, 2
        exit""",
        Xdp(),
    )


@pytest.mark.parametrize("first", range(0, 1500, 300))
def test_random_programs(first: int) -> None:
    tally = Tally()
    for seed in range(first, first + 300):
        wrong = Case(seed).check(tally)
        assert not wrong, wrong
    assert tally.proved > 300
    assert tally.looked > 800
