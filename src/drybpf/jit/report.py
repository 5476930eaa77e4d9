"""What compiled code looks like, and which checks LLVM could not remove from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.isa.semantics import ATOMICS, COMPARE_EXCHANGE, LOADS, STORES
from drybpf.jit.module import emit_module
from drybpf.native.emit import assembly, optimise

_LEAVE = re.compile(r"call void @leave\(ptr [^,]*, i64 ([^,]+),")
_PHI = re.compile(r"^\s*(%\S+) = phi i64 (.*)$", re.MULTILINE)
_CHOICE = re.compile(r"\[ (-?\d+|%\S+), ")


@dataclass(frozen=True, slots=True)
class Access:
    """An access to memory that compiled code still checks when it runs."""

    pc: int
    text: str
    source: str


def ir(code: Code, shape: Shape, *, optimised: bool = True) -> str:
    """The LLVM IR of a program, as it is emitted or after optimisation."""
    text = emit_module(code, shape).ir
    return optimise(text) if optimised else text


def machine_code(code: Code, shape: Shape) -> str:
    """The assembly of a program, for this host."""
    return assembly(emit_module(code, shape).ir)


def checks_left(code: Code, shape: Shape) -> tuple[Access, ...]:
    """The accesses that may leave for a fault; if there are none, the program is memory-safe.

    Each check's exit names its instruction, so what is left in the optimised code is what LLVM
    could not prove.
    """
    from drybpf.asm import format_instruction  # noqa: PLC0415 (only for people)

    accesses = []
    for pc in sorted(set(_places(ir(code, shape)))):
        instruction = code.slots[pc]
        semantics = instruction.row.semantics if instruction and instruction.row else ""
        if instruction is not None and semantics in _ACCESSES:
            line = code.line_at(pc)
            accesses.append(Access(pc, format_instruction(instruction), str(line or "")))
    return tuple(accesses)


_ACCESSES = {*LOADS, *STORES, *ATOMICS, *COMPARE_EXCHANGE}


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
