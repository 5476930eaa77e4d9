"""One function of a program in LLVM IR.

A register lives in an `alloca` between blocks and in an LLVM value within one; LLVM promotes the
allocas.  Whatever is unusual leaves: the place and the registers go into the run's memory, the
function returns `LEFT` as its fuel, each caller adds its record, and the interpreter goes on from
that very instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from drybpf import flow
from drybpf.code import Code
from drybpf.isa import Instruction
from drybpf.isa.semantics import (
    ATOMICS,
    COMPARE_EXCHANGE,
    LOADS,
    M32,
    STORES,
)
from drybpf.jit import layout
from drybpf.jit.counting import Counting
from drybpf.jit.ir import Text, Value
from drybpf.jit.provenance import Guesses, Pointer
from drybpf.memory import (
    FRAME_SIZE,
    FRAME_STRIDE,
    PACKET,
    STACK,
)
from drybpf.native.restricted import Function

PARAMETERS = (
    "ptr %pkt, i64 range(i64 0, 268435457) %plen, ptr %ctx, i64 range(i64 0, 268435457) %clen, "
    "ptr %stk, ptr %st, i64 range(i64 0, 8) %level"
)
PASSED = "ptr %pkt, i64 %plen, ptr %ctx, i64 %clen, ptr %stk, ptr %st"
RESULT = "{i64, i64}"  # r0, and the fuel left or LEFT
LIKELY = ", !prof !0"


@dataclass(frozen=True)
class Options:
    """How code is compiled."""

    packet_address: int = PACKET
    context_writable: bool = True
    context_length: int = 0  # where it is fixed
    packet_ends: tuple[tuple[int, int, bool], ...] = ()
    """Context loads (offset, size) that give the packet's first byte, or, if true, its end."""
    lookups: frozenset[int] = frozenset()  # slots whose guess failed
    counting: bool = False
    covering: bool = False


Emitter = Callable[["FunctionText", int, Instruction], None]


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
        first_counter: int = 0,
    ) -> None:
        """Prepare; `helpers` maps helper numbers to their places in the run's table.

        `natives` are the helpers in restricted Python, by number.  With a `begin` this is the way
        into the module, `@enter`: the program begins with those values of r1 and r2, or goes on at
        that slot with the registers in the run's memory.
        """
        super().__init__()
        self.code, self.entry, self.options, self.helpers = code, entry, options, helpers
        self.guesses, self.emitters = guesses, emitters
        self.reached = sorted(guesses)
        self.begin, self.natives = begin, natives
        self.start = begin if isinstance(begin, int) else None
        self.leaders = self._find_leaders()
        self.counting = Counting(self, first_counter)
        self.callees: set[int] = set()
        self.exits: list[Callable[[], None]] = []  # cold blocks, emitted behind the others
        self.uses_lookup = False
        self.cache: dict[int, Value] = {}  # registers by LLVM value, within a block
        self.dirty: set[int] = set()
        self.block = entry  # the first slot of the block at hand
        self.refund = 0  # what was charged at the current instruction itself
        self.behind = 0  # instructions of the block from the current one on, for counting

    def _find_leaders(self) -> set[int]:
        leaders = {self.entry, self.entry if self.start is None else self.start}
        for pc in self.reached:
            following = flow.successors(self.code.slots, pc)
            instruction = self.code.slots[pc]
            row = instruction.row if instruction else None
            if row is not None and row.flow != "next":
                leaders.update(following)
        points = self.code.fuel.keys() & self.guesses.keys()
        return leaders | points

    @cached_property
    def escapes(self) -> bool:
        """Whether others may reach the frame, so that it must lie in the run's stack."""
        return self.start is not None or any(self._may_escape(pc) for pc in self.reached)

    def _may_escape(self, pc: int) -> bool:
        instruction = self.code.slots[pc]
        row = instruction.row if instruction else None
        if row is None or instruction is None:
            return False
        if row.semantics.startswith("call"):
            return row.semantics != "call_helper" or instruction.imm & M32 not in self.natives
        return bool(_ACCESSES.get(row.semantics)) and self.region(pc, instruction) is None

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
        blocks = [pc for pc in self.reached if pc in self.leaders]
        self.line(f"br label %b{self.entry if self.start is None else self.start}")
        for index, first in enumerate(blocks):
            last = blocks[index + 1] if index + 1 < len(blocks) else len(self.code)
            self._emit_block(first, last)
        for cold in self.exits:
            cold()
        self.lines.append("}")
        return self.lines

    def _head(self) -> str:
        if self.begin is None:
            arguments = ", ".join(f"i64 %a{number}" for number in range(1, 6))
            return (
                f"define internal {RESULT} @f{self.entry}({PARAMETERS}, i64 %fuel0, {arguments}) {{"
            )
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
        self.line("store i64 %fuel0, ptr %fuel")
        depth = "0" if isinstance(self.begin, tuple) else "%level"
        self.line(f"%depth = add i64 {depth}, 0")
        self.line(f"%deep = mul i64 %depth, {FRAME_STRIDE}")
        self.line(f"%top = add i64 %deep, {STACK + FRAME_STRIDE}")
        self.line(f"%low = sub i64 %top, {FRAME_SIZE}")
        self.line(f"%place = add i64 %deep, {FRAME_STRIDE - FRAME_SIZE}")
        self.line("%home = getelementptr i8, ptr %stk, i64 %place")
        if self.escapes:
            self.line("%frame = getelementptr i8, ptr %home, i64 0")
        else:
            self.line(f"%frame = alloca [{FRAME_SIZE} x i8], align 16")
        if self.start is None:
            self._zero_frame()
        self._emit_limits()
        self.counting.begin()

    def _zero_frame(self) -> None:
        self.line(
            f"call void @llvm.memset.p0.i64(ptr align 8 %frame, i8 0, i64 {FRAME_SIZE}, i1 false)"
        )

    def _emit_limits(self) -> None:
        """What an offset must be below, for each size of access: 0 where nothing fits."""
        for name in ("p", "c"):
            self.line(f"%{name}limit1 = add i64 %{name}len, 0")
            for size in (2, 4, 8):
                fits = self.value(f"icmp uge i64 %{name}len, {size}")
                limit = self.value(f"sub i64 %{name}len, {size - 1}")
                self.line(f"%{name}limit{size} = select i1 {fits}, i64 {limit}, i64 0")

    def _emit_block(self, first: int, last: int) -> None:
        self.label(f"b{first}")
        self.block = first
        self.cache, self.dirty = {}, set()
        pcs = [pc for pc in range(first, last) if pc in self.guesses and self.code.slots[pc]]
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
        before = self.value("load i64, ptr %fuel")
        enough = self.value(f"icmp sge i64 {before}, {cost}")
        charged = self.value(f"sub i64 {before}, {cost}")
        self.line(f"store i64 {charged}, ptr %fuel")
        self.line(f"br i1 {enough}, label %paid{pc}, label %broke{pc}{LIKELY}")

        def cold() -> None:
            """Leave with nothing charged."""
            self.label(f"broke{pc}")
            self.leave(pc, {}, 0, cost, "spent")

        self.exits.append(cold)
        self.label(f"paid{pc}")

    def _close(self, pc: int) -> None:
        """End a block that control leaves by falling into the next."""
        instruction = self.code.slots[pc]
        if instruction and instruction.row and instruction.row.flow == "next":
            self.flush()
            self.go(pc + instruction.slots)

    def go(self, target: int | None) -> None:
        """Jump to a block."""
        self.counting.edge(self.block, target)
        self.line(f"br label %b{target}")

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
        refund: int,
        function: str = "leave",
    ) -> None:
        """End a cold block: hand the run over at `pc`.

        Where `pc` is a fuel point, what was charged there is given back.  `function` is `leave` or,
        for want of fuel, `spent`, which does the same: so they are told apart after optimisation.
        """
        fuel = self.value("load i64, ptr %fuel")
        if refund:
            fuel = self.value(f"add i64 {fuel}, {refund}")
        registers = [
            cache.get(number) or self.value(f"load i64, ptr %r{number}") for number in range(10)
        ]
        if not self.escapes:
            self.line(
                f"call void @llvm.memcpy.p0.p0.i64(ptr align 8 %home, ptr align 8 %frame, "
                f"i64 {FRAME_SIZE}, i1 false)"
            )
        if self.options.counting and uncounted:
            self.line(f"call void @count(ptr %st, i64 {-uncounted})")
        self.counting.write()
        values = ", ".join(f"i64 {value}" for value in (fuel, *registers, "%top"))
        self.line(f"call void @{function}(ptr %st, i64 {pc}, i64 %depth, {values})")
        self.line(f"ret {RESULT} {{i64 0, i64 {layout.LEFT}}}")

    def leave_unless(self, condition: Value, pc: int, name: str = "out") -> None:
        """Go on where a condition holds, else leave at `pc`."""
        inside, outside = f"ok{len(self.lines)}", f"{name}{len(self.lines)}"
        cache, uncounted, refund = dict(self.cache), self.behind, self.refund
        self.line(f"br i1 {condition}, label %{inside}, label %{outside}{LIKELY}")

        def cold() -> None:
            self.label(outside)
            self.leave(pc, cache, uncounted, refund)

        self.exits.append(cold)
        self.label(inside)


_ACCESSES: dict[str, int] = {
    **{key: size for key, (size, _) in LOADS.items()},
    **STORES,
    **{key: 4 if "32" in key else 8 for key in (*ATOMICS, *COMPARE_EXCHANGE)},
}
