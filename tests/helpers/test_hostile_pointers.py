"""No helper reads or writes a byte that the program itself could not.

Each row is a helper with a pointer and a size; each is tried at the end of the stack, off by one,
wrapped, across regions, with null, a handle, and, where it writes, on memory that is read-only.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from drybpf.helpers.kernel import kernel_helpers
from drybpf.hooks import HOOKS
from drybpf.memory import CONTEXT, HANDLES, PACKET, frame_top
from engines import Outcome, run_everywhere

M64 = (1 << 64) - 1
FRAME = bytes.fromhex("020000000002020000000001 0800 4500") + bytes(range(1, 80))
CONSTANTS = 1 << 33  # where the rows have 64 bytes that are read-only
INPUT = 1 << 34  # where pointer and size are, so that one compiled program serves all


@dataclass(frozen=True)
class Row:
    """A helper; in its arguments `P` is the pointer and `N` the number of bytes."""

    number: int
    arguments: str
    size: int
    writes: bool
    hook: str = "sched_cls"
    fixed: bool = False  # whether the size is the helper's own, and no argument
    nullable: bool = False  # whether null gives an error instead of a fault, as in the kernel

    def __str__(self) -> str:
        name = kernel_helpers()[self.number].name
        return f"{name}-{self.arguments.split().index('P') + 1}"


ROWS = (
    Row(6, "P N 0 0 0", 8, False),
    Row(9, "C 0 P N 0", 8, False),
    Row(26, "C 0 P N", 8, True),
    Row(68, "C 0 P N 0", 8, True),
    Row(28, "P N 0 0 0", 8, False),
    Row(28, "0 0 P N 0", 8, False),
    Row(16, "P N", 16, True),
    Row(20, "C P N 0", 44, True),
    Row(21, "C P N 0", 44, False),
    Row(29, "C P N", 8, True),
    Row(30, "C P N", 8, False),
    Row(69, "C P N 0", 64, True),
    Row(84, "C P N -1 0", 12, False),
    Row(85, "C P N -1 0", 36, False),
    Row(99, "C P N -1 0", 12, False),
    Row(152, "1 P N 0", 20, False),
    Row(163, "C 0 P 0 0", 4, True, fixed=True),
    Row(189, "C 0 P N", 8, True, "xdp"),
    Row(190, "C 0 P N", 8, False, "xdp"),
    Row(105, "P N 0 S", 8, False),
    Row(105, "S 8 0 P", 8, True, fixed=True),
    Row(106, "P N 0 S", 8, False),
    Row(106, "S 8 0 P", 8, True, fixed=True),
    Row(165, "P N S 0 0", 8, True),
    Row(165, "S 8 S P N", 8, False, nullable=True),
    Row(177, "S 8 P N", 8, False, nullable=True),
    Row(197, "P N 0 D", 16, True),
    Row(197, "S 8 0 P", 16, True, fixed=True),
    Row(201, "P N D 0 0", 8, True),
    Row(202, "D 0 P N 0", 8, False),
    Row(93, "P", 4, True, fixed=True),
    Row(94, "P", 4, True, fixed=True),
    Row(194, "P 0", 8, True, fixed=True),
    Row(49, "C 1 2 P N", 8, False, "sock_ops"),
    Row(57, "C 1 2 P N", 8, True, "sock_ops"),
    Row(64, "C P N", 16, False, "cgroup_sock_addr"),
    Row(101, "C P N 0", 8, True, "cgroup_sysctl"),
    Row(102, "C P N", 8, True, "cgroup_sysctl"),
    Row(103, "C P N", 8, True, "cgroup_sysctl"),
    Row(104, "C P N", 8, False, "cgroup_sysctl"),
    Row(4, "P N S", 8, True, "kprobe"),
    Row(45, "P N S", 8, True, "kprobe"),
    Row(112, "P N S", 8, True, "kprobe"),
    Row(113, "P N S", 8, True, "kprobe"),
    Row(114, "P N S", 8, True, "kprobe"),
    Row(115, "P N S", 8, True, "kprobe"),
    Row(148, "P N S", 8, True, "kprobe"),
    Row(36, "1 P N", 8, False, "kprobe"),
    Row(67, "C P N 0", 8, True, "kprobe"),
    Row(141, "0 P N 0", 8, True, "kprobe"),
    Row(120, "0 0 P N", 8, True, "kprobe"),
    Row(56, "C P N", 24, True, "perf_event"),
    Row(127, "0 P N", 8, False, "tracing"),
    Row(126, "0 P N 0 0", 8, False, "tracing"),
    Row(183, "C 0 P", 8, True, "tracing", fixed=True),
    Row(184, "C P", 8, True, "tracing", fixed=True),
)


def run(row: Row, pointer: int, size: int) -> Outcome:
    """Call the helper with a pointer and a size, on all engines."""
    lines = ["mov r6, r1"]
    lines += [f"lddw r1, 0x20202020{at:08x}\nstxdw [r10-{at}], r1" for at in range(8, 129, 8)]
    lines += [
        "stdw [r10-128], 0x3531",
        "stdw [r10-64], 0",
        "stdw [r10-56], 0",
    ]  # S: a text; D: null
    for place, text in enumerate(row.arguments.split(), 1):
        value = {"S": frame_top(0) - 128, "D": frame_top(0) - 64}
        if text == "C":
            lines.append(f"mov r{place}, r6")
        elif text in "PN":
            lines += [f"lddw r{place}, {INPUT}", f"ldxdw r{place}, [r{place}+{8 * (text == 'N')}]"]
        else:
            lines.append(f"lddw r{place}, {value.get(text, int(text) if text not in value else 0)}")
    program = "\n".join([*lines, f"call {row.number}", "exit"])
    return run_everywhere(
        program,
        FRAME,
        hook=HOOKS[row.hook],
        helpers=kernel_helpers(row.hook),
        mapped=[
            ("constants", CONSTANTS, b"\1" * 63 + b"\0"),
            ("input", INPUT, pointer.to_bytes(8, "little") + size.to_bytes(8, "little")),
        ],
    )


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_pointer_at_the_very_end_will_do(row: Row) -> None:
    outcome = run(row, frame_top(0) - row.size, row.size)
    assert outcome.error in ("", "HelperError"), outcome.message


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_byte_more_is_a_fault(row: Row) -> None:
    for pointer in (frame_top(0) - row.size + 1, PACKET - 1, frame_top(0) - 513):
        outcome = run(row, pointer, row.size)
        assert outcome.error == "MemoryFault", (hex(pointer), outcome)
        assert FRAME.endswith(outcome.packet)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_pointers_that_are_none(row: Row) -> None:
    for pointer in (0, 1, HANDLES + 1, M64, M64 - row.size + 1, 1 << 63, CONTEXT - 1):
        outcome = run(row, pointer, row.size)
        if not pointer and row.nullable:
            assert outcome.value == M64 - 21  # -EINVAL
        else:
            assert outcome.error == "MemoryFault", (hex(pointer), outcome)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.fixed], ids=str)
def test_sizes_beyond_every_region(row: Row) -> None:
    for size in (513, 1 << 16, 1 << 31, M64, M64 - 7, 1 << 63):
        outcome = run(row, frame_top(0) - row.size, size)
        assert outcome.error in ("MemoryFault", ""), outcome
        if outcome.error == "":  # refused by its value, or cut to its 32 bits
            assert outcome.value is not None
            assert outcome.value >> 63 or size & 0xFFFF_FFFF in (0, 1 << 31) or outcome.value < 3


@pytest.mark.parametrize("row", [row for row in ROWS if row.writes], ids=str)
def test_what_is_read_only_is_not_written(row: Row) -> None:
    outcome = run(row, CONSTANTS, row.size)
    assert (outcome.error, outcome.access and outcome.access[2]) == ("MemoryFault", "write")
    assert outcome.region("constants") == b"\1" * 63 + b"\0"


@pytest.mark.parametrize("row", [row for row in ROWS if not row.writes], ids=str)
def test_what_is_read_only_can_be_read(row: Row) -> None:
    assert run(row, CONSTANTS, min(row.size, 64)).error == ""
