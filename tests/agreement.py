"""Whether both engines do the same with a random program, for several inputs and budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from random import Random

import nest_programs
from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.batch import Verdicts
from drybpf.code import Code
from drybpf.errors import BudgetExceeded, ExecutionError
from drybpf.helpers import Helpers
from drybpf.helpers.native import NativeHelper
from drybpf.hooks import FixedMetadata, Hook, Metadata, NoData, Raw, Xdp
from drybpf.host import Host
from drybpf.jit import layout
from drybpf.jit.compiled import Jit
from drybpf.memory import DATA, FRAME_SIZE, REGISTERED, STACK, Region, frame_top
from drybpf.native.restricted import load64, restricted, store64
from drybpf.program import Program, new_state
from drybpf.state import Context, Enter, Invoke, State
from engines import Outcome, observe
from loop_programs import Loops
from programs import Generator

HOOKS: tuple[Hook, ...] = (Raw(), Xdp(), FixedMetadata(0, 8), Metadata(), NoData())
ELSEWHERE = Code(assemble("mov r0, 77\nlock add [r10-8], r0\nldxdw r0, [r10-8]\nexit"))
ODD = (None, 3.5, 1 << 64, -(1 << 63) - 1, -(1 << 63), (1 << 64) - 1, True, "x")


def _touch(context: Context, address: int, *_: int) -> int:
    context.write(address, b"\xaa")
    return context.read(address, 1)[0]


def _raise(_: Context, r1: int, *_rest: int) -> int:
    if r1 % 3 == 0:
        raise KeyError(r1)
    return (1 << 64) - 1 - r1 if r1 % 3 == 1 else -5


def _after(context: Context, result: int) -> int | Invoke:
    if result % 5 == 4:
        raise ValueError(result)
    entries = context.state.code.entries
    return Invoke(entries[-1], (result,), lambda _, r: r + 1) if result % 5 == 3 else result >> 1


def _back(context: Context, r1: int, r2: int, *_: int) -> int | Invoke:
    entries = context.state.code.entries
    if len(entries) < 2:
        return 1 << 63
    return Invoke(entries[1] + (r1 % 7 == 6), (r2, r1), _after)


def _odd(context: Context, r1: int, *_: int) -> object:
    context.print(f"odd {r1}")
    return ODD[r1 % len(ODD)]


@restricted
def bump(table: int, key: int) -> int:
    place = table + (key & 7) * 8
    store64(place, load64(place) + 1)
    return load64(place) * key


STORAGE = bytearray(64)
HELPERS = Helpers(
    {
        1: lambda _, r1, r2, *_rest: r1 ^ r2,
        2: _touch,
        3: _raise,
        4: _back,
        5: lambda *_: Enter(ELSEWHERE),
        6: _odd,  # type: ignore[dict-item]  # it returns what no helper should
        7: NativeHelper(bump, STORAGE),
    }
)


@dataclass(frozen=True)
class Input:
    """What a program is run with."""

    packet: bytes
    budget: int


@dataclass(frozen=True)
class End:
    """Where a run has come to."""

    outcome: Outcome
    fuel: int
    pc: int
    frames: tuple[tuple[int, tuple[int, ...]], ...]
    stack: tuple[bytes, ...]  # the frames of a run that faulted
    storage: bytes
    resumed: End | None = None  # where it comes to with more fuel, if fuel was all it lacked


@dataclass(frozen=True)
class Case:
    """A random program with its hook."""

    seed: int
    text: str
    hook: Hook
    counting: bool
    loops: bool = False  # whether it is all loops
    paranoid: bool = False  # whether what the guards of loops stand for is checked

    @classmethod
    def of(cls, seed: int) -> Case:
        hook = HOOKS[seed % len(HOOKS)] if seed % 2 else Raw()
        return cls(seed, Generator(seed, hook.name).program(), hook, seed % 3 != 0)

    @classmethod
    def of_loops(cls, seed: int, *, paranoid: bool) -> Case:
        """A program that is all loops."""
        hook = HOOKS[seed % 3] if seed % 4 == 1 else Raw()
        return cls(seed, Loops(seed, hook.name).program(), hook, seed % 3 == 0, True, paranoid)

    @classmethod
    def of_nests(cls, seed: int, *, paranoid: bool) -> Case:
        """A nest of counted loops."""
        text = nest_programs.Generator(seed).program()
        return cls(seed, text, Raw(), seed % 3 == 0, True, paranoid)

    @cached_property
    def code(self) -> Code:
        code = Code(assemble(self.text))
        verifier.check(code)
        return code

    def jit(self) -> Jit:
        return Jit(self.code, self.hook.shape, paranoid=self.paranoid)

    def inputs(self) -> list[Input]:
        random = Random(self.seed)  # noqa: S311 (repeatable by design)
        lengths: tuple[int, ...] = (64, 96, random.randrange(100), 20 * random.randrange(2))
        if self.loops:
            lengths = 64, random.choice((63, 65, 72, 128)), random.randrange(100), 256
        packets = [b"" if self.hook.name == "no data" else random.randbytes(n) for n in lengths]
        budgets = [(3000, random.randrange(60), random.randrange(600)) for _ in packets]
        return [Input(p, b) for p, row in zip(packets, budgets, strict=True) for b in row]

    def begin(self, given: Input) -> State:
        STORAGE[:] = bytes(64)
        state = new_state(self.code, HELPERS, Host(), given.budget)
        state.memory.map(Region("registered", REGISTERED, bytearray(range(48))))
        state.memory.map(Region("constants", DATA, bytes(range(32))))
        if isinstance(self.hook, Metadata) and self.hook.name == "metadata":
            self.hook.enter_with(state, bytearray(given.packet), bytearray(b"\7" * 24))
        else:
            self.hook.enter(state, bytearray(given.packet))
        return state

    def difference(self, jit: Jit, given: Input) -> str:
        """What the engines disagree on, empty if on nothing."""
        expected = self._end(None, self.begin(given))
        found = self._end(jit, self.begin(given))
        return "" if found == expected else f"{given}\ninterpreter {expected}\njit         {found}"

    def _end(self, jit: Jit | None, state: State) -> End:
        end = self._observe(jit, state)
        if end.outcome.error != BudgetExceeded.__name__:
            return end
        state.fuel += 300
        resumed = self._observe(None, state)
        return End(end.outcome, end.fuel, end.pc, end.frames, end.stack, end.storage, resumed)

    def _observe(self, jit: Jit | None, state: State) -> End:
        def drive(state: State) -> Iterator[State]:
            yield state
            if jit is None:
                interpreter.run(state)
            else:
                jit.run(state, counting=self.counting)

        outcome = observe(state, drive)
        if not self.counting:
            outcome = replace(outcome, instructions=0)
        return End(
            outcome,
            state.fuel,
            state.pc,
            tuple((frame.return_pc, frame.saved) for frame in state.frames),
            _frames(state) if outcome.error else (),
            bytes(STORAGE),
        )

    def check(self, jit: Jit | None = None, inputs: Sequence[Input] | None = None) -> int:
        """Compare the engines on all inputs; gives how many."""
        jit = jit or self.jit()
        inputs = self.inputs() if inputs is None else inputs
        for given in inputs:
            wrong = self.difference(jit, given)
            assert not wrong, f"seed {self.seed}, {self.hook.name}\n{self.text}\n{wrong}"
        return len(inputs)

    def check_slices(self) -> int:
        """Compare runs whose compiled code gets little fuel at once, and goes on with more."""
        before = layout.SLICE
        layout.SLICE = len(self.code) + self.seed % 64
        try:
            return self.check(inputs=self.inputs()[::3])
        finally:
            layout.SLICE = before

    def check_entries(self) -> int:
        """Compare the ways in: a call, the compiled function, a batch."""
        if self.hook.name == "no data":
            packets = [b""] * 2
        else:
            packets = [given.packet for given in self.inputs()[::3]]
        options = {"hook": self.hook, "helpers": HELPERS, "budget": 3000}
        reference = Program(self.code, engine="interpreter", **options)  # type: ignore[arg-type]
        compiled = Program(self.code, engine="jit", **options)  # type: ignore[arg-type]
        ways = (compiled, compiled.function, compiled)
        for packet in packets:
            expected = _call(reference, packet)
            for way in ways:
                assert _call(way, packet) == expected, f"seed {self.seed}, {packet!r}\n{self.text}"
        STORAGE[:] = bytes(64)
        first = reference.run_batch(packets, on_fault="record")
        STORAGE[:] = bytes(64)
        second = compiled.run_batch(packets, on_fault="record")
        assert _batch(second) == _batch(first), f"seed {self.seed}, batch\n{self.text}"
        return len(packets) * len(ways) + len(packets)


def _call(way: Callable[[bytearray], int], packet: bytes) -> object:
    STORAGE[:] = bytes(64)
    buffer = bytearray(packet)
    try:
        answer: object = way(buffer)
    except ExecutionError as error:
        answer = type(error), error.pc, error.registers, str(error)
    return answer, bytes(buffer), bytes(STORAGE)


def _batch(verdicts: Verdicts) -> object:
    faults = {
        index: (type(error), error.pc, error.registers, str(error))
        for index, error in verdicts.faults.items()
    }
    return list(verdicts), faults, bytes(STORAGE)


def _frames(state: State) -> tuple[bytes, ...]:
    tops = (frame_top(depth) - STACK for depth in range(len(state.frames) + 1))
    return tuple(bytes(state.memory.stack[top - FRAME_SIZE : top]) for top in tops)
