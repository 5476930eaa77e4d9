"""The table of helpers, and rbpf's seven, safe on every argument."""

from __future__ import annotations

from math import isqrt
from random import Random

import pytest

from drybpf.code import Code
from drybpf.helpers import (
    BPF_KTIME_GETNS_IDX,
    BPF_TRACE_PRINTK_IDX,
    Call,
    Helpers,
    bpf_time_getns,
    bpf_trace_printf,
    gather_bytes,
    memfrob,
    rand,
    sqrti,
    strcmp,
)
from drybpf.host import Host
from drybpf.memory import DATA, PACKET
from drybpf.state import Context, Helper, State
from engines import Outcome, run_everywhere
from slots import EXIT, M64


def call(helper: Helper, *arguments: int, memory: bytes = b"") -> Outcome:
    text = "".join(f"lddw r{n}, {value & M64:#x}\n" for n, value in enumerate(arguments, 1))
    return run_everywhere(text + "call 1\nexit", memory, helpers={1: helper})


def test_rbpfs_numbers() -> None:
    assert (BPF_KTIME_GETNS_IDX, BPF_TRACE_PRINTK_IDX) == (5, 6)


def test_time_moves_on() -> None:
    outcome = run_everywhere(
        "call 5\nmov r6, r0\ncall 5\nsub r0, r6\nexit", helpers={5: bpf_time_getns}
    )
    assert outcome.value == 1000


def test_printf_prints_three_numbers() -> None:
    outcome = call(bpf_trace_printf, 1, 2, 3, 0xABC, M64)
    assert outcome.printed == ("bpf_trace_printf: 0x3, 0xabc, 0xffffffffffffffff",)
    assert outcome.value == len("bpf_trace_printf: 0x3, 0xabc, 0xffffffffffffffff\n")


@pytest.mark.parametrize(
    ("numbers", "length"), [((0, 0, 0), 32), ((15, 16, 255), 34), ((M64, M64, M64), 77)]
)
def test_printf_counts_exactly(numbers: tuple[int, int, int], length: int) -> None:
    assert call(bpf_trace_printf, 0, 0, *numbers).value == length


def test_gather_bytes() -> None:
    assert call(gather_bytes, 1, 2, 3, 4, 5).value == 0x0102030405
    assert call(gather_bytes, M64, 0, 0, 0, 0).value == 0xFFFF_FFFF_0000_0000


def test_memfrob() -> None:
    outcome = call(memfrob, PACKET + 1, 3, memory=b"abcde")
    assert (outcome.value, outcome.packet) == (0, b"a" + bytes(c ^ 42 for c in b"bcd") + b"e")
    assert call(memfrob, 0, 0).value == 0
    assert call(memfrob, 0, 1).error == "MemoryFault"
    assert call(memfrob, PACKET, 6, memory=b"abcde").packet == b"abcde"


def test_memfrob_of_read_only_memory() -> None:
    mapped = [("rodata", DATA, b"abc")]
    text = f"lddw r1, {DATA:#x}\nmov r2, 3\ncall 2\nexit"
    outcome = run_everywhere(text, helpers={2: memfrob}, mapped=mapped)
    assert outcome.access == (DATA, 3, "write", "rodata")


@pytest.mark.parametrize("value", [0, 1, 2, 3, 4, 80, 81, (1 << 62) - 1, 1 << 62, M64, M64 - 1])
def test_sqrti_is_exact(value: int) -> None:
    root = call(sqrti, value).value
    assert root == isqrt(value)
    assert root * root <= value < (root + 1) * (root + 1)


STRINGS = [
    (b"abc", b"abc", 0),
    (b"abc", b"abd", 1),
    (b"abd", b"abc", 1),
    (b"ab", b"abc", 99),
    (b"", b"", 0),
]


@pytest.mark.parametrize(("left", "right", "expected"), STRINGS)
def test_strcmp(left: bytes, right: bytes, expected: int) -> None:
    memory = left + b"\0" + right + b"\0"
    assert call(strcmp, PACKET, PACKET + len(left) + 1, memory=memory).value == expected


def test_strcmp_of_null_and_of_no_string() -> None:
    assert call(strcmp, 0, PACKET, memory=b"a\0").value == M64
    assert call(strcmp, PACKET, 0, memory=b"a\0").value == M64
    outcome = call(strcmp, PACKET, PACKET, memory=b"aaa")
    assert outcome.access == (PACKET + 3, 1, "read", "packet")
    assert call(strcmp, 5, PACKET, memory=b"a\0").error == "MemoryFault"


def test_strcmp_stops_at_the_difference() -> None:
    """What lies behind it need not be there."""
    assert call(strcmp, PACKET, PACKET + 1, memory=b"ab").value == 1


@pytest.mark.parametrize("bounds", [(3, 9), (0, 1), (0, M64), (M64 - 1, M64)])
def test_rand_within_bounds(bounds: tuple[int, int]) -> None:
    values = {rand(Context(State(Code(EXIT), host=host), 1), *bounds) for host in _hosts()}
    assert all(bounds[0] <= value <= bounds[1] for value in values)
    assert len(values) > 1


def _hosts() -> list[Host]:
    return [Host(random=Random(seed)) for seed in range(50)]  # noqa: S311 (repeatable)


@pytest.mark.parametrize("bounds", [(0, 0), (9, 3), (5, 5)])
def test_rand_without_bounds(bounds: tuple[int, int]) -> None:
    values = {rand(Context(State(Code(EXIT), host=host), 1), *bounds) for host in _hosts()}
    assert len(values) == 50
    assert all(0 <= value <= M64 for value in values)


def test_rand_is_repeatable() -> None:
    assert call(rand, 0, 0).value == call(rand, 0, 0).value


def test_the_table() -> None:
    table = Helpers({5: sqrti})
    assert (list(table), len(table), 5 in table, 6 in table) == ([5], 1, True, False)
    with pytest.raises(KeyError):
        table[6]
    table.default = memfrob
    assert table[6] is memfrob
    assert table[5] is sqrti
    assert repr(table) == "<Helpers 5 and a default>"
    assert repr(Helpers({6: sqrti, 5: sqrti})) == "<Helpers 5, 6>"


def test_copies_of_the_table_are_apart() -> None:
    table = Helpers({5: sqrti}, default=memfrob)
    twin = table.copy()
    twin.register(6, sqrti)
    assert list(table) == [5]
    assert twin.default is memfrob


def test_replacing_a_helper_for_a_while() -> None:
    table = Helpers({5: sqrti})
    with table.replace(5, lambda *_: 1234) as calls:
        state = State(Code(EXIT), helpers=table)
        assert table[5](Context(state, 5), 1, 2) == 1234
        assert calls == [Call((1, 2), 1234)]
    assert table[5] is sqrti
    with table.replace(6, sqrti):
        assert 6 in table
    assert 6 not in table


def test_a_replaced_helper_comes_back_after_an_error() -> None:
    table = Helpers({5: sqrti})
    with pytest.raises(RuntimeError), table.replace(5, memfrob):
        raise RuntimeError
    assert table[5] is sqrti
