"""`drybpf cfg`: the control flow of a program as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import memory_option, program_option

if TYPE_CHECKING:
    from drybpf.cfg import Graph
    from drybpf.program import Program

_KINDS = ("svg", "dot", "mermaid")
_ENDINGS = {".svg": "svg", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".md": "mermaid"}


@click.command()
@click.argument("file")
@program_option
@click.option(
    "--format", "kind", type=click.Choice(_KINDS), default=None, help="By default --output's."
)
@click.option("-o", "--output", help="The file to write; standard output without it.")
@click.option("--pcap", help="Run on every packet of a capture, and colour what was executed.")
@memory_option
def cfg(
    file: str,
    name: str | None,
    kind: str | None,
    output: str | None,
    pcap: str | None,
    mem: str | None,
) -> int:
    """Draw the control flow of a program of FILE: blocks with their source, and ways between them.

    With packets to run on, the picture tells how often each block and each way was gone.
    """
    from drybpf import cfg as pictures  # noqa: PLC0415 (only what the command needs)
    from drybpf.cli.inputs import read_one, write_file  # noqa: PLC0415 (as above)

    program = read_one(file, name)
    draw = {"svg": pictures.svg, "dot": pictures.dot, "mermaid": pictures.mermaid}
    kind = kind or _kind(output)
    graph, faults = _graph(program, pcap, mem)
    text = draw[kind](graph)
    if output is None or output == "-":
        click.echo(text, nl=False)
    else:
        write_file(output, text.encode(), file, *filter(None, [pcap]))
    if faults:
        click.echo(f"drybpf: {faults} of the runs ended with a fault", err=True)
    return int(faults > 0)


def _kind(output: str | None) -> str:
    if output is None or output == "-":
        return "dot"
    ending = Path(output).suffix.lower()
    if ending not in _ENDINGS:
        raise click.UsageError(
            f"--output {output}: an ending is one of {', '.join(_ENDINGS)}, else say --format"
        )
    return _ENDINGS[ending]


def _graph(program: Program, pcap: str | None, mem: str | None) -> tuple[Graph, int]:
    """The graph, and how many runs for its counts ended with a fault."""
    from drybpf.cfg import control_flow  # noqa: PLC0415 (as above)
    from drybpf.cli.inputs import can_run, read_packets  # noqa: PLC0415 (as above)
    from drybpf.profile import Recorder  # noqa: PLC0415 (as above)

    if pcap is None and mem is None:
        return control_flow(program.code), 0
    can_run(program)
    recorder = Recorder(stacks=False)
    for packet in read_packets(pcap, mem):
        recorder.run(program, packet)
    return control_flow(program.code, recorder.counts()), recorder.faults
