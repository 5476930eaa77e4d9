"""`drybpf profile`: where a program spends its instructions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import json_option, memory_option, program_option
from drybpf.cli.output import clean, table

if TYPE_CHECKING:
    from drybpf.profile import Profile


@click.command()
@click.argument("file")
@program_option
@click.option("--pcap", help="Run on every packet of a capture (pcap or pcapng).")
@memory_option
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Lines to tell.")
@click.option("--svg", type=click.Path(dir_okay=False), help="Write a flame graph.")
@click.option("--fast", is_flag=True, help="Run compiled; then there is no flame graph.")
@json_option
def profile(
    file: str,
    name: str | None,
    pcap: str | None,
    mem: str | None,
    top: int,
    svg: str | None,
    fast: bool,
    as_json: bool,
) -> int:
    """Count the instructions of FILE by source line and by function, hot ones first."""
    from drybpf.cli.inputs import (  # noqa: PLC0415 (only what the command needs)
        read_packets,
        read_program,
        write_file,
    )
    from drybpf.profile import Recorder, flame_graph  # noqa: PLC0415 (as above)

    if fast and svg is not None:
        raise click.UsageError("--fast and --svg exclude each other: calls are seen interpreted")
    program = read_program(file, name)
    recorder = Recorder(stacks=not fast)
    if fast:
        program.engine = "jit"
    for packet in read_packets(pcap, mem):
        recorder.run(program, packet)
    found = recorder.profile()
    if svg is not None:
        picture = flame_graph(found, program.name or "program")
        write_file(svg, picture.encode(), file, *filter(None, [pcap]))
    if as_json:
        click.echo(json.dumps({"program": program.name, **found.to_json()}))
    else:
        _print(found, top)
    if recorder.faults:
        click.echo(f"drybpf: {recorder.faults} of the runs ended with a fault", err=True)
    return int(recorder.faults > 0)


def _print(found: Profile, top: int) -> None:
    runs = sorted(found.runs)
    if runs:
        click.echo(
            f"{found.instructions} instructions in {len(runs)} runs: "
            f"{runs[0]} to {runs[-1]} a run, median {runs[len(runs) // 2]}"
        )
    rows = [
        (line.place, line.instructions, f"{100 * found.share(line.instructions):.1f}")
        for line in found.lines[:top]
    ]
    text = table(("line", "instructions", "%"), rows).splitlines()
    sources = ["source", *(line.text for line in found.lines[:top])]
    for row, source in zip(text, sources, strict=True):
        click.echo(clean(f"{row}  {source}".rstrip()))
    if len(found.functions) > 1:
        click.echo()
        functions = [
            (name, count, f"{100 * found.share(count):.1f}")
            for name, count in found.functions.items()
        ]
        click.echo(table(("function", "instructions", "%"), functions[:top]))
