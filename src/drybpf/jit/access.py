"""From a guest address to a host address, checked: the one place where compiled code does it.

Each region has the check that LLVM folds best with what programs themselves compare.  A check that
fails leaves, and the interpreter finds out why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from drybpf.jit.bounds import callers_length, callers_start
from drybpf.jit.function import FunctionText
from drybpf.jit.ir import Value
from drybpf.jit.provenance import CALLERS, Pointer
from drybpf.jit.surroundings import StoreShape
from drybpf.memory import CONTEXT, DATA, FRAME_SIZE, FRAME_STRIDE, PACKET, SLOT_SIZE, STACK

Access = Literal["read", "write", "atomic"]


@dataclass(frozen=True, slots=True)
class Pointed:
    """An address in a register, moved by an offset, and the region that it is guessed in."""

    region: int | None
    register: int
    offset: int = 0


def argument(f: FunctionText, pc: int, register: int) -> Pointed:
    """An address that is passed to a helper."""
    guess = f.guesses[pc][register]
    known = isinstance(guess, Pointer) and pc not in f.options.lookups
    return Pointed(guess.region if known and isinstance(guess, Pointer) else None, register)


def host_address(f: FunctionText, pc: int, at: Pointed, size: int, access: Access) -> Value:
    """Check an access of any size and give its host address."""
    if at.register == 10 and at.region == STACK:
        return _in_frame(f, pc, at.offset, size)
    address = f.get(at.register)
    if at.offset:
        address = f.plus(address, at.offset)
    if at.region == PACKET:
        return _in_packet(f, pc, address, size)
    if at.region == CONTEXT:
        return _in_context(f, pc, address, at, size, access)
    if at.region == STACK:
        return _within(f, pc, address, "%low", str(max(0, FRAME_SIZE - size + 1)), "%frame")
    if at.region == CALLERS:
        return _in_callers(f, pc, address, size)
    store = f.options.around.store_at(at.region) if at.region and at.region >= DATA else None
    if store is not None:
        return _in_store(f, pc, address, store, size, access)
    return _looked_up(f, pc, address, size, access)


def _in_frame(f: FunctionText, pc: int, offset: int, size: int) -> Value:
    """An access relative to r10 itself, which nothing can have changed."""
    if not -FRAME_SIZE <= offset <= -size:
        f.leave_unless("false", pc)
        return "%frame"
    return f.value(f"getelementptr i8, ptr %frame, i64 {FRAME_SIZE + offset}")


def _within(
    f: FunctionText, pc: int, address: Value, start: Value | int, limit: Value, host: Value
) -> Value:
    if isinstance(start, int):
        offset = f.plus(address, -start)
    else:
        offset = f.value(f"sub i64 {address}, {start}")
    f.within(f.value(f"icmp ult i64 {offset}, {limit}"), pc)
    return f.value(f"getelementptr i8, ptr {host}, i64 {offset}")


def _in_callers(f: FunctionText, pc: int, address: Value, size: int) -> Value:
    """An access to a frame above the function's own."""
    f.within(_in_frames(f, address, size, callers_length(f)), pc)
    return _frames_host(f, address)


def _in_frames(f: FunctionText, address: Value, size: int, length: Value) -> Value:
    """Whether an access lies in one of the frames from the outermost on; between them lie gaps."""
    offset = f.plus(address, -callers_start())
    below = f.value(f"icmp ult i64 {offset}, {length}")
    inner = f.value(f"and i64 {offset}, {FRAME_STRIDE - 1}")
    inside = f.value(f"icmp ult i64 {inner}, {max(0, FRAME_SIZE - size + 1)}")
    return f.value(f"and i1 {below}, {inside}")


# The packet


def packet_place(f: FunctionText, kind: str) -> Value:
    """The guest address that a context's `data`, `data_end` or `data_meta` holds.

    Their order, which every helper that moves them keeps, is told to LLVM where a program begins to
    look at a packet that moves: where it loads `data`.
    """
    if f.options.moving:
        name = {"data_meta": "%p.low", "data": "%p.begin", "data_end": "%p.high"}[kind]
        place = f.value(f"load i64, ptr {name}")
        if kind == "data":
            low, high = f.value("load i64, ptr %p.low"), f.value("load i64, ptr %p.high")
            for left, right in ((low, place), (place, high), (high, PACKET + SLOT_SIZE)):
                f.line(f"call void @llvm.assume(i1 {f.value(f'icmp ule i64 {left}, {right}')})")
        return place
    begin = f.options.packet_address
    return f.value(f"add i64 %plen, {begin}") if kind == "data_end" else str(begin)


def _in_packet(f: FunctionText, pc: int, address: Value, size: int) -> Value:
    if f.options.moving:
        return _in_moving_packet(f, pc, address, size)
    if f.unchecked(pc):
        offset = f.plus(address, -f.options.packet_address)
        return f.value(f"getelementptr i8, ptr %pkt, i64 {offset}")
    if f.options.packet_ends and size > 1:
        return _in_compared_packet(f, pc, address, size)
    return _within(f, pc, address, f.options.packet_address, _limit(f, "p", size), "%pkt")


def _limit(f: FunctionText, buffer: str, size: int) -> Value:
    """What an offset must be below for an access of a size: 0 where nothing fits."""
    if size in (1, 2, 4, 8):
        return f.limit(buffer, size)
    fits = f.value(f"icmp uge i64 %{buffer}len, {size}")
    limit = f.value(f"sub i64 %{buffer}len, {size - 1}")
    return f.value(f"select i1 {fits}, i64 {limit}, i64 0")


def _in_compared_packet(f: FunctionText, pc: int, address: Value, size: int) -> Value:
    """An access to a packet whose end the program compares with, as XDP programs do.

    The check has the form of the program's own, `data + offset + size <= data_end`, so that LLVM
    sees that the one implies the other; the first comparison keeps the sum from wrapping.
    """
    offset = f.plus(address, -f.options.packet_address)
    near = f.value(f"icmp ule i64 {offset}, {SLOT_SIZE}")
    end = f.value(f"add i64 {offset}, {size}")
    below = f.value(f"icmp ule i64 {end}, %plen")
    f.within(f.value(f"and i1 {near}, {below}"), pc)
    return f.value(f"getelementptr i8, ptr %pkt, i64 {offset}")


def _in_moving_packet(f: FunctionText, pc: int, address: Value, size: int) -> Value:
    """An access between the ends as they are now; the first comparison keeps sums from wrapping."""
    f.within(_in_moving(f, address, size), pc)
    return in_moving_buffer(f, address)


def _in_moving(f: FunctionText, address: Value, size: int) -> Value:
    near = f.value(f"icmp ult i64 {address}, {PACKET + SLOT_SIZE}")
    behind = f.value(f"icmp ule i64 {packet_place(f, 'data_meta')}, {address}")
    end = f.value(f"add i64 {address}, {size}")
    below = f.value(f"icmp ule i64 {end}, {packet_place(f, 'data_end')}")
    inside = f.value(f"and i1 {behind}, {below}")
    return f.value(f"and i1 {near}, {inside}")


def in_moving_buffer(f: FunctionText, address: Value) -> Value:
    """The host address of a guest address in the packet's buffer as it is now."""
    origin = f.options.packet_address - f.options.headroom
    offset = f.plus(address, -origin)
    buffer = f.value("load ptr, ptr %buffer")
    return f.value(f"getelementptr i8, ptr {buffer}, i64 {offset}")


def legacy_bounds(f: FunctionText, offset: Value, size: int) -> tuple[Value, Value]:
    """Whether a legacy packet load lies inside, and the host address of the packet's start."""
    if not f.options.moving:
        return f.value(f"icmp ult i64 {offset}, {f.limit('p', size)}"), "%pkt"
    begin = packet_place(f, "data")
    length = f.value(f"sub i64 {packet_place(f, 'data_end')}, {begin}")
    end = f.value(f"add i64 {offset}, {size}")
    return f.value(f"icmp ule i64 {end}, {length}"), in_moving_buffer(f, begin)


# The context


def _in_context(
    f: FunctionText, pc: int, address: Value, at: Pointed, size: int, access: Access
) -> Value:
    options = f.options
    if access != "read" and not options.context_writable:
        f.leave_unless("false", pc, "readonly")
        return "%ctx"
    if access != "read" and options.protected:
        return _in_protected_context(f, pc, address, at, size)
    fixed = options.context_length
    limit = str(max(0, fixed - size + 1)) if fixed else _limit(f, "c", size)
    return _within(f, pc, address, CONTEXT, limit, "%ctx")


def _in_protected_context(
    f: FunctionText, pc: int, address: Value, at: Pointed, size: int
) -> Value:
    """A write to a field: its offset must be known and no protected byte in it."""
    guess = f.guesses[pc][at.register]
    offset = (
        guess.offset + at.offset if isinstance(guess, Pointer) and guess.offset is not None else -1
    )
    clear = all(offset >= end or offset + size <= begin for begin, end in f.options.protected)
    if not 0 <= offset <= f.options.context_length - size or not clear:
        f.leave_unless("false", pc, "readonly")
        return "%ctx"
    f.leave_unless(f.value(f"icmp eq i64 {address}, {CONTEXT + offset}"), pc)
    return f.value(f"getelementptr i8, ptr %ctx, i64 {offset}")


# Stores and the rest


def _in_store(
    f: FunctionText, pc: int, address: Value, store: StoreShape, size: int, access: Access
) -> Value:
    host = f.store_entry(store.entry)
    if size > store.room or (access != "read" and not store.writable):
        f.leave_unless("false", pc, "readonly")
        return host
    offset = f.plus(address, -store.start)
    if store.mask == -1:
        inside = f.value(f"icmp ult i64 {offset}, {store.length - size + 1}")
    else:
        below = f.value(f"icmp ult i64 {offset}, {store.length}")
        inner = f.value(f"and i64 {offset}, {store.mask}")
        inside = f.value(f"and i1 {below}, {f.value(f'icmp ule i64 {inner}, {store.room - size}')}")
    f.within(inside, pc)
    return f.value(f"getelementptr i8, ptr {host}, i64 {offset}")


def _looked_up(f: FunctionText, pc: int, address: Value, size: int, access: Access) -> Value:
    """An address whose region nobody guessed: the packet, a frame, or what the run's table says."""
    f.uses_lookup = True
    number = len(f.lines)
    tries = [(_packet_holds, _packet_host), (_frames_hold, _frames_host)]
    hosts = []
    for index, (holds, host) in enumerate(tries):
        here, on = f"here{number}.{index}", f"on{number}.{index}"
        f.line(f"br i1 {holds(f, address, size)}, label %{here}, label %{on}")
        f.label(here)
        hosts.append((host(f, address), here))
        f.line(f"br label %found{number}")
        f.label(on)
    write = int(access != "read")
    found = f.value(
        f"call ptr @lookup(ptr %st, i64 %depth, i64 {address}, i64 {size}, i64 {write})"
    )
    f.leave_unless(f.value(f"icmp ne ptr {found}, null"), pc)
    f.line(f"br label %table{number}")
    f.label(f"table{number}")
    f.line(f"br label %found{number}")
    f.label(f"found{number}")
    ways = ", ".join(f"[ {host}, %{label} ]" for host, label in [*hosts, (found, f"table{number}")])
    return f.value(f"phi ptr {ways}")


def _packet_holds(f: FunctionText, address: Value, size: int) -> Value:
    if f.options.moving:
        return _in_moving(f, address, size)
    offset = f.plus(address, -f.options.packet_address)
    return f.value(f"icmp ult i64 {offset}, {_limit(f, 'p', size)}")


def _packet_host(f: FunctionText, address: Value) -> Value:
    if f.options.moving:
        return in_moving_buffer(f, address)
    return f.value(f"getelementptr i8, ptr %pkt, i64 {f.plus(address, -f.options.packet_address)}")


def _frames_hold(f: FunctionText, address: Value, size: int) -> Value:
    return _in_frames(f, address, size, f.value(f"add i64 %deep, {FRAME_SIZE}"))


def _frames_host(f: FunctionText, address: Value) -> Value:
    return f.value(f"getelementptr i8, ptr %stk, i64 {f.plus(address, -STACK)}")
