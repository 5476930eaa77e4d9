"""`drybpf run`: a program on memory, or on every packet of a capture."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import engine_option, json_option, memory_option, program_option
from drybpf.cli.output import clean, table
from drybpf.errors import ExecutionError

if TYPE_CHECKING:
    from drybpf.cli.tally import Tally
    from drybpf.objects import Object, ProgramType
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
@click.option(
    "--map", "maps", multiple=True, help="Fill a map: NAME=KEY:VALUE,… or NAME=FILE.json."
)
@click.option("--set", "variables", multiple=True, help="Set a variable: NAME=VALUE.")
@click.option("--dump-maps", is_flag=True, help="Print what the maps hold afterwards.")
@click.option("--type", "kind", help="Run the program as one of this type, such as xdp.")
@click.option("--btf", help="Types that CO-RE is to fit: a file, or `kernel`.")
@json_option
def run(
    file: str,
    name: str | None,
    pcap: str | None,
    mem: str | None,
    out: str | None,
    engine: str,
    budget: int | None,
    maps: tuple[str, ...],
    variables: tuple[str, ...],
    dump_maps: bool,
    kind: str | None,
    btf: str | None,
    as_json: bool,
) -> int:
    """Run the program of FILE: an object, assembly text or raw bytecode.

    With --pcap it prints the verdicts by packets and bytes, else the value of r0.  Keys and values
    are numbers, names of enumerations, 0x… for bytes, addresses, or JSON for structures.
    """
    from drybpf.cli.inputs import (  # noqa: PLC0415 (as elsewhere)
        read_memory,
        read_program_of,
        refuse_to_overwrite,
    )
    from drybpf.engine import check_engine  # noqa: PLC0415 (as elsewhere)

    if pcap is not None and mem is not None:
        raise click.UsageError("--pcap and --mem exclude each other")
    if out is not None and pcap is None:
        raise click.UsageError("--out goes with --pcap")
    program, obj = read_program_of(file, name, types=_type(kind), btf=btf)
    if obj is None and (maps or variables or dump_maps or kind or btf):
        raise click.UsageError("--map, --set, --dump-maps, --type and --btf go with an object")
    dump = _prepare(obj, maps, variables, dump=dump_maps)
    program.engine = check_engine(engine)
    if budget is not None:
        program.budget = budget
    if pcap is None:
        return _once(program, read_memory(mem), dump, as_json=as_json)
    if out is not None:
        refuse_to_overwrite(out, file, pcap)
    return _capture(program, pcap, out, dump, as_json=as_json)


def _type(name: str | None) -> ProgramType | None:
    from drybpf.objects import ProgramType  # noqa: PLC0415 (as elsewhere)

    if name is None:
        return None
    try:
        return ProgramType[name.upper()]
    except KeyError:
        known = ", ".join(kind.name.lower() for kind in ProgramType)
        raise click.UsageError(f"--type: no program type {name!r}; there are {known}") from None


def _prepare(
    obj: Object | None, maps: tuple[str, ...], variables: tuple[str, ...], *, dump: bool
) -> Object | None:
    """Fill maps and set variables; the result is the object whose maps are to be shown."""
    if obj is None:
        return None
    if maps or variables:
        from drybpf.cli.contents import fill_maps, set_variables  # noqa: PLC0415 (as elsewhere)

        fill_maps(obj, maps)
        set_variables(obj, variables)
    return obj if dump else None


def _maps_as_json(dump: Object | None) -> dict[str, object]:
    if dump is None:
        return {}
    from drybpf.cli.contents import maps_as_json  # noqa: PLC0415 (as elsewhere)

    return {"maps": maps_as_json(dump)}


def _print_maps(dump: Object | None) -> None:
    if dump is not None:
        from drybpf.cli.contents import maps_as_text  # noqa: PLC0415 (as elsewhere)

        click.echo(maps_as_text(dump))


def _once(program: Program, memory: bytes, dump: Object | None, *, as_json: bool) -> int:
    try:
        result = program.run(memory)
    except ExecutionError:
        if not as_json:  # else the error is all that is printed
            _print_maps(dump)
        raise
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
        click.echo(json.dumps(report | _maps_as_json(dump)))
        return 0
    for text in result.printed:
        click.echo(clean(text))
    click.echo(f"{result.value:#x}" if action is None else f"{action} ({result.value})")
    _print_maps(dump)
    return 0


def _capture(
    program: Program, pcap: str, out: str | None, dump: Object | None, *, as_json: bool
) -> int:
    from drybpf.cli.tally import judge, write_passed  # noqa: PLC0415 (as elsewhere)
    from drybpf.packets import read_capture  # noqa: PLC0415 (as elsewhere)

    capture = read_capture(pcap)
    tally = judge(program, capture) if out is None else write_passed(out, program, capture)
    warnings = _warnings(capture, tally)
    for warning in warnings:
        click.echo(f"drybpf: {clean(pcap)}: {clean(warning)}", err=True)
    if as_json:
        report = _json(program, tally, warnings) | _maps_as_json(dump)
        click.echo(json.dumps(report, indent=2))
    else:
        _print(tally)
        _print_maps(dump)
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
