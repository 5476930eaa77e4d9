"""The type of programs whose section names mean one type here and another there.

Cilium builds `from-netdev` and the tail calls `2/16` for traffic control and for XDP alike.  What
such programs call, and which fields of their context they read, tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drybpf.helpers.table import ROWS
from drybpf.isa import decode
from drybpf.isa.table import CALL
from drybpf.objects.functions import Function
from drybpf.objects.sections import ProgramType, program_type

_AMBIGUOUS = re.compile(r"[0-9]+/[0-9a-zA-Z_]+|(?:from|to)-(?:netdev|host|network|overlay)")
_XDP_MD = 24  # bytes of a struct xdp_md
_POINTERS = {0, 4}  # data and data_end in it; in a struct __sk_buff, length and type
_LOADS, _MOVE = 1, 0xBF  # a class of instructions, and `mov64 dst, src`
_BEGINNING = 200  # instructions


def types_by_custom(functions: Sequence[Function]) -> dict[str, ProgramType]:
    """The type of each section of these programs, by its name."""
    unclear = [function for function in functions if _AMBIGUOUS.fullmatch(function.section.name)]
    chosen = ProgramType.XDP if _is_xdp(unclear) else ProgramType.SCHED_CLS
    names = {function.section.name for function in functions}
    return {name: chosen if _AMBIGUOUS.fullmatch(name) else program_type(name) for name in names}


def _is_xdp(functions: Sequence[Function]) -> bool:
    """Whether such programs, which all are of one type, are XDP's."""
    offsets: set[int] = set()
    for function in functions:
        called, read = _facts(function)
        rows = [ROWS[number] for number in called if number in ROWS]
        for here, other in (("xdp", "sched_cls"), ("sched_cls", "xdp")):
            if any(row.exists_for(here) and not row.exists_for(other) for row in rows):
                return here == "xdp"
        offsets |= read
    return offsets >= _POINTERS and max(offsets) < _XDP_MD


def _facts(function: Function) -> tuple[set[int], set[int]]:
    """The numbers of helpers that a program calls, and the offsets in its context that it reads.

    The latter only at its beginning, as long as it is clear which registers hold the context.
    """
    code = decode(function.bytecode)
    called = {i.imm for i in code if i.opcode == CALL and not i.src}
    read: set[int] = set()
    context = {1}
    for instruction in code[:_BEGINNING]:
        opcode, dst, src = instruction.opcode, instruction.dst, instruction.src
        if opcode & 7 == _LOADS and src in context:
            read.add(instruction.offset)
        if opcode == CALL:
            context -= set(range(6))
        elif opcode == _MOVE and src in context:
            context.add(dst)
        elif instruction.row and instruction.row.writes == "dst":
            context.discard(dst)
    return called, read
