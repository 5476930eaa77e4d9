"""How long what a program prints is, against the kernel: widths, strings, and room for them."""

from __future__ import annotations

import pytest

from drybpf.engine import Engine
from drybpf.hooks import HOOKS
from drybpf.program import Program
from kernel_here import needs_kernel

M32 = (1 << 32) - 1
TRACE_VPRINTK, SNPRINTF = 177, 165


def stored(data: bytes, offset: int) -> list[str]:
    """Instructions that put bytes onto the stack, 8 at a time."""
    words = [data[begin : begin + 8].ljust(8, b"\0") for begin in range(0, len(data), 8)]
    return [
        line
        for index, word in enumerate(words)
        for line in (
            f"lddw r1, {int.from_bytes(word, 'little'):#x}",
            f"stxdw [r10{offset + 8 * index}], r1",
        )
    ]


def printing(text: bytes, length: int, count: int) -> Program:
    """A program that prints `count` pointers to a string of a length; its result is printk's."""
    string, text = b"A" * length + b"\0", text + b"\0"
    strings = -((len(string) + 7) // 8 * 8)
    array = strings - 8 * count
    form = array - (len(text) + 7) // 8 * 8
    lines = [*stored(string, strings), *stored(text, form)]
    for index in range(count):
        lines += ["mov r1, r10", f"add r1, {strings}", f"stxdw [r10{array + 8 * index}], r1"]
    lines += ["mov r1, r10", f"add r1, {form}", f"mov r2, {len(text)}", "mov r3, r10"]
    lines += [f"add r3, {array}", f"mov r4, {8 * count}", f"call {TRACE_VPRINTK}", "exit"]
    return Program.from_asm("\n".join(lines), hook=HOOKS["sched_cls"])


FORMATS = (
    # strings share 512 bytes: the last one is cut, then there is no room at all
    (b"%s%s%s", 200, 3), (b"%s%s", 255, 2), (b"%s%s", 256, 2), (b"%s%s%s", 255, 3),
    (b"%s%s%s%s", 170, 4), (b"%s%s%s", 254, 3), (b"%s" * 12, 60, 12),
    # and with them all else
    (b"%s%s%d", 255, 3), (b"%s%s%c", 254, 3), (b"%s%s%lu", 254, 3),
    (b"%s%s%pK", 252, 3), (b"%s%s%pI4", 250, 3), (b"%s%s%pI4", 253, 3), (b"%s%pI6", 250, 2),
    # what does not fit into the trace counts
    (b"%600s", 10, 1), (b"%600s%600s", 10, 2), (b"%3000c", 10, 1), (b"%-3000c|%3000c", 10, 2),
    # wider than the kernel does it
    (b"%8388607c", 4, 1), (b"%8388608c", 4, 1), (b"%2147483647c", 4, 1), (b"%2147483648c", 4, 1),
    (b"%4294967295c|", 4, 1), (b"%-4294967291c|", 4, 1), (b"%4294967301c|", 4, 1),
    (b"%99999999999c|", 4, 1), (b"%9999999999c|", 4, 1),
    # addresses are as wide as they are
    (b"%20pI4|", 4, 1), (b"%-20pi4|", 4, 1), (b"%50pI6|", 16, 1),
    # and so are strings of the kernel's and the process's
    (b"%30pks|", 4, 1), (b"%-30pks|", 4, 1), (b"%30pus|", 4, 1), (b"%30s|", 4, 1),
    # letters behind a pointer are passed over, as the kernel's table of Latin-1 has them
    (b"z%40pKab|", 4, 1), (b"%012pKx9|", 4, 1), (b"%pI4\xe9\xd7|", 4, 1), (b"%pi6\xff\xbf", 16, 1),
    # and behind a string there must be none
    (b"%s\xa1", 4, 1), (b"%s\xa0", 4, 1), (b"%s\x90", 4, 1), (b"%s\xe9", 4, 1), (b"%s\xd7", 4, 1),
    (b"%pks\xf7", 4, 1), (b"%pks\xf8", 4, 1), (b"%p\xe9", 4, 1), (b"%p\x85", 4, 1),
)  # fmt: skip


@needs_kernel
@pytest.mark.parametrize(("text", "length", "count"), FORMATS)
def test_length_of_what_is_printed(text: bytes, length: int, count: int) -> None:
    program = printing(text, length, count)
    engines: tuple[Engine, ...] = ("interpreter", "jit", "kernel")
    found = {engine: program.run(bytes(64), engine=engine).value & M32 for engine in engines}
    assert len(set(found.values())) == 1, found


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_strings_are_cut_to_the_room_that_is_left(engine: Engine) -> None:
    result = printing(b"%s,%s,%s|", 200, 3).run(bytes(64), engine=engine)
    assert result.printed == (",".join("A" * length for length in (200, 200, 109)) + "|",)


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_a_wide_field_costs_nothing(engine: Engine) -> None:
    """Not its two thousand million spaces, nor the number of its digits."""
    for digits in (b"2147483647", b"9" * 300):
        result = printing(b"%" + digits + b"c", 4, 1).run(bytes(64), engine=engine)
        assert len(result.printed[0]) <= 1023


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_snprintf_fills_all_the_room_it_is_given(engine: Engine) -> None:
    lines = ["mov r9, r1", *stored(b"%2000c%4000c\0", -16), "mov r6, 0x41", "stxdw [r10-32], r6"]
    lines += ["stxdw [r10-24], r6", "ldxw r1, [r9+76]", "mov r2, 4000", "mov r3, r10"]
    lines += ["add r3, -16", "mov r4, r10", "add r4, -32", "mov r5, 16", f"call {SNPRINTF}"]
    program = Program.from_asm("\n".join([*lines, "exit"]), hook=HOOKS["sched_cls"])
    result = program.run(bytes(5000), engine=engine)
    assert result.value == 6001
    assert result.packet == b"A".rjust(2000) + b" " * 1999 + bytes(1001)
