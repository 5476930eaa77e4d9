"""Calls of functions of the program, in compiled code."""

from __future__ import annotations

from collections.abc import Sequence

from drybpf.jit import layout
from drybpf.jit.function import FunctionText
from drybpf.jit.ir import Value
from drybpf.jit.runtime import PASSED, RESULT
from drybpf.memory import MAX_FRAMES

Turn = tuple[Value, Value, Value, Value]
"""What `helpers.looping.Looping` has: function, index, times, argument."""

NO_TURN: Turn = ("0", "0", "0", "0")


def leave_where_deep(f: FunctionText, pc: int) -> None:
    """Go on where there may be one frame more."""
    f.leave_unless(f.value(f"icmp ult i64 %depth, {MAX_FRAMES - 1}"), pc, "deep", "aside")


def call(
    f: FunctionText, pc: int, callee: int, arguments: Sequence[Value], turn: Turn = NO_TURN
) -> Value:
    """Call a function from the instruction at a slot; gives its r0.

    Where it leaves, the frame's record is added to those of its callees, and the `turn` of a loop.
    """
    f.callees.add(callee)
    saved = [f.get(number) for number in range(6, 10)]
    deeper = f.value("add i64 %depth, 1")
    current = f.value("load i64, ptr %fuel")
    passed = ", ".join(f"i64 {value}" for value in (deeper, current, *arguments))
    pair = f.value(f"call {RESULT} @f{callee}({PASSED}, {passed})")
    left = f.value(f"extractvalue {RESULT} {pair}, 1")
    gone = f.value(f"icmp eq i64 {left}, {layout.LEFT}")
    name = len(f.lines)
    f.line(f"br i1 {gone}, label %unwind{name}, label %back{name}, !prof !1")

    uncounted = f.behind - 1

    def cold() -> None:
        f.label(f"unwind{name}")
        if f.options.counting and uncounted:
            f.line(f"call void @count(ptr %st, i64 {-uncounted})")
        f.counting.write()
        record = ", ".join(f"i64 {value}" for value in (pc + 1, *saved, f.number, *turn))
        f.line(f"call void @save_frame(ptr %st, i64 %depth, {record})")
        f.give("0", str(layout.LEFT))

    f.exits.append(cold)
    f.label(f"back{name}")
    f.line(f"store i64 {left}, ptr %fuel")
    if f.options.moving:
        f.read_places()
    if f.options.numbered:  # a callee may have ended in another program
        f.line(f"store i64 {f.number}, ptr %codep")
    return f.value(f"extractvalue {RESULT} {pair}, 0")
