"""Runs a test vector on every engine and compares all that it says."""

from __future__ import annotations

from drybpf import verifier
from drybpf.code import Code
from drybpf.errors import BpfError
from drybpf.helpers import bpf_time_getns, bpf_trace_printf, gather_bytes, memfrob, sqrti, strcmp
from drybpf.state import DEFAULT_BUDGET, Helper
from drybpf.vectors import Vector
from engines import run_everywhere

HELPERS: dict[int, Helper] = {
    1: gather_bytes,
    2: memfrob,
    3: sqrti,
    4: strcmp,
    5: bpf_time_getns,
    6: bpf_trace_printf,
}
"""What the vectors may call."""


def check_vector(vector: Vector) -> None:
    """Assert what the vector says: its result, its error, the memory afterwards."""
    if vector.strict:
        verifier.check(Code(vector.program()))  # only the strict mode may refuse it
    try:
        if vector.strict:
            verifier.check(Code(vector.program()), strict=True)
        outcome = run_everywhere(
            vector.program(),
            vector.memory or b"",
            helpers=HELPERS,
            budget=DEFAULT_BUDGET if vector.budget is None else vector.budget,
        )
    except BpfError as error:
        if vector.result is not None or vector.error not in f"{type(error).__name__}: {error}":
            raise
        return
    if vector.result is None:
        assert outcome.error, outcome
        assert vector.error in f"{outcome.error}: {outcome.message}"
    else:
        assert outcome.value is not None, outcome.message
        assert f"{outcome.value:#x}" == f"{vector.result:#x}"
    if vector.after is not None:
        assert outcome.packet.hex(" ") == vector.after.hex(" ")
