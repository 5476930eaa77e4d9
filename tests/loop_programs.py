"""Random programs that are all loops: what a compiler may get wrong that hoists checks out of them.

Counters of any width and step, tests of any kind at the top or the bottom, bounds that wrap, steps
that do not divide, counters with a second name, exits in the middle, nests over one base, spilled
counters and bases; accesses that just fit, or just do not; counters in two registers, tests where
both sides move, and indices that data leads through a table.
"""

from __future__ import annotations

from random import Random

RELATIONS = ("jlt", "jle", "jgt", "jge", "jne", "jslt", "jsle", "jsgt", "jsge", "jeq")
SIZES = (("b", 1), ("h", 2), ("w", 4), ("dw", 8))
EDGES = (0, 1, -1, 1 << 31, (1 << 31) - 1, 1 << 32, (1 << 32) - 1, 1 << 63, (1 << 63) - 1)
STACK_BASE = 256  # bytes below r10 of an array on the stack
SPILLS = (-264, -272, -280)
_MIRRORED = {"jlt": "jgt", "jgt": "jlt", "jle": "jge", "jge": "jle", "jslt": "jsgt", "jsgt": "jslt"}


class Loops:
    """Writes one program as text; the same seed writes the same program.

    r6 is the packet, r7 its length or, where the context says so, its end; r0 gathers what is
    read.  Counters are r1, r2, r3 by depth, other inductions r8 and r9; r4 and r5 are for a moment.
    """

    def __init__(self, seed: int, hook: str = "raw") -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.hook = hook
        self.lines: list[str] = []
        self.labels = 0
        self.ends: list[str] = []  # the labels behind the loops that are open
        self.beside = Random(f"beside {seed}")  # noqa: S311 (for what came later than the rest)
        self.mode = self.beside.choice(("", "", "", "follow", "chase", "walk", "curve"))

    def program(self) -> str:
        self.lines += {
            "raw": ["mov64 r6, r1", "mov64 r7, r2"],
            "xdp": ["ldxw r6, [r1+0]", "ldxw r7, [r1+4]"],
            "fixed metadata": ["ldxdw r6, [r1+0]", "ldxdw r7, [r1+8]"],
        }[self.hook]
        self.lines += ["mov64 r0, 0", "mov64 r1, 0", "mov64 r2, 0", "mov64 r3, 0"]
        self.lines += ["mov64 r4, 0", "mov64 r5, 0"]
        self.lines += [f"mov64 r8, {self.pick(0, 1, 3, 64)}", f"mov64 r9, {self.pick(0, 2, 7)}"]
        for place in SPILLS:
            self.lines.append(f"stdw [r10{place}], {self.pick(0, 1, 8)}")
        if self.chance(0.3):
            self.lines.append(f"stxdw [r10{SPILLS[0]}], r6")
        if self.chance(0.3):
            self.check_length()
        for _ in range(self.random.randrange(1, 4)):
            if self.chance(0.15):
                self.slots()
            else:
                self.loop(0)
        self.lines += ["done:", "exit"]
        return "\n".join(self.lines)

    # Choices

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *choices: object) -> object:
        return self.random.choice(choices)

    def label(self, name: str = "l") -> str:
        self.labels += 1
        return f"{name}{self.labels}"

    def edge(self) -> int:
        return self.random.choice(EDGES) + self.random.choice((0, 0, 1, -1, 8, -8))

    def load(self, register: str, value: int) -> None:
        if -(1 << 31) <= value < 1 << 31:
            self.lines.append(f"mov64 {register}, {value}")
        else:
            self.lines.append(f"lddw {register}, {value & (1 << 64) - 1:#x}")

    def check_length(self) -> None:
        """As clang writes it: leave where the packet is short."""
        size = self.pick(1, 16, 32, 48, 63, 64)
        if self.hook == "raw":
            self.lines.append(f"jlt r7, {size}, done")
        else:
            self.lines += ["mov64 r4, r6", f"add64 r4, {size}", "jgt r4, r7, done"]

    # Loops

    def loop(self, depth: int) -> None:
        counter = f"r{1 + depth}"
        width = self.pick("64", "64", "64", "32")
        head, end = self.label("head"), self.label("end")
        step = self.start(counter, width)
        top = self.chance(0.3)
        second = self.begin_second(counter, step)
        self.lines.append(f"{head}:")
        self.ends.append(end)
        if top:
            self.test(counter, end, stays=False)
        for _ in range(self.random.randrange(1, 4)):
            self.part(counter, depth, head)
        if depth < 2 and self.chance(0.35):
            self.loop(depth + 1)
        if self.chance(0.3):
            self.part(counter, depth, head)
        self.lines += second[:1]
        self.advance(counter, width, step)
        self.lines += second[1:]
        if top:
            self.lines.append(f"ja {head}")
        else:
            self.test(counter, head, stays=True)
        self.ends.pop()
        self.lines.append(f"{end}:")

    def begin_second(self, counter: str, step: object) -> list[str]:
        """Give r9 a value that belongs to a counter; what changes it before and behind the step."""
        choose = self.beside.choice
        if self.mode == "follow":  # what the counter was, plus a constant, or nearly
            apart, early = choose((0, 0, 1, 4, -1)), choose((True, False))
            ahead = 0 if early or not isinstance(step, int) else step
            first = apart - (step if isinstance(step, int) else 0) + ahead + choose((0, 0, 0, 1))
            self.lines += [f"mov64 r9, {counter}", f"add64 r9, {first}"]
            change = f"mov64 r9, {counter}\nadd64 r9, {apart}"
            use = "mov64 r4, r9\nadd64 r4, r6\nldxb r5, [r4]\nadd64 r0, r5\n"
            use = use if choose((True, False)) else ""
            return [use + change] if early else [use or "mov64 r5, 0", change]
        if self.mode == "chase":
            self.lines.append(f"mov64 r9, {choose(('r7', 'r7', 64, 40, 17, 3, 'r6'))}")
            return ["mov64 r5, 0", f"add64 r9, {choose((-1, -1, -1, -2, -3, 1, 2, -8))}"]
        if self.mode == "walk":
            return self.begin_walk()
        if self.mode == "curve" and counter == "r1":
            return self.begin_curve()
        return []

    def begin_curve(self) -> list[str]:
        """A sum in r9 of what r8 holds, which moves itself; used where data says so, or always."""
        choose = self.beside.choice
        self.lines += [f"mov64 r9, {choose(('r6', 'r6', 0, 1, 'r7'))}"]
        self.lines += [f"mov64 r8, {choose((1, 3, 5, 0, -2))}"]
        behind = self.label("curve")
        use = [
            "mov64 r4, r9",
            choose(("ldxb r5, [r4]", "and64 r4, 31\nadd64 r4, r6\nldxb r5, [r4]")),
        ]
        use = choose((use, ["mov64 r5, r9"], ["mov64 r5, r9", "add64 r5, r8"]))
        test = [f"{choose(('jset', 'jgt', 'jset32'))} r0, {choose((1, 3, 9))}, {behind}"]
        test = choose((test, test, test, []))
        curve = [f"add64 r9, {choose(('r8', 'r8', 'r8', 'r0'))}"]
        curve += choose(([], [f"add64 r9, {choose((1, -4, 64))}"]))
        line = [f"add64 r8, {choose((1, 2, 2, -1, 3, 7))}"]
        moves = choose((curve + line, curve + line, line + curve))
        parts = [*test, *use, "xor64 r0, r5", f"{behind}:"], moves
        return ["\n".join(part) for part in choose((parts, parts[::-1]))]

    def begin_walk(self) -> list[str]:
        """An index in r9 that begins in the range where data keeps it, or does not."""
        choose = self.beside.choice
        mask, least = choose((7, 15, 31, 6)), choose((0, 0, 0, 1, 8, -8))
        if choose((True, True, False)):
            self.lines.append(
                f"mov64 r9, {choose((least, least, least + 5, least + mask + 1, -1, 'r7'))}"
            )
        base, offset = choose((("r6", 0), ("r6", 0), ("r10", -STACK_BASE), ("r6", 32)))
        walk = [f"mov64 r4, {base}", "add64 r4, r9", f"ldxb r5, [r4{offset:+d}]", "add64 r0, r5"]
        walk += [choose((f"and64 r5, {mask}", f"mod64 r5, {mask + 1}", "rsh64 r5, 3"))]
        walk += [f"mov64 r9, {choose(('r5', 'r5', 'r0'))}"]
        if walk[-1].endswith("r0"):
            walk.append(f"and64 r9, {mask}")
        walk += [f"add64 r9, {least}"] if least else []
        return ["\n".join(walk)]

    def start(self, counter: str, width: object) -> object:
        """Give a counter its first value and a pointer its place; the result is the step."""
        choose = self.random.random()
        if choose < 0.6:
            self.load(counter, self.random.choice((0, 0, 0, 1, 2, 5)))
        elif choose < 0.75:
            self.load(counter, self.random.choice((64, 63, 32, 40)))
        elif choose < 0.85:
            self.load(counter, self.edge())
        elif choose < 0.95:
            self.lines.append(f"mov64 {counter}, {self.pick('r7', 'r6', 'r8', 'r9', 'r0')}")
        if self.chance(0.3):
            base = self.pick("r6", "r10")
            self.lines += [f"mov64 r8, {base}"]
            if base == "r10":
                self.lines.append(f"add64 r8, -{STACK_BASE}")
        if self.chance(0.2):
            self.lines.append(f"mov64 r9, {self.pick(0, 1, 2, 4, 8, -1)}")
        del width
        return self.pick(1, 1, 1, 1, 2, 2, 3, 4, 7, 8, -1, -1, -2, 16, "r9", "r9", 0, 1 << 20)

    def advance(self, counter: str, width: object, step: object) -> None:
        if self.chance(0.08):
            self.lines.append(
                f"{self.pick('rsh64', 'lsh64', 'mul64')} {counter}, {self.pick(1, 2)}"
            )
            return
        operation = "sub" if isinstance(step, int) and self.chance(0.1) else "add"
        self.lines.append(f"{operation}{width} {counter}, {step}")
        if self.chance(0.25):
            self.lines.append(f"add64 r8, {self.pick(step, 1, 2, 4, -1)}")
        if self.chance(0.06):  # a counter in a slot of the frame
            place = self.pick(*SPILLS)
            self.lines += [f"ldxdw r4, [r10{place}]", f"add64 r4, {self.pick(1, 2)}"]
            self.lines.append(f"stxdw [r10{place}], r4")

    def test(self, counter: str, target: str, *, stays: bool) -> None:
        """A jump that stays in the loop, or one that leaves it."""
        choose = self.random.choice
        if stays:
            relation = choose(("jlt", "jlt", "jlt", "jne", "jne", "jle", "jslt", "jgt", "jsgt"))
        else:
            relation = choose(("jge", "jge", "jgt", "jeq", "jeq", "jsge", "jle", "jlt"))
        if self.chance(0.08):
            relation = choose(RELATIONS)
        bits = choose(("", "", "", "32"))
        left, right = counter, str(choose((8, 5, 16, 17, 31, 32, 62, 63, 64, 65, 40, 0, 1, 3)))
        kind = self.random.random()
        if kind < 0.2:
            right = str(self.pick("r7", "r7", "r9", "r8", "r0"))
        elif kind < 0.26:
            self.load("r4", self.edge())
            right = "r4"
        elif kind < 0.32:
            place = self.pick(*SPILLS)
            self.lines.append(f"ldxdw r4, [r10{place}]")
            right = "r4"
        elif kind < 0.4:
            self.lines += [f"mov64 r4, {right}"]
            left, right = "r4", counter
        elif kind < 0.46:
            left = "r8"
            right = str(self.pick("r7", "r10"))
        elif kind < 0.52:
            self.lines += [f"mov64 r4, {counter}", f"add64 r4, {self.pick(1, 4, -1, 8)}"]
            left = "r4"
        if self.mode == "chase" and self.beside.random() < 0.6:
            left, right = self.beside.choice(((counter, "r9"), (counter, "r9"), ("r9", counter)))
            if left == "r9" and relation in _MIRRORED:
                relation = _MIRRORED[relation]
        self.lines.append(f"{relation}{bits} {left}, {right}, {target}")

    def slots(self) -> None:
        """A loop whose base, bound or counter lies in the frame, where stores may hit it."""
        base, bound, counter = SPILLS
        head, end = self.label("head"), self.label("end")
        self.lines.append(f"stxdw [r10{base}], {self.pick('r6', 'r6', 'r10')}")
        self.lines.append(f"stdw [r10{bound}], {self.pick(8, 16, 33, 64)}")
        self.lines += [f"stdw [r10{counter}], {self.pick(0, 1)}", "mov64 r1, 0", f"{head}:"]
        self.lines.append(f"ldxdw r4, [r10{base}]")
        in_frame = self.chance(0.5)
        if in_frame:
            self.lines.append(f"ldxdw r1, [r10{counter}]")
        self.lines.append("add64 r4, r1")
        self.ends.append(end)
        self.touch("r4", self.pick(0, 0, -8, -280, -290))
        for _ in range(self.random.randrange(2)):
            self.part("r1", 0, head)
        if self.chance(0.6):  # a store that moves, or that data decides, near the slots
            self.lines.append(f"mov64 r4, {self.pick('r1', 'r1', 'r0')}")
            self.lines.append(str(self.pick("and64 r4, 31", "lsh64 r4, 3", "and64 r4, 7")))
            self.lines.append("add64 r4, r10")
            self.lines.append(
                f"stx{self.pick('b', 'dw', 'w')} [r4{self.pick(-288, -296, -280)}], r1"
            )
        if in_frame:
            self.lines += [f"ldxdw r1, [r10{counter}]", f"add64 r1, {self.pick(1, 1, 2)}"]
            self.lines.append(f"stxdw [r10{counter}], r1")
        else:
            self.lines.append(f"add64 r1, {self.pick(1, 2)}")
        self.lines += [
            f"ldxdw r4, [r10{bound}]",
            f"{self.pick('jlt', 'jlt', 'jne')} r1, r4, {head}",
        ]
        self.ends.pop()
        self.lines.append(f"{end}:")

    # Bodies

    def part(self, counter: str, depth: int, head: str) -> None:
        kinds = (
            *(self.access, self.access, self.access, self.access),
            *(self.pointer, self.masked, self.skip, self.leave, self.alias, self.spilled, self.sum),
        )
        self.random.choice(kinds)(counter, depth, head)

    def touch(self, base: str, offset: object) -> None:
        """A load into r0's sum, or a store."""
        suffix, size = self.random.choice(SIZES)
        if self.chance(0.7):
            self.lines += [f"ldx{suffix} r5, [{base}{offset:+d}]", "add64 r0, r5"]
        elif self.chance(0.15) and size >= 4:
            self.lines.append(f"lock add{'32' if size == 4 else ''} [{base}{offset:+d}], r0")
        else:
            value = self.pick("r0", "r1", "r9")
            self.lines.append(f"stx{suffix} [{base}{offset:+d}], {value}")

    def access(self, counter: str, depth: int, _: str) -> None:
        """base + factor x counter + offset."""
        others = [f"r{1 + d}" for d in range(depth)]
        self.lines.append(f"mov{self.pick('64', '64', '64', '32')} r4, {counter}")
        kind = self.random.random()
        if kind < 0.3:
            self.lines.append(f"{self.pick('lsh64', 'lsh32')} r4, {self.pick(1, 2, 3)}")
        elif kind < 0.36:
            self.lines.append(f"mul64 r4, {self.pick(3, -1, 5)}")
        elif kind < 0.42:
            self.lines += ["lsh64 r4, 32", f"{self.pick('rsh64', 'arsh64')} r4, 32"]
        elif kind < 0.5:
            self.lines.append(
                f"{self.pick('and64', 'and32', 'or64', 'xor64')} r4, {self.pick(7, 15, 63)}"
            )
        if others and self.chance(0.5):
            other = self.pick(*others)
            if self.chance(0.5):
                self.lines += [f"mov64 r5, {other}", f"lsh64 r5, {self.pick(2, 3)}"]
                self.lines.append(f"{self.pick('add64', 'or64')} r4, r5")
            else:
                self.lines.append(f"add64 r4, {other}")
        if self.chance(0.1):
            self.lines.append(f"add64 r4, {self.pick('r8', 'r9')}")
        if self.chance(0.7):
            self.lines.append("add64 r4, r6")
            offset = self.pick(0, 0, 0, 1, 8, 24, -1, -8)
        else:
            self.lines.append("add64 r4, r10")
            offset = self.pick(-STACK_BASE, -64, -8, -512, -272)
        self.touch("r4", offset)

    def pointer(self, _: str, __: int, ___: str) -> None:
        self.touch("r8", self.pick(0, 0, 1, 8, -1))

    def masked(self, _: str, __: int, ___: str) -> None:
        """An index that data decides, in a table."""
        self.lines += [f"mov{self.pick('64', '32')} r4, r0"]
        mask = self.pick(7, 31, 63, 15, 6)
        self.lines.append(
            str(
                self.pick(
                    f"and64 r4, {mask}", f"and32 r4, {mask}", f"mod64 r4, {mask}", "rsh32 r4, 27"
                )
            )
        )
        self.lines.append("add64 r4, r6" if self.chance(0.6) else "add64 r4, r10")
        self.touch("r4", 0 if "r6" in self.lines[-1] else -STACK_BASE)

    def skip(self, counter: str, depth: int, head: str) -> None:
        label = self.label()
        self.lines.append(f"{self.pick('jset', 'jgt', 'jeq')} r0, {self.pick(1, 3, 100)}, {label}")
        self.random.choice((self.access, self.pointer, self.alias, self.sum))(counter, depth, head)
        self.lines.append(f"{label}:")

    def leave(self, counter: str, _: int, head: str) -> None:
        """An exit in the middle, or a way back that is not the last one."""
        left = self.pick("r0", counter, "r8")
        target = self.pick(*self.ends, "done", head if self.chance(0.3) else self.ends[-1])
        self.lines.append(
            f"{self.pick('jgt', 'jeq', 'jset')} {left}, {self.pick(9, 40, 255)}, {target}"
        )

    def alias(self, counter: str, _: int, __: str) -> None:
        """The counter under another name, or changed in the middle."""
        match self.random.randrange(5):
            case 0:
                self.lines += [f"mov64 r9, {counter}"]
            case 1 if self.chance(0.4):
                self.lines += [f"add64 {counter}, {self.pick(1, -1, 'r9')}"]
            case 2:
                self.lines += [f"mov64 r5, {counter}", f"add64 r5, {self.pick(1, 2)}"]
                self.lines.append(f"{self.pick('mov64 r9, r5', f'mov32 {counter}, r5')}")
            case 3:
                place = self.pick(*SPILLS)
                self.lines += [f"stxdw [r10{place}], {counter}", f"ldxdw r9, [r10{place}]"]
            case _:
                self.lines += ["mov64 r4, r10", f"add64 r4, {self.pick(*SPILLS)}"]
                self.lines += [f"stx{self.pick('b', 'dw')} [r4+0], {self.pick('r0', counter)}"]

    def spilled(self, counter: str, _: int, __: str) -> None:
        """An access by a base, or a counter, that waits in the frame."""
        place = self.pick(*SPILLS)
        self.lines += [f"ldxdw r4, [r10{place}]"]
        if self.chance(0.5):
            self.lines.append(f"add64 r4, {counter}")
        self.lines += [] if self.chance(0.5) else ["add64 r4, r6"]
        self.touch("r4", 0)

    def sum(self, counter: str, _: int, __: str) -> None:
        operation = self.pick("add64", "xor64", "add32", "mul64", "sub64")
        self.lines.append(f"{operation} r0, {self.pick(counter, 'r8', 'r7', 3)}")
