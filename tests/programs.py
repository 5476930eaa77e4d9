"""Random programs that pass the verifier: arithmetic, memory in every region, loops, calls.

What is likely to work stands beside what is not: most accesses lie within their region, some leave
it; most pointers can be traced to their origin, some only at run time.
"""

from __future__ import annotations

from random import Random

from drybpf.isa import ROWS, Row
from drybpf.memory import CONTEXT, DATA, HANDLES, PACKET, REGISTERED, STACK

BOUNDARY = [0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 127, 255, -128, 1 << 15, (1 << 31) - 1, -(1 << 31)]
WIDE = [1 << 31, (1 << 32) - 1, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]
STARTS = [0, CONTEXT, STACK, PACKET, REGISTERED, HANDLES, DATA]
HELPERS = (1, 2, 3, 4, 5, 6, 7, 99)  # those of tests/agreement.py, and one that there is not

_ALU = [r for r in ROWS if r.form in ("{dst}, {imm}", "{dst}, {src}", "{dst}") and r.writes]
_JUMPS = [row for row in ROWS if row.flow == "branch"]
_LOADS = [row for row in ROWS if row.mnemonic.startswith("ldx")]
_STORES = [row for row in ROWS if row.mnemonic.startswith("st")]
_ATOMICS = [row for row in ROWS if row.group.startswith("atomic")]
_PACKET = [row for row in ROWS if row.group in ("packet", "extension")]


class Generator:
    """Writes one program as text; the same seed writes the same program.

    r6 is what the program, or the function, was given in r1: a packet, a context, or in functions
    often a pointer into the caller's frame; r7 and r8 are the packet and its end where the context
    says so.
    """

    def __init__(self, seed: int, hook: str = "raw") -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.hook = hook
        self.lines: list[str] = []
        self.labels = 0
        self.functions = self.random.choice((0, 0, 1, 2, 3))
        self.inner = False  # within a function

    def program(self) -> str:
        self.lines += ["mov64 r6, r1", "mov64 r7, r2"]
        self.lines += {
            "xdp": ["ldxw r7, [r6+0]", "ldxw r8, [r6+4]"],
            "fixed metadata": ["ldxdw r7, [r6+0]", "ldxdw r8, [r6+8]"],
        }.get(self.hook, [])
        if self.random.random() < 0.05:
            self.lines.insert(0, f"call {self.random.choice(HELPERS)}")
        self.body(self.random.randrange(3, 16), depth=0)
        self.lines += ["exit"]
        self.inner = True
        for number in range(self.functions):
            self.lines += [f"f{number}:", *(["mov64 r6, r1"] if self.chance(0.8) else [])]
            self.body(self.random.randrange(1, 8), depth=1)
            self.lines.append("exit")
        return "\n".join(self.lines)

    # Choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def register(self) -> str:
        return f"r{self.random.choice((0, 1, 2, 3, 4, 5, 9))}"

    def source(self) -> str:
        return "r10" if self.chance(0.02) else self.register()

    def number(self) -> int:
        return self.random.choice([*BOUNDARY, self.random.randrange(-(1 << 31), 1 << 31)])

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def base(self) -> tuple[str, int]:
        """A register and an offset: within a region, but for one time in twenty."""
        choose = self.random.choice
        if self.chance(0.01):
            return self.register(), choose((0, 8, -8, 32767))
        bad = self.chance(0.015)
        kind = self.random.randrange(20)
        if kind < 9 or self.hook == "no data" or (self.inner and kind < 18):
            frame = (0, -513, -7, 8, -520, -1025, 512, -32768)
            return "r10", choose(frame if bad else (-8, -16, -512, -64, -24, -33))
        if kind < 17 and self.has_packet():
            pointer = "r7" if self.hook in ("xdp", "fixed metadata") else "r6"
            return pointer, choose((300, -1, 63, 62, 57) if bad else (0, 8, 3, 16, 1))
        return "r6", choose((300, -1, 63) if bad else (0, 8, 8, 16, 0))

    def has_packet(self) -> bool:
        return not self.inner and self.hook in ("raw", "xdp", "fixed metadata")

    # Parts

    def body(self, count: int, depth: int) -> None:
        kinds = (self.alu, self.memory, self.odd, self.pointer, self.call)
        for _ in range(count):
            self.random.choices(kinds, (9, 9, 3, 3, 3))[0]()
            if self.chance(0.15):
                self.forward(depth)
            if depth < 2 and self.chance(0.1):
                self.loop(depth)

    def alu(self) -> None:
        row = self.random.choice(_ALU)
        operands = {"{dst}": self.register(), "{src}": self.source(), "{imm}": self.number()}
        text = row.ubpf
        for name, value in operands.items():
            text = text.replace(name, str(value))
        self.lines.append(text)

    def memory(self) -> None:
        base, offset = self.base()
        kind = self.random.choice((_LOADS, _STORES, _LOADS, _STORES, _ATOMICS))
        self.access(self.random.choice(kind), base, offset)

    def access(self, row: Row, base: str, offset: int) -> None:
        text = row.ubpf.replace("{offset}", f"{offset:+d}").replace("{imm}", str(self.number()))
        loads = row.mnemonic.startswith("ldx")
        text = text.replace("{src}" if loads else "{dst}", base)
        self.lines.append(text.replace("{dst}" if loads else "{src}", self.register()))

    def odd(self) -> None:
        choose = self.random.choice
        match self.random.randrange(6):
            case 0:
                text = choose(_PACKET).ubpf.replace("{src}", self.register())
                self.lines.append(text.replace("{imm}", str(choose((0, 1, 12, 56, 60, 99, -1)))))
            case 1:
                value = choose((*WIDE, self.random.getrandbits(64)))
                self.lines.append(f"lddw {self.register()}, {value:#x}")
            case 2 if self.functions:
                target = f"code_addr(f{self.random.randrange(self.functions)})"
                self.lines.append(f"lddw {self.register()}, {target}")
            case 3:
                label = self.label()
                jump = choose(("ja", "ja32"))
                self.lines += [f"{jump} {label}", *(["exit"] if self.chance(0.5) else [])]
                self.lines.append(f"{label}:")
            case 4 if self.hook == "xdp" and not self.inner:  # as clang writes it
                size = choose((1, 4, 14, 34, 60))
                label = self.label()
                self.lines += ["mov64 r3, r7", f"add64 r3, {size}", f"jgt r3, r8, {label}"]
                self.access(choose(_LOADS), "r7", max(0, size - 8))
                self.lines.append(f"{label}:")
            case _:
                self.lines.append(f"mov64 {self.register()}, {choose(('r10', 'r6', 'r7'))}")

    def pointer(self) -> None:
        """An access by a pointer whose origin takes some finding."""
        choose = self.random.choice
        origin = choose(("r10", "r10", "r6", "r7")) if self.has_packet() else "r10"
        if origin == "r7" and self.hook == "raw":  # there it is the length
            origin = "r6"
        start = choose((-16, -64, -128)) if origin == "r10" else choose((0, 8, 1))
        self.lines += [f"mov64 r4, {origin}", f"add64 r4, {start}"]
        match self.random.choices(range(7), (5, 5, 2, 2, 1, 3, 1))[0]:
            case 0:  # spilled and taken back
                place = choose((-32, -40, -512))
                self.lines += [f"stxdw [r10{place}], r4", "mov64 r4, 0", f"ldxdw r4, [r10{place}]"]
            case 1:  # an offset that nobody can guess
                self.lines += ["and64 r5, 7", "add64 r4, r5"]
            case 2:  # one of two regions
                label, other = self.label(), choose(("r10", origin))
                self.lines += [self.jump(label), f"mov64 r4, {other}"]
                self.lines += [f"add64 r4, {-16 if other == 'r10' else 0}", f"{label}:"]
            case 3:  # a guess that is wrong: from one region into another
                self.lines += ["mov64 r5, r10", "sub64 r5, r4", "add64 r4, r5", "add64 r4, -16"]
            case 4:  # spilled, and partly overwritten
                self.lines += ["stxdw [r10-48], r4", f"stb [r10-{choose((48, 47, 41))}], 1"]
                self.lines += ["ldxdw r4, [r10-48]"]
            case 5:  # by its number
                start, end = choose(((STACK + 512, 496), (REGISTERED, 32), (REGISTERED, 40)))
                if self.chance(0.2):
                    start, end = choose(STARTS), 1600
                self.lines.append(f"lddw r4, {start + choose((0, 8, end - 8, end)):#x}")
            case _:  # between frames
                self.lines.append(f"add64 r4, {choose((0, 0, -1024, 1024, -512))}")
        for _ in range(self.random.randrange(1, 3)):
            kind = choose((_LOADS, _STORES, _ATOMICS))
            self.access(choose(kind), "r4", choose((0, 0, 8, 0, 1, 0)))

    def call(self) -> None:
        choose = self.random.choice
        if self.chance(0.9):
            address = choose((STACK + 1016, STACK + 512, REGISTERED, self.random.choice(STARTS)))
            pointers = ["mov64 r1, r10", "mov64 r1, r10", f"mov64 r1, {address}", "mov64 r1, r6"]
            self.lines.append(choose(pointers))
            if "r10" in self.lines[-1]:
                self.lines.append(f"add64 r1, {choose((-8, -64, -512, -16, -7))}")
        if self.functions and self.chance(0.6):
            self.lines.append(f"call local f{self.random.randrange(self.functions)}")
        elif self.chance(0.03):
            self.lines.append("call runtime 7")
        elif self.chance(0.1):
            self.lines += [f"mov64 r2, {choose((1, 1, 7, 4, 99, -1))}", "callx r2"]
        else:
            weights = (9, 9, 2, 4, 1, 1, 12, 0.3)
            self.lines.append(f"call {self.random.choices(HELPERS, weights)[0]}")

    def forward(self, depth: int) -> None:
        label = self.label()
        self.lines.append(self.jump(label))
        self.body(self.random.randrange(1, 4), depth + 1)
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> str:
        row = self.random.choice(_JUMPS)
        text = row.ubpf.replace("{dst}", self.register()).replace("{src}", self.source())
        return text.replace("{imm}", str(self.number())).replace("{target}", label)

    def loop(self, depth: int) -> None:
        """A counted loop, or one that data ends."""
        label, counter = self.label(), "r9" if depth else "r8"
        if counter == "r8" and self.hook in ("xdp", "fixed metadata"):
            counter = "r9"
        self.lines += [f"mov64 {counter}, 0", f"{label}:"]
        self.body(self.random.randrange(1, 4), depth + 1)
        if self.chance(0.25):
            self.lines.append(self.jump(label))
            return
        if self.has_packet() and self.hook == "raw" and self.chance(0.4):  # an index that moves
            self.lines += ["mov64 r4, r6", f"add64 r4, {counter}"]
            self.access(self.random.choice(_LOADS + _STORES), "r4", self.random.choice((0, 1)))
        step, end = self.random.choice((1, 2, 3)), self.random.choice((1, 5, 17, 40))
        self.lines += [f"add64 {counter}, {step}", f"jlt {counter}, {end}, {label}"]
