"""`drybpf run`: a program on memory, or on every packet of a capture."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drybpf.cli.output import clean, table

if TYPE_CHECKING:
    from drybpf.packets import Capture, Packet
    from drybpf.program import Program

FAULT = "FAULT"


@click.command()
@click.argument("file")
@click.option("--program", "name", help="Which program of an object.")
@click.option("--pcap", help="Run on every packet of a capture (pcap or pcapng).")
@click.option("--mem", help="Run once on this memory or packet: a file, else hexadecimal.")
@click.option("--out", help="Write the packets that passed, as the program left them.")
@click.option("--engine", type=click.Choice(["auto", "jit", "interpreter"]), default="auto")
@click.option("--budget", type=click.IntRange(0), help="Instructions that a run may execute.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, errors too.")
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
    from drybpf.cli.inputs import read_memory, read_program  # noqa: PLC0415 (as elsewhere)
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


@dataclass
class _Tally:
    """What came of the packets of a capture."""

    packets: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    values: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[int, Exception]] = field(default_factory=list)
    passed: list[Packet] = field(default_factory=list)

    def count(self, verdict: str, value: int, length: int) -> None:
        """Count a packet."""
        self.packets[verdict] += 1
        self.bytes[verdict] += length
        self.values.setdefault(verdict, value)


def _capture(program: Program, pcap: str, out: str | None, *, as_json: bool) -> int:
    from drybpf.packets import read_capture, write_capture  # noqa: PLC0415 (as elsewhere)

    capture = read_capture(pcap)
    if out is not None and Path(out).exists() and Path(out).samefile(pcap):
        raise click.UsageError("--out would overwrite the capture that is read")
    tally = _tally(program, capture)
    if out is not None:
        write_capture(out, tally.passed, capture.link_type)
    warnings = [*capture.warnings, *([capture.truncated] if capture.truncated else [])]
    for warning in warnings:
        click.echo(f"drybpf: {clean(pcap)}: {clean(warning)}", err=True)
    if as_json:
        click.echo(json.dumps(_json(program, tally, warnings), indent=2))
    else:
        _print(tally)
    return int(bool(tally.faults))


def _tally(program: Program, capture: Capture) -> _Tally:
    from drybpf.errors import ExecutionError  # noqa: PLC0415 (as elsewhere)

    tally = _Tally()
    for index, packet in enumerate(capture):
        try:
            result = program.run(packet.data)
        except ExecutionError as error:
            tally.count(FAULT, 0, len(packet.data))
            tally.faults.append((index, error))
            continue
        action = result.action
        verdict = action.name if action is not None else f"{result.value:#x}"
        tally.count(verdict, result.value, len(packet.data))
        if action is None or action.name == "PASS":
            length = packet.original_length + len(result.packet) - len(packet.data)
            kept = replace(packet, data=result.packet, original_length=length)
            tally.passed.append(kept)
    return tally


def _print(tally: _Tally) -> None:
    rows = [
        (verdict, count, tally.bytes[verdict]) for verdict, count in tally.packets.most_common()
    ]
    rows.append(("total", tally.packets.total(), tally.bytes.total()))
    click.echo(table(("verdict", "packets", "bytes"), rows))
    if tally.faults:
        index, error = tally.faults[0]
        click.echo(f"drybpf: first fault, on packet {index}: {clean(str(error))}", err=True)


def _json(program: Program, tally: _Tally, warnings: list[str]) -> dict[str, object]:
    from drybpf.cli.main import describe  # noqa: PLC0415 (the group imports this module)

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
        "faults": [{"packet": index, **describe(error)} for index, error in tally.faults],
        "warnings": warnings,
    }
