"""One compiled form of a program: out of the cache or out of LLVM, linked, and callable."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.jit import layout
from drybpf.jit.batches import way_in
from drybpf.jit.choices import Choices, Module
from drybpf.jit.entries import entries
from drybpf.jit.ledger import Ledger
from drybpf.jit.setup import Setting
from drybpf.native import builtin as builtins
from drybpf.native import cache, target
from drybpf.native.builtin import METH_O, builtin
from drybpf.native.emit import compile_ir
from drybpf.native.link import link
from drybpf.space import Space


@dataclass(frozen=True)
class Form:
    """A program compiled for some choices, with its way in; not linked yet."""

    choices: Choices
    module: Module
    image: bytes
    front: bytes
    cached: bool  # whether it is from the disk


def compiled_form(code: Code, shape: Shape, choices: Choices) -> Form:
    """Compile a program, or take it from the cache.  It changes nothing: any thread may."""
    inlined = [each.lookup for each in choices.around.maps if each.lookup]
    texts = [function.ir() for function in (*choices.natives.values(), *inlined)]
    sets = sorted(choices.lookups), sorted(choices.kernel.items())
    key = _key(code, (shape, replace(choices, lookups=frozenset(), kernel={}), sets, texts))
    stored = cache.load(key)
    if stored is not None:
        facts, _, image = stored.partition(b"\n")
        module = Module.from_facts(facts)
    else:
        from drybpf.jit.module import emit_module  # noqa: PLC0415 (all of the compiler)

        module = emit_module(code, shape, choices)
        effort = 1 if module.straight else 2
        # What LLVM must find out of a packet whose ends move, it finds out at level 2.
        level = 1 if module.alone and not choices.moving else 2
        loops = not module.straight
        image = compile_ir(module.ir, level=level, codegen=effort, loops=loops, alone=module.alone)
        cache.store(key, module.facts() + b"\n" + image)
    if choices.batch:
        front = _batch_entry()
    else:
        front = _entry_points(choices.setting(code, shape, lookups=module.lookups))
    return Form(choices, module, image, front, stored is not None)


class Variant:
    """One compiled form of a program, linked and callable."""

    ledger: Ledger | None = None  # what was executed, in the covering variant

    def __init__(
        self,
        code: Code,
        shape: Shape,
        form: Form,
        ledgers: dict[int | None, Ledger] | None = None,
    ) -> None:
        """Link; `ledgers` are those of the program, by the start."""
        choices, self.module, self.cached = form.choices, form.module, form.cached
        self.moving, self.numbered = choices.moving, choices.numbered
        self.looping = choices.looping
        self.lookups = choices.lookups
        self.natives = choices.natives  # inlined, by number
        called = shape.plain and not choices.tail  # the hook's defaults are all that a run needs
        exports = ["run", "repeat", "enter", *(["call", "vectorcall"] if called else [])]
        if choices.batch:
            exports = ["batch"]
        self.env = (ctypes.c_uint64 * layout.ENV_WORDS)()
        imports = {"env": ctypes.addressof(self.env)}
        if choices.covering:
            self.ledger = _ledger(code, self.module, choices.start, ledgers)
            imports["counters"] = self.ledger.address
        self.library = link([form.image, form.front], exports, imports)
        self._bound: object = None
        self._other: object = None
        self.run = self.function(exports[0])

    def helper_numbers(self, space: Space) -> Sequence[int | None]:
        """The numbers of the helpers by their places in the table of a run."""
        if not self.numbered:
            return self.module.helpers
        return [
            n if n in space.helpers else None for n in range(max(space.helpers, default=-1) + 1)
        ]

    @property
    def inside(self) -> bool:
        """Whether a call waits in this code for Python, and will go on in it."""
        return self.env[layout.ENV_INSIDE] != 0

    def function(self, name: str, doc: str = "") -> Callable[..., int]:
        """An entry point as a built-in function."""
        address = self.library.address(name)
        return builtin(
            address, name=name, flags=METH_O, keep=(self.library, self.env, self.ledger), doc=doc
        )

    def bind(
        self,
        name: str,
        fuel: int,
        fallback: Callable[[object, int], int],
        tables: tuple[int, int, object],
    ) -> Callable[..., int]:
        """A built-in function from packet to r0; `fallback` finishes what it leaves.

        `tables` are the addresses of those of helpers and of programs, and what keeps them.  All
        functions of a variant share what was bound last.
        """
        self.env[layout.ENV_FUEL], self.env[layout.ENV_FALLBACK] = fuel, id(fallback)
        self.env[layout.ENV_HELPERS], self.env[layout.ENV_PROGRAMS], _ = tables
        self._bound = fallback, tables  # what the words point at
        doc = f"{name}(packet, /)\n--\n\nRun the program on a packet; the result is r0."
        return builtin(self.library.address("call"), name=name, flags=METH_O, keep=self, doc=doc)

    def direct(self, other: Callable[..., object]) -> int:
        """The address of the same function for PEP 590; `other` takes calls of any other form.

        Whoever uses it keeps the bound function alive.
        """
        self.env[layout.ENV_OTHER] = id(other)
        self._other = other  # the last of several threads, as in the word
        return self.library.address("vectorcall")


def _ledger(
    code: Code, module: Module, start: int | None, ledgers: dict[int | None, Ledger] | None
) -> Ledger:
    """The ledger of a variant: one for all that begin at the same place, for their plan is one."""
    known = None if ledgers is None else ledgers.get(start)
    if known is not None and known.fits(module.plans, module.counters):
        return known
    fresh = Ledger(code, module.plans, module.counters)
    if ledgers is not None:
        ledgers[start] = fresh
    return fresh


_fronts: dict[object, bytes] = {}


def _entry_points(setting: Setting) -> bytes:
    """The object with the entry points for programs of one setting: compiled once, then cached."""
    if setting not in _fronts:
        _fronts[setting] = _compiled_once(entries(setting))
    return _fronts[setting]


def _batch_entry() -> bytes:
    """The object with the entry point for batches."""
    if _BATCH not in _fronts:
        _fronts[_BATCH] = _compiled_once(way_in())
    return _fronts[_BATCH]


_BATCH = ("batch",)


def _compiled_once(ir: str) -> bytes:
    """Compile a module that does not depend on a program, or take it from the cache."""
    digest = sha256((ir + _describe()).encode()).digest()
    image = cache.load(digest)
    if image is None:
        image = compile_ir(ir)
        cache.store(digest, image)
    return image


def prepare(shape: Shape, *, may_write: bool) -> None:
    """Load LLVM and make the entry points: what is paid once, before the first program."""
    for lookups in (False, True):
        _entry_points(Setting(shape, may_write, lookups))


def _key(code: Code, options: object) -> bytes:
    facts = options, dict(code.references), code.entries, _describe()
    return sha256(code.bytecode + repr(facts).encode()).digest()


@lru_cache(maxsize=1)
def _describe() -> str:
    """What compiled code depends on besides the program: LLVM, processor, Python, and drybpf."""
    digest = sha256()
    package = Path(__file__).parent.parent
    parts = "jit/*.py", "native/**/*.py", "maps/**/*.py"
    for source in sorted(each for part in parts for each in package.glob(part)):
        digest.update(source.read_bytes())
    return f"{target.describe()}, {builtins.describe()}, {digest.hexdigest()}"
