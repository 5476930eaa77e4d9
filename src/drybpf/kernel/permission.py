"""Whether this process may have programs in the kernel at all."""

from __future__ import annotations

from drybpf.errors import KernelError
from drybpf.kernel.programs import KernelProgram

_NOTHING = bytes.fromhex("b700000000000000 9500000000000000")  # r0 = 0; exit
_XDP = 6


def objection() -> str | None:
    """Why the kernel cannot be an engine here, in one line; None where it can."""
    try:
        with KernelProgram(_NOTHING, _XDP) as program:
            program.test_run(bytes(14))
    except KernelError as error:
        return error.reason
    return None
