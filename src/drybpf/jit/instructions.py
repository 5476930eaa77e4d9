"""The instructions in LLVM IR: one short function a family, keyed like the table's semantics."""

from __future__ import annotations

from drybpf import flow
from drybpf.isa import Instruction
from drybpf.isa.semantics import (
    ATOMICS,
    COMPARE_EXCHANGE,
    CONDITIONS,
    CONVERSIONS,
    LOADS,
    M32,
    OPERATIONS,
    PACKET_LOADS,
    STORES,
    WIDE_LOADS,
    signed,
)
from drybpf.jit import calls, layout, lowering
from drybpf.jit.access import Access, Pointed, host_address, legacy_bounds, packet_place
from drybpf.jit.function import Emitter, FunctionText
from drybpf.jit.ir import Value
from drybpf.jit.plan import OUTSIDE
from drybpf.jit.provenance import Pointer
from drybpf.jit.runtime import RESULT
from drybpf.memory import CONTEXT, FUNCTION_HANDLES
from drybpf.native.restricted import Function


def _source(f: FunctionText, instruction: Instruction) -> Value:
    row = instruction.row
    if row is not None and "src" in row.operands:
        return f.get(instruction.src)
    return str(instruction.imm)


def _operation(f: FunctionText, _pc: int, instruction: Instruction) -> None:
    lower = lowering.OPERATIONS[instruction.row.semantics if instruction.row else ""]
    pure_move = instruction.row is not None and "dst" not in instruction.row.reads
    dst = "0" if pure_move else f.get(instruction.dst)
    f.set(instruction.dst, lower(f, dst, _source(f, instruction)))


def _conversion(f: FunctionText, _pc: int, instruction: Instruction) -> None:
    lower = lowering.CONVERSIONS[instruction.row.semantics if instruction.row else ""]
    f.set(instruction.dst, lower(f, f.get(instruction.dst)))


def _wide_load(f: FunctionText, pc: int, instruction: Instruction) -> None:
    value = f.code.references.get(pc, instruction.imm64)
    if instruction.src == 4 and pc not in f.code.references:
        value = FUNCTION_HANDLES + (flow.target(pc, instruction) or 0)
    f.set(instruction.dst, str(signed(value, 64)))


def _branch(f: FunctionText, pc: int, instruction: Instruction) -> None:
    lower = lowering.CONDITIONS[instruction.row.semantics if instruction.row else ""]
    holds = lower(f, f.get(instruction.dst), _source(f, instruction))
    target = flow.target(pc, instruction) or 0
    f.flush()
    ways = f"label %{f.to(target)}, label %{f.to(pc + 1)}"
    f.line(f"br i1 {holds}, {ways}{f.nature(target, pc + 1)}")


def _jump(f: FunctionText, pc: int, instruction: Instruction) -> None:
    f.flush()
    target = flow.target(pc, instruction) or 0
    f.line(f"br label %{f.to(target)}{f.nature(target)}")


def _exit(f: FunctionText, _pc: int, _instruction: Instruction) -> None:
    f.counting.edge(f.block, OUTSIDE)
    _return(f, f.get(0), f.copies.fuel()())


def _return(f: FunctionText, value: Value, fuel: Value) -> None:
    f.counting.write()
    f.give(value, fuel)


# Calls


def _call_local(f: FunctionText, pc: int, instruction: Instruction) -> None:
    callee = flow.target(pc, instruction) or 0
    calls.leave_where_deep(f, pc)
    passed = [f.get(number) for number in range(1, 6)]
    _after_call(f, calls.call(f, pc, callee, passed))


def _after_call(f: FunctionText, result: Value) -> None:
    f.set(0, result)
    for number in range(1, 6):
        f.set(number, "0")


def _call_helper(f: FunctionText, pc: int, instruction: Instruction) -> None:
    number = instruction.imm & M32
    lowering = f.lowering(pc, instruction)
    if lowering is not None:
        _after_call(f, lowering.emit(f, pc))
        return
    index = f.helpers.setdefault(number, len(f.helpers))
    if f.options.numbered:  # several programs use one table
        index = number
        if number > layout.LAST_SHARED_HELPER:
            _always_leave(f, pc, instruction)
            return
    if number in f.natives:
        _after_call(f, _call_native(f, pc, f.natives[number], index))
        return
    if f.options.sealed:
        _always_leave(f, pc, instruction)
        return
    passed = ", ".join(f"i64 {f.get(argument)}" for argument in range(1, 6))
    pair = f.value(f"call {RESULT} @call_helper(ptr %st, i64 {index}, i64 %depth, {passed})")
    fine = f.value(f"extractvalue {RESULT} {pair}, 1")
    f.leave_unless(f.value(f"icmp eq i64 {fine}, 0"), pc, "helper")
    if f.options.moving:
        f.read_places()
    _after_call(f, f.value(f"extractvalue {RESULT} {pair}, 0"))


def _call_native(f: FunctionText, pc: int, function: Function[...], index: int) -> Value:
    """Call a helper in restricted Python, which LLVM inlines, with the address of its storage."""
    place = f.value(f"getelementptr i64, ptr %st, i64 {layout.HELPERS}")
    table = f.value(f"load ptr, ptr {place}")
    entry = f.value(f"getelementptr i64, ptr {table}, i64 {2 * index + 1}")
    count = len(function.definition.parameters)
    storage = f.value(f"load i64, ptr {entry}")
    if f.options.numbered:  # the table may be older than this program
        f.leave_unless(f.value(f"icmp ne i64 {storage}, 0"), pc, "unknown", "aside")
    values = [storage, *(f.get(number) for number in range(1, count))]
    passed = ", ".join(f"i64 {value}" for value in values)
    return f.value(f"call i64 @{function.symbol}({passed})")


def _always_leave(f: FunctionText, pc: int, _instruction: Instruction) -> None:
    """What only the interpreter does."""
    f.leave_unless("false", pc, "always")
    _after_call(f, "0")


# Memory


def _load(f: FunctionText, pc: int, instruction: Instruction) -> None:
    size, extend = LOADS[instruction.row.semantics if instruction.row else ""]
    if _load_packet_end(f, pc, instruction, size):
        return
    host = _host(f, pc, instruction, instruction.src, size, "read")
    bits = 8 * size
    value = f.value(f"load i{bits}, ptr {host}, align 1")
    extended = (f.sext if extend else f.zext)(value, bits)
    f.set(instruction.dst, extended)
    if bits < 32 and f.copies.is_irregular(f.block):
        # A use of the whole register: LLVM would join a byte with constants as a narrow number,
        # and x86 waits for the register's old value then (TCP options: 11.9 ns against 7.5).
        f.line(f'call void asm sideeffect "", "r"(i64 {extended}) nounwind memory(none)')


def _host(
    f: FunctionText, pc: int, instruction: Instruction, base: int, size: int, access: Access
) -> Value:
    region = f.region(pc, instruction)
    return host_address(f, pc, Pointed(region, base, instruction.offset), size, access)


def _load_packet_end(f: FunctionText, pc: int, instruction: Instruction, size: int) -> bool:
    """Load a packet pointer from a context that is known, as the value that it has."""
    guess = f.guesses[pc][instruction.src]
    if not isinstance(guess, Pointer) or guess.region != CONTEXT or guess.offset is None:
        return False
    place = guess.offset + instruction.offset
    for offset, width, kind in f.options.packet_ends:
        if (offset, width) == (place, size):
            expected = CONTEXT + place - instruction.offset
            same = f.value(f"icmp eq i64 {f.get(instruction.src)}, {expected}")
            f.leave_unless(same, pc)
            f.set(instruction.dst, packet_place(f, kind))
            return True
    return False


def _store(f: FunctionText, pc: int, instruction: Instruction) -> None:
    size = STORES[instruction.row.semantics if instruction.row else ""]
    value = f.trunc(_source(f, instruction), 8 * size)
    host = _host(f, pc, instruction, instruction.dst, size, "write")
    f.line(f"store i{8 * size} {value}, ptr {host}, align 1")


def _aligned(f: FunctionText, pc: int, instruction: Instruction, size: int) -> Value:
    """The host address of an atomic access; it leaves where guest or host is misaligned."""
    host = _host(f, pc, instruction, instruction.dst, size, "atomic")
    guest = f.value(f"add i64 {f.get(instruction.dst)}, {instruction.offset}")
    both = f.value(f"or i64 {guest}, {f.value(f'ptrtoint ptr {host} to i64')}")
    low = f.value(f"and i64 {both}, {size - 1}")
    f.leave_unless(f.value(f"icmp eq i64 {low}, 0"), pc, "misaligned")
    return host


def _atomic(f: FunctionText, pc: int, instruction: Instruction) -> None:
    row = instruction.row
    semantics = row.semantics if row else ""
    bits = 32 if "32" in semantics else 64
    host = _aligned(f, pc, instruction, bits // 8)
    value = f.trunc(f.get(instruction.src), bits)
    name = lowering.ATOMICS[semantics]
    old = f.value(f"atomicrmw {name} ptr {host}, i{bits} {value} seq_cst, align {bits // 8}")
    if row is not None and row.writes:
        f.set(instruction.src, f.zext(old, bits))


def _compare_exchange(f: FunctionText, pc: int, instruction: Instruction) -> None:
    bits = 32 if instruction.row and "32" in instruction.row.semantics else 64
    host = _aligned(f, pc, instruction, bits // 8)
    expected = f.trunc(f.get(0), bits)
    value = f.trunc(f.get(instruction.src), bits)
    pair = f.value(
        f"cmpxchg ptr {host}, i{bits} {expected}, i{bits} {value} seq_cst seq_cst, "
        f"align {bits // 8}"
    )
    f.set(0, f.zext(f.value(f"extractvalue {{i{bits}, i1}} {pair}, 0"), bits))


def _packet_load(f: FunctionText, pc: int, instruction: Instruction) -> None:
    size, indirect = PACKET_LOADS[instruction.row.semantics if instruction.row else ""]
    offset = str(instruction.imm & M32)
    if indirect:
        sum_ = f.value(f"add i64 {f.get(instruction.src)}, {instruction.imm}")
        offset = f.value(f"and i64 {sum_}, {M32}")
    inside, first = legacy_bounds(f, offset, size)
    name, cache = len(f.lines), dict(f.cache)
    uncounted, refund, left = f.behind, f.refund, f.copies.fuel()
    f.line(f"br i1 {inside}, label %in{name}, label %beyond{name}")

    def cold() -> None:
        """Out of range ends the program: here at depth 0, else by the interpreter.

        A negative offset, which may count from a header, is always the interpreter's.
        """
        f.label(f"beyond{name}")
        outermost = f.value("icmp eq i64 %depth, 0")
        positive = f.value(f"icmp ule i64 {offset}, {M32 >> 1}")
        ends = f.value(f"and i1 {outermost}, {positive}")
        f.line(f"br i1 {ends}, label %end{name}, label %deep{name}")
        f.label(f"end{name}")
        if f.options.counting and uncounted > 1:
            f.line(f"call void @count(ptr %st, i64 {1 - uncounted})")
        f.counting.end(pc)
        _return(f, "0", left())
        f.label(f"deep{name}")
        f.leave(pc, cache, uncounted, left, refund)

    f.exits.append(cold)
    f.label(f"in{name}")
    host = f.value(f"getelementptr i8, ptr {first}, i64 {offset}")
    value = f.value(f"load i{8 * size}, ptr {host}, align 1")
    _after_call(f, f.zext(lowering.swap(f, value, 8 * size), 8 * size))


EMITTERS: dict[str, Emitter] = {
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
    "call_runtime": _always_leave,
    "callx": _always_leave,
    "exit": _exit,
}
