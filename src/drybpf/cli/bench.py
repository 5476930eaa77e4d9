"""`drybpf bench`: the time of a run."""

from __future__ import annotations

import json
from time import perf_counter_ns
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from drybpf.program import Program


@click.command()
@click.argument("file")
@click.option("--program", "name", help="Which program of an object.")
@click.option("--mem", help="The memory or packet: a file, else hexadecimal.")
@click.option("--engine", type=click.Choice(["auto", "jit", "interpreter"]), default="auto")
@click.option("--repeat", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")
def bench(
    file: str, name: str | None, mem: str | None, engine: str, repeat: int, as_json: bool
) -> None:
    """Time the program of FILE over a number of runs.

    A run is the whole entry, with its set-up and fuel; Python's own call is left out where the
    engine is native.
    """
    from drybpf.cli.inputs import read_memory, read_program  # noqa: PLC0415 (as elsewhere)

    program, memory = read_program(file, name), read_memory(mem)
    native = engine != "interpreter"
    result = program.run(memory, engine="interpreter")
    if native:
        compiled, elapsed = _native(program, memory, repeat)
    else:
        compiled, elapsed = 0, _interpreted(program, memory, repeat)
    report = {
        "engine": "jit" if native else "interpreter",
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


def _native(program: Program, memory: bytes, repeat: int) -> tuple[int, int]:
    from drybpf.jit.compiled import Jit, prepare  # noqa: PLC0415 (LLVM only here)

    prepare(program.hook.shape, may_write=program.code.may_write)  # before the clock starts
    begin = perf_counter_ns()
    jit = Jit(program.code, program.hook.shape)
    jit.use(program.helpers)
    jit.variant()
    compiled = perf_counter_ns() - begin
    return compiled, jit.repeat(program.state(memory), repeat)


def _interpreted(program: Program, memory: bytes, repeat: int) -> int:
    from drybpf import interpreter  # noqa: PLC0415 (as elsewhere)

    elapsed = 0
    for _ in range(repeat):
        state = program.state(memory)
        begin = perf_counter_ns()
        interpreter.run(state)
        elapsed += perf_counter_ns() - begin
    return elapsed
