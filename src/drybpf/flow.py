"""Where control can go in a program: jumps, functions, and the points where fuel is charged."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from drybpf.isa import Instruction

Slots = Sequence[Instruction | None]  # an instruction a slot; None in the second slot of lddw


def target(pc: int, instruction: Instruction) -> int | None:
    """The slot that a jump, local call or code address points at; None for anything else."""
    row = instruction.row
    if row is None or not row.target:
        return None
    return pc + 1 + (instruction.offset if row.target == "offset" else instruction.imm)


def is_start(slots: Slots, pc: int) -> bool:
    """Whether an instruction begins at the slot."""
    return 0 <= pc < len(slots) and slots[pc] is not None


def function_entries(slots: Slots, declared: Iterable[int] = ()) -> tuple[int, ...]:
    """Every slot where a function begins, in order: the first, the declared, the called."""
    entries = {0, *declared}
    for pc, instruction in enumerate(slots):
        row = instruction.row if instruction else None
        if instruction and row and row.semantics in ("call_local", "lddw_code_addr"):
            entries.add(target(pc, instruction) or 0)
    return tuple(sorted(pc for pc in entries if is_start(slots, pc)))


def function_bounds(entries: Sequence[int], size: int, pc: int) -> tuple[int, int]:
    """First slot, and first slot behind, the function that a slot lies in."""
    index = bisect_right(entries, pc)
    first = entries[index - 1] if index else 0  # an empty program has no entry
    return first, entries[index] if index < len(entries) else size


def successors(slots: Slots, pc: int) -> tuple[int, ...]:
    """The slots that may come next within the function; calls come back to the next slot."""
    instruction = slots[pc]
    if instruction is None or instruction.row is None:
        return ()
    behind = pc + instruction.slots
    match instruction.row.flow:
        case "next":
            return (behind,)
        case "exit":
            return ()
        case "jump":
            return (pc + 1 + getattr(instruction, instruction.row.target),)
        case _:
            return behind, pc + 1 + instruction.offset


def branches(slots: Slots) -> dict[int, int]:
    """The target of each conditional jump, by its slot; not of one to the very next slot."""
    found = {}
    for pc, instruction in enumerate(slots):
        row = instruction.row if instruction else None
        if instruction and row and row.flow not in ("next", "exit", "jump") and instruction.offset:
            found[pc] = pc + 1 + instruction.offset
    return found


def fuel_points(ways: Sequence[Sequence[int]], entries: Sequence[int]) -> dict[int, int]:
    """What each fuel point charges, by its slot; `ways` are the successors of each slot.

    Points are the entries of functions and the targets of backward jumps.  A point charges for
    the longest way from it to the next point, in instructions, so that a budget of N never runs
    more than N.  Every cycle has a backward jump, so between points all ways lead forward and one
    pass from the end to the start finds the longest.
    """
    points = set(entries)
    for pc, following in enumerate(ways):
        points.update(behind for behind in following if 0 <= behind <= pc)
    longest = [0] * (len(ways) + 1)  # from a slot to the next point, the slot's own included
    for pc in range(len(ways) - 1, -1, -1):
        longest[pc] = 1 + max(
            (
                longest[behind]
                for behind in ways[pc]
                if behind not in points and 0 <= behind < len(ways)
            ),
            default=0,
        )
    return {pc: longest[pc] for pc in sorted(points)}
