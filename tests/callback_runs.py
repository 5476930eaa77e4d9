"""Programs whose helpers call back into them, run on both engines with all that they leave."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from drybpf import interpreter, verifier
from drybpf.asm import assemble
from drybpf.code import Code
from drybpf.errors import ExecutionError
from drybpf.helpers import Helpers
from drybpf.hooks import Xdp
from drybpf.host import Host
from drybpf.jit import layout
from drybpf.jit.compiled import Jit
from drybpf.memory import FRAME_SIZE, STACK, frame_top
from drybpf.program import new_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drybpf.state import State

HOOK = Xdp()
PACKET = bytes(range(64))


@contextmanager
def slices(code: Code, more: int) -> Iterator[None]:
    """Compiled code gets little fuel at once: what any one point asks for, and some more."""
    before, layout.SLICE = layout.SLICE, max(code.fuel.values()) + more
    try:
        yield
    finally:
        layout.SLICE = before


class Pair:
    """One program for both engines; what is compiled stays so from run to run."""

    def __init__(self, text: str, helpers: Mapping[int, object] | None = None) -> None:
        self.text = text
        self.code = Code(assemble(text))
        verifier.check(self.code)
        self.helpers = HOOK.helpers(Helpers(helpers or {}))  # type: ignore[arg-type]  # any callables
        self.jits = {counting: Jit(self.code, HOOK.shape) for counting in (False, True)}

    def begin(self, budget: int) -> State:
        state = new_state(self.code, self.helpers, Host(), budget)
        HOOK.enter(state, bytearray(PACKET))
        return state

    def end(self, state: State, jit: Jit | None, *, counting: bool) -> dict[str, object]:
        """Run a state to its end or its fault; all that is then to be seen."""
        try:
            value: object = (
                interpreter.run(state) if jit is None else jit.run(state, counting=counting)
            )
        except ExecutionError as error:
            value = type(error).__name__, error.pc, error.registers, str(error)
        begin, behind = state.packet
        faulted = isinstance(value, tuple)
        tops = [frame_top(depth) - STACK for depth in range(len(state.frames) + 1)]
        return {
            "value": value,
            "fuel": state.fuel,
            "pc": state.pc,
            "instructions": state.instructions if counting else 0,
            "frames": list(state.frames),
            "registers": list(state.registers) if faulted else [],
            "stack": [bytes(state.memory.stack[top - FRAME_SIZE : top]) for top in tops if faulted],
            "packet": (begin, bytes(state.memory.read(begin, behind - begin))),
            "printed": list(state.printed),
            "tail calls": state.tail_calls,
        }

    def check(self, budget: int = 1 << 30, more: int = 1 << 20) -> dict[str, object]:
        """Compare the engines; a run that lacked fuel goes on with more, on either engine's own."""
        for counting in (False, True):
            expected, found = self.begin(budget), self.begin(budget)
            jit = self.jits[counting]
            first = self.end(expected, None, counting=counting)
            assert self.end(found, jit, counting=counting) == first, (budget, self.text)
            if "BudgetExceeded" in str(first["value"]):
                for state in (expected, found):
                    state.fuel += more
                last = self.end(expected, None, counting=counting)
                assert self.end(found, None, counting=counting) == last, (budget, self.text)
        return first

    def exits(self) -> int:
        """How often compiled code left."""
        return sum(self.jits[False].stats.exits.values())
