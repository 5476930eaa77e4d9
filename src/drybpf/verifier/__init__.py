"""The structural verifier: what it accepts cannot leave the machine.

It refuses what RFC 9669 does not define and what could make control leave a function.  Endless
loops and unknown helpers pass: the budget ends the former, the latter fault when reached.  The
strict mode also refuses what the kernel's structural checks refuse.
"""

from __future__ import annotations

from collections.abc import Container

from drybpf.code import Code
from drybpf.errors import Finding, VerifierError
from drybpf.verifier import strict as strict_checks
from drybpf.verifier import structure
from drybpf.verifier.structure import MAX_SLOTS

__all__ = ["MAX_SLOTS", "check", "verify"]


def verify(
    code: Code, *, strict: bool = False, helpers: Container[int] | None = None
) -> tuple[Finding, ...]:
    """Find everything that is wrong with a program, in the order of the instructions.

    `helpers` holds the numbers of the known helpers, for the strict mode; without it helpers are
    not looked at.
    """
    objections = list(structure.check(code))
    if strict and not objections:
        objections = list(strict_checks.check(code, helpers))
    return tuple(_finding(code, pc, reason) for pc, reason in sorted(objections))


def check(code: Code, *, strict: bool = False, helpers: Container[int] | None = None) -> None:
    """Raise a `VerifierError` with all findings, if there are any."""
    findings = verify(code, strict=strict, helpers=helpers)
    if findings:
        raise VerifierError(findings)


def _finding(code: Code, pc: int, reason: str) -> Finding:
    from drybpf.asm import format_instruction  # noqa: PLC0415 (only where something is wrong)

    instruction = code.slots[pc] if pc < len(code) else None
    return Finding(pc, format_instruction(instruction) if instruction else "", reason)
