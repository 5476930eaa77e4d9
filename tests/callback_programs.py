"""Random programs of functions that `bpf_loop` calls, for both engines to agree on."""

from __future__ import annotations

from random import Random

from callback_runs import Pair, slices


class Generator:
    """Writes one program: its main function, and functions that only call those behind them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.labels = 0

    def program(self) -> str:
        count = self.random.randrange(1, 4)
        return "\n".join(line for which in range(count + 1) for line in self.function(which, count))

    def function(self, which: int, count: int) -> list[str]:
        """r6 is the argument of a turn, r9 is summed up; the frame's first slot is passed on."""
        lines = [f"f{which}: mov r6, r2", "mov r9, r1", "stxdw [r10-8], r1"]
        for _ in range(self.random.randrange(1, 5)):
            kinds = [self.sum, self.argument, self.counted, self.call]
            lines += self.random.choice(kinds)(which, count)
        stops = self.random.choice((*["mov r0, 0"] * 2, "mov r0, r9\nrsh r0, 4", "mov r0, r9"))
        if which == 0:
            stops = "mov r0, r9"
        return [*lines, *stops.split("\n"), "exit"]

    def sum(self, _which: int, _count: int) -> list[str]:
        return ["ldxdw r1, [r10-8]", "add r9, r1", f"and r9, {self.random.getrandbits(12)}"]

    def argument(self, which: int, _count: int) -> list[str]:
        """Reach the caller's frame, at times beyond it."""
        if which == 0:
            return []
        at = self.random.choice((0, 0, 0, -8, -504, 8))
        place = ["mov r1, r6", f"add r1, {at}"]
        if self.random.random() < 0.2:
            place += ["mov r2, r9", "and r2, 0x1f8", "sub r1, r2"]
        return [*place, "ldxdw r2, [r1]", "add r2, r9", "stxdw [r1], r2"]

    def counted(self, which: int, count: int) -> list[str]:
        self.labels += 1
        label = f"l{self.labels}"
        inside = self.call(which, count) if self.random.random() < 0.6 else ["add r9, r8"]
        times = self.random.randrange(1, 5)
        return ["mov r8, 0", f"{label}: add r8, 1", *inside, f"jlt r8, {times}, {label}"]

    def call(self, which: int, count: int) -> list[str]:
        if which == count:
            return ["add r9, 3"]
        callee = self.random.randrange(which + (self.random.random() < 0.95), count + 1) or 1
        if self.random.random() < 0.2:
            return ["mov r1, r9", "mov r2, r10", "add r2, -8", f"call f{callee}", "add r9, r0"]
        times = self.random.choice((0, 1, 2, 3, 5, -1, "r9"))
        flags = self.random.random() < 0.05
        return [
            *(f"mov r1, {times}", f"lddw r2, code_addr(f{callee})"),
            *("mov r3, r10", "add r3, -8", f"mov r4, {int(flags)}", "call 181", "add r9, r0"),
        ]


def check(seed: int) -> None:
    """Compare the engines, with several budgets, whole and in slices."""
    random = Random(seed)  # noqa: S311 (repeatable by design)
    program = Pair(Generator(seed).program())
    for budget in (3000, *(random.randrange(600) for _ in range(3))):
        program.check(budget, more=500)
    with slices(program.code, random.randrange(90)):
        program.check(2000, more=500)
