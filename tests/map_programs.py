"""Random programs over maps, moving packets and tail calls, for both engines to agree on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any, Literal

from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import ExecutionError
from drybpf.helpers import Helpers
from drybpf.helpers.kernel import kernel_helpers
from drybpf.hooks import Xdp
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from drybpf.program import Program
from drybpf.space import Space

KEYED = (
    MapDefinition("array", MapType.ARRAY, 4, 8, 5),
    MapDefinition("odd", MapType.ARRAY, 4, 13, 3),
    MapDefinition("hash", MapType.HASH, 4, 12, 4),
    MapDefinition("wide", MapType.HASH, 12, 24, 3),
    MapDefinition("lru", MapType.LRU_HASH, 8, 8, 3),
    MapDefinition("percpu", MapType.PERCPU_ARRAY, 4, 8, 4),
    MapDefinition("percpu_hash", MapType.PERCPU_HASH, 4, 8, 3),
    MapDefinition("lpm", MapType.LPM_TRIE, 8, 4, 6, MapFlag.NO_PREALLOC),
)
PROGRAMS = MapDefinition("programs", MapType.PROG_ARRAY, 4, 4, 4)
ADJUST = (44, 54, 65)  # head, meta, tail


class Generator:
    """Writes one program as text, with `map_NAME` for the handles."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 (repeatable by design)
        self.lines: list[str] = []
        self.labels = 0

    def chance(self, likely: float) -> bool:
        return self.random.random() < likely

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def program(self) -> str:
        """r6 is the context, r7 and r8 the packet's start and end, r9 what is summed up."""
        self.lines += ["mov r6, r1", "mov r9, 0"]
        self.packet()
        for _ in range(self.random.randrange(3, 9)):
            self.random.choices(
                (self.operation, self.adjust, self.tail_call, self.loop, self.access, self.ask),
                (9, 2, 0.6, 2, 3, 2),
            )[0]()
        self.lines += ["mov r0, r9", "exit"]
        return "\n".join(self.lines)

    def packet(self) -> None:
        self.lines += ["ldxw r7, [r6+0]", "ldxw r8, [r6+4]"]

    def adjust(self) -> None:
        by = self.random.choice((0, 1, 4, 14, -4, -14, -300, 200, 4000))
        self.lines += ["mov r1, r6", f"mov r2, {by}", f"call {self.random.choice(ADJUST)}"]
        self.lines.append("add r9, r0")
        if self.chance(0.9):
            self.packet()
        if self.chance(0.3):
            self.lines += ["ldxw r1, [r6+8]", "add r9, r1"]

    def access(self) -> None:
        """Packet bytes, with the check that compilers write, or without."""
        size, end = self.random.choice((1, 2, 4, 8)), self.label()
        offset = self.random.choice((0, 2, 12, 30))
        if self.chance(0.8):
            self.lines += ["mov r1, r7", f"add r1, {offset + size}", f"jgt r1, r8, {end}"]
        name = {1: "b", 2: "h", 4: "w", 8: "dw"}[size]
        if self.chance(0.5):
            self.lines += [f"ldx{name} r1, [r7+{offset}]", "xor r9, r1"]
        else:
            self.lines.append(f"stx{name} [r7+{offset}], r9")
        self.lines.append(f"{end}:")

    def ask(self) -> None:
        """A helper that only gives a number."""
        if self.chance(0.3):
            self.lines += [f"call {self.random.choice((5, 7, 8, 118, 125))}", "add r9, r0"]
            return
        self.lines += ["stxdw [r10-96], r9", "stdw [r10-88], 77"]
        for register in (1, 3):
            size = self.random.choice((0, 4, 8, 16, 7))
            base = self.random.choice(("mov r{}, r10", "mov r{}, r10", "mov r{}, r7"))
            self.lines.append(base.format(register) if size else f"mov r{register}, 0")
            if base.endswith("r10") and size:
                self.lines.append(f"add r{register}, -96")
            self.lines.append(f"mov r{register + 1}, {size}")
        self.lines += [f"mov r5, {self.random.choice((0, -1, 5))}", "call 28", "add r9, r0"]

    def key(self, definition: MapDefinition) -> None:
        """A key at r10-32, often one that there is."""
        for at in range(0, definition.key_size, 4):
            value = self.random.randrange(5) if self.chance(0.9) else self.random.getrandbits(31)
            if definition.type == MapType.LPM_TRIE:
                value = self.random.choice((0, 8, 16, 24, 32, 33)) if at == 0 else value
            self.lines.append(f"stw [r10-{32 - at}], {value}")
        if self.chance(0.2):
            self.lines += ["stxw [r10-32], r9"] if self.chance(0.5) else ["stw [r10-32], -1"]
        self.lines += ["mov r2, r10", f"add r2, {-32 if self.chance(0.97) else -3}"]

    def operation(self) -> None:
        definition = self.random.choice(KEYED)
        self.key(definition)
        self.lines.append(f"lddw r1, map_{definition.name}")
        if self.chance(0.05):
            self.lines.append("add r1, 1")
        kind = self.random.choices(("lookup", "update", "delete"), (6, 4, 2))[0]
        if kind == "update":
            self.lines += ["stxdw [r10-64], r9", f"stdw [r10-56], {self.random.getrandbits(20)}"]
            self.lines += ["mov r3, r10", f"add r3, {-64 if self.chance(0.97) else -1}"]
            flags = self.random.choice((0, 0, 0, 1, 2, 3))
            self.lines += [f"mov r4, {flags}", "call 2", "add r9, r0"]
        elif kind == "delete":
            self.lines += ["call 3", "add r9, r0"]
        else:
            self.lines.append("call 1")
            self.value(definition)

    def value(self, definition: MapDefinition) -> None:
        """Use what a look-up gave, most often after the check that it is there."""
        choose, end = self.random.choice, self.label()
        if self.chance(0.9):
            self.lines.append(f"jeq r0, 0, {end}")
        if self.chance(0.2):
            self.lines += ["stxdw [r10-80], r0", "mov r0, 0", "ldxdw r0, [r10-80]"]
        if self.chance(0.1):
            self.lines += ["mov r1, r9", "and r1, 3", "add r0, r1"]
        for _ in range(self.random.randrange(1, 4)):
            size = choose((1, 2, 4, 8))
            name = {1: "b", 2: "h", 4: "w", 8: "dw"}[size]
            room = max(0, definition.value_size - size)
            offset = choose((0, room, self.random.randrange(room + 1)))
            if self.chance(0.05):
                offset = choose((-1, room + 1, 4096))
            match self.random.randrange(4):
                case 0:
                    self.lines.append(f"stx{name} [r0{offset:+d}], r9")
                case 1 if size >= 4:
                    atomic = "lock fetch add" if self.chance(0.5) else "lock add"
                    width = "32" if size == 4 else ""
                    self.lines.append(f"mov r1, 1\n{atomic}{width} [r0{offset:+d}], r1")
                case _:
                    self.lines += [f"ldx{name} r1, [r0{offset:+d}]", "add r9, r1"]
        self.lines.append(f"{end}:")

    def tail_call(self) -> None:
        index = self.random.choice((0, 1, 2, 3, 4, -1))
        self.lines += ["stxdw [r10-8], r9", "mov r1, r6", "lddw r2, map_programs"]
        self.lines += [f"mov r3, {index}", "call 12", "add r9, r0"]

    def loop(self) -> None:
        """Look-ups of an array one after the other."""
        label, end = self.label(), self.label()
        self.lines += ["stdw [r10-40], 0", f"{label}:", "ldxdw r1, [r10-40]", "stxw [r10-32], r1"]
        self.lines += ["add r1, 1", "stxdw [r10-40], r1", f"lddw r1, map_{KEYED[0].name}"]
        self.lines += ["mov r2, r10", "add r2, -32", "call 1", f"jeq r0, 0, {end}"]
        self.lines += ["ldxdw r1, [r0]", "add r9, r1", "mov r1, 1", "lock add [r0], r1"]
        self.lines += ["ldxdw r1, [r10-40]", f"jlt r1, {self.random.randrange(3, 9)}, {label}"]
        self.lines.append(f"{end}:")


@dataclass(frozen=True)
class Case:
    """A random program, and two more that it may call."""

    seed: int

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return tuple(Generator(3 * self.seed + n).program() for n in range(3))

    def load(self) -> tuple[list[Program], list[Any]]:
        """The programs in a space of their own."""
        space = Space()
        maps = [Map.create(definition) for definition in (*KEYED, PROGRAMS)]
        handles = {each.definition.name: space.add_map(each) for each in maps}
        helpers = Helpers().over(kernel_helpers("xdp"))
        programs = []
        for text in self.texts:
            for name, handle in sorted(handles.items(), reverse=True):
                text = text.replace(f"map_{name}\n", f"{handle}\n")  # noqa: PLW2901 (step by step)
            code = Code(assemble(text))
            programs.append(Program(code, space=space, hook=Xdp(), helpers=helpers))
        maps[0][2], maps[2][1], maps[4][3] = 7, b"value of 12.", 9
        maps[-1][0], maps[-1][1] = programs[1], programs[2]
        return programs, maps

    def outcomes(self, engine: Literal["interpreter", "jit"]) -> list[object]:
        """What some runs on one engine leave behind."""
        random, (programs, maps) = Random(self.seed), self.load()  # noqa: S311 (as above)
        found: list[object] = []
        for length in (64, 14, 3, 64, 100, 64):
            packet, budget = random.randbytes(length), random.choice((5000, 5000, 60))
            try:
                result = programs[0].run(
                    packet,
                    engine=engine,
                    budget=budget,
                )
                outcome: object = result
            except ExecutionError as error:
                outcome = _described(error)
            found.append((outcome, [each.snapshot() for each in maps[:-1]]))
        return found

    def check(self) -> int:
        """Compare the engines; gives how many runs ended without a fault."""
        expected, found = self.outcomes("interpreter"), self.outcomes("jit")
        for index, (one, other) in enumerate(zip(expected, found, strict=True)):
            text = "\n---\n".join(self.texts)
            assert other == one, f"seed {self.seed}, run {index}\n{text}\n{one}\n{other}"
        return sum(not isinstance(one[0], tuple) for one in expected)  # type: ignore[index]  # pairs

    def through(self, way: str) -> list[object]:
        """What calls or a batch leave behind, by the interpreter or compiled."""
        random, (programs, maps) = Random(self.seed), self.load()  # noqa: S311 (as above)
        packets = [random.randbytes(length) for length in (64, 14, 3, 64, 100, 0, 64, 64)]
        program, found = programs[0], list[object]()
        program.budget = random.choice((5000, 60))
        program.engine = "interpreter" if way.startswith("interpreted") else "jit"
        if way.endswith("batch"):
            verdicts = program.run_batch(packets, on_fault="record")
            found.append(list(verdicts))
            found.append({index: _described(error) for index, error in verdicts.faults.items()})
        else:
            for packet in packets:
                try:
                    found.append(program(packet))
                except ExecutionError as error:
                    found.append(_described(error))
        return [*found, *(each.snapshot() for each in maps[:-1])]

    def check_ways_in(self) -> None:
        """Compare calls and batches of the two engines."""
        for way in ("calls", "batch"):
            expected, found = self.through(f"interpreted {way}"), self.through(way)
            text = "\n---\n".join(self.texts)
            assert found == expected, f"seed {self.seed}, {way}\n{text}\n{expected}\n{found}"


def _described(error: ExecutionError) -> tuple[object, ...]:
    return type(error), error.pc, error.registers, str(error)
