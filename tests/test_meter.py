"""Both engines, and an independent count, agree on what was executed."""

from __future__ import annotations

import gc
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

import drybpf
from agreement import HELPERS, STORAGE, Case
from children import run_child
from drybpf import interpreter, meter
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import BpfError, ExecutionError, HelperError
from drybpf.jit import layout
from drybpf.jit.compiled import Jit
from drybpf.meter import Counts, Meter
from drybpf.program import Program
from drybpf.state import State
from metering import Counted, Tracer, metered
from support import FIREWALL, OBJECTS, TRAFFIC, shared_or_none

LOOP = """
mov r0, 0
mov r3, r2
l:
add r0, 1
sub r3, 1
jne r3, 0, l
exit
"""
_EXPECTED = (HelperError, ExecutionError, KeyError)


def _packets(seed: int, count: int = 40) -> list[bytes]:
    """Those of the capture, changed and cut ones, and noise."""
    random = Random(seed)  # noqa: S311 (repeatable by design)
    packets = [packet.data for packet in drybpf.read_capture(TRAFFIC)]
    broken = []
    for packet in random.sample(packets, count):
        data = bytearray(packet)
        for _ in range(3):
            data[random.randrange(len(data))] = random.randrange(256)
        broken.append(bytes(data[: random.randrange(1, len(data) + 1)]))
    return packets + broken + [random.randbytes(random.randrange(120)) for _ in range(10)]


THOROUGH = bool(os.environ.get("DRYBPF_THOROUGH"))  # every program, which takes minutes
MOST_SLOTS, MOST_PROGRAMS = 600, 2  # of a shared object otherwise


def _objects() -> Iterator[tuple[Path, str]]:
    """Programs with lines that run: the project's own, and some of each shared object."""
    shared = shared_or_none("objects")
    paths = [FIREWALL, *sorted(OBJECTS.glob("*.o")), *sorted(shared.rglob("*.o") if shared else ())]
    for path in paths:
        try:
            obj = drybpf.load(path)
            names = [n for n in obj if not obj[n].cannot_run and obj[n].code.lines]
        except BpfError:
            continue
        if shared in path.parents and not THOROUGH:
            names = [n for n in names if len(obj[n].code) <= MOST_SLOTS][:MOST_PROGRAMS]
        yield from ((path, name) for name in names)


def _key(counted: Counted) -> list[tuple[dict[int, int], dict[int, int]]]:
    return list(counted.values())


def _run_all(program: Program, packets: list[bytes], **options: object) -> None:
    for packet in packets:
        with suppress(ExecutionError):
            program.run(packet, **options)  # type: ignore[arg-type]  # an engine or a trace


PROGRAMS = list(_objects())


@pytest.mark.parametrize(("path", "name"), PROGRAMS, ids=[f"{p.stem}-{n}" for p, n in PROGRAMS])
def test_all_ways_of_running_count_the_same(path: Path, name: str) -> None:
    packets = _packets(1)
    if path.parent not in (FIREWALL.parent, OBJECTS) and not THOROUGH:
        packets = packets[::5]

    def program(engine: str = "auto") -> Program:
        made = drybpf.load(path)[name]
        made.engine = engine  # type: ignore[assignment]  # a literal
        made.budget = 20_000  # some never end
        return made

    def call(program: Program) -> None:
        for packet in packets:
            with suppress(ExecutionError):
                program(packet)

    length = sum(
        sum(executed.values()) for executed, _ in metered(lambda: call(program())).values()
    )
    packets = packets[:: 1 + length // 100_000]
    tracer = Tracer()
    traced = program()
    for packet in packets:
        tracer.begin()
        with suppress(ExecutionError):
            traced.run(packet, trace=tracer)
    expected = _key(tracer.counted())
    one, two, three, four, five = (program() for _ in range(5))
    three.engine = "jit"
    four.engine = "jit"
    assert _key(metered(lambda: _run_all(one, packets, engine="interpreter"))) == expected
    assert _key(metered(lambda: _run_all(two, packets, engine="jit"))) == expected
    assert _key(metered(lambda: call(three))) == expected
    assert _key(metered(lambda: four.run_batch(packets, on_fault="record"))) == expected
    assert _key(metered(lambda: _run_all(five, packets, trace=lambda _: None))) == expected


def _case_runs(case: Case, run: Callable[[State], object]) -> Counted:
    def all_inputs() -> None:
        for given in case.inputs():
            with suppress(*_EXPECTED):
                run(case.begin(given))

    return {key: counts for key, counts in metered(all_inputs).items() if any(counts)}


@pytest.mark.parametrize("seed", range(3000, 3040))
def test_random_programs_count_the_same(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers that raise, callbacks, tail calls, deep calls, small budgets and slices included."""
    case = Case.of(seed)
    tracer = Tracer()

    def traced(state: State) -> None:
        tracer.begin()
        interpreter.run(state, tracer)

    _case_runs(case, traced)
    expected = {key: counts for key, counts in tracer.counted().items() if any(counts)}
    assert _case_runs(case, interpreter.run) == expected
    jit = case.jit()
    assert _case_runs(case, lambda state: jit.run(state, counting=case.counting)) == expected
    monkeypatch.setattr(layout, "SLICE", len(case.code) + seed % 64)
    sliced = case.jit()
    assert _case_runs(case, lambda state: sliced.run(state, counting=case.counting)) == expected


@pytest.mark.parametrize("seed", range(3040, 3052))
def test_calls_and_batches_of_random_programs_count_the_same(seed: int) -> None:
    case = Case.of(seed)
    packets = [b"" if case.hook.name == "no data" else g.packet for g in case.inputs()[::3]]

    def runs(engine: str, *, batch: bool) -> Counted:
        program = Program(case.code, hook=case.hook, helpers=HELPERS, budget=3000)
        program.engine = engine  # type: ignore[assignment]  # a literal
        STORAGE[:] = bytes(64)

        def run() -> None:
            if batch:
                program.run_batch(packets, on_fault="record")
                return
            for packet in packets:
                with suppress(*_EXPECTED):
                    program(packet)

        with suppress(*_EXPECTED):
            return metered(run)
        return {}

    assert runs("jit", batch=False) == runs("interpreter", batch=False)
    assert runs("jit", batch=True) == runs("interpreter", batch=True)


def test_counts_are_what_they_say() -> None:
    code = Code(assemble(LOOP))
    for engine in ("interpreter", "jit"):
        program = Program(code, engine=engine)
        counted = metered(lambda program=program: program(bytes(5)))  # type: ignore[misc]  # bound
        ((executed, taken),) = counted.values()
        assert executed == {0: 1, 1: 1, 2: 5, 3: 5, 4: 5, 5: 1}
        assert taken == {4: 4}


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_an_instruction_that_faults_was_begun(engine: str) -> None:
    program = Program.from_asm("mov r0, 1\nldxb r0, [r1+5]\nexit", engine=engine)
    with Meter() as counting, pytest.raises(drybpf.MemoryFault):
        program.run(b"abc")
    (counts,) = counting.take()
    assert counts.executed == {0: 1, 1: 1}


def test_a_jump_to_the_next_slot_is_no_branch() -> None:
    code = Code(assemble("jeq r1, 0, +0\nexit"))
    assert dict(code.branches) == {}
    for engine in ("interpreter", "jit"):
        counted = metered(lambda e=engine: Program(code, engine=e).run())  # type: ignore[misc]  # bound
        assert _key(counted) == [({0: 1, 1: 1}, {})]


def test_meters_overlap() -> None:
    program = Program.from_asm(LOOP, engine="jit")
    outer, inner = Meter(), Meter()
    with outer:
        program(bytes(1))
        with inner:
            program(bytes(2))
        program(bytes(3))
    assert [counts.executed[2] for counts in inner.take()] == [2]
    assert [counts.executed[2] for counts in outer.take()] == [6]
    assert (inner.take(), outer.take()) == ([], [])


def test_take_while_counting_begins_anew() -> None:
    program = Program.from_asm(LOOP, engine="jit")
    with Meter() as counting:
        program(bytes(2))
        assert [counts.executed[2] for counts in counting.take()] == [2]
        program(bytes(3))
        assert [counts.executed[2] for counts in counting.take()] == [3]
        assert counting.active
    assert not counting.active
    program(bytes(4))
    assert counting.take() == []


def test_misuse_is_refused() -> None:
    counting = Meter()
    with pytest.raises(ValueError, match="not counting"):
        counting.stop()
    with counting, pytest.raises(ValueError, match="already"):
        counting.start()


def test_calls_bound_before_are_counted() -> None:
    """A program that was called goes straight into compiled code, which does not count."""
    program = Program.from_asm(LOOP, engine="jit")
    assert program(bytes(2)) == 2
    with Meter() as counting:
        assert program(bytes(3)) == 3
    assert program(bytes(2)) == 2
    assert [counts.executed[2] for counts in counting.take()] == [3]


def test_nothing_is_kept_when_nobody_counts() -> None:
    program = Program.from_asm(LOOP, engine="jit")
    with Meter() as counting:
        program(bytes(2))
    counting.take()
    gone = weakref.ref(program.code)
    del program
    gc.collect()
    assert gone() is None
    assert not meter.is_active()


def test_programs_that_are_gone_are_not_kept_while_somebody_counts() -> None:
    """Their counts are, though: as in a long test run that measures coverage."""
    with Meter() as meter:
        for _ in range(3):
            program = Program.from_asm("mov r0, 1\nexit", engine="jit")
            program.run()
            gone = weakref.ref(program.code)
            del program
            gc.collect()
            assert [each.executed for each in meter.take()] == [{0: 1, 1: 1}]
            gc.collect()
            assert gone() is None


def test_threads_count_together() -> None:
    programs = [Program.from_asm(LOOP, engine=engine) for engine in ("interpreter", "jit")]
    batch = [bytes(7)] * 200

    def work() -> None:
        for program in programs:
            program.run_batch(batch)

    with Meter() as counting:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [counts.executed[2] for counts in counting.take()] == [4 * 200 * 7] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_counts_though_another_thread_did_at_the_fork() -> None:
    text = """
import os, signal, threading, warnings
from drybpf import Program
from drybpf.meter import Meter
warnings.simplefilter("ignore")  # forks beside threads
program = Program.from_asm("mov r0, 1\\nexit", engine="interpreter")
done = threading.Event()

def work():
    while not done.is_set():
        program.run(b"")

meter = Meter()
meter.start()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(40):
    child = os.fork()
    if not child:
        signal.alarm(20)
        program.run(b"")
        os._exit(not meter.take())
    if os.waitpid(child, 0)[1]:
        print("hung")
        break
done.set()
print("fine")
"""
    assert run_child(text) == "fine\n"


def test_counting_code_comes_from_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DRYBPF_CACHE_DIR", str(tmp_path))
    code = Code(assemble("mov r0, 0\nldabsb 3\njeq r0, 9, +1\nadd r0, 1\nexit"))
    found, packets = [], [b"abc\x09", b"abcd", b"a"]

    def run(jit: Jit) -> None:
        program = Program(code)
        for packet in packets:
            jit.run(program.state(packet))

    for cached in (0, 1):
        jit = Jit(code, Program(code).hook.shape)
        found.append(_key(metered(lambda jit=jit: run(jit))))  # type: ignore[misc]  # bound
        assert (jit.stats.compiles, jit.stats.cached) == (1, cached)
    assert found[0] == found[1] == [({0: 3, 1: 3, 2: 2, 3: 1, 4: 2}, {2: 1})]


def test_counts_add_up() -> None:
    counts = Counts(Code(assemble("exit")))
    counts.add({0: 2, 1: 0}, {})
    counts.add({0: 3}, {})
    assert counts.executed == {0: 5}
    assert repr(counts) == "<Counts main: 5 instructions>"
