"""`auto`: the interpreter first, compiled code when another thread has made it, always the same."""

import os
import threading
from collections.abc import Callable

import pytest

from children import run_child
from drybpf import Program, background
from drybpf.errors import CompileError, MemoryFault
from drybpf.jit import compiled

ADDS = "ldxb r0, [r1]\nadd64 r0, 1\nexit"


def _run_until_compiled(program: Program, packet: bytes) -> list[int]:
    """What the runs give on the way."""
    results = []
    while not program.jit_stats.compiles:
        results.append(program(packet))
        program._runner.finish_compiling()
        assert len(results) < 10
    return results


def test_runs_give_the_same_before_and_after_it_is_compiled() -> None:
    program = Program.from_asm(ADDS)
    assert set(_run_until_compiled(program, b"\7")) == {8}
    assert program.jit_stats.compiles == 1
    assert program(b"\7") == 8
    with pytest.raises(MemoryFault):
        program(b"")


def test_exact_runs_have_their_own_compiled_form() -> None:
    program = Program.from_asm(ADDS)
    _run_until_compiled(program, b"\7")
    for _ in range(4):
        result = program.run(b"\7")
        assert (result.value, result.instructions) == (8, 3)
        program._runner.finish_compiling()
    assert program.jit_stats.compiles == 2


def test_a_run_while_another_thread_compiles_is_interpreted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, allowed = threading.Event(), threading.Event()

    def slow(work: Callable[[], object]) -> background.Job:
        def waiting() -> None:
            begun.set()
            allowed.wait(10)
            work()

        return start(waiting)

    start = background.start
    monkeypatch.setattr(background, "start", slow)
    program = Program.from_asm(ADDS)
    for _ in range(10):
        assert program(b"\1") == 2
    assert begun.is_set()
    assert not program.jit_stats.compiles
    allowed.set()
    program._runner.finish_compiling()
    assert set(_run_until_compiled(program, b"\1")) == {2}


def test_helpers_that_change_meanwhile_are_those_that_are_called() -> None:
    program = Program.from_asm("mov64 r1, 4\ncall 1\nexit", helpers={1: lambda _, a, *__: a + 1})
    assert [program(), program(), program()] == [5] * 3
    program.helpers.register(1, lambda _, a, *__: a + 2)
    for _ in range(6):
        assert program() == 6
        program._runner.finish_compiling()


def test_what_cannot_be_compiled_is_interpreted_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise CompileError("LLVM does not like it")

    monkeypatch.setattr(compiled, "compiled_form", fails)
    program = Program.from_asm(ADDS)
    for _ in range(6):
        assert program(b"\7") == 8
        program._runner.finish_compiling()
    assert program._runner.note == "LLVM does not like it"


def test_another_error_reaches_whoever_runs_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(compiled, "compiled_form", fails)
    program = Program.from_asm(ADDS)

    def run() -> None:
        for _ in range(6):
            program(b"\7")
            program._runner.finish_compiling()

    with pytest.raises(ZeroDivisionError):
        run()


def test_a_job_is_done_at_once_where_there_is_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none)
    done: list[int] = []
    assert background.start(lambda: done.append(1)).is_done
    assert done == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_of_a_process_that_compiles_compiles_by_itself() -> None:
    text = f"""
import os, warnings
from drybpf import Program
warnings.simplefilter("ignore")  # forks beside threads
program = Program.from_asm({ADDS!r})
for _ in range(5):
    program(b"1")  # another thread begins
child = os.fork()
while not program.jit_stats.compiles:
    assert program(b"1") == 50
if child:
    assert os.waitpid(child, 0)[1] == 0
print("fine")
"""
    assert run_child(text, DRYBPF_CACHE="0").count("fine") == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_compiles_though_another_thread_did_at_the_fork() -> None:
    """LLVM and the linker have locks, which the child would find locked."""
    text = """
import os, signal, threading, warnings
from drybpf import Program
warnings.simplefilter("ignore")  # forks beside threads
def compiles(number):
    return Program.from_asm(f"mov r0, {number}\\nexit", engine="jit")(b"") == number
done = threading.Event()
def work():
    number = 0
    while not done.is_set():
        compiles(number := number + 1)
compiles(0)  # Python itself does not let a child import what was being imported
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for number in range(12):
    if not (child := os.fork()):
        signal.alarm(20)
        os._exit(not compiles(100000 + number))
    if os.waitpid(child, 0)[1]:
        print("a child hangs")
        break
done.set()
for thread in threads:
    thread.join()
print("fine")
"""
    assert run_child(text, DRYBPF_CACHE="0") == "fine\n"


def test_a_process_may_end_while_it_compiles() -> None:
    text = """
from drybpf import Program
many = [Program.from_asm("add64 r0, 1\\n" * 3000 + f"add64 r0, {n}\\nexit") for n in range(20)]
for program in many:
    for _ in range(5):
        program()
print("fine")
"""
    assert run_child(text, DRYBPF_CACHE="0") == "fine\n"
