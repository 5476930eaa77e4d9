"""The group of commands, and what becomes of errors."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence

import click

from drybpf import __version__
from drybpf.cli import (
    asm,
    bench,
    cfg,
    cover,
    disasm,
    dump,
    info,
    profile,
    run,
    trace,
    verify,
)
from drybpf.cli.failures import CannotRunError, describe, one_line
from drybpf.cli.output import clean
from drybpf.errors import BpfError, CoverageError, DecodeError, ObjectError, PacketError

REFUSED, UNREADABLE, INTERRUPTED = 1, 3, 130  # click's own are 0, done, and 2, usage
_UNREAD = PacketError | ObjectError | DecodeError | CoverageError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="drybpf")
def group() -> None:
    """Run, test, measure and debug eBPF in user space."""


@group.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def plugin(arguments: tuple[str, ...]) -> int:
    """Run one test of bpf_conformance: [MEM] [--engine interpreter|jit] [--debug] [--elf]."""
    from drybpf.cli import plugin as protocol  # noqa: PLC0415 (only what the command needs)

    return protocol.main(arguments)


for command in (
    run.run,
    cover.cover,
    profile.profile,
    trace.trace,
    cfg.cfg,
    asm.asm,
    disasm.disasm,
    verify.verify,
    dump.dump,
    bench.bench,
    info.info,
):
    group.add_command(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        code = group.main(given or ["--help"], prog_name="drybpf", standalone_mode=False)
        if sys.stdout is not None:  # None where the caller closed it
            sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _report(error, error.exit_code, as_json=as_json)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _give_up_output()
        return REFUSED
    except (BpfError, OSError, ValueError) as error:
        return _report(error, _code(error), as_json=as_json)
    return int(code or 0)


def _code(error: Exception) -> int:
    if isinstance(error, CannotRunError):
        return REFUSED
    if isinstance(error, OSError):
        if error.filename is not None:
            return UNREADABLE
        _give_up_output()  # what was written last could not be
        return REFUSED
    return UNREADABLE if isinstance(error, _UNREAD) else REFUSED


def _give_up_output() -> None:
    """Keep Python from writing, and failing, again when it closes the stream."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # no stream, or none of a file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: Exception, code: int, *, as_json: bool) -> int:
    """Say on standard error what went wrong, and on standard output if that is JSON."""
    click.echo(f"drybpf: {clean(one_line(error))}", err=True)
    if as_json:
        click.echo(json.dumps({"error": describe(error)}))
    return code
