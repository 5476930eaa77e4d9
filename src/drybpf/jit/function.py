"""One function of a program in LLVM IR.

A register lives in an `alloca` between blocks and in an LLVM value within one; LLVM promotes the
allocas.  Whatever is unusual leaves: the place and the registers go into the run's memory, the
function returns `LEFT` as its fuel, each caller adds its record, and the interpreter goes on from
that very instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from drybpf.cached import cached_property
from drybpf.code import Code
from drybpf.isa import Instruction
from drybpf.isa.semantics import ACCESSES, LOADS, M32
from drybpf.jit import layout
from drybpf.jit.copies import BARRIER, Copies
from drybpf.jit.counting import Counters, Counting
from drybpf.jit.ir import Text, Value
from drybpf.jit.provenance import Guesses, Pointer
from drybpf.jit.runtime import PARAMETERS, RESULT
from drybpf.jit.surroundings import NOWHERE, Surroundings
from drybpf.memory import (
    FRAME_SIZE,
    FRAME_STRIDE,
    PACKET,
    STACK,
)
from drybpf.native.restricted import Function

PLACES = {"p.low": layout.LOW, "p.begin": layout.BEGIN, "p.high": layout.HIGH}
LIKELY = ", !prof !0"


Emitter = Callable[["FunctionText", int, Instruction], None]


@dataclass(frozen=True)
class Lowering:
    """How a helper of the kernel's is compiled.

    `applies` says whether compiled code can do the call at a slot, `emit` gives its r0; `pointers`
    are the registers that it takes addresses in, but for those that `applies` has looked at.
    """

    pointers: tuple[int, ...]
    emit: Callable[[FunctionText, int], Value]
    applies: Callable[[FunctionText, int], bool] = lambda _f, _pc: True
    unseen: bool = False  # whether it is good only where nobody sees a run's effects, but for r0
    calls: bool = False  # whether it calls functions of the program


@dataclass(frozen=True)
class Options:
    """How code is compiled."""

    packet_address: int = PACKET
    context_writable: bool = True
    context_length: int = 0  # where it is fixed
    packet_ends: tuple[tuple[int, int, str], ...] = ()
    """Context loads (offset, size) that give the packet's `data`, `data_meta` or `data_end`."""
    lookups: frozenset[int] = frozenset()  # slots whose guess failed
    counting: bool = False
    around: Surroundings = NOWHERE
    moving: bool = False  # whether the packet's ends move
    headroom: int = 0  # in front of a packet that moves
    protected: tuple[tuple[int, int], ...] = ()  # read-only spans of a writable context
    tail: bool = False  # whether it is entered by a tail call
    numbered: bool = False  # whether several programs may take part in a run
    sealed: bool = False  # whether no helper in Python is called
    lowered: Mapping[int, Lowering] = field(default_factory=dict)  # helpers by number
    paranoid: bool = False  # whether what guards stand for is checked all the same
    batch: bool = False  # whether it is inlined into a loop over packets
    program_type: str = ""
    looping: bool = False  # whether it goes on in the function of a loop


class FunctionText(Text):
    """Emits one function, block by block."""

    def __init__(
        self,
        code: Code,
        entry: int,
        guesses: dict[int, Guesses],
        options: Options,
        helpers: dict[int, int],
        emitters: Mapping[str, Emitter],
        natives: Mapping[int, Function[...]],
        begin: tuple[Value, Value] | int | None = None,
        counters: Counters | None = None,
    ) -> None:
        """Prepare; `helpers` maps helper numbers to their places in the run's table.

        `natives` are the helpers in restricted Python, by number.  With a `begin` this is the way
        into the module, `@enter`: the program begins with those values of r1 and r2, or goes on at
        that slot with the registers in the run's memory.  With `counters` it counts the edges of
        its flow graph.
        """
        super().__init__()
        self.code, self.entry, self.options, self.helpers = code, entry, options, helpers
        self.guesses, self.emitters = guesses, emitters
        self.reached = sorted(guesses)
        self.begin, self.natives = begin, natives
        self.start = begin if isinstance(begin, int) else None
        self.leaders = self._find_leaders()
        self.blocks = self._find_blocks()
        self.block = entry  # the current one
        self.copies = Copies(self)
        self.counting = Counting(self, counters)
        self.callees: set[int] = set()
        self.exits: list[Callable[[], None]] = []  # cold blocks, emitted behind the others
        self.ways_out: dict[str, None] = {}  # the functions that hand the run over
        self.uses_lookup = self.needs_key = False
        self.inlined: dict[Function[...], None] = {}  # restricted functions that it calls
        self.limits: dict[tuple[str, int], Value] = {}  # within a block, see `limit`
        self.stores: dict[int, Value] = {}  # entries of the table of stores that it reads
        self.cache: dict[int, Value] = {}  # registers by LLVM value, within a block
        self.dirty: set[int] = set()
        self.refund = 0  # what was charged at the current instruction itself
        self.behind = 0  # instructions of the block from the current one on, for counting

    def _find_leaders(self) -> set[int]:
        leaders = {self.entry, self.entry if self.start is None else self.start}
        for pc in self.reached:
            following = self.code.ways[pc]
            instruction = self.code.slots[pc]
            row = instruction.row if instruction else None
            if row is not None and row.flow != "next":
                leaders.update(following)
        points = self.code.fuel.keys() & self.guesses.keys()
        return leaders | points

    def _find_blocks(self) -> dict[int, list[int]]:
        """The slots of each block that is reached, by the first."""
        firsts = [pc for pc in self.reached if pc in self.leaders]
        return {
            first: [pc for pc in range(first, last) if pc in self.guesses and self.code.slots[pc]]
            for first, last in zip(firsts, [*firsts[1:], len(self.code)], strict=True)
        }

    @cached_property
    def escapes(self) -> bool:
        """Whether others may reach the frame, so that it must lie in the run's stack."""
        return self.start is not None or any(self._may_escape(pc) for pc in self.reached)

    @cached_property
    def has_frame(self) -> bool:
        """Whether the frame is used before the function leaves."""
        return self.escapes or any(
            10 in (instruction.dst, instruction.src)
            for pc in self.reached
            if (instruction := self.code.slots[pc]) is not None
        )

    @cached_property
    def has_loops(self) -> bool:
        """Whether control ever goes back."""
        return any(to <= pc for pc in self.reached for to in self.code.ways[pc])

    @cached_property
    def has_turns(self) -> bool:
        """Whether a helper calls functions of the program again and again."""
        return any(
            lowering.calls
            for pc in self.reached
            if (instruction := self.code.slots[pc]) is not None
            and (lowering := self.lowering(pc, instruction)) is not None
        )

    def _may_escape(self, pc: int) -> bool:
        instruction = self.code.slots[pc]
        row = instruction.row if instruction else None
        if row is None or instruction is None:
            return False
        lowering = self.lowering(pc, instruction)
        if lowering is not None and not lowering.calls:
            guesses = [self.guesses[pc][register] for register in lowering.pointers]
            known = all(isinstance(guess, Pointer) for guess in guesses)  # others are looked up
            return not known or pc in self.options.lookups
        if row.semantics.startswith("call"):
            return row.semantics != "call_helper" or instruction.imm & M32 not in self.natives
        return row.semantics in ACCESSES and self.region(pc, instruction) is None

    def lowering(self, pc: int, instruction: Instruction) -> Lowering | None:
        """The form that a helper's call has here, where it has one."""
        if instruction.row is None or instruction.row.semantics != "call_helper":
            return None
        found = self.options.lowered.get(instruction.imm & M32)
        return found if found is not None and found.applies(self, pc) else None

    def calls_function(self, pc: int, instruction: Instruction) -> bool:
        """Whether an instruction has a function of the program run, which pays for itself."""
        lowering = self.lowering(pc, instruction)
        local = instruction.row is not None and instruction.row.semantics == "call_local"
        return local or (lowering is not None and lowering.calls)

    def region(self, pc: int, instruction: Instruction) -> int | None:
        """The region that an access is guessed to lie in."""
        semantics = instruction.row.semantics if instruction.row else ""
        base = instruction.src if semantics in LOADS else instruction.dst
        guess = self.guesses[pc][base]
        if pc in self.options.lookups or not isinstance(guess, Pointer):
            return None
        return guess.region

    # The function

    def emit(self) -> list[str]:
        """Emit the whole function."""
        self.lines.append(self._head())
        self.label("entry")
        self._emit_prologue()
        self.counting.begin()
        prologue = len(self.lines)
        self.copies.begin(self.entry if self.start is None else self.start)
        for copy in self.copies:
            for first in copy.blocks:
                self._emit_block(first)
        for cold in self.exits:
            cold()
        for function in self.ways_out:
            self._emit_way_out(function)
        self._emit_return()
        room = ["  %key = alloca i32"] if self.needs_key else []
        room += [f"  {variable} = alloca i64" for variable in self.copies.variables]
        self.lines[prologue:prologue] = [*room, *self._load_stores()]
        self.lines.append("}")
        return self.lines

    def _head(self) -> str:
        if self.begin is None:
            arguments = ", ".join(f"i64 %a{number}" for number in range(1, 6))
            return (
                f"define internal {RESULT} @f{self.entry}({PARAMETERS}, i64 %fuel0, {arguments}) {{"
            )
        if self.options.batch:
            return f"define internal {RESULT} @enter({PARAMETERS}, i64 %fuel0) alwaysinline {{"
        if self.options.looping:
            return f"define internal {RESULT} @resumed({PARAMETERS}, i64 %fuel0) {{"
        return f"define {RESULT} @enter({PARAMETERS}, i64 %fuel0) {{"

    def _initial(self, number: int) -> Value:
        """What a register holds at first."""
        if self.start is not None:
            place = self.value(f"getelementptr i64, ptr %st, i64 {layout.REGISTERS + number}")
            return self.value(f"load i64, ptr {place}")
        if isinstance(self.begin, tuple):
            return self.begin[number - 1] if number in (1, 2) else "0"
        return f"%a{number}" if 1 <= number <= 5 else "0"

    def _emit_prologue(self) -> None:
        for number in range(10):
            self.line(f"%r{number} = alloca i64")
            self.line(f"store i64 {self._initial(number)}, ptr %r{number}")
        self.line("%fuel = alloca i64")
        self.line("%out = alloca i64")
        self.line("store i64 %fuel0, ptr %fuel")
        outermost = isinstance(self.begin, tuple) and not self.options.tail
        depth = "0" if outermost else "%level"
        self.line(f"%depth = add i64 {depth}, 0")
        self.line(f"%deep = mul i64 %depth, {FRAME_STRIDE}")
        self.line(f"%top = add i64 %deep, {STACK + FRAME_STRIDE}")
        self.line(f"%low = sub i64 %top, {FRAME_SIZE}")
        self.line(f"%place = add i64 %deep, {FRAME_STRIDE - FRAME_SIZE}")
        self.line("%home = getelementptr i8, ptr %stk, i64 %place")
        if self.escapes:
            self.line("%frame = getelementptr i8, ptr %home, i64 0")
        elif self.has_frame:
            self.line(f"%frame = alloca [{FRAME_SIZE} x i8], align 16")
        if self.start is None and self.has_frame:
            self._zero("%frame")
        if self.options.numbered:
            place = self.value(f"getelementptr i64, ptr @env, i64 {layout.ENV_CODE}")
            self.line(f"%number = load i64, ptr {place}")
            self.line(f"%codep = getelementptr i64, ptr %st, i64 {layout.CODE}")
            if self.begin is not None:
                self.line("store i64 %number, ptr %codep")
        if self.options.moving:
            for name in PLACES:
                self.line(f"%{name} = alloca i64")
            self.line("%buffer = alloca ptr")
            self.read_places()

    def read_places(self) -> None:
        """Take the packet's ends and buffer anew, which a helper or a callee may have moved."""
        for name, word in PLACES.items():
            place = self.value(f"getelementptr i64, ptr %st, i64 {word}")
            self.line(f"store i64 {self.value(f'load i64, ptr {place}, !range !2')}, ptr %{name}")
        buffer = "%pkt"
        if not self.options.sealed:  # a helper in Python may give the packet a larger buffer
            place = self.value(f"getelementptr i64, ptr %st, i64 {layout.PACKET}")
            buffer = self.value(f"load ptr, ptr {place}")
        self.line(f"store ptr {buffer}, ptr %buffer")

    @property
    def number(self) -> Value:
        """The number of the program's code in its space, 0 in a program that stands alone."""
        return "%number" if self.options.numbered else "0"

    def uncount(self) -> None:
        """Take back the count of what stands behind the instruction in its block."""
        if self.options.counting and self.behind > 1:
            self.line(f"call void @count(ptr %st, i64 {1 - self.behind})")

    def store_entry(self, entry: int) -> Value:
        """The host address of a store or a map, from the run's table."""
        if entry not in self.stores:
            self.stores[entry] = f"%store{entry}"
        return self.stores[entry]

    def uses_key(self) -> Value:
        """Room for a key of 4 bytes that is passed to a map."""
        self.needs_key = True
        return "%key"

    def _load_stores(self) -> list[str]:
        """The prologue's lines for the entries that are read somewhere."""
        if not self.stores:
            return []
        lines = [
            f"  %storep = getelementptr i64, ptr %st, i64 {layout.STORES}",
            "  %stores = load ptr, ptr %storep",
        ]
        for entry, name in self.stores.items():
            lines.append(f"  {name}.p = getelementptr ptr, ptr %stores, i64 {entry}")
            lines.append(f"  {name} = load ptr, ptr {name}.p")
        return lines

    def _zero(self, frame: Value) -> None:
        self.line(
            f"call void @llvm.memset.p0.i64(ptr align 8 {frame}, i8 0, i64 {FRAME_SIZE}, i1 false)"
        )

    def limit(self, buffer: str, size: int) -> Value:
        """What an offset must be below, for an access of 1, 2, 4 or 8 bytes: 0 if none fits.

        `buffer` is "p" for the packet or "c" for the context.  It is computed where it is wanted:
        there LLVM knows what the program has asked of the length, in the prologue it does not.
        """
        if size == 1:
            return f"%{buffer}len"
        if (buffer, size) not in self.limits:
            self.limits[buffer, size] = self.value(
                f"call i64 @llvm.usub.sat.i64(i64 %{buffer}len, i64 {size - 1})"
            )
        return self.limits[buffer, size]

    def _emit_block(self, first: int) -> None:
        self.label(self.copies.label(first))
        if self.copies.is_plain(first):
            self.line(BARRIER)
        self.copies.turn(first)
        self.counting.block(first)
        self.cache, self.dirty, self.limits = {}, set(), {}
        self.block, pcs = first, self.blocks[first]
        self.refund = self.code.fuel.get(first, 0)
        if self.refund:
            self._charge(first, self.refund)
        if self.options.counting:
            self.line(f"call void @count(ptr %st, i64 {len(pcs)})")
        for index, pc in enumerate(pcs):
            instruction = self.code.slots[pc]
            if instruction is not None:
                self.behind = len(pcs) - index
                semantics = instruction.row.semantics if instruction.row else ""
                self.emitters[semantics](self, pc, instruction)
                self.refund = 0
        self._close(pcs[-1])

    def _charge(self, pc: int, cost: int) -> None:
        paid, left = pc in self.copies.paid, self.copies.fuel()
        if not self.copies.owes(pc):
            before = self.value("load i64, ptr %fuel")
            charged = self.value(f"sub i64 {before}, {cost}")
            self.line(f"store i64 {charged}, ptr %fuel")
        if paid and not self.options.paranoid:
            return
        charged = left()
        enough = self.value(f"icmp sge i64 {charged}, 0")
        name = len(self.lines)
        self.line(f"br i1 {enough}, label %paid{name}, label %broke{name}{LIKELY}")

        def cold() -> None:
            """Leave with nothing charged."""
            self.label(f"broke{name}")
            self.leave(pc, {}, 0, left, cost, "wrong" if paid else "spent")

        self.exits.append(cold)
        self.label(f"paid{name}")

    def _close(self, pc: int) -> None:
        """End a block that control leaves by falling into the next."""
        instruction = self.code.slots[pc]
        if instruction and instruction.row and instruction.row.flow == "next":
            self.flush()
            target = pc + instruction.slots
            self.line(f"br label %{self.to(target)}{self.nature(target)}")

    def to(self, target: int) -> str:
        """The label that control goes to from the current block, on its way to a slot."""
        label = self.copies.to(self.block, target)
        return self.counting.way(self.block, target, label)

    def nature(self, *targets: int) -> str:
        """What LLVM is told of the loops that the current block goes back to the headers of."""
        return self.copies.nature(self.block, targets)

    # Registers

    def get(self, number: int) -> Value:
        """The value of a register."""
        if number == 10:
            return "%top"
        if number not in self.cache:
            self.cache[number] = self.value(f"load i64, ptr %r{number}")
        return self.cache[number]

    def set(self, number: int, value: Value) -> None:
        """Give a register a new value."""
        self.cache[number] = value
        self.dirty.add(number)

    def flush(self) -> None:
        """Store the changed registers, at the end of a block."""
        for number in sorted(self.dirty):
            self.line(f"store i64 {self.cache[number]}, ptr %r{number}")
        self.dirty = set()

    # Leaving

    def leave(
        self,
        pc: int,
        cache: dict[int, Value],
        uncounted: int,
        left: Callable[[], Value],
        refund: int,
        function: str = "leave",
    ) -> None:
        """End a cold block: hand the run over at `pc`.

        `left` gives the fuel that is left.  Where `pc` is a fuel point, what was charged there is
        given back.  `function` is `leave` or, for want of fuel, `spent`, which does the same: so
        they are told apart after optimisation.
        """
        fuel = left()
        if refund:
            fuel = self.value(f"add i64 {fuel}, {refund}")
        self.line(f"store i64 {fuel}, ptr %fuel")
        for number, value in cache.items():
            self.line(f"store i64 {value}, ptr %r{number}")
        if self.options.counting and uncounted:
            self.line(f"call void @count(ptr %st, i64 {-uncounted})")
        self.line(f"store i64 {pc}, ptr %out")
        self.line(f"br label %out.{function}")
        self.ways_out[function] = None

    def _emit_way_out(self, function: str) -> None:
        """What all that leave in one way have in common."""
        self.label(f"out.{function}")
        pc, fuel = self.value("load i64, ptr %out"), self.value("load i64, ptr %fuel")
        registers = [self.value(f"load i64, ptr %r{number}") for number in range(10)]
        if not self.has_frame:
            self._zero("%home")
        elif not self.escapes:
            self.line(
                f"call void @llvm.memcpy.p0.p0.i64(ptr align 8 %home, ptr align 8 %frame, "
                f"i64 {FRAME_SIZE}, i1 false)"
            )
        self.counting.write()
        values = ", ".join(f"i64 {value}" for value in (fuel, *registers, "%top"))
        self.line(f"call void @{function}(ptr %st, i64 {pc}, i64 %depth, {values})")
        self.give("0", str(layout.LEFT))

    def give(self, value: Value, fuel: Value) -> None:
        """End the function, at the one place where it returns: LLVM follows both parts to it."""
        self.line(f"store i64 {value}, ptr %r0")
        self.line(f"store i64 {fuel}, ptr %fuel")
        self.line("br label %return")

    def _emit_return(self) -> None:
        self.label("return")
        value, fuel = (self.value(f"load i64, ptr %{name}") for name in ("r0", "fuel"))
        pair = self.value(f"insertvalue {RESULT} undef, i64 {value}, 0")
        self.line(f"ret {RESULT} {self.value(f'insertvalue {RESULT} {pair}, i64 {fuel}, 1')}")

    def within(self, condition: Value, pc: int) -> None:
        """Go on where an access lies in the region guessed, else leave; nothing where proved."""
        if not self.unchecked(pc):
            proved = pc in self.copies.proved
            self.leave_unless(condition, pc, function="wrong" if proved else "leave")

    def unchecked(self, pc: int) -> bool:
        """Whether an access in the region guessed needs no check."""
        return pc in self.copies.proved and not self.options.paranoid

    def leave_unless(
        self, condition: Value, pc: int, name: str = "out", function: str = "leave"
    ) -> None:
        """Go on where a condition holds, else leave at `pc`."""
        inside, outside = f"ok{len(self.lines)}", f"{name}{len(self.lines)}"
        cache = {number: self.cache[number] for number in sorted(self.dirty)}
        uncounted, refund, left = self.behind, self.refund, self.copies.fuel()
        self.line(f"br i1 {condition}, label %{inside}, label %{outside}{LIKELY}")

        def cold() -> None:
            self.label(outside)
            self.leave(pc, cache, uncounted, left, refund, function)

        self.exits.append(cold)
        self.label(inside)
