"""Calls from Python, one packet at a time and in batches; the speed of the interpreter."""

from __future__ import annotations

import ctypes
import math
import threading
import timeit
import zlib
from collections.abc import Callable
from time import perf_counter, perf_counter_ns

from drybpf import interpreter
from drybpf.batch import PacketBatch
from drybpf.program import Program
from engines import EXPECTED, bytecode, check, memory
from figures import Figure

NAME = "02_parser"


def parser() -> Program:
    """The parser, compiled, and a look at its result."""
    program = Program.from_bytes(bytecode(NAME), engine="jit")
    check(NAME, "a call", program(memory(NAME)), EXPECTED[NAME])
    return program


def calls(*, quick: bool) -> list[Figure]:
    """One call on a 64-byte packet, beside a built-in that does next to nothing."""
    program, topic = parser(), "One call from Python (parser, 64-byte packet)"
    known = {"p": program, "f": program.function, "packet": memory(NAME), "crc32": zlib.crc32}
    forms = {"program(packet)": "p(packet)", "program.function(packet)": "f(packet)"}
    forms['zlib.crc32(b"")'] = 'crc32(b"")'
    number, best = 2_000 if quick else 100_000, dict.fromkeys(forms, math.inf)
    for _ in range(3 if quick else 15):
        for label, text in forms.items():
            taken = timeit.timeit(text, globals=known, number=number) / number * 1e9
            best[label] = min(best[label], taken)
    figures = [Figure(topic, label, value, "ns") for label, value in best.items()]
    *ours, builtin = best.items()
    return figures + [
        Figure(topic, f"{label} to {builtin[0]}", value / builtin[1], "×", 1.5)
        for label, value in ours
    ]


def batches(*, quick: bool) -> list[Figure]:
    """A batch through the parser on one thread, in the cache and out of it, and on two threads."""
    program, topic = parser(), "Batch (parser, 64-byte packets)"
    sizes = (1_000, 2_000) if quick else (10_000, 1_000_000)
    whole = {n: PacketBatch.from_packets([memory(NAME)] * n) for n in sizes}
    best = dict.fromkeys(sizes, math.inf)
    for _ in range(3 if quick else 15):
        for count, batch in whole.items():
            # Small batches are repeated, so that all are timed for as long.
            for _ in range(1 if quick else max(sizes) // count):
                taken = _timed(lambda batch=batch: program.run_batch(batch)) / count  # type: ignore[misc]
                best[count] = min(best[count], taken)
    check(NAME, "a batch", min(program.run_batch(whole[sizes[0]])), EXPECTED[NAME])
    labels = ("fit the cache", "do not")
    figures = [
        Figure(topic, f"{count:,} packets ({label})", best[count], "ns a packet", 3)
        for count, label in zip(sizes, labels, strict=True)
    ]
    return figures + _on_two_threads(program, whole, quick=quick)


def _on_two_threads(
    program: Program, whole: dict[int, PacketBatch], *, quick: bool
) -> list[Figure]:
    """Beside what two threads gain that compute, and two that read from the memory."""
    topic, rounds = "Batch on two threads (against one)", 1 if quick else 15
    data = bytes(100_000 if quick else 20_000_000)
    compare = ctypes.CDLL(None).memcmp
    compare.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]
    other = bytes(bytearray(data))
    small, large = whole.values()

    def again() -> None:
        for _ in range(1 if quick else 100):
            program.run_batch(small)

    ours, theirs = _two_threads(again, rounds), _two_threads(lambda: zlib.crc32(data), rounds)
    figures = [
        Figure(topic, f"{len(small):,} packets, again and again", ours, "×", 1.7, at_least=True),
        Figure(topic, "zlib.crc32", theirs, "×"),
    ]
    for label, work in {
        f"{len(large):,} packets (the memory's speed)": lambda: program.run_batch(large),
        "memcmp (the memory's speed)": lambda: compare(data, other, len(data)),
    }.items():
        figures.append(Figure(topic, label, _two_threads(work, rounds), "×"))
    return figures


def _two_threads(work: Callable[[], object], rounds: int) -> float:
    """How much faster two threads do the work twice than one does: of the best of the rounds."""

    def twice() -> None:
        work()
        work()

    def pair() -> None:
        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    alone = together = math.inf
    for _ in range(rounds):
        alone, together = min(alone, _timed(twice)), min(together, _timed(pair))
    return alone / together


def interpreted(*, quick: bool) -> list[Figure]:
    """Instructions a second of the reference engine, on arithmetic and on memory."""
    figures = []
    for name in ("03_csum",) if quick else ("03_csum", "06_xorshift"):
        program, best = Program.from_bytes(bytecode(name), engine="interpreter"), 0.0
        for _ in range(2 if quick else 9):
            state = program.state(memory(name))
            begin = perf_counter()
            check(name, "the interpreter", interpreter.run(state), EXPECTED[name])
            best = max(best, state.instructions / (perf_counter() - begin) / 1e6)
        figures.append(Figure("Interpreter", name, best, "million instructions a second"))
    return figures


def _timed(work: Callable[[], object]) -> int:
    begin = perf_counter_ns()
    work()
    return perf_counter_ns() - begin
