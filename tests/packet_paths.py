"""Whether an access to the packet that needs no check is right, on every run of random programs.

Programs without loops ask for the packet's length in all ways that there are, move pointers by what
they have loaded, and load from there.  The interpreter runs them; before each access that
`drybpf.jit.implied` calls implied, its address is looked at.  Nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from random import Random

from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import ExecutionError
from drybpf.helpers import Helpers
from drybpf.hooks import Hook, Raw, Xdp
from drybpf.host import Host
from drybpf.isa.semantics import ACCESSES, LOADS, M64
from drybpf.jit import module
from drybpf.jit.choices import Choices
from drybpf.jit.function import FunctionText
from drybpf.jit.implied import implied
from drybpf.jit.instructions import EMITTERS
from drybpf.jit.provenance import analyse
from drybpf.memory import PACKET
from drybpf.program import new_state
from drybpf.state import State

HOOKS: tuple[Hook, ...] = (Raw(), Xdp())
BEGINNINGS = (
    ["mov64 r6, r1", "mov64 r7, r2", "mov64 r8, r1", "add64 r8, r2"],
    ["ldxw r6, [r1+0]", "ldxw r8, [r1+4]", "mov64 r7, r8", "sub64 r7, r6"],
)
POINTERS, SCALARS = (1, 9, 0), (2, 3, 4, 5)  # r6, r7 and r8 keep packet, length and end
SMALL = (0, 1, 2, 4, 8, 13, 14, 18, 20, 34)
EDGES = (-1, -2, -4, -14, 255, 1 << 16, 0x7FFFFFFF, -(1 << 31), 0xFF00, 60)
COMPARISONS = ("jgt", "jge", "jlt", "jle", "jsgt", "jsge", "jslt", "jsle", "jeq", "jne", "jset")
INPUTS = 16


class Paths:
    """Writes one program; the same seed writes the same one."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.lines: list[str] = []
        self.labels = 0
        self.careful = self.random.random() < 0.7  # asks as programs of people do, mostly

    def program(self, beginning: list[str]) -> str:
        self.lines += [*beginning, *(f"mov64 r{number}, r6" for number in POINTERS)]
        self.lines += [f"mov64 r{number}, {self.pick(SMALL)}" for number in SCALARS]
        self.part(3, self.random.randrange(6, 24))
        self.lines += ["out:", "mov64 r0, 1", "exit"]
        return "\n".join(self.lines)

    def pick(self, among: Sequence[object]) -> object:
        return self.random.choice(among)

    @property
    def number(self) -> int:
        return self.random.choice(SMALL if self.random.random() < 0.8 else EDGES)

    @property
    def width(self) -> str:
        return "64" if self.random.random() < 0.75 else "32"

    def part(self, depth: int, count: int) -> None:
        kinds = (self.load, self.compute, self.move, self.ask, self.ask_far, self.fork, self.other)
        for _ in range(count):
            kind = self.random.choices(kinds, (6, 4, 3, 3, 3, 1 if depth else 0, 1))[0]
            kind(depth)

    def load(self, _depth: int) -> None:
        size = self.pick(("b", "h", "w", "dw"))
        place = f"r{self.pick(POINTERS)}{self.random.choice((*SMALL, -1, -4, -14)):+d}"
        ways = (
            f"ldx{size} r{self.pick(SCALARS)}, [{place}]",
            f"ldx{size} r{self.pick(SCALARS)}, [{place}]",
            f"ldxs{self.pick(('b', 'h', 'w'))} r{self.pick(SCALARS)}, [{place}]",
            f"stx{size} [{place}], r{self.pick(SCALARS)}",
            f"st{size} [{place}], 5",
        )
        self.lines.append(self.random.choices(ways, (8, 8, 1, 1, 1))[0])

    def compute(self, _depth: int) -> None:
        name = self.pick(
            ("and", "and", "lsh", "rsh", "add", "sub", "mul", "mod", "div", "or", "xor")
        )
        to, width = self.pick(SCALARS), self.width
        if name in ("lsh", "rsh"):
            source: object = self.random.randrange(5) or 31
        elif name in ("mod", "div"):
            source = self.pick((1, 4, 60))
        else:
            source = self.random.choice((self.number, f"r{self.pick((*SCALARS, 7))}"))
        self.lines.append(f"{name}{width} r{to}, {source}")

    def other(self, _depth: int) -> None:
        to, source = self.pick(SCALARS), self.pick((*SCALARS, 7, 8))
        ways = (
            f"be16 r{to}", f"be32 r{to}", f"le16 r{to}", f"neg64 r{to}", f"neg32 r{to}",
            f"mov32 r{to}, r{source}", f"mov64 r{to}, r{source}", f"mov64 r{to}, {self.number}",
            f"arsh64 r{to}, 3", f"lddw r{to}, {self.number & M64:#x}", f"mov32 r{to}, -1",
        )  # fmt: skip
        self.lines.append(self.random.choice(ways))

    def move(self, _depth: int) -> None:
        to, scalar, width = self.pick(POINTERS), self.pick(SCALARS), self.width
        ways = (
            f"add64 r{to}, r{scalar}",
            f"add{width} r{to}, {self.number}",
            f"mov{width} r{to}, r{self.pick((6, *POINTERS))}",
            f"sub{width} r{to}, r{self.pick((scalar, 7))}",
            f"sub64 r{to}, {self.number}",
            f"mov64 r{to}, r8",
        )
        self.lines.append(self.random.choices(ways, (6, 5, 4, 1, 1, 1))[0])

    def ask(self, _depth: int) -> None:
        """Compare a pointer, moved, with the end."""
        to = self.pick(SCALARS)
        self.lines += [f"mov64 r{to}, r{self.pick(POINTERS)}", f"add64 r{to}, {self.number}"]
        self.compare(to, 8)

    def ask_far(self, _depth: int) -> None:
        """Compare a number, or a sum, with the length."""
        to = self.pick(SCALARS)
        if self.random.random() < 0.5:
            self.lines += [
                f"mov64 r{to}, r{self.pick(SCALARS)}",
                f"add{self.width} r{to}, {self.number}",
            ]
        self.compare(to, self.random.choice((7, 7, 7, self.number)))

    def compare(self, left: object, right: object) -> None:
        first, second = (f"r{left}", f"r{right}" if right in (7, 8) else str(right))
        name = self.pick(COMPARISONS)
        if self.careful and self.random.random() < 0.8:
            name = "jgt"
        elif second.startswith("r") and self.random.random() < 0.4:
            first, second = second, first
        suffix = "" if self.random.random() < 0.85 else "32"
        self.lines.append(f"{name}{suffix} {first}, {second}, out")

    def fork(self, depth: int) -> None:
        self.labels += 1
        name = self.labels
        left = self.pick((*SCALARS, 7))
        self.lines.append(f"{self.pick(COMPARISONS)} r{left}, {self.number}, else{name}")
        self.part(depth - 1, self.random.randrange(4))
        if self.random.random() < 0.5:
            self.lines += [f"ja end{name}", f"else{name}:"]
            self.part(depth - 1, self.random.randrange(4))
            self.lines.append(f"end{name}:")
        else:
            self.lines.append(f"else{name}:")


@dataclass
class Tally:
    """What has been looked at."""

    programs: int = 0
    accesses: int = 0  # to the packet, as guessed
    proved: int = 0  # of these, in the programs' text
    looked: int = 0  # how often such an access was run


class Wrong(Exception):
    """An access that needs no check leaves the packet."""


@dataclass(frozen=True)
class Case:
    """A random program."""

    seed: int

    @property
    def hook(self) -> Hook:
        return HOOKS[self.seed % len(HOOKS)]

    @cached_property
    def text(self) -> str:
        return Paths(self.seed).program(list(BEGINNINGS[self.seed % len(HOOKS)]))

    def check(self, tally: Tally) -> str:
        """Run the program on several packets; gives what is wrong, empty if nothing is."""
        code = Code(assemble(self.text))
        verifier.check(code)
        function = function_of(code, self.hook)
        proved = implied(function)
        tally.programs += 1
        tally.proved += len(proved)
        tally.accesses += sum(_region(function, pc) == PACKET for pc in function.reached)
        random = Random(self.seed)  # noqa: S311 (as above)
        for _ in range(INPUTS if proved else 0):
            packet = bytes(
                random.choice((0, 1, 5, 20, 69, 255)) for _ in range(random.randrange(90))
            )
            try:
                self._run(code, bytearray(packet), proved, tally)
            except Wrong as wrong:
                return f"seed {self.seed}: {wrong}\n{self.text}\n{packet.hex()}"
        return ""

    def _run(self, code: Code, packet: bytearray, proved: frozenset[int], tally: Tally) -> None:
        state = new_state(code, Helpers({}), Host(), 10_000)
        self.hook.enter(state, packet)
        begin = self.hook.shape.packet_address

        def watch(state: State) -> None:
            if state.pc in proved:
                tally.looked += 1
                offset = _address(code, state) - begin
                size = ACCESSES[_semantics(code, state.pc)]
                if not 0 <= offset <= len(packet) - size:
                    raise Wrong(f"{size} bytes at {offset} of {len(packet)}, at {state.pc}")

        with suppress(ExecutionError):
            interpreter.run(state, watch)


def function_of(code: Code, hook: Hook) -> FunctionText:
    """The first function of a program, ready to be emitted."""
    guesses = analyse(code, module._facts(hook.shape, Choices()))[0].before
    options, begin = module._options(hook.shape, Choices()), module._begin(hook.shape)
    return FunctionText(code, 0, guesses, options, {}, EMITTERS, {}, begin)


def _semantics(code: Code, pc: int) -> str:
    instruction = code.slots[pc]
    return instruction.row.semantics if instruction and instruction.row else ""


def _address(code: Code, state: State) -> int:
    instruction = code.slots[state.pc]
    assert instruction is not None
    base = instruction.src if _semantics(code, state.pc) in LOADS else instruction.dst
    return state.registers[base] + instruction.offset & M64


def _region(function: FunctionText, pc: int) -> int | None:
    instruction = function.code.slots[pc]
    if instruction is None or _semantics(function.code, pc) not in ACCESSES:
        return None
    return function.region(pc, instruction)
