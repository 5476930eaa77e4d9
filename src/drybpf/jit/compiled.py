"""Compiled variants of one program, and the engine that runs them.

`run` has the contract of `interpreter.run`: it takes a state and runs it until the program has
returned.  What compiled code leaves, the interpreter finishes.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import perf_counter_ns

from drybpf import interpreter, meter
from drybpf.batch import PacketBatch, Verdicts
from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.errors import CompileError, ExecutionError
from drybpf.helpers.native import NativeHelper
from drybpf.isa.semantics import LOADS, M32, M64, STORES
from drybpf.jit import layout
from drybpf.jit.entries import (
    ENV_FALLBACK,
    ENV_FUEL,
    ENV_HELPERS,
    ENV_INSIDE,
    ENV_OTHER,
    ENV_WORDS,
    entries,
)
from drybpf.jit.exchange import BatchExchange, Exchange, adopt, helper_table
from drybpf.jit.ledger import Ledger
from drybpf.jit.module import Module, emit_module
from drybpf.memory import CONTEXT, frame_top
from drybpf.native import builtin as builtins
from drybpf.native import cache, target
from drybpf.native.builtin import METH_O, builtin
from drybpf.native.emit import compile_ir
from drybpf.native.link import link
from drybpf.native.restricted import Function
from drybpf.state import FINISHED, HelperTable, State, helper_error
from drybpf.verifier import structure

MAX_INSTRUCTIONS = 20_000  # the most that is given to LLVM
MAX_COMPILES = 8  # of one program, for guesses that failed
MAX_VARIANTS = 24  # of one program, for runs of many slices


@dataclass
class Stats:
    """What the compiler did for one program."""

    compiles: int = 0
    cached: int = 0  # of them from the disk cache
    exits: dict[tuple[int, str], int] = field(default_factory=dict)
    lookups: frozenset[int] = frozenset()  # slots whose region is looked up, after a wrong guess

    def left(self, pc: int, reason: str) -> None:
        """Count an exit."""
        self.exits[pc, reason] = self.exits.get((pc, reason), 0) + 1


class Variant:
    """One compiled form of a program, linked and callable."""

    ledger: Ledger | None = None  # what was executed, in the covering variant

    def __init__(
        self,
        code: Code,
        shape: Shape,
        lookups: frozenset[int],
        *,
        counting: bool,
        covering: bool,
        start: int | None,
        natives: Mapping[int, Function[...]],
    ) -> None:
        """Compile, or take from the cache."""
        texts = {number: function.ir() for number, function in natives.items()}
        key = _key(code, (shape, sorted(lookups), counting, covering, start, texts))
        self.cached = False
        stored = cache.load(key)
        if stored is not None:
            facts, _, image = stored.partition(b"\n")
            self.cached = True
            self.module = Module.from_facts(facts)
        else:
            self.module = emit_module(
                code,
                shape,
                lookups,
                counting=counting,
                covering=covering,
                start=start,
                natives=natives,
            )
            image = compile_ir(self.module.ir)
            cache.store(key, self.module.facts() + b"\n" + image)
        front = _entry_points(shape, code.may_write, self.module.lookups)
        plain = shape.context is not None or shape.r1 != "context"
        exports = ["run", "repeat", *(["call", "vectorcall", "batch"] if plain else [])]
        self.env = (ctypes.c_uint64 * ENV_WORDS)()
        imports = {"env": ctypes.addressof(self.env)}
        if covering:
            self.ledger = Ledger(code, self.module.plans, self.module.counters)
            imports["counters"] = self.ledger.address
        self.library = link([image, front], exports, imports)
        self._bound: object = None
        self.run = self.function("run")
        self.plain = plain  # whether the hook's defaults are all that a run needs
        self.batch = self.function("batch" if plain else "run")

    @property
    def inside(self) -> bool:
        """Whether a call waits in this code for Python, and will go on in it."""
        return self.env[ENV_INSIDE] != 0

    def function(self, name: str, doc: str = "") -> Callable[..., int]:
        """An entry point as a built-in function."""
        address = self.library.address(name)
        return builtin(
            address, name=name, flags=METH_O, keep=(self.library, self.env, self.ledger), doc=doc
        )

    def bind(
        self,
        name: str,
        fuel: int,
        fallback: Callable[[object, int], int],
        helpers: tuple[ctypes.Array[ctypes.c_uint64], object],
    ) -> Callable[..., int]:
        """A built-in function from packet to r0; `fallback` finishes what it leaves.

        All functions of a variant share what was bound last.
        """
        self.env[ENV_FUEL], self.env[ENV_FALLBACK] = fuel, id(fallback)
        self.env[ENV_HELPERS] = ctypes.addressof(helpers[0])
        self._bound = fallback, helpers  # what the words point at
        doc = f"{name}(packet, /)\n--\n\nRun the program on a packet; the result is r0."
        return builtin(self.library.address("call"), name=name, flags=METH_O, keep=self, doc=doc)

    def direct(self, other: Callable[..., object]) -> int:
        """The address of the same function for PEP 590; `other` takes calls of any other form.

        Whoever uses it keeps the bound function alive, and `other`.
        """
        self.env[ENV_OTHER] = id(other)
        return self.library.address("vectorcall")


_fronts: dict[tuple[object, ...], bytes] = {}


def _entry_points(shape: Shape, may_write: bool, lookups: bool) -> bytes:
    """The object with the entry points for programs of one shape: compiled once, then cached."""
    key = (shape, may_write, lookups)
    if key not in _fronts:
        ir = entries(shape, may_write=may_write, lookups=lookups)
        digest = sha256((ir + _describe()).encode()).digest()
        image = cache.load(digest)
        if image is None:
            image = compile_ir(ir)
            cache.store(digest, image)
        _fronts[key] = image
    return _fronts[key]


def prepare(shape: Shape, *, may_write: bool) -> None:
    """Load LLVM and make the entry points: what is paid once, before the first program."""
    for lookups in (False, True):
        _entry_points(shape, may_write, lookups)


def _key(code: Code, options: object) -> bytes:
    facts = options, dict(code.references), code.entries, _describe()
    return sha256(code.bytecode + repr(facts).encode()).digest()


@lru_cache(maxsize=1)
def _describe() -> str:
    """What compiled code depends on besides the program: LLVM, processor, Python, and drybpf."""
    digest = sha256()
    package = Path(__file__).parent.parent
    for source in sorted([*package.glob("jit/*.py"), *package.glob("native/**/*.py")]):
        digest.update(source.read_bytes())
    return f"{target.describe()}, {builtins.describe()}, {digest.hexdigest()}"


class Jit:
    """One program on one kind of hook, compiled when it is first run."""

    def __init__(self, code: Code, shape: Shape) -> None:
        """Prepare; nothing is compiled yet.  Raises `CompileError` where it is too large."""
        if len(code) > MAX_INSTRUCTIONS:
            raise CompileError(
                f"{len(code)} instructions are more than the {MAX_INSTRUCTIONS} that are compiled"
            )
        if next(structure.check(code), None) is not None:
            raise CompileError("only programs that pass the structural verifier are compiled")
        self.code, self.shape = code, shape
        self.stats = Stats()
        self._variants: dict[tuple[bool, bool, int | None], Variant] = {}
        self._waiting: list[Variant] = []  # given up, but a call has yet to return through them
        self._lookups: frozenset[int] = frozenset()  # those of the variants
        self._natives: Mapping[int, Function[...]] = {}  # the same
        numbers = {i.imm & M32 for i in code.slots if i and i.row and i.row.mnemonic == "call"}
        self._numbers = sorted(numbers)

    def use(self, helpers: HelperTable) -> None:
        """Compile for these helpers: those in restricted Python are inlined."""
        if not self._numbers:
            return
        found = {number: helpers.get(number) for number in self._numbers}
        natives = {n: h.function for n, h in found.items() if isinstance(h, NativeHelper)}
        if natives != self._natives:
            self._natives = natives
            self._give_up_variants()

    def _give_up_variants(self) -> None:
        """Compile anew.  The code that a call will return into is kept until the next time."""
        given_up = *self._waiting, *self._variants.values()
        self._waiting = [variant for variant in given_up if variant.inside]
        self._variants.clear()

    def variant(self, *, counting: bool = False, start: int | None = None) -> Variant:
        """A compiled form of the program, made anew after a guess has failed.

        With a `start` it goes on from that slot: that is how a run of many slices continues.  While
        a meter is active, it counts what it executes.
        """
        covering = meter.is_active()
        if self._lookups != self.stats.lookups:
            self._give_up_variants()
            self._lookups = self.stats.lookups
        variant = self._variants.get((counting, covering, start))
        if variant is None:
            variant = Variant(
                self.code,
                self.shape,
                self._lookups,
                counting=counting,
                covering=covering,
                start=start,
                natives=self._natives,
            )
            self.stats.compiles += 1
            self.stats.cached += variant.cached
            self._variants[counting, covering, start] = variant
        if variant.ledger is not None:
            meter.add_source(variant.ledger)
        return variant

    def run(self, state: State, *, counting: bool = False) -> int:
        """Run a state until the program has returned; the result is r0.

        `state.instructions` is exact with `counting`, and else only what was interpreted.
        """
        if not self._is_fresh(state):
            return interpreter.run(state)
        self.use(state.helpers)
        return self._drive(state, None, counting=counting)

    def _drive(self, state: State, start: int | None, *, counting: bool) -> int:
        """Run slice after slice, in compiled code as long as it can."""
        while True:
            variant = self.variant(counting=counting, start=start)
            exchange = Exchange(state, variant.module.helpers)
            if self._go(variant, state, exchange):
                if not state.frames:
                    state.pc = FINISHED
                    return state.registers[0]
                state.leave()
            elif exchange.words[layout.REASON] == layout.PENDING_RESULT:
                return interpreter.run(state)  # in a callback, or in another program
            elif not self._slice_ended(state, exchange.words[layout.FUEL]):
                return self.resume(state)
            start = state.pc
            wanted = counting, meter.is_active(), start
            if len(self._variants) >= MAX_VARIANTS and wanted not in self._variants:
                return interpreter.run(state)

    def _go(self, variant: Variant, state: State, exchange: Exchange) -> bool:
        """Run compiled code once; whether the function that it began in has returned."""
        given = min(state.fuel, layout.SLICE)
        exchange.put(given)
        state.fuel -= given
        failure: BaseException | None = None
        try:
            state.registers[0] = variant.run(exchange.address)
        except BaseException as error:  # noqa: BLE001 (it is raised again, with its place)
            failure = error
        words = exchange.words
        state.fuel += words[layout.FUEL]
        state.instructions += words[layout.COUNT]
        if words[layout.PC] == FINISHED & M64:
            return True
        exchange.take_back()
        if variant.ledger is not None:
            variant.ledger.left(state, len(exchange.outer), words[layout.REASON] != layout.CHECK)
        if failure is not None:
            self._raise(state, failure)
        if words[layout.REASON] == layout.PENDING_RESULT:
            self._finish_call(state, exchange.pending())
        return False

    def repeat(self, state: State, times: int) -> int:
        """The time, in nanoseconds, of running a fresh state a number of times.

        Raises the run's fault where compiled code cannot finish it.
        """
        self.use(state.helpers)
        variant = self.variant()
        exchange = Exchange(state, variant.module.helpers)
        exchange.put(min(state.fuel, layout.SLICE))
        exchange.words[layout.END] = times
        repeat = variant.function("repeat")
        begin = perf_counter_ns()
        done = repeat(exchange.address)
        elapsed = perf_counter_ns() - begin
        if done != times:
            self.run(state)
            raise CompileError("the program leaves compiled code; time it in the interpreter")
        return elapsed

    def _slice_ended(self, state: State, left: int) -> bool:
        """Whether compiled code left, with `left` fuel, since its slice was spent but not all."""
        return left < self.code.fuel.get(state.pc, 0) <= state.fuel

    def _is_fresh(self, state: State) -> bool:
        """Whether the state is as the hook makes it: compiled code takes that for granted."""
        begin, end = state.packet
        r1 = {"packet": begin, "context": CONTEXT, "zero": 0}[self.shape.r1]
        expected = [0, r1, *[0] * 8, frame_top(0)]
        registers = list(state.registers)
        if self.shape.r2 == "packet":
            expected[2] = end - begin
        elif self.shape.r2 == "context":
            regions = state.memory.regions()
            expected[2] = next((r.length for r in regions if r.start == CONTEXT), 0)
        return (
            registers == expected
            and not state.frames
            and state.pc == 0
            and state.code is self.code
            and begin in (self.shape.packet_address, end)
        )

    def _raise(self, state: State, error: BaseException) -> None:
        """Raise what came out of compiled code, with its place."""
        pc = state.pc
        self.stats.left(pc, "helper")
        if isinstance(error, Exception):
            number = self._helper_number(state)
            raised = helper_error(number, error)
            if isinstance(raised, ExecutionError):
                interpreter.locate(raised, state, self.code, pc)
            if raised is not error:
                raise raised from error
        raise error

    def _helper_number(self, state: State) -> int:
        instruction = self.code.slots[state.pc]
        return instruction.imm & 0xFFFF_FFFF if instruction else 0

    def _finish_call(self, state: State, result: object) -> None:
        pc = state.pc
        self.stats.left(pc, "result")
        cost = self.code.fuel.get(pc, 0)  # given back as if the call had not begun
        state.fuel -= cost
        try:
            state.finish_call(self._helper_number(state), result, pc + 1)  # type: ignore[arg-type]  # it checks
        except ExecutionError as error:
            state.fuel += cost
            interpreter.locate(error, state, self.code, pc)
            raise
        state.instructions += 1

    def resume(self, state: State) -> int:
        """Go on in the interpreter, which finds a fault or shows that a guess was wrong."""
        pc, before = state.pc, state.instructions
        self.stats.left(pc, "check")
        try:
            result = interpreter.run(state)
        except ExecutionError as error:
            if error.pc != pc or state.instructions != before:
                self._learn(pc)
            raise
        self._learn(pc)
        return result

    def _learn(self, pc: int) -> None:
        """Have an access looked up from now on, whose guess was wrong."""
        instruction = self.code.slots[pc]
        semantics = instruction.row.semantics if instruction and instruction.row else ""
        accesses = semantics in LOADS or semantics in STORES or semantics.endswith("_atomic")
        if accesses and self.stats.compiles < MAX_COMPILES:
            self.stats.lookups |= {pc}

    def bind(
        self,
        name: str,
        budget: int,
        fresh: Callable[[object], State],
        helpers: HelperTable,
        outdated: Callable[[], None],
    ) -> tuple[Callable[..., int], Variant] | None:
        """A built-in function from packet to r0, or None where the program needs more.

        `fresh` makes the state of a run on a packet, for what compiled code leaves.  `outdated` is
        called when a guess has failed, so that binding again gives a better function.
        """
        if not self.is_plain(helpers):
            return None
        given = min(budget, layout.SLICE)

        def fallback(packet: object, address: int) -> int:
            state = fresh(packet)
            if not address:
                return self.run(state)
            try:
                left = adopt(state, address, given)
                if variant.ledger is not None:
                    variant.ledger.left(state)
                return self.finish(state, left)
            finally:
                if self._lookups != self.stats.lookups:
                    outdated()

        variant = self.variant()
        table = helper_table([helpers.get(n) for n in variant.module.helpers], [])
        return variant.bind(name, given, fallback, table), variant

    def batch(
        self,
        packets: PacketBatch,
        verdicts: Verdicts,
        budget: int,
        fresh: Callable[[object], State],
        helpers: HelperTable,
        *,
        record: bool,
    ) -> None:
        """Run a batch, the GIL released while compiled code runs; `record` keeps faults.

        The caller has made sure, by `is_plain`, that compiled code can do it.
        """
        table = helper_table([helpers.get(n) for n in self.variant().module.helpers], [])
        exchange = BatchExchange(packets, verdicts, self.shape, min(budget, layout.SLICE))
        exchange.words[layout.HELPERS] = ctypes.addressof(table[0])
        index = 0
        while index < len(packets):
            variant = self.variant()
            exchange.words[layout.RELEASE] = int(variant.ledger is None)  # one counts at a time
            index = exchange.go(variant.batch, index)
            if exchange.left:
                state = fresh(packets[index])
                left = adopt(state, exchange.address, exchange.given)
                if variant.ledger is not None:
                    variant.ledger.left(state)
                try:
                    verdicts[index] = self.finish(state, left)
                except ExecutionError as error:
                    if not record:
                        error.add_note(f"packet {index} of the batch")
                        raise
                    verdicts.faults[index] = error
                index += 1
            elif exchange.bad_offsets:
                fresh(packets[index])  # raises: the offsets leave the data, or it is too long

    def is_plain(self, helpers: HelperTable) -> bool:
        """Whether a packet is all that compiled code needs: no helper in Python, no context."""
        self.use(helpers)
        variant = self.variant()
        return variant.plain and all(number in self._natives for number in variant.module.helpers)

    def finish(self, state: State, left: int) -> int:
        """Finish a run that compiled code left with an amount of fuel of its own."""
        if self._slice_ended(state, left):
            return self._drive(state, state.pc, counting=False)
        return self.resume(state)
