"""Random nests of counted loops whose guards hold, left in every way, for both engines to agree on.

Where `loop_programs` tries what an analysis may get wrong, these try what it finds nearly always:
counts of 3 to 8, accesses by the counters, exits to the end or the next turn of any loop around,
and sums of sums (r6 moves by r7, which moves by a constant).
"""

from __future__ import annotations

from random import Random

COUNTERS = "r2", "r3", "r4"
_LEAVES = {"ne": "jeq", "lt": "jge", "gt": "jle"}


class Generator:
    """Writes one program; r1 is the packet, r0 the sum of all."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.depth = self.random.choice((2, 2, 3))
        self.curved = self.random.random() < 0.5

    def program(self) -> str:
        lines = ["mov64 r0, 0"]
        if self.curved:
            lines += [f"mov64 r6, {self.pick(0, 1, -1)}", f"mov64 r7, {self.pick(1, 3, 5, -2)}"]
        lines += [*self.loop(0), "end:"]
        if self.curved:
            lines += ["xor64 r0, r6", "add64 r0, r7"]
        return "\n".join([*lines, "exit"])

    def pick(self, *choices: object) -> object:
        return self.random.choice(choices)

    def loop(self, depth: int) -> list[str]:
        """From `first` on in steps, tested behind the body, or before it where it is entered so."""
        counter, step, count = COUNTERS[depth], self.pick(1, 1, 2, 3, -1, -2, 4), self.pick(3, 5, 8)
        if not isinstance(step, int) or not isinstance(count, int):
            raise TypeError
        first = self.random.randrange(3) if step > 0 else count * -step + self.random.randrange(3)
        last, relation = first + step * count, self.pick("ne", "lt" if step > 0 else "gt")
        begin, turn = f"mov64 {counter}, {first}", [f"n{depth}:", *self.advance(counter, step)]
        if self.random.random() < 0.3:
            leave = f"{_LEAVES[str(relation)]} {counter}, {last}, e{depth}"
            head = [begin, f"ja h{depth}", *turn, leave, f"h{depth}:"]
            return [*head, *self.body(depth), f"ja n{depth}", f"e{depth}:"]
        stay = f"j{relation} {counter}, {last}, l{depth}"
        return [begin, f"l{depth}:", *self.body(depth), *turn, stay, f"e{depth}:"]

    def advance(self, counter: str, step: int) -> list[str]:
        move = f"add{self.pick('64', '64', '32')} {counter}, {step}"
        if counter != COUNTERS[0] or not self.curved:
            return [move]
        curve = ["add64 r6, r7", *self.pick_some(f"add64 r6, {self.pick(1, -3)}")]
        line = [f"add64 r7, {self.pick(1, 2, 3, -1, -2)}"]
        return [*curve, *line, move] if self.random.random() < 0.7 else [*line, *curve, move]

    def pick_some(self, *lines: str) -> list[str]:
        return [line for line in lines if self.random.random() < 0.4]

    def body(self, depth: int) -> list[str]:
        lines = [*self.access(depth), *self.leave(depth)]
        if depth == 0 and self.curved:
            lines += [f"jset r0, {self.pick(1, 2, 3)}, k", "xor64 r0, r6"]
            lines += [*self.pick_some("add64 r0, r7"), "k:"]
        if self.random.random() < 0.3:
            lines += [f"jset r0, 4, s{depth}", "add64 r0, 1", f"s{depth}:"]
        if depth + 1 < self.depth:
            lines += self.loop(depth + 1)
        return [*lines, *self.leave(depth)]

    def access(self, depth: int) -> list[str]:
        around = COUNTERS[: depth + 1]
        lines = [f"add64 r9, {counter}" for counter in around if self.random.random() < 0.8]
        load = f"ldxb r8, [r9+{self.pick(0, 0, 1, 5)}]"
        return ["mov64 r9, r1", *lines, load, f"{self.pick('add64', 'xor64', 'add32')} r0, r8"]

    def leave(self, depth: int) -> list[str]:
        """Go on with the next turn, or behind the end, of this loop or one around it, at times."""
        targets = [f"{kind}{which}" for kind in "en" for which in range(depth + 1)]
        relation, left = self.pick("jeq", "jset", "jgt", "jeq32"), self.pick("r8", "r0")
        jump = f"{relation} {left}, {self.pick(7, 64, 200, 255, 3)}, {self.pick(*targets, 'end')}"
        return [jump] if self.random.random() < 0.5 else []
