"""`drybpf dump`: what the compiler makes of a program."""

from __future__ import annotations

import click

from drybpf.cli.options import program_option


@click.command()
@click.argument("file")
@program_option
@click.option("--ir", "what", flag_value="ir", default="ir", help="LLVM IR, optimised (default).")
@click.option("--raw-ir", "what", flag_value="raw", help="LLVM IR as it is emitted.")
@click.option("--asm", "what", flag_value="asm", help="Assembly of this machine.")
@click.option("--checks", "what", flag_value="checks", help="The accesses that are still checked.")
def dump(file: str, name: str | None, what: str) -> None:
    """Print the code that FILE is compiled to."""
    from drybpf.cli.inputs import read_program  # noqa: PLC0415 (only what the command needs)
    from drybpf.cli.output import clean  # noqa: PLC0415 (as above)
    from drybpf.jit import report  # noqa: PLC0415 (LLVM only here)

    program = read_program(file, name)
    program.verify()
    jit = program.compiler
    if what == "asm":
        click.echo(report.machine_code(jit))
    elif what == "checks":
        for access in program.checks_left():
            click.echo(clean(f"{access.pc}: {access.text}  {access.source}".rstrip()))
    else:
        click.echo(report.ir(jit, optimised=what == "ir"))
