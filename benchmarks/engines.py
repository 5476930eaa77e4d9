"""What can run a benchmark program here: drybpf's two engines, native C, the kernel, and others.

An engine is a function from a number of runs to ns a run.  Each is asked for its result before it
is timed.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import perf_counter_ns

import kernel
import native
from drybpf import interpreter
from drybpf.program import Program

PROGRAMS = Path(__file__).parent / "programs"
EXPECTED: dict[str, int] = json.loads((PROGRAMS / "expected.json").read_text())
Engine = Callable[[int], float]
JIT, UNCHECKED, INTERPRETER, KERNEL = "drybpf", "unchecked", "interpreter", "kernel"
CEILING, PLAIN = "C", "C, no unrolling"
BUILDS = {CEILING: ["-DNOUNROLL="], PLAIN: []}
SMALLEST_FRAME = 64  # bytes; the kernel's test run takes no shorter packets


def names() -> tuple[str, ...]:
    """The names of all engines that come with the benchmark."""
    return JIT, UNCHECKED, INTERPRETER, *BUILDS, KERNEL


def bytecode(name: str) -> bytes:
    """The bytecode of a program."""
    return (PROGRAMS / f"{name}.bin").read_bytes()


def memory(name: str) -> bytes:
    """The memory of a program."""
    return (PROGRAMS / f"{name}.mem").read_bytes()


def engines(name: str, chosen: set[str], templates: Mapping[str, str]) -> dict[str, Engine]:
    """The engines for a program, of those chosen; what cannot be had here is left out.

    `templates` are the commands of other engines: {bin}, {mem} and {repeat} are filled in, and the
    command prints ns a run.
    """
    makers: dict[str, Callable[[str], Engine | None]] = {JIT: _jit, UNCHECKED: _unchecked}
    makers[INTERPRETER] = _interpreter
    makers |= {label: _native(label, flags) for label, flags in BUILDS.items()}
    makers[KERNEL] = _kernel
    found: dict[str, Engine] = {}
    for label, make in makers.items():
        engine = make(name) if label in chosen else None
        if engine is not None:
            found[label] = engine
    return found | dict(_others(name, templates))


def check(name: str, label: str, result: int, expected: int) -> None:
    """Stop at a wrong result: there is nothing to time."""
    if result != expected:
        raise SystemExit(f"{name}: {label} gives {result}, not {expected}")


def _jit(name: str) -> Engine:
    from drybpf.jit.compiled import Jit  # noqa: PLC0415 (LLVM only where it is asked for)

    program = Program.from_bytes(bytecode(name), engine="jit")
    check(name, JIT, program.run(memory(name)).value, EXPECTED[name])
    jit, state = Jit(program.code, program.hook.shape), program.state(bytearray(memory(name)))
    return lambda times: jit.repeat(state, times) / times


def _unchecked(name: str) -> Engine:
    from unchecked import compiled  # noqa: PLC0415 (as above)

    program = Program.from_bytes(bytecode(name), engine="jit")
    jit, state = compiled(program), program.state(bytearray(memory(name)))
    check(name, UNCHECKED, jit.run(program.state(bytearray(memory(name)))), EXPECTED[name])
    return lambda times: jit.repeat(state, times) / times


def _interpreter(name: str) -> Engine:
    program = Program.from_bytes(bytecode(name), engine="interpreter")

    def run(times: int) -> float:
        elapsed = 0
        for _ in range(times):
            state = program.state(memory(name))
            begin = perf_counter_ns()
            result = interpreter.run(state)
            elapsed += perf_counter_ns() - begin
            check(name, INTERPRETER, result, EXPECTED[name])
        return elapsed / times

    return run


def _native(label: str, flags: list[str]) -> Callable[[str], Engine | None]:
    def make(name: str) -> Engine | None:
        source, own = PROGRAMS / f"{name}.c", bytearray(memory(name))
        if not source.exists() or native.compiler() is None:
            return None
        run = native.build(source, flags)
        check(name, label, run(own, 1)[0], EXPECTED[name])
        return lambda times: run(own, times)[1] / times

    return make


def _kernel(name: str) -> Engine | None:
    packet = memory(name).ljust(SMALLEST_FRAME, b"\0")
    try:
        loaded = kernel.load((PROGRAMS / f"{name}.xdp.bin").read_bytes())
        verdict, _ = kernel.run(loaded, packet, 1)
    except kernel.Refused as refusal:
        print(f"{name}: no kernel: {refusal}", file=sys.stderr)
        return None
    check(name, KERNEL, verdict, EXPECTED[name] & 0xFFFF_FFFF)
    return lambda times: kernel.run(loaded, packet, times)[1]


def _others(name: str, templates: Mapping[str, str]) -> Iterator[tuple[str, Engine]]:
    for label, template in templates.items():
        values = {key: str(PROGRAMS / f"{name}.{key}") for key in ("bin", "mem")}
        yield label, _command(template, values)


def _command(template: str, values: Mapping[str, str]) -> Engine:
    words = shlex.split(template)

    def run(times: int) -> float:
        command = [word.format(**values, repeat=times) for word in words]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return float(done.stdout.split()[0])

    return run
