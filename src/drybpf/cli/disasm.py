"""`drybpf disasm`: bytecode to text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal

import click

from drybpf.cli.output import clean

if TYPE_CHECKING:
    from drybpf.program import Program


@click.command()
@click.argument("file")
@click.option("--dialect", type=click.Choice(["ubpf", "llvm"]), default="ubpf", show_default=True)
@click.option("--program", "name", help="Which program of an object; all without it.")
@click.option("--labels", is_flag=True, help="Print labels and jump to them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a program, or several by name.")
def disasm(
    file: str, dialect: Literal["ubpf", "llvm"], name: str | None, labels: bool, as_json: bool
) -> None:
    """Disassemble FILE, with the source lines where an object has them."""
    from drybpf.asm import disassemble, to_json  # noqa: PLC0415 (only what the command needs)
    from drybpf.cli.inputs import read_programs  # noqa: PLC0415 (as above)

    programs = read_programs(file, name)
    if as_json:
        listings = [(program.name, to_json(program.code.bytecode)) for program in programs]
        click.echo(listings[0][1] if len(listings) == 1 else _by_name(listings))
        return
    for program in programs:
        if len(programs) > 1:
            click.echo(f"# {clean(program.name)}")
        if program.code.lines and not labels:
            click.echo("\n".join(_with_sources(program, dialect)))
        elif program.code.bytecode:
            click.echo(disassemble(program.code.bytecode, dialect=dialect, labels=labels))


def _by_name(listings: list[tuple[str, str]]) -> str:
    """One JSON object out of several, by the programs' names."""
    return "{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in listings) + "}"


def _with_sources(program: Program, dialect: Literal["ubpf", "llvm"]) -> list[str]:
    from drybpf.asm import format_instruction  # noqa: PLC0415 (as above)

    lines, shown = [], None
    for pc, instruction in enumerate(program.code.slots):
        source = program.code.lines.get(pc)
        if pc in program.code.functions:
            lines.append(f"# {clean(program.code.functions[pc])}:")
        if source is not None and source != shown:
            lines.append(f"# {clean(str(source))}")
            shown = source
        if instruction is not None:
            lines.append("    " + format_instruction(instruction, dialect))
    return lines
