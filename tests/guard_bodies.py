"""What stands in the random loops of `guard_programs`: parts of bodies, and tests."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TypeVar

REGISTERS = (0, 2, 3, 4, 5, 7, 8, 9)
SCRATCH = (0, 4)
NUMBERS = (0, 1, 1, 1, 2, 3, 4, 7, 8, -1, -1, -2, -100, 10, 16, 31, 255, 0xFFFF, 100, 1000)
BOUNDS = (3, 5, 8, 10, 16, 20, 64, 1, 0)
OFFSETS = ("+0", "+0", "+0", "+1", "+8", "-3")
AROUND = (*(0, 1, 2, 3, 5, 8, 10, 16, 100, 1 << 20, 1 << 40), *(-1, -2, -5))
EDGES = (*AROUND, *(1 << bits for bits in (31, 32, 33, 62, 63)), (1 << 32) + 5, (1 << 32) - 4)
MOVES = ("add", "add", "add", "add", "sub", "sub", "mov", "and", "or", "xor", "mul")
WIDTHS = ("64", "64", "32")
CUTS = ("mov32 {0}, {0}", "and32 {0}, 65535", "add32 {0}, 0", "lsh64 {0}, 1\nrsh64 {0}, 1")
ODD = (
    *("mov32 {0}, {1}", "mov32 {0}, {0}", "neg64 {0}", "neg32 {0}", "le32 {0}", "le16 {0}"),
    *("be16 {0}", "movsx3264 {0}, {1}", "movsx1664 {0}, {1}", "movsx832 {0}, {1}"),
    *("div64 {0}, {2}", "mod64 {0}, {2}", "div32 {0}, {2}", "mod32 {0}, {2}", "rsh64 {0}, 1"),
)
NARROW = (
    *("and64 {0}, {2}", "and32 {0}, {2}", "neg64 {0}", "mul64 {0}, -1", "lsh64 {0}, 1"),
    *("mod64 {0}, {2}", "or64 {0}, {2}", "xor64 {0}, {2}", "add64 {0}, {1}", "sub64 {0}, {1}"),
    *("movsx864 {0}, {0}", "rsh64 {0}, 1", "mov32 {0}, {0}", "mul64 {0}, 3"),
)
ATOMICS = ("add", "add32", "fetch add", "fetch or32", "xchg", "cmpxchg", "cmpxchg32")
STAYING = {  # by whether it counts down
    False: ("lt", "lt", "lt", "le", "ne", "slt", "sle"),
    True: ("gt", "gt", "ge", "ne", "sgt", "sge"),
}
LEAVING = {
    False: ("ge", "ge", "gt", "eq", "sge", "sgt"),
    True: ("lt", "lt", "le", "eq", "slt", "sle"),
}
THEMES: tuple[dict[str, int], ...] = (  # how often which part of a body
    {
        "compute": 40,
        "cut": 10,
        "odd": 5,
        "load": 9,
        "indexed": 16,
        "pointed": 2,
        "decided": 4,
        "spill": 10,
        "skip": 4,
    },
    {"compute": 10, "cut": 20, "load": 10, "indexed": 20, "second": 20, "skip": 4},
    {"compute": 4, "load": 2, "indexed": 8, "framed": 12, "spill": 24, "waiting": 24, "skip": 4},
    {
        "compute": 4,
        "load": 2,
        "indexed": 8,
        "spill": 14,
        "waiting": 20,
        "atomic": 8,
        "skip": 4,
        "call": 8,
    },
    {
        "compute": 8,
        "odd": 8,
        "indexed": 8,
        "pointed": 4,
        "decided": 24,
        "chosen": 16,
        "atomic": 6,
        "skip": 12,
    },
)

T = TypeVar("T")


@dataclass(frozen=True)
class Open:
    """A loop that is being written."""

    counter: int
    head: str
    end: str
    down: bool  # whether it counts down
    index: int  # another register, perhaps set before
    bound: int | None  # a register with a bound that was made before


class Bodies:
    """Appends parts of loops to a program's lines."""

    def __init__(self, seed: int, *, narrow: bool) -> None:
        """Begin; `narrow` says that only the first 40 bytes at r6 can be read."""
        self.random, self.narrow = Random(seed), narrow  # noqa: S311 (repeatable by design)
        self.lines: list[str] = []
        self.labels = 0
        self.open: list[Open] = []
        self.left = 0  # the counter of the loop that ended last
        self.theme = self.pick(*THEMES)

    @property
    def busy(self) -> list[int]:
        """The counters of the loops that are open."""
        return [each.counter for each in self.open]

    # Choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *choices: T) -> T:
        return self.random.choice(choices)

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def place(self) -> int:
        """Where a number lies that is loaded; at r6."""
        return 8 * self.random.randrange(5 if self.narrow else 12)

    def slot(self) -> str:
        return f"[r10-{8 * self.pick(1, 1, 2, 3)}]"

    def written(self) -> int:
        """A register to write: seldom a counter, often one that is for a moment."""
        free = [register for register in REGISTERS if register not in self.busy]
        if self.chance(0.5):
            return self.pick(*SCRATCH)
        return self.pick(*free) if self.chance(0.98) else self.pick(*REGISTERS)

    def read(self) -> int:
        """A register to read: often a counter."""
        if self.chance(0.1):
            return self.left
        return self.pick(*self.busy) if self.busy and self.chance(0.5) else self.pick(*REGISTERS)

    # Tests

    def test(self, target: str = "") -> None:
        """A jump to the head of the innermost loop, or one that leaves it."""
        here = self.open[-1]
        counter, ways = here.counter, (STAYING if target else LEAVING)[here.down ^ self.chance(0.1)]
        bound = str(self.pick(*BOUNDS))
        if self.chance(0.4):
            number = self.pick(*[register for register in REGISTERS if register != counter])
            bound = f"r{number}"
            if self.chance(0.5):
                self.bound(number)
        if here.bound is not None and self.chance(0.8):
            bound = f"r{here.bound}"
        left, right = (f"r{counter}", bound)
        if bound.startswith("r") and self.chance(0.2):
            left, right = right, left
        width = self.pick("", "", "32")
        self.lines.append(f"j{self.pick(*ways)}{width} {left}, {right}, {target or here.end}")

    def bound(self, register: int) -> None:
        """A bound that is a range of bytes, or a number where nothing is cut."""
        if self.chance(0.3):
            number = f"r{self.pick(5, 7, 8, 9)}"
            self.lines += [f"mov32 r{register}, {number}", f"sub64 r{register}, {number}"]
            self.lines.append(f"add64 r{register}, {self.pick(*BOUNDS)}")
            return
        self.lines.append(f"ldx{self.pick('b', 'b', 'h')} r{register}, [r6+{self.place()}]")
        by = self.pick(-100, -5, 10, 0, 5, self.random.randrange(-20, 20))
        self.lines.append(f"{self.pick('add64', 'add64', 'add32', 'sub64')} r{register}, {by}")
        if self.chance(0.3):
            self.lines.append(f"add64 r{register}, r{self.pick(5, 7, 8, 9)}")

    # Bodies

    def parts(self, least: int, most: int) -> None:
        names, weights = zip(*self.theme.items(), strict=True)
        count = self.random.randrange(least, most)
        for name in self.random.choices(names, weights, k=count):
            getattr(self, name)()

    def compute(self) -> None:
        written, width = self.written(), self.pick(*WIDTHS)
        if self.chance(0.2):
            by = self.pick(1, 1, 2, 3, 31, 32, 33, 63) & int(width) - 1
            self.lines.append(f"{self.pick('lsh', 'rsh', 'rsh', 'arsh')}{width} r{written}, {by}")
            return
        source = f"r{self.read()}" if self.chance(0.45) else self.pick(*NUMBERS)
        self.lines.append(f"{self.pick(*MOVES)}{width} r{written}, {source}")

    def cut(self) -> None:
        """A number in fewer bits less the number itself, which is 0 where nothing is cut."""
        scratch, number = f"r{self.pick(*SCRATCH)}", f"r{self.read()}"
        way = self.pick(*CUTS) if self.chance(0.3) else CUTS[0]
        self.lines += [f"mov{self.pick('32', '64')} {scratch}, {number}", way.format(scratch)]
        self.lines.append(f"sub64 {scratch}, {number}")
        self.lines.append(f"add64 r{self.pick(self.read(), *REGISTERS)}, {scratch}")

    def second(self) -> None:
        """Another index, which moves evenly where nothing is cut of a number that may change."""
        index = self.open[-1].index
        number = self.pick(*[each for each in (2, 3, 5, 7, 8, 9) if each != index])
        self.lines += ["mov64 r0, r6", f"add64 r0, r{index}", "ldxb r0, [r0+0]"]
        self.lines += [f"mov32 r4, r{number}", f"sub64 r4, r{number}", f"add64 r{index}, r4"]
        self.lines.append(f"add64 r{index}, {self.pick(0, 1, 1, 2)}")
        if self.chance(0.5):
            self.lines.append(f"ldxdw r{number}, [r6+{self.place()}]")

    def odd(self) -> None:
        by = self.pick(1, 2, 3, 7, 50)
        self.lines.append(self.pick(*ODD).format(f"r{self.written()}", f"r{self.read()}", by))

    def load(self) -> None:
        suffix = self.pick("dw", "dw", "w", "h", "b")
        self.lines.append(f"ldx{suffix} r{self.written()}, [r6+{self.place()}]")

    def indexed(self) -> None:
        """An access at r6 plus a register, perhaps twice or eight times that."""
        address, index = self.pick(*SCRATCH), self.read()
        if address == index:
            index = self.pick(2, 3, 5, 7, 8, 9)
        if self.chance(0.2):
            self.lines += [f"mov{self.pick(*WIDTHS)} r{address}, r{index}"]
            self.lines += [f"lsh{self.pick(*WIDTHS)} r{address}, {self.pick(1, 3, 6)}"]
            self.lines += [f"add64 r{address}, r6"]
        else:
            self.lines += [f"mov64 r{address}, r6", f"{self.sum()} r{address}, r{index}"]
        self.touch(address, self.pick(*OFFSETS))

    def sum(self) -> str:
        return "add64" if self.chance(0.75) else "sub64"

    def pointed(self) -> None:
        """An access at a register, which may be a pointer that moves."""
        self.touch(self.read(), self.pick(*OFFSETS))

    def touch(self, address: int, offset: str) -> None:
        suffix = self.pick("b", "b", "w", "dw")
        if self.chance(0.85):
            into = self.pick(address, self.written())
            self.lines.append(f"ldx{suffix} r{into}, [r{address}{offset}]")
        else:
            self.lines.append(f"stx{suffix} [r{address}{offset}], r{self.read()}")

    def decided(self) -> None:
        """An access that data decides, within narrow bounds."""
        register, by = f"r{self.pick(*SCRATCH)}", self.pick(1, 3, 7, 15)
        self.lines.append(f"ldx{self.pick('b', 'b', 'sb', 'h')} {register}, [r6+{self.place()}]")
        for _ in range(self.random.randrange(1, 3)):
            self.lines.append(self.pick(*NARROW).format(register, f"r{self.read()}", by))
        self.lines.append(f"add64 {register}, r6")
        self.touch(int(register[1:]), self.pick("+0", "+0", "+16", "+48"))

    def chosen(self) -> None:
        """An access at one of two places."""
        address, end = self.pick(*SCRATCH), self.label()
        self.lines.append(f"mov64 r{address}, {self.pick('r6', f'r{self.read()}', 1)}")
        self.lines.append(f"jgt r{self.read()}, {self.pick(*NUMBERS)}, {end}")
        self.lines += [f"add64 r{address}, {self.pick(1, 8, -1, -8, 100)}", f"{end}:"]
        self.lines += [] if self.lines[-4].endswith("r6") else [f"add64 r{address}, r6"]
        self.touch(address, self.pick(*OFFSETS))

    def framed(self) -> None:
        """A store into the frame that moves, or that data decides."""
        address, index = self.pick(*SCRATCH), self.pick(2, 3, 5, 7, 8, 9)
        self.lines += [f"mov64 r{address}, r10", f"{self.sum()} r{address}, r{index}"]
        offset = self.pick(-64, -32, -8, -16, -1)
        self.lines.append(f"stx{self.pick('b', 'dw')} [r{address}{offset}], r{self.read()}")

    def spill(self) -> None:
        """A slot of the frame: written, read, counted up, or hit by half."""
        slot, scratch = self.slot(), self.pick(*SCRATCH)
        ways = (
            [f"stxdw {slot}, r{self.read()}"],
            [f"ldxdw r{self.written()}, {slot}"],
            [f"ldxdw r{scratch}, {slot}", f"add64 r{scratch}, 1", f"stxdw {slot}, r{scratch}"],
            [f"stxw [r10-{4 * self.random.randrange(1, 9)}], r{self.read()}"],
            [f"stxdw [r10-{self.random.randrange(8, 33)}], r{self.read()}"],
        )
        self.lines += self.random.choices(ways, (6, 8, 3, 2, 1))[0]

    def waiting(self) -> None:
        """An access by an index that waits in the frame."""
        address = self.pick(*SCRATCH)
        self.lines += [f"ldxdw r{address}, {self.slot()}", f"add64 r{address}, r6"]
        self.touch(address, self.pick(*OFFSETS))

    def atomic(self) -> None:
        register = self.pick(*[free for free in REGISTERS if free not in self.busy])
        where = self.pick(self.slot(), f"[r6+{self.place()}]")
        self.lines.append(f"lock {self.pick(*ATOMICS)} {where}, r{register}")

    def skip(self) -> None:
        end, relation = self.label(), self.pick("eq", "ne", "gt", "lt", "sgt", "set")
        self.lines.append(f"j{relation} r{self.read()}, {self.pick(*NUMBERS)}, {end}")
        self.pick(self.compute, self.spill, self.load, self.leave)()
        self.lines.append(f"{end}:")

    def leave(self) -> None:
        """A way out of a loop that not every iteration tries."""
        self.test()

    def call(self) -> None:
        """A call that writes a slot of the frame, or takes some bytes from a packet's end."""
        self.lines += ["mov64 r1, r10", f"add64 r1, -{8 * self.pick(1, 1, 2, 3)}"]
        self.lines.append(self.pick("call 1", "call local f", "call 2"))
