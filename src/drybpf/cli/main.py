"""The group of commands, and what becomes of errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

import click

from drybpf import __version__
from drybpf.cli import asm, bench, disasm, dump, plugin, run, verify
from drybpf.cli.output import clean
from drybpf.errors import (
    BpfError,
    CompileError,
    DecodeError,
    ExecutionError,
    ObjectError,
    PacketError,
    VerifierError,
)

REFUSED, USAGE, UNREADABLE, INTERRUPTED = 1, 2, 3, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="drybpf")
def group() -> None:
    """Run, test, measure and debug eBPF in user space."""


for command in (run.run, asm.asm, disasm.disasm, verify.verify, dump.dump, bench.bench):
    group.add_command(command)
group.add_command(plugin.plugin)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = group.main(given, prog_name="drybpf", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads any more; keep Python from saying so when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except (BpfError, OSError, ValueError) as error:
        return _report(error, as_json="--json" in given)
    return int(code or 0)


def _report(error: Exception, *, as_json: bool) -> int:
    click.echo(f"drybpf: {clean(_line(error))}", err=True)
    if as_json:
        click.echo(json.dumps({"error": describe(error)}))
    unreadable = isinstance(error, OSError | PacketError | ObjectError | DecodeError)
    return UNREADABLE if unreadable else REFUSED


def _line(error: Exception) -> str:
    if isinstance(error, VerifierError):
        return "; ".join(str(error).splitlines())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def describe(error: Exception) -> dict[str, object]:
    """An error as JSON: its type, its message, and where there is one, its place."""
    known: dict[str, object] = {"type": type(error).__name__, "message": _line(error)}
    if isinstance(error, ExecutionError):
        known |= {"pc": error.pc, "registers": list(error.registers), "source": error.source}
    if isinstance(error, VerifierError):
        known["findings"] = [
            {"pc": finding.pc, "text": finding.text, "reason": finding.reason}
            for finding in error.findings
        ]
    for name in ("line", "column", "address", "size", "kind", "region", "helper"):
        value = getattr(error, name, None)
        if value is not None and not isinstance(error, CompileError | OSError):
            known[name] = value
    return known
