"""From linked code to code that runs: its references get their values."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from drybpf.code import Code
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.isa.table import CALL, LDDW, ROWS
from drybpf.memory import HANDLES
from drybpf.objects.linker import LinkedProgram
from drybpf.objects.obstacles import Faults, Obstacle
from drybpf.objects.references import Reference

_SLOT = struct.Struct("<BBhi")
_MAP_BY_FD = next(row.pick[1] for row in ROWS if row.semantics == "lddw_map_by_fd" and row.pick)


@dataclass(frozen=True)
class Bound:
    """A program's code with its references resolved; `obstacles` are those that are not."""

    code: Code
    obstacles: tuple[Obstacle, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What an lddw loads; `map` where that is the handle of a map."""

    value: int
    map: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """The helper that a call calls."""

    number: int


Found = Value | Number | str  # a str says why there is nothing


def bind(linked: LinkedProgram, resolve: Callable[[Reference], Found], faults: Faults) -> Bound:
    """Resolve a program's references.

    An instruction that refers to what there is not becomes a call that faults, so that the rest
    of the program runs.
    """
    code = bytearray(linked.bytecode)
    values: dict[int, int] = {}
    obstacles: list[Obstacle] = []
    known: dict[Reference, Found] = {}
    for pc, reference in linked.unresolved.items():
        found = known.get(reference)
        if found is None:
            found = known[reference] = resolve(reference)
        if isinstance(found, Value):
            values[pc] = found.value
            _load(code, pc, found)
        elif isinstance(found, Number):
            _call(code, pc, found.number)
        else:
            obstacles.append(Obstacle(pc, found))
    obstacles += [Obstacle(pc, reason) for pc, reason in linked.broken.items()]
    for obstacle in obstacles:
        width = 2 if code[obstacle.pc * SLOT_SIZE] == LDDW else 1
        for slot in range(obstacle.pc, obstacle.pc + width):
            _call(code, slot, faults.number(obstacle.reason))
    bound = Code(
        code, name=linked.name, functions=linked.functions, lines=linked.lines, references=values
    )
    return Bound(bound, tuple(sorted(obstacles, key=lambda obstacle: obstacle.pc)))


def _load(code: bytearray, pc: int, found: Value) -> None:
    """Show in the instruction what it loads: an address, or a map by its number."""
    place = pc * SLOT_SIZE
    dst = code[place + 1] & 0xF
    if found.map:
        number = found.value - HANDLES
        _SLOT.pack_into(code, place, LDDW, _MAP_BY_FD << 4 | dst, 0, number)
        _SLOT.pack_into(code, place + SLOT_SIZE, 0, 0, 0, 0)
    else:
        low, high = struct.unpack("<ii", found.value.to_bytes(8, "little"))
        _SLOT.pack_into(code, place, LDDW, dst, 0, low)
        _SLOT.pack_into(code, place + SLOT_SIZE, 0, 0, 0, high)


def _call(code: bytearray, pc: int, number: int) -> None:
    (signed,) = struct.unpack("<i", number.to_bytes(4, "little"))
    _SLOT.pack_into(code, pc * SLOT_SIZE, CALL, 0, 0, signed)
