"""Errors as the command tells them: a line, or JSON."""

from __future__ import annotations

import click

from drybpf.errors import AssemblyError, ExecutionError, ObjectError, VerifierError

_DETAILS = ("line", "column", "address", "size", "kind", "region", "helper")


class CannotRunError(ObjectError):
    """A program of an object that can be read but not run."""


def one_line(error: Exception) -> str:
    """What went wrong, without line breaks; for a mistake of usage, where help is, too."""
    if isinstance(error, VerifierError):
        return "; ".join(str(error).splitlines())
    if isinstance(error, OSError):
        return ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        help_is_at = f" (see {context.command_path} --help)" if context else ""
        return " ".join(error.format_message().split()) + help_is_at
    notes = getattr(error, "__notes__", ())  # which map, which packet
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{text} ({'; '.join(notes)})" if notes else text


def describe(error: Exception) -> dict[str, object]:
    """An error as JSON: its type, its message, and where there is one, its place."""
    known: dict[str, object] = {"type": type(error).__name__, "message": one_line(error)}
    if isinstance(error, ExecutionError):
        known |= {"pc": error.pc, "registers": list(error.registers), "source": error.source}
    if isinstance(error, VerifierError):
        known["findings"] = [
            {"pc": finding.pc, "text": finding.text, "reason": finding.reason}
            for finding in error.findings
        ]
    if isinstance(error, ExecutionError | AssemblyError):
        known |= {name: getattr(error, name) for name in _DETAILS if hasattr(error, name)}
    return known
