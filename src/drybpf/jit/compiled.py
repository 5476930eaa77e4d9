"""The engine that compiles a program, in several variants, and runs it.

`run` has the contract of `interpreter.run`: it takes a state and runs it until the program has
returned.  What compiled code leaves, the interpreter finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from operator import is_

from drybpf import meter
from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.errors import CompileError
from drybpf.helpers.host_natives import for_compiled
from drybpf.helpers.kernel import KernelHelper
from drybpf.helpers.native import NativeHelper
from drybpf.host import Host
from drybpf.isa.semantics import LOADS, M32, STORES
from drybpf.jit import batching, drive, layout, timing
from drybpf.jit.batching import Exchanges
from drybpf.jit.choices import Choices
from drybpf.jit.exchange import adopt
from drybpf.jit.ledger import Ledger
from drybpf.jit.plan import TAIL_CALL
from drybpf.jit.surroundings import Surroundings, host_table, surroundings
from drybpf.jit.tables import Tables
from drybpf.jit.variant import Form, Variant, compiled_form
from drybpf.space import Space
from drybpf.state import HelperTable, State
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


class Jit:
    """One program on one kind of hook, compiled when it is first run."""

    def __init__(
        self, code: Code, shape: Shape, space: Space | None = None, *, paranoid: bool = False
    ) -> None:
        """Prepare; nothing is compiled yet.  Raises `CompileError` where it is too large.

        `paranoid` code checks what the guards of loops stand for; a run ends in a `RuntimeError`
        where one was wrong.
        """
        if len(code) > MAX_INSTRUCTIONS:
            raise CompileError(
                f"{len(code)} instructions are more than the {MAX_INSTRUCTIONS} that are compiled"
            )
        if not structure.is_sound(code):
            raise CompileError("only programs that pass the structural verifier are compiled")
        self.code, self.shape, self.space = code, shape, space or Space()
        self.stats = Stats()
        self._variants: dict[tuple[bool, bool, int | None, bool, bool, bool], Variant] = {}
        self._batch: dict[tuple[int, bool], Variant] = {}
        self.exchanges = Exchanges(shape)  # of batches
        self.ledgers: dict[int | None, Ledger] = {}  # of the covering variants, by their start
        self._waiting: list[Variant] = []  # given up, but a call has yet to return through them
        self._lookups: frozenset[int] = frozenset()  # those of the variants
        self._ahead: Form | None = None  # compiled by another thread
        self._choices = Choices(around=self._around(), paranoid=paranoid)  # the same, but for those
        numbers = {i.imm & M32 for i in code.slots if i and i.row and i.row.mnemonic == "call"}
        self._numbers = sorted(numbers)
        self._lowered: Mapping[int, str] = {}  # all that can be, where only r0 counts
        self._found: tuple[object, ...] = ()  # the helpers that it is compiled for
        self.tables = Tables(self.space)
        self.space.helpers.update(n for n in numbers if n <= layout.LAST_SHARED_HELPER)

    @property
    def choices(self) -> Choices:
        """What the program is compiled for at present."""
        return self._choices

    def _around(self) -> Surroundings:
        named = {i.imm64 for i in self.code.slots if i and i.second is not None and not i.src}
        return surroundings(self.space, named.union(self.code.references.values()))

    def use(self, helpers: HelperTable, host: Host) -> None:
        """Compile for these helpers: those in restricted Python and the kernel's are inlined."""
        if not self._numbers:
            return
        found = {number: for_compiled(helpers, number, host) for number in self._numbers}
        now = tuple(found.values())
        if len(now) == len(self._found) and all(map(is_, now, self._found)):
            return
        known = {n: h for n, h in found.items() if isinstance(h, KernelHelper)}
        from drybpf.jit.helpers import LOWERINGS  # noqa: PLC0415 (and with them all of the compiler)

        lowered = {n: h.native for n, h in known.items() if h.native in LOWERINGS}
        kernel = {n: name for n, name in lowered.items() if not LOWERINGS[name].unseen}
        natives = {n: h.function for n, h in found.items() if isinstance(h, NativeHelper)}
        numbered = "tail_call" in kernel.values()
        moves = any(
            getattr(helper, "moves_packet", True)
            for helper in found.values()
            if helper is not None and not isinstance(helper, NativeHelper)
        )
        choices = replace(
            self._choices,
            natives=natives,
            kernel=kernel,
            moving=(moves or numbered) and bool(self.shape.headroom),
            numbered=numbered,
        )
        choices = replace(choices, sealed=self._is_sealed(choices))
        if choices != self._choices or lowered != self._lowered:
            self._choices = choices
            self._give_up_variants()
        self._lowered, self._found = lowered, now

    def _is_sealed(self, choices: Choices) -> bool:
        """Whether no helper in Python is called: each is inlined or has a form here."""
        done = len(choices.kernel) + len(choices.natives)
        return not choices.numbered and done == len(self._numbers)

    def _forget_wrong_guesses(self) -> None:
        """Compile anew where a guess has failed."""
        if self._lookups != self.stats.lookups:
            self._give_up_variants()
            self._lookups = self.stats.lookups

    def _give_up_variants(self) -> None:
        """Compile anew.  The code that a call will return into is kept until the next time."""
        given_up = *self._waiting, *self._variants.values()
        self._waiting = [variant for variant in given_up if variant.inside]
        self._variants.clear()
        self._batch.clear()

    def variant(
        self,
        *,
        counting: bool = False,
        start: int | None = None,
        tail: bool = False,
        unseen: bool = False,
        looping: bool = False,
    ) -> Variant:
        """A compiled form of the program, made anew after a guess has failed.

        With a `start` it goes on from that slot: that is how a run of many slices continues; where
        it is `looping`, that is in a turn of a loop, and all turns that follow are its, too.  With
        `tail` it is one that tail calls enter; `unseen` is for runs of which only r0 is looked at.
        While a meter is active, it counts what it runs.
        """
        covering = meter.is_active()
        self._forget_wrong_guesses()
        unseen &= self._lowered != self._choices.kernel  # else it is the same
        key = counting, covering, start, tail, unseen, looping
        variant = self._variants.get(key)
        if variant is None:
            choices = self._chosen(
                counting, covering, start, tail=tail, unseen=unseen, looping=looping
            )
            variant = self._linked(choices)
            if tail:  # it may be entered from older code
                host_table(self.space)
            self._variants[key] = variant
        _count_for_meters(variant)
        return variant

    def _chosen(
        self,
        counting: bool,
        covering: bool,
        start: int | None = None,
        *,
        tail: bool = False,
        unseen: bool = False,
        looping: bool = False,
    ) -> Choices:
        """What a variant is compiled for."""
        choices = replace(
            self._choices,
            lookups=self._lookups,
            counting=counting,
            start=start,
            looping=looping,
            covering=covering,
        )
        if unseen:
            choices = replace(choices, kernel=self._lowered)
            choices = replace(choices, sealed=self._is_sealed(choices))
        if covering:
            choices = replace(choices, kernel=_countable(choices.kernel, start))
        if tail:
            moving = bool(self.shape.headroom)
            choices = replace(choices, tail=True, numbered=True, sealed=False, moving=moving)
        return choices

    def _linked(self, choices: Choices) -> Variant:
        """A new variant, of the form that was compiled ahead if it is the one."""
        form, self._ahead = self._ahead, None
        if form is None or form.choices != choices:
            form = compiled_form(self.code, self.shape, choices)
        self.stats.compiles += 1
        self.stats.cached += form.cached
        variant = Variant(self.code, self.shape, form, self.ledgers)
        if variant.numbered:
            variant.env[layout.ENV_CODE] = self.space.number(self.code)
        return variant

    def work_ahead(
        self, helpers: HelperTable, host: Host, *, counting: bool
    ) -> Callable[[], None] | None:
        """What another thread can do so that the next variant is there at once; None if it is."""
        self.use(helpers, host)
        self._forget_wrong_guesses()
        covering = meter.is_active()
        unseen = not counting and self._lowered != self._choices.kernel
        if (counting, covering, None, False, unseen, False) in self._variants:
            return None
        choices = self._chosen(counting, covering, unseen=unseen)
        if self._ahead is not None and self._ahead.choices == choices:
            return None

        def work() -> None:
            self._ahead = compiled_form(self.code, self.shape, choices)

        return work

    def batch_variant(self, width: int) -> Variant:
        """The form that runs over a batch with offsets of so many bytes."""
        self._forget_wrong_guesses()
        covering = meter.is_active()
        variant = self._batch.get((width, covering))
        if variant is None:
            choices = replace(self._chosen(False, covering, unseen=True), batch=width)
            variant = self._batch[width, covering] = self._linked(choices)
        _count_for_meters(variant)
        return variant

    @property
    def is_full(self) -> bool:
        """Whether no more variants are made."""
        return len(self._variants) >= MAX_VARIANTS

    def learn(self, pc: int) -> None:
        """Have an access looked up from now on, whose guess was wrong."""
        instruction = self.code.slots[pc]
        semantics = instruction.row.semantics if instruction and instruction.row else ""
        accesses = semantics in LOADS or semantics in STORES or semantics.endswith("_atomic")
        if (accesses or semantics == "call_helper") and self.stats.compiles < MAX_COMPILES:
            self.stats.lookups |= {pc}

    def makes_tail_call(self, pc: int) -> bool:
        """Whether compiled code does the tail call at a slot itself."""
        instruction = self.code.slots[pc]
        if instruction is None or instruction.row is None:
            return False
        called = instruction.row.semantics == "call_helper"
        return called and self._choices.kernel.get(instruction.imm & M32) == "tail_call"

    def engine_of(self, code: Code) -> Jit | None:
        """The engine of the program that a run has come to; None where it cannot be compiled."""
        if code is self.code:
            return self
        runner = self.space.runners.get(code)
        try:
            found: Jit | None = runner.jit if runner is not None else None
        except CompileError:
            return None
        return found if found is not None and found.shape == self.shape else None

    def run(self, state: State, *, counting: bool = False) -> int:
        """Run a state until the program has returned; the result is r0.

        `state.instructions` is exact with `counting`, and else only what was interpreted.
        """
        return drive.run(self, state, counting=counting)

    batch = batching.run
    repeat = timing.repeat

    def bind(
        self,
        name: str,
        budget: int,
        fresh: Callable[[object], State],
        helpers: HelperTable,
        outdated: Callable[[], None],
        host: Host,
    ) -> tuple[Callable[..., int], Variant] | None:
        """A built-in function from packet to r0, or None where the program needs more.

        `fresh` makes the state of a run on a packet, for what compiled code leaves.  `outdated` is
        called when a guess has failed, so that binding again gives a better function.
        """
        variant = self.plain(helpers, host)
        if variant is None:
            return None
        given = min(budget, layout.SLICE)

        def fallback(packet: object, address: int) -> int:
            state = fresh(packet)
            if not address:
                return self.run(state)
            try:
                left = adopt(state, address, given, spaced=self._choices.spaced)
                drive.tell_ledgers(self, variant, state)
                return drive.finish(self, state, left)
            finally:
                if self._lookups != self.stats.lookups:
                    outdated()

        env = variant.env
        env[layout.ENV_STORES] = host_table(self.space)
        env[layout.ENV_EPOCH] = self.space.epoch_address
        env[layout.ENV_CPU] = host.cpu
        tables = self.tables.find(variant, helpers, host)
        return tables and (variant.bind(name, given, fallback, tables), variant)

    def plain(self, helpers: HelperTable, host: Host, width: int = 0) -> Variant | None:
        """The form for packets alone, in batches with a `width` of offsets.

        None where a run needs more: a helper in Python, a context that is not the hook's default.
        """
        if not self.shape.plain or (self.shape.socket and host.socket is not None):
            return None
        self.use(helpers, host)
        variant = self.batch_variant(width) if width else self.variant(unseen=True)
        called, done = variant.module.helpers, self._choices.natives
        return variant if not called or all(number in done for number in called) else None


def _countable(kernel: Mapping[int, str], start: int | None) -> Mapping[int, str]:
    """The kernel's helpers that code which counts does itself.

    It makes tail calls by their own number only, where the plans have a counter for them, and none
    where it begins in the middle: whose frame is whose would not be known.
    """
    return {
        number: name
        for number, name in kernel.items()
        if name != "tail_call" or (number == TAIL_CALL and start is None)
    }


def _count_for_meters(variant: Variant) -> None:
    if variant.ledger is not None:
        meter.add_source(variant.ledger)
