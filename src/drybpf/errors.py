"""What can go wrong: one root, `BpfError`, and a short tree under it.

Misuse of the Python interface is a `TypeError` or `ValueError`, not one of these.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import errorcode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drybpf.code import Code


class BpfError(Exception):
    """The root: some input or some program was bad."""


class AssemblyError(BpfError):
    """Text that is no program; `line` and `column` count from 1."""

    def __init__(self, reason: str, line: int, column: int, text: str) -> None:
        """Keep the place and the offending text beside the reason."""
        super().__init__(reason, line, column, text)
        self.reason, self.line, self.column, self.text = reason, line, column, text

    def __str__(self) -> str:
        """`line 3, column 9: …`, and the line with a mark under the place."""
        return f"line {self.line}, column {self.column}: {self.reason}: {self.text!r}"


class DecodeError(BpfError):
    """Bytes that are no sequence of instruction slots."""


class PacketError(BpfError):
    """A capture file that cannot be read."""


class CoverageError(BpfError):
    """A file that holds no coverage data."""


class ObjectError(BpfError):
    """An object file that cannot be loaded."""


class MapError(BpfError):
    """A map that refuses an operation; `errno` is what the kernel's map would answer."""

    def __init__(self, errno: int, reason: str) -> None:
        """Keep the number beside the reason."""
        super().__init__(errno, reason)
        self.errno, self.reason = errno, reason

    def __str__(self) -> str:
        """`E2BIG: the map 'flows' is full`."""
        return f"{errorcode.get(self.errno, self.errno)}: {self.reason}"


class CompileError(BpfError):
    """A program that is too large to compile; it can still be interpreted."""


class KernelError(BpfError):
    """Something that the running kernel refused, or that a kernel is not asked to do.

    `errno` is the kernel's, 0 where it was not asked; `log` the words of its verifier.
    """

    def __init__(self, reason: str, errno: int = 0, log: str = "") -> None:
        """Keep what the kernel said; the message ends with the last lines of the log."""
        super().__init__(reason, errno, log)
        self.reason, self.errno, self.log = reason, errno, log

    def __str__(self) -> str:
        """The reason, and below it the end of the log."""
        lines = [line for line in self.log.splitlines() if line.strip()]
        return "\n".join([self.reason, *(f"  {line}" for line in lines[-8:])])


@dataclass(frozen=True)
class Finding:
    """One objection of the verifier: the slot of the instruction, its text, and the reason."""

    pc: int
    text: str
    reason: str

    def __str__(self) -> str:
        """`insn 3: exit: reason`."""
        return f"insn {self.pc}: {self.text}: {self.reason}" if self.text else self.reason


class VerifierError(BpfError):
    """A program that the verifier refuses; `findings` holds every reason."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        """Keep all findings; the message shows the first ten."""
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        """A line a finding, at most ten."""
        lines = [str(finding) for finding in self.findings[:10]]
        if len(self.findings) > 10:
            lines.append(f"and {len(self.findings) - 10} more")
        return "\n".join(lines)


class ExecutionError(BpfError):
    """A program that faulted while it ran.

    `pc` is the slot of the instruction, `registers` the eleven registers before it, `source` the
    source line where the object has line information, `code` the code that ran: after a tail call
    not that of the program that was called.
    """

    pc: int = -1
    registers: tuple[int, ...] = ()
    source: str = ""
    code: Code | None = None

    def __str__(self) -> str:
        """The reason, then the place."""
        place = f" at insn {self.pc}" if self.pc >= 0 else ""
        return super().__str__() + place + (f" ({self.source})" if self.source else "")


class MemoryFault(ExecutionError):
    """An access that no region allows.

    `kind` is `read`, `write` or `atomic`, `region` the name of the region that the address lies
    in or beside, empty where there is none.
    """

    def __init__(self, address: int, size: int, kind: str, region: str, reason: str) -> None:
        """Describe the access; the engine adds the place."""
        super().__init__(f"{kind} of {size} bytes at {address:#x}: {reason}")
        self.address, self.size, self.kind, self.region, self.reason = (
            address,
            size,
            kind,
            region,
            reason,
        )

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the five arguments when unpickled."""
        arguments = (self.address, self.size, self.kind, self.region, self.reason)
        return type(self), arguments, self.__dict__


class BudgetExceeded(ExecutionError):
    """The run has no fuel for the instructions that follow."""


class CallDepthExceeded(ExecutionError):
    """A ninth frame: calls may be eight deep, the entry included."""


class UnknownHelper(ExecutionError):
    """A call of a helper that nobody registered; `helper` is its number."""

    def __init__(self, helper: int, reason: str) -> None:
        """Name the helper."""
        super().__init__(reason)
        self.helper = helper

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from both arguments when unpickled."""
        return type(self), (self.helper, self.args[0]), self.__dict__


class HelperError(ExecutionError):
    """A helper that raised or gave no integer; the cause is chained."""


class InvalidInstruction(ExecutionError):
    """An instruction that no verifier should have let pass was reached."""
