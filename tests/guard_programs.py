"""Random loops that strain what is believed of them, and data of the kind that belies it.

Nests whose counters, bounds and steps come out of memory, are cut to fewer bits and put together
again, wait in the frame while something may write there, and end up in an address.  Most programs
fault, or run out of fuel: what matters is what the guards of their loops say before.
"""

from __future__ import annotations

from random import Random
from typing import TypeVar

from drybpf.isa.semantics import M64
from drybpf.memory import DATA

REGISTERS = (0, 2, 3, 4, 5, 7, 8, 9)
COUNTERS = (2, 3, 8, 9, 5)
SCRATCH = (0, 4)
NUMBERS = (0, 1, 1, 1, 2, 3, 4, 7, 8, -1, -1, -2, -100, 10, 16, 31, 255, 0xFFFF, 100, 1000)
BOUNDS = (3, 5, 8, 10, 16, 20, 64, 1, 0)
STEPS = (1, 1, 1, 2, 3, -1, -1, -2, 8)
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
RELATIONS = ("lt", "lt", "lt", "le", "ne", "ne", "gt", "ge", "slt", "sle", "sgt", "sge")
SHAPES = ("raw", "raw", "raw", "raw", "raw", "table", "moving")
BEGINNINGS = {
    "raw": "mov64 r6, r1",
    "table": f"lddw r6, {DATA:#x}",
    "moving": "ldxw r6, [r1+0]",
}
THEMES = (  # how often which part of a body; in the order of `Nests.parts`
    (44, 12, 5, 9, 16, 2, 4, 4, 6, 8, 4, 2, 4, 0),
    (10, 30, 1, 10, 30, 0, 0, 0, 0, 0, 0, 0, 4, 0),
    (4, 0, 0, 2, 8, 0, 0, 0, 12, 24, 24, 0, 4, 0),
    (4, 0, 0, 2, 8, 1, 0, 0, 0, 16, 20, 6, 4, 8),
    (8, 2, 8, 4, 8, 4, 24, 16, 2, 0, 0, 4, 12, 0),
)
CALL = -1
CALLEE = ["f: ldxdw r2, [r1+0]", "add64 r2, 1", "stxdw [r1+0], r2", "mov64 r0, r2", "exit"]

T = TypeVar("T")


class Nests:
    """Writes one program as text; the same seed writes the same program.

    r6 points at what `shape` says: raw memory, a table of values with gaps, a packet that may move.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.shape = SHAPES[seed % len(SHAPES)]
        self.lines: list[str] = []
        self.labels = 0
        self.busy: list[int] = []  # the counters of the loops that are open
        self.left = 0  # the counter of the loop that ended last
        self.ends: list[str] = []  # where they are left for
        self.weights = self.pick(*THEMES)
        self.most = self.pick(2, 3, 4, 7)  # parts of a body
        self.calls = self.weights[CALL] > 0

    def program(self) -> str:
        self.lines += [BEGINNINGS[self.shape], "mov64 r0, 0", "mov64 r4, 0"]
        for register in REGISTERS[1:]:
            place, edge = self.place(), self.pick(*EDGES) & M64
            ways = (
                f"mov64 r{register}, {self.pick(*NUMBERS)}",
                f"ldxdw r{register}, [r6+{place}]",
                f"ldxb r{register}, [r6+{place}]",
                f"lddw r{register}, {edge:#x}",
                f"mov64 r{register}, {self.pick('r6', 'r10', 1)}",
            )
            self.lines.append(self.random.choices(ways, (5, 5, 5, 5, 2))[0])
        for slot in range(1, 5):
            self.lines.append(f"stdw [r10-{8 * slot}], {self.pick(0, 1, 8)}")
        for _ in range(self.random.randrange(1, 3)):
            self.loop(0)
        self.lines.append("exit")
        return "\n".join(self.lines + (CALLEE if self.calls else []))

    # Choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *choices: T) -> T:
        return self.random.choice(choices)

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def place(self) -> int:
        """Where a number lies that is loaded; the values of the table have 40 bytes."""
        return 8 * self.random.randrange(5 if self.shape == "table" else 12)

    def slot(self) -> str:
        return f"[r10-{8 * self.random.randrange(1, 5)}]"

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

    # Loops

    def loop(self, depth: int) -> None:
        counter = self.pick(*[register for register in COUNTERS if register not in self.busy])
        head, end = self.label(), self.label()
        self.busy.append(counter)
        self.ends.append(end)
        if self.chance(0.8):
            self.lines.append(self.first(counter))
        self.lines.append(f"{head}:")
        top = self.chance(0.3)
        if top:
            self.test(counter, end)
        self.parts(1, self.most)
        if depth < 2 and self.chance(0.5):
            self.loop(depth + 1)
        self.parts(0, self.most)
        if self.chance(0.15):
            self.test(counter, end)
        if self.chance(0.9):
            self.lines.append(self.advance(counter))
        if top:
            self.lines.append(f"ja {head}")
        else:
            self.test(counter, head)
        self.left = self.busy.pop()
        self.ends.pop()
        self.lines.append(f"{end}:")

    def first(self, counter: int) -> str:
        return self.pick(
            f"mov64 r{counter}, 0",
            f"mov64 r{counter}, 0",
            f"mov64 r{counter}, {self.pick(*NUMBERS)}",
            f"mov32 r{counter}, 20",
            f"lddw r{counter}, {self.pick(*EDGES) & M64:#x}",
            f"mov64 r{counter}, r{self.pick(*REGISTERS)}",
            f"mov64 r{counter}, r6",
        )

    def advance(self, counter: int) -> str:
        ways = (
            f"add{self.pick(*WIDTHS)} r{counter}, {self.pick(*STEPS)}",
            f"add64 r{counter}, r{self.pick(*REGISTERS)}",
            f"rsh64 r{counter}, 1",
        )
        return self.random.choices(ways, (15, 3, 2))[0]

    def test(self, counter: int, target: str) -> None:
        """A jump that stays in the loop, or one that leaves it."""
        bound = str(self.pick(*BOUNDS))
        if self.chance(0.4):
            number = self.pick(*[register for register in REGISTERS if register != counter])
            bound = f"r{number}"
            if self.chance(0.5):
                self.bound(number)
        left, right = (f"r{counter}", bound)
        if bound.startswith("r") and self.chance(0.2):
            left, right = right, left
        width = self.pick("", "", "32")
        self.lines.append(f"j{self.pick(*RELATIONS)}{width} {left}, {right}, {target}")

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
        methods = (
            *(self.compute, self.cut, self.odd, self.load, self.indexed, self.pointed),
            *(self.decided, self.chosen, self.framed, self.spill, self.waiting),
            *(self.atomic, self.skip, self.call),
        )
        count = self.random.randrange(least, most)
        for method in self.random.choices(methods, self.weights, k=count):
            method()

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
        return "add64" if self.chance(0.9) else "sub64"

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
        self.test(self.busy[-1], self.ends[-1])

    def call(self) -> None:
        """A call that writes a slot of the frame, or takes some bytes from a packet's end."""
        self.lines += ["mov64 r1, r10", f"add64 r1, -{8 * self.random.randrange(1, 5)}"]
        self.lines.append(self.pick("call 1", "call local f", "call 2"))
