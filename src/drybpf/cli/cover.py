"""`drybpf cover`: source coverage of a run, and of what was measured before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import (
    counting_engine_option,
    json_option,
    memory_option,
    program_option,
)
from drybpf.cli.output import clean

if TYPE_CHECKING:
    from drybpf.coverage import Coverage

_FILE = click.Path(dir_okay=False)


@click.command()
@click.argument("files", nargs=-1, required=True)
@program_option
@click.option("--pcap", help="Run on every packet of a capture (pcap or pcapng).")
@memory_option
@counting_engine_option
@click.option("--html", type=_FILE, help="Write the report as one HTML file.")
@click.option("--lcov", type=_FILE, help="Write a tracefile of LCOV.")
@click.option("--cobertura", type=_FILE, help="Write Cobertura's XML.")
@click.option("--save", type=_FILE, help="Write the counts, for `drybpf cover` to add up later.")
@click.option("--source", "roots", multiple=True, help="A folder to look for sources in.")
@click.option("--details/--no-details", default=True, help="Tell what was missed, line by line.")
@json_option
def cover(
    files: tuple[str, ...],
    name: str | None,
    pcap: str | None,
    mem: str | None,
    engine: str,
    html: str | None,
    lcov: str | None,
    cobertura: str | None,
    save: str | None,
    roots: tuple[str, ...],
    details: bool,
    as_json: bool,
) -> int:
    """Tell which source lines and branches ran.

    FILES are one program, which is run on the packets, and any number of files of counts, written
    by --save or by pytest, which are added up.
    """
    from drybpf.cli.inputs import writing  # noqa: PLC0415 (only what the command needs)
    from drybpf.coverage import Coverage, reports  # noqa: PLC0415 (as above)
    from drybpf.coverage import report as as_text  # noqa: PLC0415 (as above)
    from drybpf.coverage.terminal import summary  # noqa: PLC0415 (as above)

    coverage, faults, programs = Coverage(), 0, []
    for file in files:
        if _is_counts(file):
            coverage.merge(Coverage.load(file))
        else:
            programs.append(file)
    if len(programs) > 1:
        raise click.UsageError("one program can be run at a time; save the counts and add them up")
    if not programs and (pcap, mem, name) != (None, None, None):
        raise click.UsageError("--pcap, --mem and --program are for a program, not for counts")
    if programs:
        faults = _measure(coverage, programs[0], name, engine, pcap, mem)
    outputs = {"html": html, "lcov": lcov, "cobertura": cobertura, "json": save}
    for kind, path in outputs.items():
        if path is not None:
            with writing(path, *files, *filter(None, [pcap])):
                reports.write(coverage, kind, Path(path), roots or (".",))
    if as_json:
        click.echo(json.dumps({"files": summary(coverage), **coverage.to_json()}))
    else:
        for line in as_text(coverage, details=details).splitlines():
            click.echo(clean(line))
    return int(faults > 0)


def _is_counts(file: str) -> bool:
    """Whether a file is one of counts: JSON begins with a brace."""
    from drybpf.cli.inputs import read_file  # noqa: PLC0415 (only what the command needs)

    return read_file(file)[:1] == b"{"


def _measure(
    coverage: Coverage,
    file: str,
    name: str | None,
    engine: str,
    pcap: str | None,
    mem: str | None,
) -> int:
    """Run the program; gives the number of faults, the first of which is told."""
    from drybpf.cli.inputs import read_packets, read_program  # noqa: PLC0415 (as elsewhere)
    from drybpf.engine import check_engine  # noqa: PLC0415 (as elsewhere)
    from drybpf.errors import ExecutionError  # noqa: PLC0415 (as elsewhere)

    program = read_program(file, name)
    program.engine = check_engine(engine)
    coverage.expect(program.code)
    faults = 0
    with coverage:
        for packet in read_packets(pcap, mem):
            try:
                program(packet)
            except ExecutionError as error:
                faults += 1
                if faults == 1:
                    click.echo(f"drybpf: first fault: {clean(str(error))}", err=True)
    return faults
