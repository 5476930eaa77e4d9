"""Random loops that strain what is believed of them, and data of the kind that belies it.

Nests whose counters, bounds and steps come out of memory, are cut to fewer bits and put together
again, wait in the frame while something may write there, and end up in an address.  Most programs
fault, or run out of fuel: what matters is what the guards of their loops say before.
"""

from __future__ import annotations

from drybpf.isa.semantics import M64
from drybpf.memory import DATA
from guard_bodies import BOUNDS, EDGES, NUMBERS, REGISTERS, WIDTHS, Bodies, Open

COUNTERS = (2, 3, 8, 9, 5)
FREE = (2, 3, 5, 7, 8, 9)
KEPT = (7, 8, 9)  # by calls
STEPS = (1, 1, 1, 1, 2, 2, 3, 8, -1)
SHAPES = ("raw", "raw", "raw", "raw", "raw", "table", "moving")
BEGINNINGS = {
    "raw": "mov64 r6, r1",
    "table": f"lddw r6, {DATA:#x}",
    "moving": "ldxw r6, [r1+0]",
}
CALLEE = ["f: ldxdw r2, [r1+0]", "add64 r2, 1", "stxdw [r1+0], r2", "mov64 r0, r2", "exit"]


class Nests(Bodies):
    """Writes one program as text; the same seed writes the same program.

    r6 points at what `shape` says: raw memory, a table of values with gaps, a packet that may move.
    """

    def __init__(self, seed: int) -> None:
        """Choose what kind of program it is."""
        self.shape = SHAPES[seed % len(SHAPES)]
        super().__init__(seed, narrow=self.shape == "table")
        self.most = self.pick(2, 3, 4, 7)  # parts of a body
        self.calls = "call" in self.theme

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
        self.lines += [f"stdw [r10-{8 * slot}], {self.pick(0, 1, 8)}" for slot in (1, 2, 3, 4)]
        for _ in range(self.random.randrange(1, 3)):
            self.loop(0)
        self.lines.append("exit")
        return "\n".join(self.lines + (CALLEE if self.calls else []))

    def loop(self, depth: int) -> None:
        counters = KEPT if self.calls else COUNTERS
        counter = self.pick(*[register for register in counters if register not in self.busy])
        free = [each for each in FREE if each not in (*self.busy, counter)]
        index, bound = self.random.sample(free, 2)
        made = bound if self.chance(0.25) else None
        here = Open(counter, self.label(), self.label(), self.chance(0.25), index, made)
        self.open.append(here)
        if made is not None:
            self.bound(made)
        if self.chance(0.7):
            self.lines.append(f"mov64 r{index}, {self.pick(0, 0, 8, f'r{self.read()}')}")
        if self.chance(0.8):
            self.lines.append(self.first(here))
        self.lines.append(f"{here.head}:")
        top = self.chance(0.3)
        if top:
            self.test()
        self.parts(1, self.most)
        if depth < 2 and self.chance(0.5):
            self.loop(depth + 1)
        self.parts(0, self.most)
        if self.chance(0.15):
            self.test()
        if self.chance(0.9):
            self.lines.append(self.advance(here))
        if top:
            self.lines.append(f"ja {here.head}")
        else:
            self.test(here.head)
        self.left = self.open.pop().counter
        self.lines.append(f"{here.end}:")

    def first(self, here: Open) -> str:
        counter = here.counter
        return self.pick(
            f"mov64 r{counter}, {self.pick(20, 64, 100) if here.down else 0}",
            f"mov64 r{counter}, {self.pick(*BOUNDS) if here.down else 0}",
            f"mov64 r{counter}, {self.pick(*NUMBERS)}",
            f"ldxb r{counter}, [r6+{self.place()}]",
            f"lddw r{counter}, {self.pick(1 << 32, *EDGES) & M64:#x}",
            f"mov64 r{counter}, r{self.pick(*REGISTERS)}",
            f"mov64 r{counter}, r6",
        )

    def advance(self, here: Open) -> str:
        step = -self.pick(*STEPS) if here.down else self.pick(*STEPS)
        ways = (
            f"add{self.pick(*WIDTHS)} r{here.counter}, {step}",
            f"add64 r{here.counter}, r{self.pick(*REGISTERS)}",
            f"rsh64 r{here.counter}, 1",
        )
        return self.random.choices(ways, (15, 3, 2))[0]
