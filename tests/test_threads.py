"""Several threads run the same programs, in every way: nothing is mixed up, no count is lost."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from children import run_child
from drybpf import Program
from drybpf.maps import MapType
from space_programs import Twins

THREADS, ROUNDS = 4, 300


@pytest.fixture(autouse=True)
def eager_switches() -> Iterator[None]:
    """Have Python go from thread to thread as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_once(work: Callable[[random.Random], None]) -> None:
    """Do the work on all threads; raises what any of them raised."""
    raised: list[BaseException] = []

    def run(seed: int) -> None:
        try:
            work(random.Random(seed))  # noqa: S311 (no secret)
        except BaseException as error:  # noqa: BLE001 (raised again below)
            raised.append(error)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_programs_that_are_compiled_meanwhile() -> None:
    programs = [Program.from_asm(f"ldxb r0, [r1]\nadd64 r0, {n}\nexit") for n in range(4)]

    def work(chance: random.Random) -> None:
        for _ in range(ROUNDS):
            number = chance.randrange(len(programs))
            program = programs[number]
            match chance.randrange(4):
                case 0:
                    assert program(b"\5") == 5 + number
                case 1:
                    result = program.run(b"\7")
                    assert (result.value, result.instructions) == (7 + number, 3)
                case 2:
                    assert list(program.run_batch([b"\1", b"\2"])) == [1 + number, 2 + number]
                case _:
                    verdicts = program.run_batch([b"\1", b"", b"\3"], on_fault="record")
                    assert list(verdicts) == [1 + number, 0, 3 + number]
                    assert list(verdicts.faults) == [1]

    at_once(work)


def test_atomic_counts_are_complete() -> None:
    text = (
        "lddw r1, {counters}\nstw [r10-4], 0\nmov r2, r10\nadd r2, -4\ncall 1\n"
        "jeq r0, 0, +2\nmov r1, 1\nlock add [r0], r1\nmov r0, 0\nexit"
    )
    twins = Twins(text, counters=(MapType.ARRAY, 4, 8, 1))
    for program, made in zip(twins.programs, twins.maps, strict=True):
        rounds = ROUNDS if program.engine == "jit" else 30

        def work(chance: random.Random, program: Program = program, rounds: int = rounds) -> None:
            for _ in range(rounds):
                if chance.randrange(2):
                    program(b"")
                else:
                    program.run_batch([b""])

        if program.engine == "jit":  # the interpreter's operation is two, and no promise of threads
            at_once(work)
        else:
            work(random.Random(0))  # noqa: S311 (as above)
        done = THREADS * rounds if program.engine == "jit" else rounds
        assert made["counters"][0] == done.to_bytes(8, "little")


CLEARING = """
import threading
from drybpf import Program, maps
from drybpf.hooks import Xdp
from drybpf.space import Space

values, space = maps.create("array", value=64, entries=1000), Space()
text = f"stw [r10-8], 3\\nmov r2, r10\\nadd r2, -8\\nmov r3, r10\\nadd r3, -128\\nmov r4, 0\\n"
text += f"lddw r1, {space.add_map(values)}\\ncall 2\\nexit"
program = Program.from_asm(text, hook=Xdp(), space=space, engine="jit")
packets = [bytes(64)] * 10_000
program.run_batch(packets)
done = threading.Event()

def clear():
    while not done.is_set():
        values.clear()

thread = threading.Thread(target=clear)
thread.start()
for _ in range(150):
    assert not any(program.run_batch(packets))
done.set()
thread.join()
"""


def test_a_map_is_cleared_while_a_batch_updates_it() -> None:
    """What programs call through the map's header is there all the time."""
    run_child(CLEARING)
