"""The checks of the strict mode: what the kernel's structural checks refuse as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator, Sequence

from drybpf import flow
from drybpf.code import Code
from drybpf.isa import Instruction, Row
from drybpf.isa.semantics import M32
from drybpf.verifier.structure import Objections

Described = tuple[Instruction, Row]

_ALL = (1 << 11) - 1
_FRAME_POINTER, _R0 = 1 << 10, 1
_ARGUMENTS = 0b11_1110  # r1 to r5
_CONTEXT = 0b10  # r1


def check(code: Code, helpers: Container[int] | None) -> Objections:
    """Yield every objection to a program that passed the structural checks."""
    described = [_describe(instruction) for instruction in code.slots]
    written = _written_before(code, described)
    answering = {0, *_callbacks(described)}
    for pc, pair in enumerate(described):
        if pair is None:
            continue
        for reason in _check_instruction(*pair, helpers):
            yield pc, reason
        known = written[pc]
        if known is None:
            yield pc, "unreachable"
            continue
        if pair[1].flow == "exit" and _function(code, pc) not in answering:
            continue  # a function that programs call need not have a result
        for register in _reads(*pair):
            if not known >> register & 1:
                yield pc, f"r{register} is read but was never written"


def _describe(instruction: Instruction | None) -> Described | None:
    return (instruction, instruction.row) if instruction and instruction.row else None


def _check_instruction(
    instruction: Instruction, row: Row, helpers: Container[int] | None
) -> Iterator[str]:
    width = 32 if row.mnemonic.endswith("32") else 64
    if "imm" in row.operands and row.mnemonic[:-2] in ("lsh", "rsh", "arsh"):
        if not 0 <= instruction.imm < width:
            yield f"a shift by {instruction.imm} of {width} bits"
    elif "imm" in row.operands and row.mnemonic[:-2] in ("div", "mod", "sdiv", "smod"):
        if not instruction.imm:
            yield "a division by zero"
    elif row.semantics == "call_helper" and helpers is not None:
        number = instruction.imm & M32
        if number not in helpers:
            yield f"helper {number} is unknown"
    elif row.semantics == "call_runtime":
        yield f"no function of the kernel has the BTF id {instruction.imm} here"
    elif row.group == "extension":
        yield "the kernel has no such packet load"


def _reads(instruction: Instruction, row: Row) -> Iterator[int]:
    for field in row.reads:
        yield getattr(instruction, field)
    if row.semantics == "exit" or row.semantics.startswith("cmpxchg"):
        yield 0


def _function(code: Code, pc: int) -> int:
    """The first slot of the function that a slot lies in."""
    return flow.function_bounds(code.entries, len(code), pc)[0]


def _callbacks(described: Sequence[Described | None]) -> Iterator[int]:
    """The functions whose addresses are taken: the kernel wants a result of them."""
    for pc, pair in enumerate(described):
        if pair and pair[1].semantics == "lddw_code_addr":
            yield pc + 1 + pair[0].imm


def _written_before(code: Code, described: Sequence[Described | None]) -> list[int | None]:
    """For each slot the registers, as bits, that are written on every way to it.

    None where no way leads.  A callee's arguments are what all its callers have written, and r0
    is written behind a call if it is at every exit of the callee.  Bits only ever vanish, so each
    slot is visited at most a dozen times.
    """
    written: list[int | None] = [None] * len(code)
    callers: dict[int, set[int]] = defaultdict(set)
    void: set[int] = set()  # the functions that may return without a result
    work = [(0, _CONTEXT | _FRAME_POINTER)]
    while work:
        pc, arriving = work.pop()
        known = written[pc]
        meeting = arriving if known is None else known & arriving
        pair = described[pc]
        if meeting == known or pair is None:
            continue
        written[pc] = meeting
        work.extend(_callees(pc, *pair, meeting))
        leaving = _after(*pair, meeting)
        if pair[1].semantics == "call_local":
            callee = pc + 1 + pair[0].imm
            callers[callee].add(pc)
            leaving &= ~_R0 if callee in void else _ALL
        elif pair[1].flow == "exit" and not meeting & _R0:
            function = _function(code, pc)
            if function not in void:
                void.add(function)
                # Behind its calls, all else is as it was.
                work.extend((caller + 1, _ALL & ~_R0) for caller in callers[function])
        work.extend((following, leaving) for following in code.ways[pc])
    return written


def _callees(
    pc: int, instruction: Instruction, row: Row, written: int
) -> Iterator[tuple[int, int]]:
    if row.semantics == "call_local":
        yield pc + 1 + instruction.imm, written & _ARGUMENTS | _FRAME_POINTER
    elif row.semantics == "lddw_code_addr":  # a callback: its helper sets the arguments
        yield pc + 1 + instruction.imm, _ARGUMENTS | _FRAME_POINTER


def _after(instruction: Instruction, row: Row, written: int) -> int:
    if row.semantics.startswith(("call", "ldabs", "ldind")):
        return (written | _R0) & ~_ARGUMENTS & _ALL
    if row.semantics.startswith("cmpxchg"):
        return written | _R0
    return written | 1 << getattr(instruction, row.writes) if row.writes else written
