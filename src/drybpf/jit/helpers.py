"""The kernel's helpers that compiled code does itself, by the kernel's names.

A helper is lowered where its arguments can be checked before its first effect, and its map is
known; else Python is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from drybpf.errors import CompileError
from drybpf.helpers.errno import ENOENT
from drybpf.helpers.redirect import (
    ACTIONS,
    BROADCAST,
    DEVICES,
    EXCLUDE_INGRESS,
    INGRESS,
    TC_REDIRECT,
    TC_SHOT,
    XDP_ABORTED,
    XDP_REDIRECT,
)
from drybpf.jit import adjust, callbacks, layout, sums
from drybpf.jit.access import argument, host_address
from drybpf.jit.function import FunctionText, Lowering
from drybpf.jit.ir import Value
from drybpf.jit.runtime import PASSED, RESULT
from drybpf.jit.surroundings import MapShape, StoreShape
from drybpf.maps import MapType
from drybpf.maps import layout as header
from drybpf.native.restricted import Function
from drybpf.state import MAX_TAIL_CALLS

NONE = str(-1)  # the offset that a look-up gives where there is no value


def _has_map(register: int, kind: str) -> Callable[[FunctionText, int], bool]:
    """Whether a register holds a known map of a kind: with `values`, or with `programs`."""

    def applies(f: FunctionText, pc: int) -> bool:
        shape = f.options.around.map_of(f.guesses[pc][register])
        return shape is not None and getattr(shape, kind) is not None

    return applies


def _is_changeable(f: FunctionText, pc: int) -> bool:
    """Whether r1 holds a known map with values that programs may write."""
    shape = f.options.around.map_of(f.guesses[pc][1])
    return shape is not None and shape.values is not None and shape.values.writable


def _map(f: FunctionText, pc: int, register: int = 1) -> MapShape:
    """The map in a register; a wrong guess leaves."""
    shape = f.options.around.map_of(f.guesses[pc][register])
    if shape is None:
        raise CompileError("a call is compiled only where its map is known")
    same = f.value(f"icmp eq i64 {f.get(register)}, {shape.handle}")
    f.leave_unless(same, pc, "othermap", "aside")
    return shape


def _values(shape: MapShape) -> StoreShape:
    if shape.values is None:
        raise CompileError("a call is compiled only where its map has values")
    return shape.values


def _word(f: FunctionText, word: int) -> Value:
    place = f.value(f"getelementptr i64, ptr %st, i64 {word}")
    return f.value(f"load i64, ptr {place}")


def _integer(f: FunctionText, pointer: Value) -> Value:
    return f.value(f"ptrtoint ptr {pointer} to i64")


def _operation(f: FunctionText, storage: Value, word: int, *arguments: Value) -> Value:
    """Call what a map's header names."""
    place = f.value(f"getelementptr i8, ptr {storage}, i64 {word}")
    function = f.value(f"load ptr, ptr {place}")
    passed = ", ".join(f"i64 {value}" for value in (_integer(f, storage), *arguments))
    return f.value(f"call i64 {function}({passed})")


def _map_lookup(f: FunctionText, pc: int) -> Value:
    shape = _map(f, pc)
    key = _integer(f, host_address(f, pc, argument(f, pc, 2), shape.key_size, "read"))
    storage = f.store_entry(shape.entry)
    cpu = _word(f, layout.CPU)
    if shape.lookup is None:
        offset = _operation(f, storage, header.LOOKUP, key, cpu)
    else:
        offset = _inline(f, shape.lookup, _integer(f, storage), key, cpu)
    return _value_at(f, _values(shape), offset)


def _inline(f: FunctionText, function: Function[...], *arguments: Value) -> Value:
    f.inlined[function] = None
    return f.value(f"call i64 @{function.symbol}({', '.join(f'i64 {a}' for a in arguments)})")


def _value_at(f: FunctionText, values: StoreShape, offset: Value) -> Value:
    """The guest address of a value, or null.

    The assumption is the maps' own promise: what they find lies inside, at a multiple of the
    stride.  The side effect, which is none, keeps LLVM from merging the two ways before the passes
    run that make use of it.
    """
    name = len(f.lines)
    missing = f.value(f"icmp eq i64 {offset}, {NONE}")
    f.line(f"br i1 {missing}, label %none{name}, label %some{name}")
    f.label(f"some{name}")
    if values.mask != -1:
        f.line("call void @llvm.sideeffect()")
        last = values.length - values.mask - 1
        f.line(f"call void @llvm.assume(i1 {f.value(f'icmp ule i64 {offset}, {last}')})")
        inner = f.value(f"and i64 {offset}, {values.mask}")
        f.line(f"call void @llvm.assume(i1 {f.value(f'icmp eq i64 {inner}, 0')})")
    address = f.value(f"add i64 {offset}, {values.start}")
    f.line(f"br label %found{name}")
    f.label(f"none{name}")
    f.line(f"br label %found{name}")
    f.label(f"found{name}")
    return f.value(f"phi i64 [{address}, %some{name}], [0, %none{name}]")


def _map_update(f: FunctionText, pc: int) -> Value:
    shape = _map(f, pc)
    key = host_address(f, pc, argument(f, pc, 2), shape.key_size, "read")
    value = host_address(f, pc, argument(f, pc, 3), shape.value_size, "read")
    places = _integer(f, key), _integer(f, value)
    run = _word(f, layout.CPU), _word(f, layout.EPOCH)
    storage = f.store_entry(shape.entry)
    return _operation(f, storage, header.UPDATE, *places, f.get(4), *run)


def _map_delete(f: FunctionText, pc: int) -> Value:
    shape = _map(f, pc)
    key = _integer(f, host_address(f, pc, argument(f, pc, 2), shape.key_size, "read"))
    storage = f.store_entry(shape.entry)
    return _operation(f, storage, header.DELETE, key, _word(f, layout.EPOCH))


def _smp_processor_id(f: FunctionText, _: int) -> Value:
    return _word(f, layout.CPU)


def _redirect(f: FunctionText, _: int) -> Value:
    """The verdict alone: what it records is seen by nobody."""
    is_xdp = f.options.program_type == "xdp"
    known = 0 if is_xdp else INGRESS
    unknown = f.value(f"icmp ne i64 {f.value(f'and i64 {f.get(2)}, {~known}')}, 0")
    refused, allowed = (XDP_ABORTED, XDP_REDIRECT) if is_xdp else (TC_SHOT, TC_REDIRECT)
    return f.value(f"select i1 {unknown}, i64 {refused}, i64 {allowed}")


def _has_targets(f: FunctionText, pc: int) -> bool:
    shape = f.options.around.map_of(f.guesses[pc][1])
    return shape is not None and shape.type in _TARGETS and shape.key_size == 4


_TARGETS = (*DEVICES, MapType.CPUMAP, MapType.XSKMAP)


def _redirect_map(f: FunctionText, pc: int) -> Value:
    """The same by a map, whose slot may be empty."""
    shape = _map(f, pc)
    flags, key = f.get(3), f.uses_key()
    f.line(f"store i32 {f.trunc(f.get(2), 32)}, ptr {key}")
    storage = f.store_entry(shape.entry)
    offset = _operation(f, storage, header.LOOKUP, _integer(f, key), "0")
    many = shape.type in DEVICES
    allowed = ACTIONS | (BROADCAST | EXCLUDE_INGRESS if many else 0)
    unknown = f.value(f"icmp ne i64 {f.value(f'and i64 {flags}, {~allowed}')}, 0")
    missing = f.value(f"icmp eq i64 {offset}, {NONE}")
    if many:
        one = f.value(f"icmp eq i64 {f.value(f'and i64 {flags}, {BROADCAST}')}, 0")
        missing = f.value(f"and i1 {missing}, {one}")
    verdict = f.value(f"and i64 {flags}, {ACTIONS}")
    found = f.value(f"select i1 {missing}, i64 {verdict}, i64 {XDP_REDIRECT}")
    return f.value(f"select i1 {unknown}, i64 {XDP_ABORTED}, i64 {found}")


def _tail_call(f: FunctionText, pc: int) -> Value:
    """Go on in the code of another program, where that is compiled; r0 is what a failure gives."""
    shape = _map(f, pc, 2)
    name = len(f.lines)
    index = f.zext(f.trunc(f.get(3), 32), 32)
    calls = f.value(f"getelementptr i64, ptr %st, i64 {layout.TAIL_CALLS}")
    count = f.value(f"load i64, ptr {calls}")
    few = f.value(f"icmp ult i64 {count}, {MAX_TAIL_CALLS}")
    inside = f.value(f"icmp ult i64 {index}, {shape.max_entries}")
    f.line(f"br i1 {inside}, label %slot{name}, label %fail{name}")
    f.label(f"slot{name}")
    storage = f.store_entry(shape.entry)
    slots = f.value(f"getelementptr i8, ptr {storage}, i64 {shape.programs}")
    slot = f.value(f"getelementptr i64, ptr {slots}, i64 {index}")
    number = f.value(f"load i64, ptr {slot}")
    filled = f.value(f"icmp ne i64 {number}, 0")
    f.line(f"br i1 {filled}, label %full{name}, label %fail{name}")
    f.label(f"full{name}")
    f.line(f"br i1 {few}, label %call{name}, label %fail{name}")
    f.label(f"call{name}")
    place = f.value(f"getelementptr ptr, ptr {_pointer(f, layout.PROGRAMS)}, i64 {number}")
    function = f.value(f"load ptr, ptr {place}")
    f.leave_unless(f.value(f"icmp ne ptr {function}, null"), pc, "uncompiled", "aside")
    f.line(f"store i64 {f.value(f'add i64 {count}, 1')}, ptr {calls}")
    f.uncount()
    f.counting.end(pc)
    f.counting.write()
    fuel = f.copies.fuel()()
    pair = f.value(f"call {RESULT} {function}({PASSED}, i64 %depth, i64 {fuel})")
    f.give(*(f.value(f"extractvalue {RESULT} {pair}, {part}") for part in (0, 1)))
    f.label(f"fail{name}")
    return str(-ENOENT)


def _pointer(f: FunctionText, word: int) -> Value:
    place = f.value(f"getelementptr i64, ptr %st, i64 {word}")
    return f.value(f"load ptr, ptr {place}")


LOWERINGS: dict[str, Lowering] = {
    "map_lookup_elem": Lowering((2,), _map_lookup, _has_map(1, "values")),
    "map_update_elem": Lowering((2, 3), _map_update, _is_changeable),
    "map_delete_elem": Lowering((2,), _map_delete, _is_changeable),
    "get_smp_processor_id": Lowering((), _smp_processor_id),
    "csum_diff": Lowering((), sums.csum_diff, sums.applies),
    "xdp_adjust_head": Lowering((), adjust.adjust_head, adjust.is_sealed),
    "xdp_adjust_tail": Lowering((), adjust.adjust_tail, adjust.is_sealed),
    "xdp_adjust_meta": Lowering((), adjust.adjust_meta, adjust.is_sealed),
    "redirect": Lowering((), _redirect, unseen=True),
    "redirect_map": Lowering((), _redirect_map, _has_targets, unseen=True),
    "tail_call": Lowering((), _tail_call, _has_map(2, "programs")),
    "loop": Lowering((), callbacks.loop, callbacks.applies, calls=True),
}
