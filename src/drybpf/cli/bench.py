"""`drybpf bench`: the time of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from time import perf_counter_ns
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import engine_option, json_option, memory_option, program_option
from drybpf.errors import CompileError

if TYPE_CHECKING:
    from drybpf.program import Program

_INSTRUCTIONS = 100_000_000  # that compiled code executes at a stretch


@click.command()
@click.argument("file")
@program_option
@memory_option
@engine_option
@click.option("--repeat", type=click.IntRange(1), default=1000, show_default=True)
@json_option
def bench(
    file: str, name: str | None, mem: str | None, engine: str, repeat: int, as_json: bool
) -> None:
    """Time the program of FILE over a number of runs.

    A run is the whole entry, with its set-up and fuel; Python's own call is left out where the
    engine is native.  The kernel runs on one packet all the time, and tells whole nanoseconds.
    """
    from drybpf.cli.inputs import read_memory, read_program  # noqa: PLC0415 (as elsewhere)

    program, memory = read_program(file, name), read_memory(mem)
    result = program.run(memory, engine="interpreter")
    if engine == "kernel":
        ran, (compiled, elapsed) = "kernel", program.kernel.time(program.state(memory), repeat)
    else:
        parts = _parts(repeat, result.instructions)
        native = None if engine == "interpreter" else _native(program, memory, parts, engine)
        compiled, elapsed = native or (0, _interpreted(program, memory, repeat))
        ran = "jit" if native else "interpreter"
    report = {
        "engine": ran,
        "ns_per_run": elapsed / repeat,
        "compile_ns": compiled,
        "result": result.value,
        "instructions": result.instructions,
    }
    if as_json:
        click.echo(json.dumps(report))
    else:
        for key, value in report.items():
            click.echo(f"{key}: {value:.1f}" if key == "ns_per_run" else f"{key}: {value}")


def _parts(repeat: int, instructions: int) -> Iterator[int]:
    """The runs in parts of a fraction of a second, between which Python looks for signals."""
    most = max(1, _INSTRUCTIONS // max(1, instructions))
    while repeat > 0:
        yield min(most, repeat)
        repeat -= most


def _native(
    program: Program, memory: bytes, parts: Iterable[int], engine: str
) -> tuple[int, int] | None:
    """The times of compiling and of all runs; None where `auto` falls back on the interpreter."""
    from drybpf.jit.variant import prepare  # noqa: PLC0415 (LLVM only here)

    try:
        prepare(program.hook.shape, may_write=program.code.may_write)  # before the clock starts
        begin = perf_counter_ns()
        jit = program.compiler
        jit.variant()
        compiled = perf_counter_ns() - begin
        return compiled, sum(jit.repeat(program.state(memory), part) for part in parts)
    except CompileError:
        if engine == "auto":
            return None
        raise


def _interpreted(program: Program, memory: bytes, repeat: int) -> int:
    from drybpf import interpreter  # noqa: PLC0415 (as elsewhere)

    begin = perf_counter_ns()
    for _ in range(repeat):
        interpreter.run(program.state(memory))
    return perf_counter_ns() - begin
