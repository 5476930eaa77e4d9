"""Frames of callers, and addresses of which the compiler knows nothing."""

import pytest

from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.hooks import Raw
from drybpf.jit.module import emit_module
from engines import run_everywhere

SUFFIXES = {1: "b", 2: "h", 4: "w", 8: "dw"}
PACKET = bytes(range(1, 65))

ONE_ABOVE = """
    stdw [r10-8], 0x1234567
    stdw [r10-512], 0x7654321
    mov64 r1, r10
    add64 r1, {offset}
    call local f
    exit
f:
    stx{suffix} [r1], r1
    ldx{suffix} r0, [r1]
    lddw r2, 0x1111111111111111
    stxdw [r10-8], r2
    exit"""

TWO_ABOVE = """
    stdw [r10-8], 5
    mov64 r1, r10
    call local f
    ldxdw r1, [r10-8]
    lsh64 r0, 8
    or64 r0, r1
    exit
f:
    stdw [r10-8], 6
    mov64 r2, r10
    call local g
    ldxdw r1, [r10-8]
    lsh64 r0, 8
    or64 r0, r1
    exit
g:
    stdw [r10-8], 7
    ldxdw r0, [r1-8]
    ldxdw r3, [r2-8]
    add64 r3, 1
    stxdw [r2-8], r3
    lock add [r1-8], r0
    ldxdw r4, [r10-8]
    lsh64 r0, 8
    or64 r0, r4
    exit"""

SUM = """
    stdw [r10-8], 0x01020304
    stdw [r10-16], 0x05060708
    mov64 r1, r10
    add64 r1, -16
    mov64 r2, {length}
    call local sum
    exit
sum:
    mov64 r0, 0
    mov64 r3, 0
l:  mov64 r4, r1
    add64 r4, r3
    ldxb r5, [r4]
    add64 r0, r5
    add64 r3, 1
    jlt r3, r2, l
    exit"""

CURSOR = """
    stxdw [r10-16], r1
    add64 r1, r2
    stxdw [r10-8], r1
    mov64 r6, 0
    mov64 r7, 0
l:  mov64 r1, r10
    add64 r1, -16
    call local next
    jslt r0, 0, e
    add64 r7, r0
    add64 r6, 1
    jlt r6, 20, l
e:  mov64 r0, r7
    exit
next:
    lddw r0, -1
    ldxdw r2, [r1]
    mov64 r3, r2
    add64 r3, {step}
    ldxdw r4, [r1+8]
    jgt r3, r4, out
    stxdw [r1], r3
    ldxh r0, [r2]
    stxb [r2+1], r0
out:
    exit"""

EITHER = """
    stdw [r10-64], 0x0a0b0c0d
    stdw [r10-8], 0x01020304
    mov64 r6, r10
    add64 r6, -64
    mov64 r0, 0
    mov64 r3, 0
l:  mov64 r4, r3
    and64 r4, 1
    mov64 r5, r6
    jeq r4, 0, p
    mov64 r5, r1
p:  add64 r5, r3
    ldxb r4, [r5{offset:+d}]
    add64 r0, r4
    stxb [r5{offset:+d}], r0
    add64 r3, 1
    jlt r3, 60, l
    exit"""


@pytest.mark.parametrize("size", SUFFIXES)
def test_every_end_of_the_frame_above(size: int) -> None:
    """Inside, over each end, in the gap, and in the callee's own frame that follows it."""
    errors = []
    for place in (-1024, -513, -512, -511, -512 + size, -300, -size, -size + 1, -1, 0, 8, 511):
        text = ONE_ABOVE.format(offset=place, suffix=SUFFIXES[size])
        errors.append(run_everywhere(text, PACKET).error)
    assert errors.count("") == 5 if size > 1 else 6
    own = ONE_ABOVE.format(offset=1024 - 16, suffix=SUFFIXES[size])
    assert not run_everywhere(own, PACKET).error


def test_the_frame_above_needs_no_table() -> None:
    for text in (ONE_ABOVE.format(offset=-8, suffix="dw"), TWO_ABOVE, SUM.format(length=16)):
        assert not emit_module(Code(assemble(text)), Raw.shape).lookups


@pytest.mark.parametrize("budget", [3, 9, 14, 17, 20, 22, 25, 1000])
def test_two_frames_above(budget: int) -> None:
    found = run_everywhere(TWO_ABOVE, PACKET, budget=budget)
    assert found.value in (None, 0x0507070A)


@pytest.mark.parametrize("length", [1, 8, 15, 16, 17, 40])
def test_loops_over_a_frame_above(length: int) -> None:
    for budget in (20, 50, 90, 1000):
        run_everywhere(SUM.format(length=length), PACKET, budget=budget)


@pytest.mark.parametrize("step", [2, 1, 7])
def test_a_pointer_that_waits_in_a_frame_above(step: int) -> None:
    """Into the packet; a step of 1 goes beyond its end by a byte."""
    for length in (0, 1, 2, 9, 21, 64):
        run_everywhere(CURSOR.format(step=step), PACKET[:length])
    for budget in range(10, 60, 7):
        run_everywhere(CURSOR.format(step=step), PACKET, budget=budget)


@pytest.mark.parametrize("offset", [0, 3, 4, 5, -1, 100])
def test_one_of_two_regions(offset: int) -> None:
    for length in (64, 60, 59, 0):
        run_everywhere(EITHER.format(offset=offset), PACKET[:length])
