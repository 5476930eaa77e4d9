"""Random programs that call the helpers of maps, run by the kernel, the interpreter and compiled.

Each call's result, and what it found, goes into an array `told`, a word each, so that a difference
names the call.  Contents are compared afterwards.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Any

from drybpf.asm import assemble
from drybpf.engine import Engine
from drybpf.hooks import HOOKS
from drybpf.host import Host
from drybpf.kernel import KernelMap, KernelProgram, cpus
from drybpf.kernel.maps import split_cpus
from drybpf.kernel.rings import RingReader
from drybpf.maps import Map, MapDefinition, MapFlag, MapType
from drybpf.program import Program
from drybpf.space import Space

T = MapType
NO_PREALLOC = MapFlag.NO_PREALLOC
INNER_ARRAY = MapDefinition("inner", T.ARRAY, 4, 8, 2)
INNER_HASH = MapDefinition("inner", T.HASH, 4, 8, 2)
KEYED = (
    MapDefinition("hash", T.HASH, 4, 8, 3),
    MapDefinition("bare", T.HASH, 8, 16, 4, NO_PREALLOC),
    MapDefinition("odd", T.HASH, 7, 13, 3),
    MapDefinition("lru", T.LRU_HASH, 4, 12, 500),  # too few keys for it to forget any
    MapDefinition("percpu", T.PERCPU_HASH, 4, 8, 3),
    MapDefinition("lrupc", T.LRU_PERCPU_HASH, 4, 8, 500),
    MapDefinition("array", T.ARRAY, 4, 8, 4),
    MapDefinition("wide", T.ARRAY, 4, 21, 3),
    MapDefinition("pcarray", T.PERCPU_ARRAY, 4, 16, 3),
    MapDefinition("lpm", T.LPM_TRIE, 8, 8, 4, NO_PREALLOC),
    MapDefinition("lpmodd", T.LPM_TRIE, 7, 9, 4, NO_PREALLOC),
)
FIXED = (T.ARRAY, T.PERCPU_ARRAY)
PER_CPU = (T.PERCPU_HASH, T.LRU_PERCPU_HASH, T.PERCPU_ARRAY)
QUEUES = (
    MapDefinition("queue", T.QUEUE, 0, 8, 3),
    MapDefinition("stack", T.STACK, 0, 12, 2),
    MapDefinition("bloom", T.BLOOM_FILTER, 0, 8, 4096, extra=4),
)
RING = MapDefinition("ring", T.RINGBUF, 0, 0, 4096)
OF_MAPS = (
    MapDefinition("inners", T.ARRAY_OF_MAPS, 4, 4, 3, inner=INNER_ARRAY),
    MapDefinition("byname", T.HASH_OF_MAPS, 4, 4, 3, inner=INNER_HASH),
)
MAPS = (*KEYED, *QUEUES, RING, *OF_MAPS)
OF_CPUS = tuple(each for each in KEYED if each.type in PER_CPU)
CALLS = 60
TOLD = MapDefinition("told", T.ARRAY, 4, 8, 4 * CALLS)
LOOKUP, UPDATE, DELETE, PUSH, POP, PEEK = 1, 2, 3, 87, 88, 89
OUTPUT, RESERVE, SUBMIT, DISCARD, QUERY, OF_CPU = 130, 131, 132, 133, 134, 195
VALUE, KEY, ROOM = 64, 32, 96  # places in the frame, below its end


@dataclass
class Writer:
    """Writes a program; `{name}` stands for a map."""

    random: Random
    lines: list[str] = field(default_factory=list)
    told: int = 0  # words
    labels: int = 0
    chosen: tuple[MapDefinition, ...] = ()
    seldom: int = DELETE

    def program(self) -> str:
        self.chosen = tuple(self.random.sample(KEYED, 2))
        self.seldom = self.random.choice((LOOKUP, DELETE))
        kinds = (self.keyed, self.percpu, self.queue, self.ring, self.held)
        for _ in range(CALLS):
            self.lines.append(f"; {self.told}")
            self.random.choices(kinds, (10, 1, 3, 3, 2))[0]()
        return "\n".join([*self.lines, "mov r0, 2", "exit"])

    def tell(self) -> None:
        """Put r0 into the next word of what is told."""
        self.lines += ["stxdw [r10-8], r0", f"stw [r10-16], {self.told}", "lddw r1, {told}"]
        self.lines += ["mov r2, r10", "add r2, -16", "call 1", "jeq r0, 0, +2"]
        self.lines += ["ldxdw r1, [r10-8]", "stxdw [r0], r1"]
        self.told += 1

    def label(self) -> str:
        self.labels += 1
        return f"l{self.labels}"

    def bytes_at(self, data: bytes, place: int) -> None:
        data = data.ljust(-(-len(data) // 8) * 8, b"\0")
        for at in range(0, len(data), 8):
            word = int.from_bytes(data[at : at + 8], "little")
            self.lines += [f"lddw r1, {word:#x}", f"stxdw [r10-{place - at}], r1"]

    def key(self, what: MapDefinition) -> None:
        random, size = self.random, what.key_size
        if what.type == T.LPM_TRIE:
            bits = 8 * (size - 4)
            length = random.choice((0, 1, 2, 8, 9, bits - 1, bits, bits, bits + 1))
            data = bytes([random.choice((0, 128, 255)), random.choice((0, 1, 128))])
            key = length.to_bytes(4, "little") + data.ljust(size - 4, b"\0")
        else:
            number = random.choice((0, 1, 1, 2, 3, 4, 5, (1 << 32) - 1))
            key = number.to_bytes(size, "little")
        self.bytes_at(key, KEY)

    def value(self, size: int) -> None:
        self.bytes_at(self.random.randbytes(size), VALUE)

    def at(self, register: int, place: int) -> None:
        self.lines += [f"mov r{register}, r10", f"add r{register}, -{place}"]

    def found(self, size: int) -> None:
        """What lies at r0, if something does; it is changed at times."""
        absent, end = self.label(), self.label()
        self.lines += [f"jeq r0, 0, {absent}", "mov r6, r0", "ldxdw r0, [r6]"]
        if size > 8:
            self.lines += ["mul r0, 31", f"ldxb r1, [r6+{size - 1}]", "add r0, r1"]
        if self.random.random() < 0.3:
            kind = self.random.choice(("stxdw [r6], r1", "lock add [r6], r1", "lock xchg [r6], r1"))
            self.lines += [f"mov r1, {self.random.getrandbits(30)}", kind]
        self.lines += [f"ja {end}", f"{absent}:", "mov r0, -1", f"{end}:"]
        self.tell()

    def keyed(self, among: tuple[MapDefinition, ...] = (), held: str = "") -> None:
        what, random = self.random.choice(among or self.chosen), self.random
        self.key(what)
        kind = random.choice((LOOKUP, UPDATE, UPDATE, UPDATE, self.seldom))
        if kind == UPDATE:
            self.value(what.value_size)
        self.lines.append(held or f"lddw r1, {{{what.name}}}")
        self.at(2, KEY)
        if kind == UPDATE:
            self.at(3, VALUE)
            flags = random.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 8, 1 << 32, 1 << 63))
            self.lines.append(f"lddw r4, {flags}")
        self.lines.append(f"call {kind}")
        if kind == LOOKUP:
            self.found(what.value_size)
        else:
            self.tell()

    def percpu(self) -> None:
        what = self.random.choice([each for each in self.chosen if each.type in PER_CPU] or OF_CPUS)
        self.key(what)
        self.lines.append(f"lddw r1, {{{what.name}}}")
        self.at(2, KEY)
        self.lines += [f"mov r3, {self.random.choice((0, 1, 0, 1, 5000, -1))}", f"call {OF_CPU}"]
        self.found(what.value_size)

    def queue(self) -> None:
        what, kind = self.random.choice(QUEUES), self.random.choice((PUSH, POP, PEEK))
        if what.type == T.BLOOM_FILTER and kind == POP:
            kind = PEEK
        if kind == PUSH or what.type == T.BLOOM_FILTER:
            number = self.random.randrange(4)
            self.bytes_at(bytes([number]) * what.value_size, VALUE)
        else:
            self.bytes_at(b"\xee" * 16, VALUE)
        self.lines.append(f"lddw r1, {{{what.name}}}")
        self.at(2, VALUE)
        if kind == PUSH:
            self.lines.append(f"lddw r3, {self.random.choice((0, 0, 0, 2, 2, 1, 3, 4, 1 << 32))}")
        self.lines.append(f"call {kind}")
        self.tell()
        self.lines += [f"ldxdw r0, [r10-{VALUE}]"]
        self.tell()
        self.lines += [f"ldxw r0, [r10-{VALUE - 8}]"]
        self.bytes_at(bytes(16), VALUE)

    def ring(self) -> None:
        random, kind = self.random, self.random.choice((OUTPUT, RESERVE, QUERY))
        self.lines.append("lddw r1, {ring}")
        if kind == QUERY:
            self.lines += [f"lddw r2, {random.choice((0, 1, 2, 3, 4, 1 << 32))}", f"call {QUERY}"]
        elif kind == OUTPUT:
            self.bytes_at(random.randbytes(16), VALUE)
            self.lines.append("lddw r1, {ring}")
            self.at(2, VALUE)
            size, flags = random.randrange(1, 17), random.choice((0, 1, 2, 3, 4, 1 << 32))
            self.lines += [f"mov r3, {size}", f"lddw r4, {flags}", f"call {OUTPUT}"]
        else:
            size, end = random.choice((1, 8, 13, 100, 2000, 4080, 4088, 4089)), self.label()
            self.lines += [f"mov r2, {size}", "mov r3, 0", f"call {RESERVE}", "mov r6, r0"]
            self.lines += ["mov r0, -1", f"jeq r6, 0, {end}", "mov r7, r6"]
            self.lines += [f"stb [r7+{at}], {random.getrandbits(7)}" for at in {0, size - 1}]
            self.lines += ["mov r1, r6", f"mov r2, {random.choice((0, 1, 2))}"]
            self.lines += [f"call {random.choice((SUBMIT, DISCARD))}", "mov r0, 0", f"{end}:"]
        self.tell()

    def held(self) -> None:
        what = self.random.choice(OF_MAPS)
        self.key(what)
        end = self.label()
        self.lines += [f"lddw r1, {{{what.name}}}"]
        self.at(2, KEY)
        self.lines += [f"call {LOOKUP}", f"jeq r0, 0, {end}", "mov r8, r0"]
        inner = what.inner
        assert inner is not None
        self.keyed((inner,), "mov r1, r8")
        self.lines.append(f"{end}:")


class Ours:
    """The program on one of our engines."""

    def __init__(self, text: str, engine: Engine, runs: int) -> None:
        space = Space()
        self.maps: dict[str, Any] = {}
        for what in (*MAPS, TOLD):
            self.maps[what.name] = Map.create(what, cpus=cpus.possible())
        for outer, what in zip(OF_MAPS, (INNER_ARRAY, INNER_HASH), strict=True):
            for key in (0, 2):
                self.maps[outer.name][key] = Map.create(what)
        for each in self.maps.values():
            space.add_map(each)
        handles = {name: str(each.handle) for name, each in self.maps.items()}
        program = Program.from_asm(
            text.format(**handles),
            hook=HOOKS["xdp"],
            space=space,
            engine=engine,
            host=Host(cpus=cpus.possible()),
        )
        self.told: list[Any] = []
        for _ in range(runs):
            program.run(bytes(64))
            self.told.append(list(self.maps["told"]))

    def contents(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for what in KEYED:
            if what.type in FIXED:
                found[what.name] = list(self.maps[what.name])
            else:
                found[what.name] = dict(self.maps[what.name].snapshot())
        found["ring"] = [event.data for event in self.maps["ring"].events()]
        for outer in OF_MAPS:
            inner = self.maps[outer.name]
            found[outer.name] = [inner[key].snapshot() for key in (0, 2)]
        return found


class Theirs:
    """The program in the kernel."""

    def __init__(self, text: str, runs: int) -> None:
        self.told: list[Any] = []
        with ExitStack() as stack:
            maps = {
                what.name: stack.enter_context(KernelMap(what))
                for what in (*KEYED, *QUEUES, RING, TOLD)
            }
            inners: dict[str, list[KernelMap]] = {}
            for outer, what in zip(OF_MAPS, (INNER_ARRAY, INNER_HASH), strict=True):
                made = [stack.enter_context(KernelMap(what)) for _ in range(2)]
                inners[outer.name] = made
                maps[outer.name] = stack.enter_context(KernelMap(outer, inner=made[0]))
                for key, inner in zip((0, 2), made, strict=True):
                    fd = inner.fd.to_bytes(4, "little")
                    maps[outer.name].update(key.to_bytes(4, "little"), fd)
            reader = RingReader(maps["ring"])
            stack.callback(reader.close)
            fds = {name: f"map_by_fd({each.fd})" for name, each in maps.items()}
            code = assemble(text.format(**fds))
            program = stack.enter_context(KernelProgram(code, 6))
            for _ in range(runs):
                with cpus.on(0):
                    program.test_run(bytes(64))
                self.told.append(list(dict(maps["told"].items()).values()))
            self.found = {what.name: self._contents(what, maps[what.name]) for what in KEYED}
            self.found["ring"] = [data for data, gone in reader.records() if not gone]
            for name, made in inners.items():
                self.found[name] = [self._contents(each.definition, each) for each in made]

    @staticmethod
    def _contents(what: MapDefinition, made: KernelMap) -> object:
        items: dict[bytes, object] = dict(made.items())
        if what.type in PER_CPU:
            size = what.value_size
            items = {key: split_cpus(value, size) for key, value in made.items()}
        return [items[key] for key in sorted(items)] if what.type in FIXED else items

    def contents(self) -> dict[str, Any]:
        return self.found


def compare(seed: int, runs: int = 2) -> str:
    """What differs for a seed, in words; empty where nothing does.  Raises `KernelError`."""
    text = Writer(Random(seed)).program()  # noqa: S311 (repeatable by design)
    theirs = Theirs(text, runs)
    for engine in ("interpreter", "jit"):
        ours = Ours(text, engine, runs)
        for run, (one, other) in enumerate(zip(theirs.told, ours.told, strict=True)):
            for number, (expected, found) in enumerate(zip(one, other, strict=True)):
                if expected != found:
                    return f"{engine}, run {run}, word {number}: {found!r}, the kernel {expected!r}"
        expected, found = theirs.contents(), ours.contents()
        for name in expected:
            if expected[name] != found[name]:
                return f"{engine}, map {name}: {found[name]!r}, the kernel {expected[name]!r}"
    return ""
