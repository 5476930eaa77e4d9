"""HOSTILE.md, group A: the traps of arithmetic, as immediates and as values of registers."""

# ruff: noqa: N802 (tests are named by their rows)

from __future__ import annotations

import pytest

from engines import run_everywhere
from slots import M64, MIN64

MIN32, DIRT = 1 << 31, 0x5A5A_5A5A << 32


def value(text: str) -> int:
    result = run_everywhere(text + "\nexit").value
    assert result is not None
    return result


def compute(operation: str, left: int, right: int) -> int:
    """The result of an operation; by an immediate as well, where the operand fits into one."""
    by_register = value(f"lddw r0, {left & M64:#x}\nlddw r1, {right & M64:#x}\n{operation} r0, r1")
    if -MIN32 <= right < MIN32:
        assert value(f"lddw r0, {left & M64:#x}\n{operation} r0, {right}") == by_register
    return by_register


@pytest.mark.parametrize("left", [0, 7, -7, MIN64, MIN32, M64])
@pytest.mark.parametrize("operation", ["div", "sdiv", "mod", "smod"])
def test_A1_division_by_zero(operation: str, left: int) -> None:
    whole = 0 if "div" in operation else left & M64
    assert compute(f"{operation}64", left, 0) == whole
    assert compute(f"{operation}32", left, 0) == whole & 0xFFFF_FFFF


@pytest.mark.parametrize("operation", ["div32", "sdiv32", "mod32", "smod32"])
def test_A2_only_the_low_half_divides(operation: str) -> None:
    expected = 0 if "div" in operation else 9
    assert compute(operation, DIRT | 9, 1 << 32) == expected
    assert compute(operation, DIRT | 9, MIN64) == expected
    by_two = 4 if "div" in operation else 1
    assert compute(operation, DIRT | 9, DIRT | 2) == by_two


def test_A3_smallest_number_by_minus_one() -> None:
    assert compute("sdiv64", MIN64, -1) == MIN64
    assert compute("smod64", MIN64, -1) == 0
    assert compute("sdiv32", DIRT | MIN32, -1) == MIN32
    assert compute("smod32", DIRT | MIN32, -1) == 0
    assert compute("sdiv32", MIN64, -1) == 0  # the lower half is 0
    assert compute("div64", MIN64, -1) == 0
    assert compute("mod64", MIN64, -1) == MIN64


def test_A4_neg_of_the_smallest_number() -> None:
    assert value(f"lddw r0, {MIN64:#x}\nneg64 r0") == MIN64
    assert value(f"lddw r0, {DIRT | MIN32:#x}\nneg32 r0") == MIN32


SIGNED = [(7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (-7, -2, 3, -1), (-1, 2, 0, -1)]


@pytest.mark.parametrize(("left", "right", "quotient", "remainder"), SIGNED)
def test_A5_signed_division_truncates(left: int, right: int, quotient: int, remainder: int) -> None:
    assert compute("sdiv64", left, right) == quotient & M64
    assert compute("smod64", left, right) == remainder & M64
    assert compute("sdiv32", left, right) == quotient & 0xFFFF_FFFF
    assert compute("smod32", left, right) == remainder & 0xFFFF_FFFF


AMOUNTS = [
    (0, 0, 0),
    (32, 32, 0),
    (63, 63, 31),
    (64, 0, 0),
    (200, 8, 8),
    (-1, 63, 31),
    (MIN64, 0, 0),
]


@pytest.mark.parametrize(("amount", "of64", "of32"), AMOUNTS)
def test_A6_shift_amounts_are_masked(amount: int, of64: int, of32: int) -> None:
    assert compute("lsh64", 1, amount) == 1 << of64
    assert compute("rsh64", MIN64, amount) == MIN64 >> of64
    assert compute("arsh64", MIN64, amount) == M64 << (63 - of64) & M64
    assert compute("lsh32", DIRT | 1, amount) == 1 << of32
    assert compute("rsh32", DIRT | MIN32, amount) == MIN32 >> of32
    assert compute("arsh32", DIRT | MIN32, amount) == (0xFFFF_FFFF << (31 - of32)) & 0xFFFF_FFFF


def test_A7_shifts_of_32_bits() -> None:
    assert compute("arsh32", 0x80000000, 4) == 0xF8000000
    assert compute("arsh32", MIN64 | 0x40000000, 4) == 0x04000000
    assert compute("lsh32", 0xC0000001, 1) == 0x80000002


OPERATIONS = {  # on 12 and 5
    "add32": 17, "sub32": 7, "mul32": 60, "div32": 2, "sdiv32": 2, "mod32": 2, "smod32": 2,
    "or32": 13, "and32": 4, "xor32": 9, "lsh32": 384, "rsh32": 0, "arsh32": 0, "mov32": 5,
    "movsx832": 5, "movsx1632": 5,
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
def test_A8_dirty_upper_halves(operation: str) -> None:
    text = f"lddw r0, {DIRT | 12:#x}\nlddw r1, {DIRT | 5:#x}\n{operation} r0, r1"
    assert value(text) == OPERATIONS[operation]


def test_A8_dirty_upper_halves_of_one_operand() -> None:
    assert value(f"lddw r0, {DIRT | 5:#x}\nneg32 r0") == 0xFFFF_FFFB
    assert value(f"lddw r0, {DIRT | 0x1122:#x}\nbe32 r0") == 0x22110000


def test_A9_negative_immediates_are_sign_extended() -> None:
    assert value("mov64 r0, -1") == M64
    assert value("mov64 r0, 0\nadd64 r0, -1") == M64
    assert value("mov64 r0, -1\nand64 r0, -16") == M64 - 15
    assert value("mov64 r0, 0\nor64 r0, -16") == M64 - 15
    assert value("stdw [r10-8], -1\nldxdw r0, [r10-8]") == M64
    assert value("mov r0, 1\nmov64 r1, -1\njeq r1, -1, +1\nmov r0, 0") == 1
    assert value("mov r0, 1\nmov32 r1, -1\njlt r1, -1, +1\nmov r0, 0") == 1
    assert value("mov r0, 1\nlddw r1, 0xfffffffffffffff0\njgt r1, -17, +1\nmov r0, 0") == 1


@pytest.mark.parametrize(
    ("condition", "low", "taken"),
    [
        ("jeq32", 5, True), ("jne32", 5, False), ("jgt32", 5, False), ("jge32", 5, True),
        ("jlt32", 5, False), ("jle32", 5, True), ("jsgt32", 5, False), ("jsge32", 5, True),
        ("jslt32", 5, False), ("jsle32", 5, True), ("jset32", 4, True), ("jset32", 2, False),
    ],
)  # fmt: skip
def test_A10_only_the_low_halves_are_compared(condition: str, low: int, taken: bool) -> None:
    for left, right in ((DIRT | 5, low), (5, DIRT | low), (MIN64 | 5, DIRT | low)):
        text = (
            f"mov r0, 1\nlddw r1, {left:#x}\nlddw r2, {right:#x}\n{condition} r1, r2, +1\nmov r0, 0"
        )
        assert value(text) == taken
        text = f"mov r0, 1\nlddw r1, {left:#x}\n{condition} r1, {low}, +1\nmov r0, 0"
        assert value(text) == taken


def test_A11_le_truncates() -> None:
    assert value("lddw r0, 0x1122334455667788\nle16 r0") == 0x7788
    assert value("lddw r0, 0x1122334455667788\nle32 r0") == 0x55667788


def test_A12_movsx_in_32_bits_is_zero_extended() -> None:
    assert value("mov r1, 0x80\nmovsx832 r0, r1") == 0xFFFF_FF80
    assert value("mov r1, 0x8000\nmovsx1632 r0, r1") == 0xFFFF_8000
    assert value("mov r1, 0x80\nmovsx864 r0, r1") == M64 - 0x7F


def test_A13_products_wrap() -> None:
    assert compute("mul64", M64, M64) == 1
    assert compute("mul64", MIN64, 2) == 0
    assert compute("mul64", M64, 0) == 0
    assert compute("mul32", DIRT | 0xFFFF_FFFF, -1) == 1
    assert compute("mul32", 0x10000, 0x10000) == 0


def test_A14_jset_with_bit_31() -> None:
    for upper in (1 << 32, MIN64):
        text = f"mov r0, 1\nlddw r1, {upper:#x}\njset r1, 0x80000000, +1\nmov r0, 0"
        assert value(text) == 1
        assert value(text.replace("jset", "jset32")) == 0


def test_A15_atomics_wrap() -> None:
    start = "lddw r1, 0xffffffffffffffff\nstxdw [r10-8], r1\nmov r2, 2\n"
    assert value(start + "lock add [r10-8], r2\nldxdw r0, [r10-8]") == 1
    assert value(start + "lock add32 [r10-8], r2\nldxdw r0, [r10-8]") == 0xFFFF_FFFF_0000_0001
    assert value(start + "lock fetch add32 [r10-8], r2\nmov r0, r2") == 0xFFFF_FFFF


def test_A15_cmpxchg32_compares_the_low_half() -> None:
    start = f"stdw [r10-8], 5\nlddw r0, {DIRT | 5:#x}\nmov r2, 9\n"
    assert value(start + "lock cmpxchg32 [r10-8], r2") == 5
    assert value(start + "lock cmpxchg32 [r10-8], r2\nldxdw r0, [r10-8]") == 9
    assert value(start + "lock cmpxchg [r10-8], r2\nldxdw r0, [r10-8]") == 5
