"""`drybpf run`: a program on memory, or on every packet of a capture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import engine_option, json_option, memory_option, program_option
from drybpf.cli.output import clean, table

if TYPE_CHECKING:
    from drybpf.cli.tally import Tally
    from drybpf.packets import Capture
    from drybpf.program import Program


BUDGET = click.IntRange(0, (1 << 63) - 1)


@click.command()
@click.argument("file")
@program_option
@click.option("--pcap", help="Run on every packet of a capture (pcap or pcapng).")
@memory_option
@click.option("--out", help="Write the packets that passed, as the program left them.")
@engine_option
@click.option("--budget", type=BUDGET, help="Instructions that a run may execute.")
@json_option
def run(
    file: str,
    name: str | None,
    pcap: str | None,
    mem: str | None,
    out: str | None,
    engine: str,
    budget: int | None,
    as_json: bool,
) -> int:
    """Run the program of FILE: an object, assembly text or raw bytecode.

    With --pcap it prints the verdicts by packets and bytes, else the value of r0.
    """
    from drybpf.cli.inputs import (  # noqa: PLC0415 (as elsewhere)
        read_memory,
        read_program,
        refuse_to_overwrite,
    )
    from drybpf.engine import check_engine  # noqa: PLC0415 (as elsewhere)

    if pcap is not None and mem is not None:
        raise click.UsageError("--pcap and --mem exclude each other")
    if out is not None and pcap is None:
        raise click.UsageError("--out goes with --pcap")
    program = read_program(file, name)
    program.engine = check_engine(engine)
    if budget is not None:
        program.budget = budget
    if pcap is None:
        return _once(program, read_memory(mem), as_json=as_json)
    if out is not None:
        refuse_to_overwrite(out, file, pcap)
    return _capture(program, pcap, out, as_json=as_json)


def _once(program: Program, memory: bytes, *, as_json: bool) -> int:
    result = program.run(memory)
    action = result.action.name if result.action is not None else None
    if as_json:
        report = {
            "program": program.name,
            "value": result.value,
            "action": action,
            "packet": result.packet.hex(),
            "printed": list(result.printed),
            "instructions": result.instructions,
        }
        click.echo(json.dumps(report))
        return 0
    for text in result.printed:
        click.echo(clean(text))
    click.echo(f"{result.value:#x}" if action is None else f"{action} ({result.value})")
    return 0


def _capture(program: Program, pcap: str, out: str | None, *, as_json: bool) -> int:
    from drybpf.cli.tally import judge, write_passed  # noqa: PLC0415 (as elsewhere)
    from drybpf.packets import read_capture  # noqa: PLC0415 (as elsewhere)

    capture = read_capture(pcap)
    tally = judge(program, capture) if out is None else write_passed(out, program, capture)
    warnings = _warnings(capture, tally)
    for warning in warnings:
        click.echo(f"drybpf: {clean(pcap)}: {clean(warning)}", err=True)
    if as_json:
        click.echo(json.dumps(_json(program, tally, warnings), indent=2))
    else:
        _print(tally)
    return int(bool(tally.faults))


def _warnings(capture: Capture, tally: Tally) -> list[str]:
    cut = f"{tally.cut} packets were cut when they were captured; the program saw what is left"
    return [*capture.warnings, *filter(None, [capture.truncated, cut if tally.cut else None])]


def _print(tally: Tally) -> None:
    rows = [
        (verdict, count, tally.bytes[verdict]) for verdict, count in tally.packets.most_common()
    ]
    rows.append(("total", tally.packets.total(), tally.bytes.total()))
    click.echo(table(("verdict", "packets", "bytes"), rows))
    for fault in tally.faults[:1]:
        line = f"first fault, on packet {fault['packet']}: {fault['message']}"
        click.echo(f"drybpf: {clean(line)}", err=True)


def _json(program: Program, tally: Tally, warnings: list[str]) -> dict[str, object]:
    return {
        "program": program.name,
        "engine": program.engine,
        "packets": tally.packets.total(),
        "bytes": tally.bytes.total(),
        "verdicts": [
            {
                "verdict": verdict,
                "value": tally.values[verdict],
                "packets": count,
                "bytes": tally.bytes[verdict],
            }
            for verdict, count in tally.packets.most_common()
        ],
        "faults": tally.faults,
        "warnings": warnings,
    }
