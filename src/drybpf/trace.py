"""Watching a run step by step: what each instruction is, reads, writes and changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from drybpf.asm import format_instruction
from drybpf.errors import BpfError, ExecutionError
from drybpf.isa.semantics import ATOMICS, COMPARE_EXCHANGE, LOADS, M64, STORES

if TYPE_CHECKING:
    from drybpf.code import Code, SourceLine
    from drybpf.isa import Instruction
    from drybpf.program import Program
    from drybpf.state import State


ENOUGH = object()  # what a function that is told steps gives to be told no more


@dataclass(frozen=True, slots=True)
class MemoryAccess:
    """Memory that one instruction touches: `kind` is `read`, `write` or `atomic`.

    `before` and `after` are the bytes there before and after the instruction, empty where it
    faults.
    """

    kind: str
    address: int
    size: int
    before: bytes
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Step:
    """One executed instruction.

    `changed` maps registers to their new values; `fault` is the error that ended the run here.
    """

    number: int
    pc: int
    function: str
    depth: int
    text: str
    source: SourceLine | None
    changed: tuple[tuple[int, int], ...]
    memory: MemoryAccess | None
    fault: str = ""

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        line, memory = self.source, self.memory
        return {
            "step": self.number,
            "pc": self.pc,
            "function": self.function,
            "depth": self.depth,
            "instruction": self.text,
            "file": line.file if line else None,
            "line": line.line if line else None,
            "source": line.text.strip() if line else None,
            "registers": {f"r{number}": value for number, value in self.changed},
            "memory": memory
            and {
                "kind": memory.kind,
                "address": memory.address,
                "size": memory.size,
                "before": memory.before.hex(),
                "after": memory.after.hex(),
            },
            "fault": self.fault or None,
        }


def trace(
    program: Program,
    packet: Any = b"",  # noqa: ANN401 (whatever the program runs on)
    on_step: Callable[[Step], object] = lambda _: None,
    **options: Any,  # noqa: ANN401 (those of `Program.run`)
) -> int | ExecutionError:
    """Run a program in the interpreter and tell each step, after it; gives r0, or the fault.

    Where `on_step` gives `ENOUGH`, no more steps are told; the run goes on to its end.
    """
    watcher = _Watcher(on_step)
    try:
        result = program.run(packet, trace=watcher.before, **options)
    except ExecutionError as error:
        watcher.end(error.registers, f"{type(error).__name__}: {error}")
        return error
    watcher.end((result.value,), "")
    return result.value


class _Watcher:
    """Holds a step back until what comes next shows what it changed."""

    def __init__(self, on_step: Callable[[Step], object]) -> None:
        self._on_step = on_step
        self._enough = False
        self._known: dict[tuple[Code, int], tuple[str, str, SourceLine | None]] = {}
        self._pending: tuple[Any, ...] | None = None
        self._registers: tuple[int, ...] = ()
        self._number = 0

    def before(self, state: State) -> None:
        """Called before each instruction."""
        if self._enough:
            return
        now = tuple(state.registers)
        self.end(now, "", state)
        instruction, code = state.code.slots[state.pc], state.code
        if instruction is None or self._enough:
            return
        self._registers = now
        place = code, state.pc
        if place not in self._known:
            self._known[place] = (
                code.function_name(state.pc),
                format_instruction(instruction, "llvm"),
                code.line_at(state.pc),
            )
        depth, touched = len(state.frames), _touched(state, instruction)
        self._pending = (state.pc, depth, *self._known[place], touched)

    def end(self, registers: tuple[int, ...], fault: str, state: State | None = None) -> None:
        """Tell the step that was held back; `state` is that after it."""
        if self._pending is None:
            return
        pc, depth, function, text, source, memory = self._pending
        if memory is not None and memory.before and state is not None:
            memory = replace(memory, after=_read(state, memory.address, memory.size))
        pairs = zip(self._registers, registers, strict=False)
        changed = tuple((n, new) for n, (old, new) in enumerate(pairs) if old != new and n < 10)
        step = Step(self._number, pc, function, depth, text, source, changed, memory, fault)
        self._enough = self._on_step(step) is ENOUGH
        self._number += 1
        self._pending = None


def _touched(state: State, instruction: Instruction) -> MemoryAccess | None:
    semantics = instruction.row.semantics if instruction.row else ""
    if semantics in LOADS:
        base, size, kind = instruction.src, LOADS[semantics][0], "read"
    elif semantics in STORES:
        base, size, kind = instruction.dst, STORES[semantics], "write"
    elif semantics in ATOMICS or semantics in COMPARE_EXCHANGE:
        base, size, kind = instruction.dst, 4 if "32" in semantics else 8, "atomic"
    else:
        return None
    address = (state.registers[base] + instruction.offset) & M64
    return MemoryAccess(kind, address, size, _read(state, address, size))


def _read(state: State, address: int, size: int) -> bytes:
    try:
        return state.memory.read(address, size)
    except BpfError:
        return b""


def describe(step: Step) -> str:
    """A step as a line."""
    parts = [f"{step.number:6} {step.pc:5}  {'  ' * step.depth}{step.text}"]
    parts += [f"r{number}={value:#x}" for number, value in step.changed]
    if step.memory is not None:
        memory, after = step.memory, ""
        if memory.kind != "read" and memory.after:
            after = f" → {memory.after.hex(' ')}"
        parts.append(
            f"{memory.kind} [{memory.address:#x}] {memory.before.hex(' ')}{after}".rstrip()
        )
    if step.fault:
        parts.append(step.fault)
    return "  ; ".join([parts[0], ", ".join(parts[1:])]) if len(parts) > 1 else parts[0]
