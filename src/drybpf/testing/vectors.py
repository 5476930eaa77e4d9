"""Running test vectors in bpf_conformance's format on one engine."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from drybpf import verifier
from drybpf.code import Code
from drybpf.engine import Engine
from drybpf.errors import BpfError
from drybpf.helpers import Helpers, gather_bytes, memfrob, sqrti, strcmp
from drybpf.program import Program
from drybpf.result import Result
from drybpf.state import DEFAULT_BUDGET, Helper
from drybpf.testing.difference import packet_difference
from drybpf.vectors import Vector


def _unwind(*_: object) -> int:
    return 0


HELPERS: Mapping[int, Helper] = {
    0: gather_bytes,
    1: memfrob,
    3: sqrti,
    4: strcmp,
    5: _unwind,
}
"""What the vectors of uBPF and bpf_conformance call."""


def objections(
    vector: Vector, engine: Engine, helpers: Mapping[int, Helper] = HELPERS
) -> list[str]:
    """Run a vector; what came out otherwise than it says, as lines, empty where all is right."""
    expected = vector.error or (f"{vector.result:#x}" if vector.result is not None else "an error")
    try:
        result = _run(vector, engine, helpers)
    except BpfError as error:
        told = f"{type(error).__name__}: {error}"
        fine = vector.result is None and vector.error in told
        return [] if fine else [f"expected {expected}", f"got      {told}"]
    if vector.result is None or result.value != vector.result:
        return [f"expected {expected}", f"got      {result.value:#x}"]
    if vector.after is not None and result.packet != vector.after:
        lines = packet_difference(result.packet, vector.after)
        return ["the memory afterwards, as it is → as expected:", *lines]
    return []


def _run(vector: Vector, engine: Engine, helpers: Mapping[int, Helper]) -> Result:
    code = Code(vector.program(), name=vector.name)
    verifier.check(code)
    if vector.strict:
        verifier.check(code, strict=True)
    budget = DEFAULT_BUDGET if vector.budget is None else vector.budget
    program = Program(code, helpers=Helpers(helpers), budget=budget, engine=engine)
    return program.run(vector.memory or b"")


def find_helpers(name: str) -> Mapping[int, Helper]:
    """A table of helpers by `module:name`.  Raises `ImportError` or `AttributeError`."""
    module, _, attribute = name.partition(":")
    found: Mapping[int, Helper] = getattr(import_module(module), attribute)
    return found
