"""Guesses about what registers point at: which region, and at which offset in the frame.

Compiled code checks an address against the region that is guessed here, and leaves where the
guess is wrong, so a guess may be wrong but never unsafe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from drybpf import flow
from drybpf.code import Code
from drybpf.isa import Instruction
from drybpf.isa.semantics import LOADS, M32, M64, STORES, signed
from drybpf.memory import CONTEXT, FUNCTION_HANDLES, PACKET, SLOT_BITS, STACK

CODE_ADDRESS = 4  # the source of an lddw that loads the address of a function
CALLERS = STACK + 1  # the frames of those that called the function: a name, not an address


@dataclass(frozen=True, slots=True)
class Pointer:
    """Somewhere in a region; `offset` from its start (the frame: from r10), None if unknown."""

    region: int  # PACKET, CONTEXT, STACK (the function's own frame), CALLERS or a store's start
    offset: int | None = None


Guess = Pointer | int | None  # a pointer, a constant, or unknown
SLOTS = range(11, 11 + 64)  # the 8-byte slots of the frame stand behind the registers
Guesses = tuple[Guess, ...]
UNKNOWN: Guesses = (None,) * (11 + 64)


@dataclass(frozen=True, slots=True)
class EntryGuess:
    """What a program is entered with, and which context loads give packet pointers."""

    registers: Guesses
    packet_pointers: frozenset[tuple[int, int]] = frozenset()  # (offset, size)
    stores: Mapping[int, int] = field(
        default_factory=dict
    )  # the start of a store by each slot of it
    lookups: frozenset[int] = frozenset()  # numbers of the helpers that look up in a map
    values: Mapping[int, int] = field(
        default_factory=dict
    )  # the start of a map's values by its handle
    loops: frozenset[int] = frozenset()  # numbers of the helpers that call a function in turns


def frame_entry(arguments: Sequence[Guess] = ()) -> Guesses:
    """What is known where a function begins: zeros, its arguments, and r10."""
    state: list[Guess] = [*[0] * 10, Pointer(STACK, 0), *[0] * 64]
    state[1 : 1 + len(arguments)] = arguments
    return tuple(state)


def _passed(guess: Guess) -> Guess:
    """A guess as the callee has it, for whom the caller's frame is not its own."""
    return Pointer(CALLERS) if isinstance(guess, Pointer) and guess.region == STACK else guess


def function_at(guess: Guess) -> int | None:
    """The slot that a pointer to a function names, if a guess is one."""
    return guess - FUNCTION_HANDLES if isinstance(guess, int) else None


class Analysis:
    """The guesses before each instruction of one function."""

    def __init__(self, code: Code, entry: int, known: Guesses, facts: EntryGuess) -> None:
        """Analyse from the function's entry; linear but for a few rounds over loops."""
        self.before: dict[int, Guesses] = {}
        self.calls: dict[int, list[Guess]] = {}  # arguments by the callee's entry
        self._code, self._facts = code, facts
        self._blocks: dict[int, Guesses] = {}
        work = [(entry, known)]
        while work:
            pc, arriving = work.pop()
            meeting = _meet(self._blocks.get(pc), arriving)
            if meeting is None:
                continue
            self._blocks[pc] = meeting
            work.extend(self._walk(pc, meeting))

    def _walk(self, pc: int, state: Guesses) -> list[tuple[int, Guesses]]:
        """Go straight on from a slot to where control splits or meets."""
        slots = self._code.slots
        while True:
            instruction = slots[pc]
            self.before[pc] = state
            if instruction is None:
                return []
            state = self._after(pc, instruction, state)
            following = self._code.ways[pc]
            if len(following) != 1 or following[0] in self._blocks or following[0] <= pc:
                return [(behind, state) for behind in following]
            pc = following[0]
            if pc in self.before:
                return [(pc, state)]

    def _after(self, pc: int, instruction: Instruction, state: Guesses) -> Guesses:
        row = instruction.row
        semantics = row.semantics if row else ""
        changed = list(state)
        if semantics in STORES:
            self._store(instruction, state, changed)
        elif semantics in LOADS:
            changed[instruction.dst] = self._load(instruction, state)
        elif semantics.startswith(("call", "ldabs", "ldind")):
            if semantics == "call_local":
                self._call(flow.target(pc, instruction), state[1:6])
            elif semantics == "call_helper" and instruction.imm & M32 in self._facts.loops:
                self._call(function_at(state[2]), [None, state[3], 0, 0, 0])
            changed[:6] = [self._result(instruction, state), 0, 0, 0, 0, 0]
        elif semantics.startswith("cmpxchg"):
            changed[0] = None
        elif semantics.startswith("lddw"):
            changed[instruction.dst] = self._constant(pc, instruction)
        elif row and row.writes:
            written = getattr(instruction, row.writes)
            changed[written] = _compute(instruction, semantics, state)
        return tuple(changed)

    def _result(self, instruction: Instruction, state: Guesses) -> Guess:
        """What a call gives: a look-up points at a value, or is null."""
        row, handle = instruction.row, state[1]
        if row is None or row.semantics != "call_helper" or not isinstance(handle, int):
            return None
        if instruction.imm & M32 not in self._facts.lookups or handle not in self._facts.values:
            return None
        return Pointer(self._facts.values[handle])

    def _constant(self, pc: int, instruction: Instruction) -> Guess:
        value = self._code.references.get(pc, instruction.imm64 if not instruction.src else None)
        if value is None and instruction.src == CODE_ADDRESS:
            return FUNCTION_HANDLES + (flow.target(pc, instruction) or 0)
        if value is not None and value >> SLOT_BITS in _REGIONS:
            return Pointer(value >> SLOT_BITS << SLOT_BITS)
        if value is not None and value >> SLOT_BITS in self._facts.stores:
            start = self._facts.stores[value >> SLOT_BITS]
            return Pointer(start, value - start)
        return value

    def _call(self, target: int | None, arguments: Sequence[Guess]) -> None:
        if target not in self._code.entries:
            return
        passed = [_passed(guess) for guess in arguments]
        known = self.calls.get(target)
        if known is not None:
            passed = [_join(a, b) for a, b in zip(known, passed, strict=True)]
        self.calls[target] = passed

    def _load(self, instruction: Instruction, state: Guesses) -> Guess:
        base = state[instruction.src]
        size, _ = LOADS[instruction.row.semantics if instruction.row else ""]
        if not isinstance(base, Pointer) or base.offset is None:
            return None
        offset = base.offset + instruction.offset
        if base.region == CONTEXT and (offset, size) in self._facts.packet_pointers:
            return Pointer(PACKET)
        slot = 11 + offset // 8 + 64
        if base.region == STACK and size == 8 and offset % 8 == 0 and slot in SLOTS:
            return state[slot]
        return None

    def _store(self, instruction: Instruction, state: Guesses, changed: list[Guess]) -> None:
        base = state[instruction.dst]
        if not isinstance(base, Pointer) or base.region != STACK or base.offset is None:
            # A store at an unknown place of the frame changes no guess: compilers keep arrays apart
            # from spilled pointers.  Where it did hit one, that costs one compile; to forget them
            # would have each access through them looked up (a sum over 64 bytes: 395 ns against 9).
            return
        row = instruction.row
        size = STORES[row.semantics if row else ""]
        offset = base.offset + instruction.offset
        for slot in {11 + offset // 8 + 64, 11 + (offset + size - 1) // 8 + 64}:
            if slot in SLOTS:
                changed[slot] = None
        slot = 11 + offset // 8 + 64
        if size == 8 and offset % 8 == 0 and slot in SLOTS:
            register = row is not None and "src" in row.operands
            changed[slot] = state[instruction.src] if register else instruction.imm & M64


_REGIONS = frozenset(region >> SLOT_BITS for region in (PACKET, CONTEXT))


def _meet(known: Guesses | None, arriving: Guesses) -> Guesses | None:
    """Both at once; None where nothing new arrives."""
    if known is None:
        return arriving
    if known == arriving:
        return None
    cut = SLOTS.start if known[SLOTS.start :] == arriving[SLOTS.start :] else len(known)
    pairs = zip(known[:cut], arriving[:cut], strict=True)
    meeting = (*(a if a is b else _join(a, b) for a, b in pairs), *known[cut:])
    return None if meeting == known else meeting


def _join(a: Guess, b: Guess) -> Guess:
    if a == b:
        return a
    if isinstance(a, Pointer) and isinstance(b, Pointer):
        return Pointer(a.region) if a.region == b.region else None
    if isinstance(a, Pointer) and b == 0:  # a pointer, or null where it was not found
        return a
    if isinstance(b, Pointer) and a == 0:
        return b
    return None


def _compute(instruction: Instruction, semantics: str, state: Guesses) -> Guess:
    row = instruction.row
    register = row is not None and "src" in row.operands
    left = state[instruction.dst]
    right: Guess = state[instruction.src] if register else instruction.imm & M64
    if semantics == "mov64":
        return right
    if semantics == "add64":
        if isinstance(right, Pointer) and not isinstance(left, Pointer):
            left, right = right, left
        return _move(left, right, 1)
    if semantics == "sub64" and not isinstance(right, Pointer):
        return _move(left, right, -1)
    return None


def _move(base: Guess, by: Guess, sign: int) -> Guess:
    if isinstance(by, Pointer) or base is None:
        return None
    if isinstance(base, int):
        return None if by is None else (base + sign * by) & M64
    if base.offset is None or by is None:
        return Pointer(base.region)
    return Pointer(base.region, signed(base.offset + sign * signed(by, 64), 64))


def analyse(code: Code, entry: EntryGuess) -> Mapping[int, Analysis]:
    """Analyse every function that is reached, by its entry slot.

    A function is analysed again, a few times at most, when a later call passes other arguments.
    """
    known: dict[int, Guesses] = {0: entry.registers}
    analyses: dict[int, Analysis] = {}
    work, rounds = [0], 4 * len(code.entries) + 4
    while work and rounds:
        rounds -= 1
        function = work.pop()
        analysis = Analysis(code, function, known[function], entry)
        analyses[function] = analysis
        for callee, arguments in analysis.calls.items():
            meeting = _meet(known.get(callee), frame_entry(arguments))
            if meeting is not None:
                known[callee] = meeting
                work.append(callee)
    return analyses
