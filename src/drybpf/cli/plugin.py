"""`drybpf plugin`, and `drybpf-plugin`: one test of bpf_conformance.

    drybpf-plugin [MEM] [--engine interpreter|jit] [--debug] [--elf]

The program comes as hexadecimal text on standard input, MEM is the memory likewise; r0 goes to
standard output in hexadecimal.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from drybpf.errors import BpfError

UNWIND_HELPER = 5  # the runner's tests call it; r1 = -1 asks for an unwind, which we accept


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one test; the result is the exit code."""
    try:
        given = list(sys.argv[1:] if arguments is None else arguments)
        print(f"{_run(given, sys.stdin.read()):x}")  # noqa: T201 (the protocol)
    except (BpfError, ValueError) as error:
        print(" ".join(str(error).split()))  # noqa: T201 (the protocol)
        return 1
    return 0


def _run(arguments: list[str], text: str) -> int:
    from drybpf.program import Program  # noqa: PLC0415 (the process is timed)

    memory: bytes | None = None
    if arguments and not arguments[0].startswith("-"):
        memory = bytes.fromhex(arguments.pop(0))
    engine, is_elf = "interpreter", False
    while arguments:
        option = arguments.pop(0)
        if option == "--engine" and arguments:
            engine = arguments.pop(0)
        elif option == "--elf":
            is_elf = True
        elif option != "--debug":
            raise ValueError(f"unknown option {option}")
    bytecode = bytes.fromhex(text)
    program = Program.from_bytes(_of_elf(bytecode) if is_elf else bytecode, engine=engine)
    program.helpers.register(UNWIND_HELPER, lambda *_: 0)
    return program.run(memory or b"").value


def _of_elf(data: bytes) -> bytes:
    from drybpf.objects import read_object  # noqa: PLC0415 (only for --elf)

    found = read_object(data)
    if not found.programs:
        raise ValueError("the object has no program")
    return next(iter(found.programs.values())).bytecode


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    add_help_option=True,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plugin(arguments: tuple[str, ...]) -> int:
    """Run one test of bpf_conformance: [MEM] [--engine interpreter|jit] [--debug] [--elf]."""
    return main(arguments)
