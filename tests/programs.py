"""Random programs that pass the verifier: arithmetic, memory in every region, loops, calls."""

from __future__ import annotations

from random import Random

from drybpf.isa import ROWS

BOUNDARY = [0, 1, -1, 2, 7, 8, 31, 32, 63, 64, 127, 255, -128, 1 << 15, (1 << 31) - 1, -(1 << 31)]
_ALU = [r for r in ROWS if r.form in ("{dst}, {imm}", "{dst}, {src}", "{dst}") and r.writes]
_JUMPS = [row for row in ROWS if row.flow == "branch"]
_LOADS = [row for row in ROWS if row.mnemonic.startswith("ldx")]
_STORES = [row for row in ROWS if row.mnemonic.startswith("st")]
_ATOMICS = [row for row in ROWS if row.group.startswith("atomic")]
_PACKET = [row for row in ROWS if row.group in ("packet", "extension")]


class Generator:
    """Writes one program as text; the same seed writes the same program."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.lines: list[str] = []
        self.labels = 0
        self.functions = self.random.choice((0, 0, 1, 2))
        self.inner = False  # within a function, where r6 is no pointer

    def program(self) -> str:
        self.lines += ["mov64 r6, r1", "mov64 r7, r2"]
        self.body(self.random.randrange(4, 30), depth=0)
        self.lines += ["exit"]
        self.inner = True
        for number in range(self.functions):
            self.lines.append(f"f{number}:")
            self.body(self.random.randrange(2, 12), depth=1)
            self.lines.append("exit")
        return "\n".join(self.lines)

    def register(self) -> str:
        return f"r{self.random.choice((0, 1, 2, 3, 4, 5, 8, 9))}"

    def number(self) -> int:
        return self.random.choice([*BOUNDARY, self.random.randrange(-(1 << 31), 1 << 31)])

    def base(self) -> tuple[str, int]:
        """A register and an offset: within a region, but for one time in fifty."""
        if self.random.random() < 0.02:
            return self.register(), self.random.choice((0, 8, -8, 32767))
        bad = self.random.random() < 0.02
        if self.inner or self.random.random() < 0.5:
            return "r10", self.random.choice((0, -513, -7, 8) if bad else (-8, -16, -512, -64, -24))
        return "r6", self.random.choice((300, -1, 63) if bad else (0, 8, 8, 16, 0))

    def body(self, count: int, depth: int) -> None:
        for _ in range(count):
            self.random.choice(
                (self.alu, self.alu, self.alu, self.memory, self.memory, self.memory, self.odd)
            )()
            if self.random.random() < 0.15:
                self.forward(depth)
            if depth < 2 and self.random.random() < 0.1:
                self.loop(depth)

    def alu(self) -> None:
        row = self.random.choice(_ALU)
        operands = {"{dst}": self.register(), "{src}": self.register(), "{imm}": self.number()}
        text = row.ubpf
        for name, value in operands.items():
            text = text.replace(name, str(value))
        self.lines.append(text)

    def memory(self) -> None:
        (base, offset), register = self.base(), self.register()
        row = self.random.choice(self.random.choice((_LOADS, _STORES, _LOADS, _STORES, _ATOMICS)))
        text = row.ubpf.replace("{offset}", f"{offset:+d}").replace("{imm}", str(self.number()))
        loads = row.mnemonic.startswith("ldx")
        text = text.replace("{src}" if loads else "{dst}", base)
        self.lines.append(text.replace("{dst}" if loads else "{src}", register))

    def odd(self) -> None:
        kind = self.random.randrange(8)
        if kind == 0 and self.functions:
            self.lines.append(f"call local f{self.random.randrange(self.functions)}")
        elif kind == 1:
            self.lines.append(f"call {self.random.choice((1, 1, 1, 1, 1, 1, 4, 4, 2, 3))}")
        elif kind == 2:
            row = self.random.choice(_PACKET)
            text = row.ubpf.replace("{src}", self.register())
            self.lines.append(
                text.replace("{imm}", str(self.random.choice((0, 1, 12, 60, 99, -1))))
            )
        elif kind == 3:
            value = self.random.getrandbits(64)
            self.lines.append(f"lddw {self.register()}, {value:#x}")
        elif kind == 4:  # a pointer into the frame, spilled and taken back
            self.lines += ["mov64 r3, r10", f"add64 r3, {self.random.choice((-8, -64, -128))}"]
            self.lines += ["stxdw [r10-32], r3", "ldxdw r4, [r10-32]", "stxb [r4], r5"]
        elif kind == 5 and not self.inner:  # an offset that nobody can guess
            self.lines += ["mov64 r4, r6", "and64 r5, 15", "add64 r4, r5", "ldxb r3, [r4]"]
        elif kind == 6:
            self.lines += [f"mov64 r2, {self.random.choice((1, 1, 1, 99))}", "callx r2"]
        else:
            self.lines.append("mov64 r1, r10")

    def forward(self, depth: int) -> None:
        label = self.label()
        self.lines.append(self.jump(label))
        self.body(self.random.randrange(1, 4), depth + 1)
        self.lines.append(f"{label}:")

    def jump(self, label: str) -> str:
        row = self.random.choice(_JUMPS)
        text = row.ubpf.replace("{dst}", self.register()).replace("{src}", self.register())
        return text.replace("{imm}", str(self.number())).replace("{target}", label)

    def loop(self, depth: int) -> None:
        label, counter = self.label(), "r8" if depth == 0 else "r9"
        self.lines += [f"mov64 {counter}, 0", f"{label}:"]
        self.body(self.random.randrange(1, 5), depth + 1)
        step, end = self.random.choice((1, 2, 3)), self.random.choice((1, 5, 40, 63))
        self.lines += [f"add64 {counter}, {step}", f"jlt {counter}, {end}, {label}"]

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"
