"""`drybpf trace`: each step of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import json_option, memory_option, program_option
from drybpf.cli.output import clean

if TYPE_CHECKING:
    from drybpf.trace import Step

Filter = Callable[["Step"], bool]


@click.command()
@click.argument("file")
@program_option
@click.option("--pcap", help="A capture (pcap or pcapng) to take the packet from.")
@click.option(
    "--packet", "number", type=click.IntRange(0), help="Which packet of it, from 0; else the first."
)
@memory_option
@click.option("--pc", "pcs", help="Only these instructions: 12 or 12-20.")
@click.option("--line", "line_range", help="Only these source lines: 40 or 40-52.")
@click.option("--function", help="Only this function.")
@click.option("--register", multiple=True, help="Only steps that change it: r0 to r9.")
@click.option("--memory", is_flag=True, help="Only steps that touch memory.")
@click.option("--limit", type=click.IntRange(1), help="At most so many steps.")
@json_option
def trace(
    file: str,
    name: str | None,
    pcap: str | None,
    number: int | None,
    mem: str | None,
    pcs: str | None,
    line_range: str | None,
    function: str | None,
    register: tuple[str, ...],
    memory: bool,
    limit: int | None,
    as_json: bool,
) -> int:
    """Print each instruction of a run of FILE: source line, changed registers, memory touched.

    With --json a line of JSON for each step.  Exit code 1 tells that the run ended with a fault.
    """
    from drybpf import trace as tracing  # noqa: PLC0415 (only what the command needs)
    from drybpf.cli.inputs import read_packets, read_program  # noqa: PLC0415 (as above)
    from drybpf.errors import ExecutionError  # noqa: PLC0415 (as above)

    if number is not None and pcap is None:
        raise click.UsageError("--packet goes with --pcap")
    keep = _filters(pcs, line_range, function, register, memory=memory)
    program = read_program(file, name)
    packet = next(islice(read_packets(pcap, mem), number or 0, None), None)
    if packet is None:
        raise click.UsageError(f"--packet {number or 0}: the capture has not so many")
    told, source = 0, None

    def tell(step: Step) -> object:
        nonlocal told, source
        if not all(wanted(step) for wanted in keep):
            return None
        told += 1
        if as_json:
            click.echo(json.dumps(step.to_json()))
        else:
            if step.source is not None and step.source != source:
                click.echo(clean(f"{step.function}  {step.source}"))
            source = step.source
            click.echo(clean(tracing.describe(step)))
        return tracing.ENOUGH if told == limit else None

    ended = tracing.trace(program, packet, tell)
    if isinstance(ended, ExecutionError):
        click.echo(f"drybpf: {clean(str(ended))}", err=True)
        return 1
    if not as_json:
        click.echo(f"r0 = {ended:#x}")
    return 0


def _filters(
    pcs: str | None,
    lines: str | None,
    function: str | None,
    registers: tuple[str, ...],
    *,
    memory: bool,
) -> list[Filter]:
    found: list[Filter] = []
    if pcs is not None:
        first, last = _range(pcs, "--pc")
        found.append(lambda step: first <= step.pc <= last)
    if lines is not None:
        top, bottom = _range(lines, "--line")
        found.append(lambda step: step.source is not None and top <= step.source.line <= bottom)
    if function is not None:
        found.append(lambda step: step.function == function)
    if registers:
        numbers = {_register(register) for register in registers}
        found.append(lambda step: any(number in numbers for number, _ in step.changed))
    if memory:
        found.append(lambda step: step.memory is not None)
    return found


def _range(text: str, option: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not dash:
        last = first
    if not (first.isdecimal() and last.isdecimal()):
        raise click.UsageError(f"{option} {text!r} is neither a number nor two with a dash")
    return int(first), int(last)


def _register(text: str) -> int:
    if len(text) != 2 or text[0] != "r" or not text[1].isdecimal():
        raise click.UsageError(f"--register {text!r} is none of r0 to r9")
    return int(text[1])
