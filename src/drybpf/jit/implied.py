"""Which accesses to the packet need no check, for others or the program's own tests imply it.

For functions without loops, and packets whose ends stay where they are.  LLVM would find most of
these out, at three times the price.

**Why it is sound.**  Control only goes forward, so each instruction runs at most once, and what it
gives can be named by its slot: a *symbol*, a number from 0 to a bound that follows from the kind of
the instruction.  A register holds a constant plus a sum of symbols, a `Form`; one is only written
down where its bounds show that it cannot have wrapped, so it is an equation between integers.  A
*fact* says that `length >= c + S` for a sum of symbols S; it comes from a comparison of the
program's, on the way where it holds, or from an access whose check was passed.  Where ways meet, a
register that differs becomes a symbol of its own, and of the facts those remain that all ways have,
at the smallest `c`.  An access of n bytes at `packet + k + S`, 0 <= k, lies inside if
`length >= k + n + S` is a fact.  What no rule names is a number of which nothing is known, so an
instruction that is unknown here costs a check, and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drybpf.isa import Instruction
from drybpf.isa.semantics import ACCESSES, CONDITIONS, LOADS, M32, M64, UNSIGNED_OF
from drybpf.jit.provenance import Pointer
from drybpf.memory import CONTEXT, PACKET, SLOT_SIZE

if TYPE_CHECKING:
    from drybpf.jit.function import FunctionText

Sum = tuple[int, ...]  # symbols, sorted; one may stand in it several times
LENGTH = -1  # the symbol of the packet's length
MOST_SYMBOLS = 4  # of a sum


@dataclass(frozen=True, slots=True)
class Form:
    """A number: a constant plus symbols.  The constant alone may be negative, the whole is not."""

    constant: int
    most: int  # it is no larger
    symbols: Sum = ()


def _constant(number: int) -> Form:
    return Form(number, number)


@dataclass(slots=True)
class State:
    """What is known between two instructions; nothing, of a register that is not there."""

    registers: dict[int, Form] = field(default_factory=dict)
    facts: dict[Sum, int] = field(default_factory=dict)

    def copy(self) -> State:
        """A state that changes by itself."""
        return State(dict(self.registers), dict(self.facts))

    def learn(self, symbols: Sum, constant: int) -> None:
        """Note that the length is at least the constant plus the symbols."""
        if constant > self.facts.get(symbols, -1):
            self.facts[symbols] = constant


def implied(f: FunctionText) -> frozenset[int]:
    """The slots of the accesses whose check is implied; none where the analysis does not apply."""
    if f.options.moving or not isinstance(f.begin, tuple) or f.has_loops:
        return frozenset()
    return frozenset(_Pass(f).run())


class _Pass:
    """One pass over a function from its entry to its end."""

    def __init__(self, f: FunctionText) -> None:
        self._f = f
        self._most = {LENGTH: SLOT_SIZE}  # the largest value of each symbol
        self._arriving: dict[int, list[State]] = {}
        self._proved: set[int] = set()

    def run(self) -> set[int]:
        f = self._f
        begin = f.begin if isinstance(f.begin, tuple) else ()
        entered = State(dict.fromkeys(range(10), _constant(0)))
        for number, value in enumerate(begin, 1):
            if value == "%plen":
                entered.registers[number] = self._fresh(LENGTH, SLOT_SIZE)
            elif value.startswith("%"):
                del entered.registers[number]
            else:
                entered.registers[number] = _constant(int(value))
        self._arriving[f.entry] = [entered]
        for first, slots in f.blocks.items():  # all ways lead forward
            if not f.code.ways[slots[-1]] and len(slots) == 1:  # an exit, of which nothing hangs
                continue
            state = self._meeting(first, self._arriving.pop(first, [State()]))
            for pc in slots:
                instruction = f.code.slots[pc]
                if instruction is not None:
                    self._step(state, pc, instruction)
            self._part(state, slots[-1])
        return self._proved

    def _step(self, state: State, pc: int, instruction: Instruction) -> None:
        row = instruction.row
        semantics = row.semantics if row else ""
        if semantics in ACCESSES:
            self._access(state, pc, instruction, ACCESSES[semantics])
        if semantics.startswith(("call", "ldabs", "ldind")):
            for number in range(6):
                state.registers.pop(number, None)
        if semantics.startswith("cmpxchg"):
            state.registers.pop(0, None)
        if row and row.writes:
            written = getattr(instruction, row.writes)
            form = self._value(state, pc, instruction, semantics)
            if form is None:
                state.registers.pop(written, None)
            else:
                state.registers[written] = form

    def _access(self, state: State, pc: int, instruction: Instruction, size: int) -> None:
        """Look whether an access to the packet is implied, and note that it was passed."""
        f = self._f
        row = instruction.row
        base = instruction.src if row and row.semantics in LOADS else instruction.dst
        form = state.registers.get(base)
        if form is None or f.region(pc, instruction) != PACKET:
            return
        first = form.constant + instruction.offset - f.options.packet_address
        if first < 0:
            return
        known = state.facts.get(form.symbols, -1)
        everywhere = state.facts.get((), -1) - (form.most - form.constant)
        if first + size <= max(known, everywhere):
            self._proved.add(pc)
        else:
            state.learn(form.symbols, first + size)

    def _value(
        self, state: State, pc: int, instruction: Instruction, semantics: str
    ) -> Form | None:
        """What an instruction writes into its register."""
        row = instruction.row
        if semantics in LOADS:
            return self._loaded(pc, instruction, *LOADS[semantics])
        if semantics in _WIDTHS:
            return self._fresh(pc, _WIDTHS[semantics])
        name, bits = _named(semantics)
        if row is None or (name not in _RULES and name not in ("mov", "add", "sub")):
            return None
        mask = (1 << bits) - 1
        left = state.registers.get(instruction.dst)
        immediate = "src" not in row.operands
        right = (
            _constant(instruction.imm & mask) if immediate else state.registers.get(instruction.src)
        )
        found = None
        if name == "mov":
            found = self._checked(state, right, bits)
        elif name not in _RULES:
            right = _constant(instruction.imm) if immediate else right  # it may be below zero
            if left and right:  # modulo 2 ** bits; below that, the very sum
                total = _plus(left, right) if name == "add" else self._minus(left, right)
                found = self._checked(state, total, bits)
        else:
            known = right.constant if immediate and right else None
            a, b = (min(mask, form.most) if form else mask for form in (left, right))
            bound = _RULES[name](a, b, known, bits)
            found = self._fresh(pc, min(bound, mask))
        return self._fresh(pc, M32) if found is None and bits == 32 else found

    def _loaded(self, pc: int, instruction: Instruction, size: int, extend: bool) -> Form | None:
        f = self._f
        guess = f.guesses[pc][instruction.src]
        if isinstance(guess, Pointer) and guess.region == CONTEXT and guess.offset is not None:
            place = guess.offset + instruction.offset
            for offset, width, kind in f.options.packet_ends:
                if (offset, width) == (place, size):
                    begin = _constant(f.options.packet_address)
                    length = Form(0, SLOT_SIZE, (LENGTH,))
                    return _plus(begin, length) if kind == "data_end" else begin
        return None if extend else self._fresh(pc, (1 << 8 * size) - 1)

    # Ways

    def _part(self, state: State, pc: int) -> None:
        """Send what is known behind the last instruction of a block on all ways from it."""
        f = self._f
        instruction = f.code.slots[pc]
        ways = f.code.ways[pc]
        semantics = instruction.row.semantics if instruction and instruction.row else ""
        for way in ways:
            sent = state.copy() if len(ways) > 1 else state
            if instruction and semantics in CONDITIONS and ways[0] != ways[-1]:
                self._compared(sent, instruction, semantics, taken=way != ways[0])
            self._arriving.setdefault(way, []).append(sent)

    def _compared(
        self, state: State, instruction: Instruction, semantics: str, *, taken: bool
    ) -> None:
        """Learn from a comparison what holds on the way that it is `taken`, or not."""
        name, bits = _named(semantics)
        row = instruction.row
        a = state.registers.get(instruction.dst)
        b: Form | None = _constant(instruction.imm & (1 << bits) - 1)
        if row and "src" in row.operands:
            b = state.registers.get(instruction.src)
        if a is None or b is None or (LENGTH not in a.symbols and LENGTH not in b.symbols):
            return
        if max(a.most, b.most) >> (bits - 1 if name in UNSIGNED_OF else bits):
            return
        for lesser, greater, gap in _ORDERS.get((UNSIGNED_OF.get(name, name), taken), ()):
            small, large = (a, b) if (lesser, greater) == ("dst", "src") else (b, a)
            rest = _without(large.symbols, (LENGTH,))
            symbols = None if rest is None else _without(small.symbols, rest)
            if symbols is not None:
                state.learn(symbols, small.constant + gap - large.constant)

    def _meeting(self, block: int, states: Sequence[State]) -> State:
        """What is known where ways meet."""
        if len(states) == 1:
            return states[0]
        met = State()
        for symbols in set.intersection(*(set(state.facts) for state in states)):
            met.learn(symbols, min(state.facts[symbols] for state in states))
        for number in range(10):
            forms = [state.registers.get(number) for state in states]
            if forms[0] is not None and forms.count(forms[0]) == len(forms):
                met.registers[number] = forms[0]
                continue
            known = [form for form in forms if form is not None]
            if len(known) < len(states):
                continue
            least = min(form.constant for form in known)
            symbol = -2 - 10 * block - number
            most = max(form.most for form in known)
            self._most[symbol] = most - least
            met.registers[number] = Form(least, most, (symbol,))
            rooms = [
                state.facts.get(each.symbols) for each, state in zip(known, states, strict=True)
            ]
            if None not in rooms:
                pairs = zip(known, rooms, strict=True)
                met.learn((symbol,), least + min((r or 0) - each.constant for each, r in pairs))
        return met

    # Forms

    def _fresh(self, symbol: int, most: int) -> Form:
        self._most[symbol] = most
        return Form(0, most, (symbol,))

    def _minus(self, left: Form, right: Form) -> Form | None:
        """The difference of two forms, if it is a form."""
        symbols = _without(left.symbols, right.symbols)
        if symbols is None:
            return None
        constant = left.constant - right.constant
        return Form(constant, constant + sum(self._most[each] for each in symbols), symbols)

    def _checked(self, state: State, form: Form | None, bits: int) -> Form | None:
        """A form, if it cannot have wrapped."""
        if form is None or len(form.symbols) > MOST_SYMBOLS or form.most >> bits:
            return None
        least = form.constant
        if least < 0 and LENGTH in form.symbols:
            least += max(0, state.facts.get((), 0))
        return form if least >= 0 else None


def _named(semantics: str) -> tuple[str, int]:
    """Name and width of an operation or a comparison; the width is 0 for all else."""
    name, width = semantics[:-2], semantics[-2:]
    return (name, int(width)) if width in ("32", "64") else (semantics, 0)


def _plus(left: Form, right: Form) -> Form:
    symbols = tuple(sorted(left.symbols + right.symbols))
    return Form(left.constant + right.constant, left.most + right.most, symbols)


def _without(symbols: Sum, taken: Sum) -> Sum | None:
    """A sum without some of its symbols; None where these are not in it."""
    left = list(symbols)
    for symbol in taken:
        if symbol not in left:
            return None
        left.remove(symbol)
    return tuple(left)


_Bound = Callable[[int, int, int | None, int], int]

# A bound of a result, from those of both operands, the second where it is constant, and the width.
_RULES: Mapping[str, _Bound] = {
    "and": lambda a, b, _, __: min(a, b),
    "or": lambda a, b, _, __: (1 << max(a, b).bit_length()) - 1,
    "xor": lambda a, b, _, __: (1 << max(a, b).bit_length()) - 1,
    "lsh": lambda a, _, k, bits: a << (k & bits - 1) if k is not None else M64,
    "rsh": lambda a, _, k, bits: a >> (k & bits - 1) if k is not None else a,
    "mul": lambda a, b, _, __: a * b,
    "div": lambda a, _, __, ___: a,  # 0 where the divisor is 0
    "mod": lambda a, _, k, __: min(a, k - 1) if k else a,  # the dividend where it is 0
}
_WIDTHS = {f"{kind}{n}": (1 << n) - 1 for kind in ("be", "le", "bswap") for n in (16, 32, 64)}

# What a comparison says where it is taken, or not: one operand plus a number is at most the other.
_ORDERS: Mapping[tuple[str, bool], tuple[tuple[str, str, int], ...]] = {
    ("jgt", True): (("src", "dst", 1),),
    ("jgt", False): (("dst", "src", 0),),
    ("jge", True): (("src", "dst", 0),),
    ("jge", False): (("dst", "src", 1),),
    ("jlt", True): (("dst", "src", 1),),
    ("jlt", False): (("src", "dst", 0),),
    ("jle", True): (("dst", "src", 0),),
    ("jle", False): (("src", "dst", 1),),
    ("jeq", True): (("dst", "src", 0), ("src", "dst", 0)),
    ("jne", False): (("dst", "src", 0), ("src", "dst", 0)),
}
