"""String helpers beside what the kernel is asked about: texts as large as memory."""

from __future__ import annotations

import time

import pytest

from drybpf import HOOKS, Program
from drybpf.errors import MemoryFault
from drybpf.space import Space
from object_runs import ENGINES

M64 = (1 << 64) - 1
LONG = 1 << 26


def comparison(left: bytes, right: bytes, length: int) -> Program:
    """A program that compares two texts, each in memory of its own."""
    space = Space()
    places = [space.add(name, bytearray(text)).start for name, text in (("l", left), ("r", right))]
    text = f"lddw r1, {places[0]} lddw r2, {length} lddw r3, {places[1]} call 182 exit"
    return Program.from_asm(text, hook=HOOKS["xdp"], space=space)


@pytest.mark.parametrize("before", [0, 1, 4095, 4096, 10_000])
@pytest.mark.parametrize(
    ("left", "right", "result"),
    [(b"a", b"b", M64), (b"b", b"a", 1), (b"\xff", b"a", 1), (b"\0a", b"\0b", 0), (b"", b"", 0)],
)
def test_where_texts_differ(before: int, left: bytes, right: bytes, result: int) -> None:
    same = b"x" * before
    program = comparison(same + left, same + right, before + len(left))
    assert [program.run(bytes(64), engine=engine).value for engine in ENGINES] == [result] * 2


@pytest.mark.parametrize("size", [1, 4096, 5000])
def test_a_text_without_an_end_is_read_to_its_end(size: int) -> None:
    program = comparison(b"x" * size, b"x" * size + b"y", (1 << 32) - 1)
    for engine in ENGINES:
        with pytest.raises(MemoryFault, match="read of 1 bytes") as found:
            program.run(bytes(64), engine=engine)
        assert found.value.address & 0xFFF_FFFF == size


def test_long_texts_take_no_long_time() -> None:
    """One by one, these characters took most of a minute."""
    text = b"x" * LONG
    program = comparison(text, text, LONG)
    start = time.process_time()
    assert program.run(bytes(64), engine="interpreter").value == 0
    assert time.process_time() - start < 5
