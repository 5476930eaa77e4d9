"""`drybpf asm`: text to bytecode."""

from __future__ import annotations

import click


@click.command()
@click.argument("file")
@click.option("-o", "--output", required=True, help="Where the bytecode goes; - for stdout.")
def asm(file: str, output: str) -> None:
    """Assemble FILE, in either dialect, to raw bytecode."""
    from drybpf.asm import assemble  # noqa: PLC0415 (only what the command needs)
    from drybpf.cli.inputs import read_file, write_file  # noqa: PLC0415 (as above)
    from drybpf.errors import DecodeError  # noqa: PLC0415 (as above)

    try:
        text = read_file(file).decode()
    except UnicodeDecodeError as error:
        raise DecodeError(f"{file}: not text: {error}") from error
    bytecode = assemble(text)
    if output == "-":
        click.echo(bytecode, nl=False)
    else:
        write_file(output, bytecode, file)
