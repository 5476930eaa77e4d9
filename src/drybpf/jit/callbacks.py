"""Loops of `bpf_loop` in compiled code: its calls, and runs that go on in the middle of one.

A turn is a call of the function as any other.  Where it leaves, the record of the frame that waits
has the turn (`helpers.looping.Looping`), from which the interpreter goes on.
"""

from __future__ import annotations

from drybpf.errors import CompileError
from drybpf.helpers.errno import E2BIG, EINVAL
from drybpf.helpers.looping import MAX_LOOPS
from drybpf.jit import calls
from drybpf.jit.function import FunctionText
from drybpf.jit.ir import Text, Value
from drybpf.jit.provenance import function_at
from drybpf.jit.runtime import PARAMETERS, PASSED, RESULT, fill
from drybpf.memory import FUNCTION_HANDLES


def applies(f: FunctionText, pc: int) -> bool:
    """Whether the function that a loop calls is known."""
    return pc not in f.options.lookups and _function(f, pc) is not None


def _function(f: FunctionText, pc: int) -> int | None:
    """The entry of the function in r2; one that begins in the middle of another is not compiled."""
    slot = function_at(f.guesses[pc][2])
    return slot if slot in f.code.entries else None


def loop(f: FunctionText, pc: int) -> Value:
    """Call the function turn by turn; r0 is the number of turns, or why there is none."""
    entry = _function(f, pc)
    if entry is None:
        raise CompileError("a loop is compiled only where its function is known")
    same = f.value(f"icmp eq i64 {f.get(2)}, {FUNCTION_HANDLES + entry}")
    f.leave_unless(same, pc, "otherfunction", "aside")
    for number in (3, *range(6, 10)):  # they are wanted in the loop, and are loaded before it
        f.get(number)
    argument = f.get(3)
    times = f.zext(f.trunc(f.get(1), 32), 32)
    plain = f.value(f"icmp eq i64 {f.get(4)}, 0")
    few = f.value(f"icmp ule i64 {times}, {MAX_LOOPS}")
    error = f.value(f"select i1 {plain}, i64 {-E2BIG}, i64 {-EINVAL}")
    name = len(f.lines)
    f.line(f"br label %loop{name}")
    f.label(f"loop{name}")
    f.line(f"br i1 {f.value(f'and i1 {plain}, {few}')}, label %fine{name}, label %end{name}")
    f.label(f"fine{name}")
    f.line(f"br i1 {f.value(f'icmp eq i64 {times}, 0')}, label %end{name}, label %some{name}")
    f.label(f"some{name}")
    calls.leave_where_deep(f, pc)
    f.line(f"br label %first{name}")
    f.label(f"first{name}")
    f.line(f"br label %turn{name}")
    f.label(f"turn{name}")
    index = f"%index{name}"
    f.line(f"{index} = phi i64 [0, %first{name}], [%next{name}, %on{name}]")
    passed = [index, argument, "0", "0", "0"]
    result = calls.call(f, pc, entry, passed, (str(entry), index, times, argument))
    f.line(f"%next{name} = add i64 {index}, 1")
    f.line(f"br label %on{name}")
    f.label(f"on{name}")
    ends = _ends(f, result, f"%next{name}", times)
    f.line(f"br i1 {ends}, label %end{name}, label %turn{name}")
    f.label(f"end{name}")
    ways = f"[{error}, %loop{name}], [0, %fine{name}], [%next{name}, %on{name}]"
    return f.value(f"phi i64 {ways}")


def _ends(f: Text, result: Value, following: Value, times: Value) -> Value:
    """Whether a function's result, or the number of turns that are done, ends the loop."""
    stops = f.value(f"icmp ne i64 {result}, 0")
    done = f.value(f"icmp uge i64 {following}, {times}")
    return f.value(f"or i1 {stops}, {done}")


_RESUMING = """
define {RESULT} @enter({PARAMETERS}, i64 %fuel0) {
entry:
  %pt = getelementptr i64, ptr %st, i64 {TURN}
  %first = load i64, ptr %pt
  %pn = getelementptr i64, ptr %st, i64 {TIMES}
  %times = load i64, ptr %pn
  %pa = getelementptr i64, ptr %st, i64 {ARGUMENT}
  %argument = load i64, ptr %pa
  %pe = getelementptr i64, ptr @env, i64 {ENV_CODE}
  %number = load i64, ptr %pe
  %pc = getelementptr i64, ptr %st, i64 {CODE}
  %resumed = call {RESULT} @resumed({PASSED}, i64 %level, i64 %fuel0)
  br label %back
back:
  %turn = phi i64 [%first, %entry], [%next, %again]
  %pair = phi {RESULT} [%resumed, %entry], [%called, %again]
  %fuel = extractvalue {RESULT} %pair, 1
  %r0 = extractvalue {RESULT} %pair, 0
  %next = add i64 %turn, 1
  %left = icmp eq i64 %fuel, {LEFT}
  %stops = icmp ne i64 %r0, 0
  %done = icmp uge i64 %next, %times
  %ends = or i1 %stops, %done
  %over = or i1 %left, %ends
  br i1 %over, label %end, label %again
again:
  store i64 %next, ptr %pt
  {NUMBER}
  %called = call {RESULT} @f{ENTRY}({PASSED}, i64 %level, i64 %fuel, i64 %next, i64 %argument,
      i64 0, i64 0, i64 0)
  br label %back
end:
  ret {RESULT} %pair
}
"""


def resuming(entry: int, *, numbered: bool) -> str:
    """The way into a module whose run goes on in a turn of the function at `entry`.

    It ends as that function's last turn does: the words have the turn, by which the frame that
    waits is brought up to date.
    """
    number = "store i64 %number, ptr %pc" if numbered else ""
    return fill(
        _RESUMING, PARAMETERS=PARAMETERS, PASSED=PASSED, RESULT=RESULT, ENTRY=entry, NUMBER=number
    )
