"""Whether both engines do the same with a random program, for several inputs and budgets."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from drybpf import interpreter
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.helpers import Helpers
from drybpf.hooks import FixedMetadata, Hook, Metadata, NoData, Raw, Xdp
from drybpf.host import Host
from drybpf.jit.compiled import Jit
from drybpf.program import new_state
from drybpf.state import Context, Invoke, State
from engines import Outcome, observe
from programs import Generator

HOOKS: tuple[Hook, ...] = (Raw(), Xdp(), FixedMetadata(0, 8), Metadata(), NoData())


def _touch(context: Context, address: int, *_: int) -> int:
    context.write(address, b"\xaa")
    return context.read(address, 1)[0]


def _raise(_: Context, r1: int, *_rest: int) -> int:
    if r1 % 3 == 0:
        raise KeyError(r1)
    return (1 << 64) - 1 - r1 if r1 % 3 == 1 else -5


def _back(context: Context, r1: int, r2: int, *_: int) -> int | Invoke:
    entries = context.state.code.entries
    if len(entries) < 2:
        return 1 << 63
    return Invoke(entries[1], (r2, r1), lambda _, result: result)


HELPERS = Helpers({1: lambda _, r1, r2, *_rest: r1 ^ r2, 2: _touch, 3: _raise, 4: _back})


def check(seed: int) -> int:
    """Compare the engines; gives how many runs were compared."""
    text = Generator(seed).program()
    code, random = Code(assemble(text)), Random(seed)  # noqa: S311 (repeatable by design)
    hook = HOOKS[seed % len(HOOKS)] if seed % 2 else Raw()
    jit, runs = Jit(code, hook.shape), 0
    packets = [b"" if hook.name == "no data" else random.randbytes(n) for n in (64, 16, 3, 0)]
    for packet in packets:
        for budget in (100_000, random.randrange(60), random.randrange(600)):

            def begin(packet: bytes = packet, budget: int = budget) -> State:
                state = new_state(code, HELPERS, Host(), budget)
                hook.enter(state, bytearray(packet))
                return state

            assert _run(jit, begin()) == _run(None, begin()), f"seed {seed}\n{text}"
            runs += 1
    return runs


def _run(jit: Jit | None, state: State) -> tuple[Outcome, int]:
    def drive(state: State) -> Iterator[State]:
        yield state
        if jit is None:
            interpreter.run(state)
        else:
            jit.run(state, counting=True)

    outcome = observe(state, drive)
    return outcome, state.fuel
