"""What compiled code looks like, and which checks LLVM could not remove from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf.code import Code
from drybpf.helpers.table import ROWS
from drybpf.isa.semantics import ACCESSES, M32
from drybpf.jit.module import emit_module
from drybpf.native.emit import assembly, optimise

if TYPE_CHECKING:
    from drybpf.jit.compiled import Jit

WITHOUT_POINTERS = frozenset(
    number
    for number, row in ROWS.items()
    if row.name.startswith(("ktime_", "get_prandom", "get_smp", "get_numa", "get_current_p"))
    or row.name in ("jiffies64", "tail_call", "redirect", "get_current_uid_gid")
    or row.name.startswith("xdp_adjust_")
)
"""The kernel's helpers that get nothing, or nothing but the context and a map."""
_LEAVE = re.compile(r"call void @leave\(ptr [^,]*, i64 ([^,]+),")
_PHI = re.compile(r"^\s*(%\S+) = phi i64 (.*)$", re.MULTILINE)
_CHOICE = re.compile(r"\[ (-?\d+|%\S+), ")


@dataclass(frozen=True, slots=True)
class Access:
    """An access to memory that compiled code still checks when it runs."""

    pc: int
    text: str
    source: str


def ir(jit: Jit, *, optimised: bool = True) -> str:
    """The LLVM IR of a program, as it is emitted or after optimisation."""
    text = emit_module(jit.code, jit.shape, jit.choices).ir
    return optimise(text) if optimised else text


def machine_code(jit: Jit) -> str:
    """The assembly of a program, for this host."""
    return assembly(ir(jit, optimised=False))


def checks_left(jit: Jit) -> tuple[Access, ...]:
    """The accesses that may leave for a fault; if there are none, the program is memory-safe.

    Each check's exit names its instruction, so what is left in the optimised code is what LLVM
    could not prove.  A call of a helper in Python counts: it checks its pointers itself.
    """
    from drybpf.asm import format_instruction  # noqa: PLC0415 (only for people)

    code = jit.code
    module = emit_module(code, jit.shape, jit.choices)
    asked = set(module.helpers) - set(jit.choices.natives) - WITHOUT_POINTERS
    harmless = set(_calls(code, WITHOUT_POINTERS))
    places = {*_places(optimise(module.ir)), *_calls(code, asked)} - harmless
    accesses = []
    for pc in sorted(places):
        instruction = code.slots[pc]
        semantics = instruction.row.semantics if instruction and instruction.row else ""
        if instruction is not None and (semantics in ACCESSES or semantics == "call_helper"):
            line = code.line_at(pc)
            accesses.append(Access(pc, format_instruction(instruction), str(line or "")))
    return tuple(accesses)


def _calls(code: Code, numbers: AbstractSet[int]) -> Iterator[int]:
    """The calls of some helpers."""
    for pc, instruction in enumerate(code.slots):
        row = instruction.row if instruction else None
        called = instruction is not None and row is not None and row.semantics == "call_helper"
        if called and instruction is not None and instruction.imm & M32 in numbers:
            yield pc


def _places(text: str) -> Iterator[int]:
    """The slots that the exits left in optimised code name; merged exits choose between several."""
    choices = {name: _CHOICE.findall(values) for name, values in _PHI.findall(text)}
    for place in _LEAVE.findall(text):
        yield from _constants(place, choices, set())


def _constants(value: str, choices: dict[str, list[str]], seen: set[str]) -> Iterator[int]:
    if not value.startswith("%"):
        yield int(value)
    elif value not in seen:
        seen.add(value)
        for choice in choices.get(value, ()):
            yield from _constants(choice, choices, seen)
