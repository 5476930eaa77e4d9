"""`drybpf info`: what is in an object file, and what of it is not supported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from drybpf.cli.options import json_option
from drybpf.cli.output import clean, table

if TYPE_CHECKING:
    from drybpf.maps import MapDefinition
    from drybpf.objects import Object, ObjectProgram

LARGEST = 4096  # bytes of a variable whose value is shown


@click.command()
@click.argument("file")
@click.option("--btf", help="Types that CO-RE is to fit: a file, or `kernel`.")
@json_option
def info(file: str, btf: str | None, as_json: bool) -> None:
    """Show the programs, maps and variables of the object FILE, and what is not supported."""
    from drybpf.objects import load  # noqa: PLC0415 (only what the command needs)

    report = _report(file, load(file, btf=btf))
    click.echo(json.dumps(report, indent=2) if as_json else _text(report))


def _report(file: str, obj: Object) -> dict[str, Any]:
    from drybpf.cli.values import to_json, type_name  # noqa: PLC0415 (as above)

    unsupported = obj.unsupported
    variables = [
        {
            "name": name,
            "section": section.name,
            "type": type_name(variable.codec),
            "size": variable.codec.size,
            "writable": section.source.writable,
            "value": to_json(section[name]) if variable.codec.size <= LARGEST else None,
        }
        for section in obj.data.sections.values()
        for name, variable in section.source.variables.items()
    ]
    return {
        "file": file,
        "license": obj.license,
        "programs": [_program(program) for program in obj.programs.values()],
        "maps": [_map(source.definition) for source in obj.file.maps.values()],
        "variables": variables,
        "unsupported": list(unsupported),
    }


def _program(program: ObjectProgram) -> dict[str, Any]:
    from drybpf.helpers.kfuncs import helper_name  # noqa: PLC0415 (as above)

    return {
        "name": program.name,
        "section": program.section,
        "type": program.type.name.lower(),
        "instructions": len(program.code),
        "helpers": [helper_name(number) or str(number) for number in program.calls],
        "unsupported": list(program.obstacles),
    }


def _map(definition: MapDefinition) -> dict[str, Any]:
    from drybpf.cli.values import type_name  # noqa: PLC0415 (as above)

    return {
        "name": definition.name,
        "type": definition.type.name.lower(),
        "key_size": definition.key_size,
        "key": type_name(definition.key),
        "value_size": definition.value_size,
        "value": type_name(definition.value),
        "max_entries": definition.max_entries,
        "flags": definition.flags,
        "pinned": definition.pinned,
        "inner": None if definition.inner is None else _map(definition.inner),
    }


def _text(report: dict[str, Any]) -> str:
    parts = [clean(f"{report['file']}: {report['license'] or 'no licence'}")]
    programs = [
        (p["name"], p["section"], p["type"], p["instructions"], " ".join(p["helpers"]))
        for p in report["programs"]
    ]
    maps = [
        (m["name"], _kind(m), _side(m, "key"), _side(m, "value"), m["max_entries"], _remarks(m))
        for m in report["maps"]
    ]
    variables = [
        (v["name"], v["section"], v["type"] or f"{v['size']} bytes", _short(v["value"]))
        for v in report["variables"]
    ]
    for title, head, rows in (
        ("programs", ("name", "section", "type", "instructions", "helpers"), programs),
        ("maps", ("name", "type", "key", "value", "entries", ""), maps),
        ("variables", ("name", "section", "type", "value"), variables),
    ):
        if rows:
            lines = table(head, rows, left=True).splitlines()
            parts += ["", title, *(f"  {line}".rstrip() for line in lines)]
    if report["unsupported"]:
        parts += ["", "not supported", *(f"  {clean(line)}" for line in report["unsupported"])]
    return "\n".join(parts)


def _kind(found: dict[str, Any]) -> str:
    inner = found["inner"]
    return found["type"] if inner is None else f"{found['type']} of {inner['type']}"


def _side(found: dict[str, Any], side: str) -> str:
    size = found[f"{side}_size"]
    return found[side] or (f"{size} bytes" if size else "-")


def _remarks(found: dict[str, Any]) -> str:
    flags = f"flags {found['flags']:#x}" if found["flags"] else ""
    return ", ".join(filter(None, ("pinned" if found["pinned"] else "", flags)))


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
