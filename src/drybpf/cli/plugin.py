"""`drybpf plugin`, and `drybpf-plugin`: one test of bpf_conformance.

    drybpf-plugin [MEM] [--engine interpreter|jit] [--debug] [--elf]

The program comes as hexadecimal text on standard input, MEM is the memory likewise; r0 goes to
standard output in hexadecimal.  What is wrong goes there too, in one line, and the exit code is 1.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf.errors import BpfError

if TYPE_CHECKING:
    from drybpf.program import Program

UNWIND_HELPER = 5  # the runner's tests call it; r1 = -1 asks for an unwind, which we accept
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one test; the result is the exit code."""
    try:
        request = _request(list(sys.argv[1:] if arguments is None else arguments))
        if request.wants_help:
            print(__doc__)  # noqa: T201 (the answer)
        else:
            print(f"{_run(request, sys.stdin.read()):x}")  # noqa: T201 (the protocol)
    except (BpfError, ValueError) as error:
        print(" ".join(str(error).split()))  # noqa: T201 (the protocol)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


@dataclass
class _Request:
    memory: bytes = b""
    engine: str = "interpreter"
    is_elf: bool = False
    wants_help: bool = False


def _request(arguments: list[str]) -> _Request:
    """What the arguments, in any order, ask for."""
    request, memories = _Request(), list[str]()
    rest = iter(arguments)
    for argument in rest:
        option, _, value = argument.partition("=")
        if option == "--engine":
            request.engine = value or next(rest, "")
            if not request.engine:
                raise ValueError("--engine needs a value")
        elif argument == "--elf":
            request.is_elf = True
        elif argument in ("-h", "--help"):
            request.wants_help = True
        elif argument.startswith("-"):
            if argument != "--debug":  # which the runner may give; there is nothing more to say
                raise ValueError(f"unknown option {argument}")
        else:
            memories.append(argument)
    if len(memories) > 1:
        raise ValueError(f"one memory, not {len(memories)}: quote it where it has spaces")
    request.memory = _bytes("the memory", memories[0]) if memories else b""
    return request


def _bytes(what: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f"{what} is not hexadecimal: {error}") from error


def _run(request: _Request, text: str) -> int:
    from drybpf.engine import check_engine  # noqa: PLC0415 (the process is timed)

    engine = check_engine(request.engine)
    program = _program(_bytes("the program", text), is_elf=request.is_elf)
    program.engine = engine
    program.helpers.register(UNWIND_HELPER, lambda *_: 0)
    return program.run(request.memory).value


def _program(data: bytes, *, is_elf: bool) -> Program:
    """The program in bytecode, or in an object: `main`, else the first."""
    if not is_elf:
        from drybpf.program import Program  # noqa: PLC0415 (the process is timed)

        return Program.from_bytes(data)
    from drybpf.objects import load  # noqa: PLC0415 (only for --elf)

    programs = load(data).programs
    for name in ("main", *programs):
        if name in programs:
            return programs[name]
    raise ValueError("the object has no program")
