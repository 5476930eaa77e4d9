"""Whether a guard that holds is right: on every run, of each access and fuel point it stands for.

The guards are those that compiled code has, as LLVM gets them, but worked out in numbers: the
interpreter runs the program, and at each entry of a loop its guard is asked.  From there until the
loop is left, what it stands for is looked at before each instruction.  Nothing is compiled, so
that a hundred programs are tried in a second; what LLVM makes of a guard is for `agreement`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import ExecutionError
from drybpf.helpers import Helpers
from drybpf.hooks import Raw, Xdp
from drybpf.host import Host
from drybpf.isa.semantics import ACCESSES, LOADS, M64
from drybpf.jit import module
from drybpf.jit.choices import Choices
from drybpf.jit.function import FunctionText
from drybpf.jit.graph import Block
from drybpf.jit.instructions import EMITTERS
from drybpf.jit.provenance import analyse
from drybpf.jit.surroundings import StoreShape, Surroundings
from drybpf.memory import DATA, PACKET, Region
from drybpf.program import new_state
from drybpf.state import Context, State
from guard_bodies import EDGES
from guard_numbers import Guarded, Numbers, guarded, numbers_of
from guard_programs import Nests

TABLE = Region("table", DATA, bytes(4 * 64), stride=64, size=40)
HOOKS = {"raw": Raw(), "table": Raw(), "moving": Xdp()}
STORE = StoreShape(0, TABLE.start, TABLE.length, TABLE.mask, TABLE.room, writable=True)
CHOICES = {
    "raw": Choices(),
    "table": Choices(around=Surroundings((STORE,))),
    "moving": Choices(moving=True),
}
INPUTS = 4


def _write(context: Context, address: int, *_: int) -> int:
    context.write(address, (1000).to_bytes(8, "little"))
    return 3


def _shrink(context: Context, *_: int) -> int:
    packet = context.state.memory.packet_frame
    if packet is not None and packet.length > 8:
        packet.move(packet.start, packet.start + packet.length - 8)
    return 0


HELPERS = Helpers({1: _write, 2: _shrink})


@dataclass
class Tally:
    """What has been looked at."""

    programs: int = 0
    loops: int = 0  # with a guard
    asked: int = 0  # how often a guard was asked, and what it said
    held: int = 0
    accesses: int = 0  # that a guard which held stands for
    payments: int = 0  # of fuel, likewise


# Programs


@dataclass(frozen=True)
class Input:
    """What a program is run with; `tight` is the guard that gets no more than it demands."""

    data: bytes
    budget: int
    tight: int | None


@dataclass(frozen=True)
class Case:
    """A random program."""

    seed: int
    text: str
    shape: str

    @classmethod
    def of(cls, seed: int) -> Case:
        nests = Nests(seed)
        return cls(seed, nests.program(), nests.shape)

    @cached_property
    def code(self) -> Code:
        code = Code(assemble(self.text))
        verifier.check(code)
        return code

    @cached_property
    def function(self) -> FunctionText:
        """The program's first function, with its loops analysed."""
        hook, choices = HOOKS[self.shape].shape, CHOICES[self.shape]
        guesses = analyse(self.code, module._facts(hook, choices))[0].before
        options, begin = module._options(hook, choices), module._begin(hook)
        text = FunctionText(self.code, 0, guesses, options, {}, EMITTERS, {}, begin)
        text.copies._analyse(0)
        return text

    def inputs(self) -> list[Input]:
        """Small numbers and edges; every other time one guard gets just what it demands."""
        random = Random(self.seed)  # noqa: S311 (repeatable by design)
        found = []
        for number in range(INPUTS):
            data = b"".join(_word(random) for _ in range(16)) + bytes(random.choice((0, 0, 5, 400)))
            tight = random.choice((0, 0, 1, 2, 5)) if number % 2 else None
            found.append(Input(data, random.choice((200, 500, 2000)), tight))
        return found

    def begin(self, given: Input) -> State:
        state = new_state(self.code, HELPERS, Host(), given.budget)
        table = bytearray(given.data[: TABLE.length].ljust(TABLE.length, b"\1"))
        state.memory.map(Region("table", DATA, table, stride=64, size=40))
        HOOKS[self.shape].enter(state, bytearray(given.data))
        return state

    def check(self, tally: Tally) -> str:
        """Run the program on all inputs; gives what a guard is wrong about, empty if none is."""
        guards = [guarded(self.function, plan) for plan in self.function.copies._plans.values()]
        tally.programs += 1
        tally.loops += len(guards)
        for given in self.inputs() if guards else ():
            watch = _Watch(self.function, guards, given, tally)
            try:
                interpreter.run(self.begin(given), watch)
            except ExecutionError:
                pass
            except Wrong as wrong:
                return f"seed {self.seed}, {self.shape}: {wrong}\n{self.text}\n{given}"
        return ""


def _word(random: Random) -> bytes:
    number = random.randrange(20)
    if random.random() < 0.5:
        number = random.choice(EDGES) + random.choice((0, 0, 1, -1, 3))
    return (number & M64).to_bytes(8, "little")


# Runs


class Wrong(Exception):
    """A guard holds, and what it stands for does not."""


class _Watch:
    """Looks at a run before each instruction."""

    def __init__(
        self, text: FunctionText, guards: Sequence[Guarded], given: Input, tally: Tally
    ) -> None:
        self._text, self._tally, self._tight = text, tally, given.tight
        self._guards = {guarded.plan.loop.header: guarded for guarded in guards}
        self._blocks = {pc: first for first, pcs in text.blocks.items() for pc in pcs}
        self._last: Block | None = None  # the block that the run was in
        self._proved: dict[Block, frozenset[int]] = {}  # by the headers of loops it is in
        self._paid: dict[Block, frozenset[int]] = {}

    def __call__(self, state: State) -> None:
        pc = state.pc
        block = self._blocks.get(pc)
        if block is None:  # in another function
            return
        if block != self._last or pc == block:
            for header in [h for h in self._proved if block not in self._body(h)]:
                del self._proved[header], self._paid[header]
            loop = self._guards.get(pc)
            if loop is not None and self._last not in self._body(pc):
                self._enter(state, loop)
            self._last = block
        for header, proved in self._proved.items():
            if pc in proved:
                self._check_access(state, header)
            if pc in self._paid[header]:
                self._check_fuel(state, header)

    def _body(self, header: Block) -> frozenset[Block]:
        return self._guards[header].plan.loop.body

    def _enter(self, state: State, guarded: Guarded) -> None:
        """Ask the guard of a loop that the run comes to."""
        numbers = numbers_of(state, guarded.symbols)
        holds = guarded.checks(numbers)
        self._tally.asked += 1
        self._tally.held += holds
        if not holds:
            return
        if not self._proved:  # else what another guard has found would be taken away
            if self._tight == 0:
                numbers = _tighten(state, guarded, numbers)
            self._tight = None if self._tight is None else self._tight - 1
        header, paid = guarded.plan.loop.header, guarded.fuel(numbers)
        self._proved[header] = guarded.plan.proved
        self._paid[header] = guarded.plan.points if paid else frozenset()

    def _check_access(self, state: State, header: Block) -> None:
        """An access must lie in the region that it is guessed in: no other is asked."""
        pc, instruction = state.pc, self._text.code.slots[state.pc]
        assert instruction is not None
        assert instruction.row is not None
        semantics = instruction.row.semantics
        base = instruction.src if semantics in LOADS else instruction.dst
        address = state.registers[base] + instruction.offset & M64
        guess = self._text.region(pc, instruction)
        region = None if guess is None else state.memory.at(guess)
        self._tally.accesses += 1
        if region is None or not _lies_in(region, address, ACCESSES[semantics]):
            raise Wrong(f"loop at {header}: access at {pc} to {address:#x}, outside {region}")

    def _check_fuel(self, state: State, header: Block) -> None:
        self._tally.payments += 1
        cost = self._text.code.fuel[state.pc]
        if state.fuel < cost:
            raise Wrong(f"loop at {header}: {state.fuel} fuel at {state.pc}, which costs {cost}")


def _lies_in(region: Region, address: int, size: int) -> bool:
    offset = address - region.start
    return 0 <= offset < region.length and (offset & region.mask) + size <= region.room


def _tighten(state: State, guarded: Guarded, numbers: Numbers) -> dict[str, int]:
    """Take from the packet's end, and from the fuel, all that the guard does not demand.

    One that demands a little too little is then wrong at once.
    """
    packet = state.memory.at(PACKET)
    assert packet is not None

    def shorter(length: int) -> dict[str, int]:
        return {**numbers, "%plen": length, "%p.high": packet.start + length}

    packet.length = bisect_left(
        range(packet.length), True, key=lambda length: guarded.checks(shorter(length))
    )
    packet.room, found = packet.length, shorter(packet.length)
    least = bisect_left(range(state.fuel), True, key=lambda n: guarded.fuel({**found, "%fuel": n}))
    if guarded.fuel(found):
        state.fuel = least
    return {**found, "%fuel": state.fuel}
