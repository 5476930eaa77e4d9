"""`drybpf verify`: whether programs are well formed, and their accesses proven safe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from drybpf.cli.options import json_option
from drybpf.cli.output import clean
from drybpf.errors import CompileError, VerifierError

if TYPE_CHECKING:
    from drybpf.program import Program


@click.command()
@click.argument("file")
@click.option("--program", "name", help="Which program of an object; all without it.")
@click.option("--strict", is_flag=True, help="Refuse what the kernel refuses structurally, too.")
@json_option
def verify(file: str, name: str | None, strict: bool, as_json: bool) -> int:
    """Verify the programs of FILE, and tell which memory accesses compiled code still checks."""
    from drybpf.cli.inputs import read_programs  # noqa: PLC0415 (only what the command needs)

    reports = [_report(program, strict=strict) for program in read_programs(file, name)]
    if as_json:
        click.echo(json.dumps(reports, indent=2))
    else:
        for report in reports:
            click.echo(_text(report))
    return int(any(report["findings"] for report in reports))


def _report(program: Program, *, strict: bool) -> dict[str, object]:
    findings: list[dict[str, object]] = []
    try:
        program.verify(strict=strict)
    except VerifierError as error:
        findings = [
            {"pc": finding.pc, "text": finding.text, "reason": finding.reason}
            for finding in error.findings
        ]
    obstacles = list(getattr(program, "obstacles", ()))
    checked: list[dict[str, object]] | None = None
    if not findings:
        checked = _checked(program)
    return {
        "program": program.name,
        "instructions": len(program.code),
        "findings": findings,
        "obstacles": obstacles,
        "checked": checked,
    }


def _checked(program: Program) -> list[dict[str, object]] | None:
    from drybpf.jit.compiled import MAX_INSTRUCTIONS  # noqa: PLC0415 (LLVM only here)

    if len(program.code) > MAX_INSTRUCTIONS:
        return None
    try:
        accesses = program.checks_left()
    except CompileError:
        return None
    return [{"pc": a.pc, "text": a.text, "source": a.source} for a in accesses]


def _text(report: dict[str, object]) -> str:
    name = f"{report['program'] or 'program'} ({report['instructions']} instructions)"
    lines = []
    findings, checked = report["findings"], report["checked"]
    if isinstance(findings, list) and findings:
        lines.append(f"{name}: refused")
        lines += [f"  insn {f['pc']}: {f['text']}: {f['reason']}" for f in findings]
    else:
        lines.append(f"{name}: ok")
    obstacles = report["obstacles"]
    if isinstance(obstacles, list):
        lines += [f"  not supported: {obstacle}" for obstacle in obstacles]
    if isinstance(checked, list) and not checked:
        lines.append("  memory-safe: proven")
    elif isinstance(checked, list):
        lines.append(f"  {len(checked)} accesses are checked when they run:")
        lines += [f"  insn {a['pc']}: {a['text']}  {a['source']}".rstrip() for a in checked]
    return "\n".join(map(clean, lines))
