"""`drybpf plugin`, and `drybpf-plugin`: one test of bpf_conformance.

    drybpf-plugin [MEM] [--engine interpreter|jit] [--debug] [--elf]

The program comes as hexadecimal text on standard input, MEM is the memory likewise; r0 goes to
standard output in hexadecimal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from drybpf.errors import BpfError

if TYPE_CHECKING:
    from drybpf.program import Program

UNWIND_HELPER = 5  # the runner's tests call it; r1 = -1 asks for an unwind, which we accept
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one test; the result is the exit code."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        print(f"{_run(given, sys.stdin.read()):x}")  # noqa: T201 (the protocol)
    except (BpfError, ValueError) as error:
        print(" ".join(str(error).split()))  # noqa: T201 (the protocol)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def _run(arguments: list[str], text: str) -> int:
    from drybpf.engine import check_engine  # noqa: PLC0415 (the process is timed)

    memory = b""
    if arguments and not arguments[0].startswith("-"):
        memory = bytes.fromhex(arguments.pop(0))
    engine, is_elf = "interpreter", False
    while arguments:
        option = arguments.pop(0)
        if option == "--engine":
            if not arguments:
                raise ValueError("--engine needs a value")
            engine = arguments.pop(0)
        elif option == "--elf":
            is_elf = True
        elif option != "--debug":
            raise ValueError(f"unknown option {option}")
    program = _program(bytes.fromhex(text), is_elf=is_elf)
    program.engine = check_engine(engine)
    program.helpers.register(UNWIND_HELPER, lambda *_: 0)
    return program.run(memory).value


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
