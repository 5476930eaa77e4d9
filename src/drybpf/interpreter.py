"""The reference engine: one short function an operation, every step observable.

A program is turned once into a list of steps, one a slot.  A step takes the state, does what its
instruction says and gives the next pc; what the instruction needs (numbers of registers, the
immediate, the function of `isa.semantics`) is bound into it, so that nothing is looked up again.
The loop is then a list index and a call.  What limits it is CPython's price of two calls for each
instruction (see docs/performance.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import count
from weakref import WeakKeyDictionary

from drybpf import flow, meter
from drybpf.code import Code
from drybpf.errors import BudgetExceeded, ExecutionError, InvalidInstruction, UnknownHelper
from drybpf.isa import Instruction
from drybpf.isa.semantics import (
    ATOMICS,
    COMPARE_EXCHANGE,
    CONDITIONS,
    CONVERSIONS,
    LOADS,
    M32,
    M64,
    OPERATIONS,
    PACKET_LOADS,
    STORES,
    WIDE_LOADS,
    signed,
)
from drybpf.memory import FUNCTION_HANDLES
from drybpf.state import FINISHED, State

Step = Callable[[State], int]
Trace = Callable[[State], None]


class _Finished(Exception):
    """The program has returned."""


class _Switched(Exception):
    """The run goes on in other code, at the state's pc."""


def run(state: State, trace: Trace | None = None) -> int:
    """Run from the state's pc until the program returns; the result is r0.

    `trace` is called with the state before each instruction.  A fault is an `ExecutionError` with
    its place; the state is then as it was before the instruction, and can be resumed.
    """
    engine = _run_traced if trace else _run
    if meter.is_active():
        engine = _run_counted
    while not state.finished:
        try:
            engine(state, trace)
        except _Switched:
            continue
    return state.registers[0]


def step(state: State) -> bool:
    """Run one instruction; False when the program has returned."""
    code, pc, following = state.code, state.pc, FINISHED
    try:
        following = state.pc = steps_of(code)[pc](state)
    except _Finished:
        state.pc = FINISHED
    except _Switched:
        pass
    except ExecutionError as error:
        locate(error, state, code, pc)
        raise
    finally:
        if meter.is_active():
            meter.record(code, {pc: 1}, {pc: int(following == code.branches.get(pc))})
    state.instructions += 1
    return not state.finished


def _run(state: State, _: Trace | None) -> None:
    code, pc, before = state.code, state.pc, state.instructions
    steps = steps_of(code)
    try:
        # Counts at the speed of C, and only an exception ends it.
        for state.instructions in count(before):  # pragma: no branch
            pc = steps[pc](state)
    except _Finished:
        state.pc = FINISHED
        state.instructions += 1
    except _Switched:
        state.instructions += 1
        raise
    except BaseException as error:
        state.pc = pc
        if isinstance(error, ExecutionError):
            locate(error, state, code, pc)
        raise


def _run_traced(state: State, trace: Trace | None) -> None:
    while trace and not state.finished:
        trace(state)
        step(state)


def _run_counted(state: State, trace: Trace | None) -> None:
    """As the other two, and tell the meters which instructions began and which jumps were taken."""
    code, pc, before = state.code, state.pc, state.instructions
    steps = steps_of(code)
    begun: dict[int, int] = defaultdict(int)
    jumped: dict[int, int] = defaultdict(int)
    try:
        for state.instructions in count(before):  # pragma: no branch (as in `_run`)
            if trace:
                state.pc = pc
                trace(state)
            begun[pc] += 1
            following = steps[pc](state)
            if following != pc + 1:
                jumped[pc] += 1
            pc = following
    except _Finished:
        state.pc = FINISHED
        state.instructions += 1
    except _Switched:
        state.instructions += 1
        raise
    except BaseException as error:
        state.pc = pc
        if isinstance(error, ExecutionError):
            locate(error, state, code, pc)
        raise
    finally:
        taken = {branch: jumped.get(branch, 0) for branch in begun if branch in code.branches}
        meter.record(code, begun, taken)


def locate(error: ExecutionError, state: State, code: Code, pc: int) -> None:
    """Tell the fault where it happened."""
    error.pc, error.registers, error.code = pc, tuple(state.registers), code
    line = code.line_at(pc)
    error.source = str(line) if line else ""


_STEPS: WeakKeyDictionary[Code, list[Step]] = WeakKeyDictionary()


def steps_of(code: Code) -> list[Step]:
    """The steps of a program, made on first use and kept as long as the code."""
    steps = _STEPS.get(code)
    if steps is None:
        steps = _STEPS[code] = [_make(code, pc) for pc in range(len(code) + 1)]
        for pc, cost in code.fuel.items():
            steps[pc] = _charged(cost, steps[pc])
    return steps


def _make(code: Code, pc: int) -> Step:
    instruction = code.slots[pc] if pc < len(code) else None
    if instruction is None:
        return _invalid("control ran outside the instructions")
    if instruction.row is None:
        return _invalid(f"opcode {instruction.opcode:#04x} is no instruction")
    registers = {"dst", "src"}.intersection(instruction.row.operands)
    if any(getattr(instruction, register) > 10 for register in registers):
        return _invalid("there are no registers beyond r10")
    return _FACTORIES[instruction.row.semantics](code, pc, instruction)


def _charged(cost: int, following: Step) -> Step:
    def charge(state: State) -> int:
        if state.fuel < cost:
            raise BudgetExceeded(f"the budget ends: {cost} instructions ahead, {state.fuel} left")
        state.fuel -= cost
        try:
            return following(state)
        except ExecutionError:
            state.fuel += cost  # the state is as before the instruction
            raise

    return charge


def _invalid(reason: str) -> Step:
    def invalid(_: State) -> int:
        raise InvalidInstruction(reason)

    return invalid


def _jump_target(code: Code, pc: int, instruction: Instruction) -> int:
    """Where a jump leads; the step behind the last where that is no instruction."""
    target = flow.target(pc, instruction)
    return target if target is not None and flow.is_start(code.slots, target) else len(code)


# Arithmetic


def _operation(_: Code, pc: int, instruction: Instruction) -> Step:
    row, dst, src = instruction.row, instruction.dst, instruction.src
    compute, behind = OPERATIONS[row.semantics if row else ""], pc + 1

    def with_register(state: State) -> int:
        registers = state.registers
        registers[dst] = compute(registers[dst], registers[src])
        return behind

    immediate = instruction.imm & M64

    def with_immediate(state: State) -> int:
        registers = state.registers
        registers[dst] = compute(registers[dst], immediate)
        return behind

    return with_register if row and "src" in row.operands else with_immediate


def _conversion(_: Code, pc: int, instruction: Instruction) -> Step:
    dst, behind = instruction.dst, pc + 1
    compute = CONVERSIONS[instruction.row.semantics if instruction.row else ""]

    def convert(state: State) -> int:
        registers = state.registers
        registers[dst] = compute(registers[dst])
        return behind

    return convert


def _wide_load(code: Code, pc: int, instruction: Instruction) -> Step:
    dst, behind, value = instruction.dst, pc + instruction.slots, instruction.imm64
    if pc in code.references:
        value = code.references[pc]
    elif instruction.src == 4:
        value = FUNCTION_HANDLES + _jump_target(code, pc, instruction)
    elif instruction.src:
        return _invalid("the map or variable was never resolved")

    def load(state: State) -> int:
        state.registers[dst] = value
        return behind

    return load


# Jumps and calls


def _branch(code: Code, pc: int, instruction: Instruction) -> Step:
    row, dst, src = instruction.row, instruction.dst, instruction.src
    holds, behind = CONDITIONS[row.semantics if row else ""], pc + 1
    target = _jump_target(code, pc, instruction)

    def with_register(state: State) -> int:
        registers = state.registers
        return target if holds(registers[dst], registers[src]) else behind

    immediate = instruction.imm & M64

    def with_immediate(state: State) -> int:
        return target if holds(state.registers[dst], immediate) else behind

    return with_register if row and "src" in row.operands else with_immediate


def _jump(code: Code, pc: int, instruction: Instruction) -> Step:
    target = _jump_target(code, pc, instruction)
    return lambda _: target


def _exit(_code: Code, _pc: int, _: Instruction) -> Step:
    def leave(state: State) -> int:
        if not state.frames:
            raise _Finished
        code = state.code
        state.leave()
        return _next(state, code)

    return leave


def _next(state: State, code: Code) -> int:
    """The state's pc, if that is still in the code whose steps run."""
    if state.code is not code:
        raise _Switched
    return state.pc


def _call_local(code: Code, pc: int, instruction: Instruction) -> Step:
    target, behind = _jump_target(code, pc, instruction), pc + 1

    def call(state: State) -> int:
        state.enter(target, state.registers[1:6], behind)
        return target

    return call


def _call_helper(_: Code, pc: int, instruction: Instruction) -> Step:
    number, behind = instruction.imm & M32, pc + 1
    return lambda state: _helper(state, number, behind)


def _callx(_: Code, pc: int, instruction: Instruction) -> Step:
    dst, behind = instruction.dst, pc + 1
    return lambda state: _helper(state, state.registers[dst], behind)


def _helper(state: State, number: int, behind: int) -> int:
    helper = state.helpers.get(number)
    if helper is None:
        raise UnknownHelper(number, f"helper {number} is not registered")
    code = state.code
    state.call_helper(number, helper, behind)
    return _next(state, code)


def _call_runtime(_code: Code, _pc: int, instruction: Instruction) -> Step:
    number = instruction.imm & M32

    def call(_: State) -> int:
        raise UnknownHelper(number, f"no function of the kernel has the BTF id {number} here")

    return call


# Memory


def _load(_: Code, pc: int, instruction: Instruction) -> Step:
    dst, src, offset, behind = instruction.dst, instruction.src, instruction.offset, pc + 1
    size, extend = LOADS[instruction.row.semantics if instruction.row else ""]

    def load(state: State) -> int:
        registers = state.registers
        registers[dst] = state.memory.load((registers[src] + offset) & M64, size)
        return behind

    def load_signed(state: State) -> int:
        load(state)
        state.registers[dst] = signed(state.registers[dst], 8 * size) & M64
        return behind

    return load_signed if extend else load


def _store(_: Code, pc: int, instruction: Instruction) -> Step:
    row, dst, src = instruction.row, instruction.dst, instruction.src
    size, offset, behind = STORES[row.semantics if row else ""], instruction.offset, pc + 1

    def store_register(state: State) -> int:
        registers = state.registers
        state.memory.store((registers[dst] + offset) & M64, size, registers[src])
        return behind

    immediate = instruction.imm & M64

    def store_immediate(state: State) -> int:
        state.memory.store((state.registers[dst] + offset) & M64, size, immediate)
        return behind

    return store_register if row and "src" in row.operands else store_immediate


def _atomic(_: Code, pc: int, instruction: Instruction) -> Step:
    row, dst, src, offset = instruction.row, instruction.dst, instruction.src, instruction.offset
    semantics, behind = (row.semantics if row else ""), pc + 1
    size = 4 if "32" in semantics else 8
    compute, fetches = ATOMICS[semantics], row is not None and row.writes == "src"

    def modify(state: State) -> int:
        registers, memory = state.registers, state.memory
        address = (registers[dst] + offset) & M64
        memory.check_atomic(address, size)
        old = memory.load(address, size)
        memory.store(address, size, compute(old, registers[src]))
        if fetches:
            registers[src] = old
        return behind

    return modify


def _compare_exchange(_: Code, pc: int, instruction: Instruction) -> Step:
    row, dst, src, offset = instruction.row, instruction.dst, instruction.src, instruction.offset
    size, behind = (4 if row and "32" in row.semantics else 8), pc + 1
    mask = M32 if size == 4 else M64

    def exchange(state: State) -> int:
        registers, memory = state.registers, state.memory
        address = (registers[dst] + offset) & M64
        memory.check_atomic(address, size)
        old = memory.load(address, size)
        if old == registers[0] & mask:
            memory.store(address, size, registers[src])
        registers[0] = old
        return behind

    return exchange


def _packet_load(_: Code, pc: int, instruction: Instruction) -> Step:
    src, imm, behind = instruction.src, instruction.imm, pc + 1
    size, indirect = PACKET_LOADS[instruction.row.semantics if instruction.row else ""]

    def load(state: State) -> int:
        registers = state.registers
        offset = signed(imm + (registers[src] if indirect else 0), 32)
        begin, end = state.packet
        data: bytes | None = None
        if offset < 0:
            data = state.hook.before(state.memory.read(begin, end - begin), offset, size)
        elif begin + offset + size <= end:
            data = state.memory.read(begin + offset, size)
        if data is None:
            registers[0] = 0  # out of range ends the program, from any depth
            raise _Finished
        registers[:6] = [int.from_bytes(data, "big"), 0, 0, 0, 0, 0]
        return behind

    return load


_FACTORIES: dict[str, Callable[[Code, int, Instruction], Step]] = {
    **dict.fromkeys(OPERATIONS, _operation),
    **dict.fromkeys(CONVERSIONS, _conversion),
    **dict.fromkeys(WIDE_LOADS, _wide_load),
    **dict.fromkeys(CONDITIONS, _branch),
    **dict.fromkeys(LOADS, _load),
    **dict.fromkeys(STORES, _store),
    **dict.fromkeys(ATOMICS, _atomic),
    **dict.fromkeys(COMPARE_EXCHANGE, _compare_exchange),
    **dict.fromkeys(PACKET_LOADS, _packet_load),
    "ja": _jump,
    "call_helper": _call_helper,
    "call_local": _call_local,
    "call_runtime": _call_runtime,
    "callx": _callx,
    "exit": _exit,
}
