"""What compiled programs call out of line: leaving, looking up, calling helpers.

This is compiled once, with the entry points, and linked to every program.  `{NAME}` in a
template is a word of `layout`.
"""

from __future__ import annotations

from drybpf.jit import layout
from drybpf.memory import FRAME_SIZE, FRAME_STRIDE, PACKET, SLOT_BITS, SLOT_SIZE, STACK

PARAMETERS = (
    "ptr %pkt, i64 range(i64 0, 268435457) %plen, ptr %ctx, i64 range(i64 0, 268435457) %clen, "
    "ptr %stk, ptr %st, i64 range(i64 0, 8) %level"
)
PASSED = "ptr %pkt, i64 %plen, ptr %ctx, i64 %clen, ptr %stk, ptr %st"
RESULT = "{i64, i64}"  # r0, and the fuel left or LEFT

_WORDS = {
    **{name: value for name, value in vars(layout).items() if name.isupper()},
    "FRAME_GAP": FRAME_STRIDE - FRAME_SIZE,
    "FRAME_STRIDE": FRAME_STRIDE,
    "STACK_SLOT": STACK >> SLOT_BITS,
    "STACK_START": STACK,
    "SLOT_BITS": SLOT_BITS,
    "PACKET_START": PACKET,
    "PACKET_SLOT": PACKET >> SLOT_BITS,
    "PACKET_BOUND": PACKET + SLOT_SIZE + 1,
}


def fill(template: str, **more: object) -> str:
    """Put the words of the layout, and other values, into a template of IR."""
    for name, value in {**_WORDS, **more}.items():
        template = template.replace("{" + name + "}", str(value))
    return template


PROGRAM = """
declare i64 @llvm.usub.sat.i64(i64, i64)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)
declare i16 @llvm.bswap.i16(i16)
declare i32 @llvm.bswap.i32(i32)
declare i64 @llvm.bswap.i64(i64)
declare void @llvm.assume(i1)
declare void @llvm.sideeffect()
declare void @leave(ptr, i64, i64, i64, {ELEVEN}) cold
declare void @spent(ptr, i64, i64, i64, {ELEVEN}) cold
declare void @aside(ptr, i64, i64, i64, {ELEVEN}) cold
declare void @wrong(ptr, i64, i64, i64, {ELEVEN}) cold
declare void @save_frame(ptr, i64, {RECORD}) cold
@env = external global i64
declare ptr @lookup(ptr, i64, i64, i64, i64)
declare {i64, i64} @call_helper(ptr, i64, i64, i64, i64, i64, i64, i64)
!0 = !{!"branch_weights", i32 100000, i32 1}
!1 = !{!"branch_weights", i32 1, i32 100000}
!2 = !{i64 {PACKET_START}, i64 {PACKET_BOUND}}
!3 = distinct !{!3, !{!"llvm.loop.vectorize.enable", i1 false}, !{!"llvm.loop.align", i32 64}}
!4 = distinct !{!4, !{!"llvm.loop.align", i32 32}}
"""
"""What every program's module begins with."""

_COUNT = """
define internal void @count(ptr %st, i64 %n) alwaysinline {
  %p = getelementptr i64, ptr %st, i64 {COUNT}
  %old = load i64, ptr %p
  %new = add i64 %old, %n
  store i64 %new, ptr %p
  ret void
}
"""

DECLARATIONS = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare ptr @PyLong_FromUnsignedLongLong(i64)
declare ptr @PyLong_AsVoidPtr(ptr)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare i64 @PyLong_AsUnsignedLongLong(ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare i32 @PyObject_GetBuffer(ptr, ptr, i32)
declare void @PyBuffer_Release(ptr)
declare ptr @PyMem_Malloc(i64)
declare void @PyMem_Free(ptr)
declare ptr @PyErr_Occurred()
declare void @PyErr_Clear()
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_DecRef(ptr)
@env = external global i64
!0 = !{!"branch_weights", i32 100000, i32 1}
!1 = !{!"branch_weights", i32 1, i32 100000}
"""

_LEAVE = """
define void @leave(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS}) noinline cold {
{STORES}
  store i64 %pc, ptr %st
  %pf = getelementptr i64, ptr %st, i64 {FUEL}
  store i64 %fuel, ptr %pf
  %pd = getelementptr i64, ptr %st, i64 {DEPTH}
  store i64 %depth, ptr %pd
  ret void
}
define void @spent(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS}) noinline cold {
  call void @leave(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS})
  ret void
}
define void @aside(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS}) noinline cold {
  call void @leave(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS})
  ret void
}
define void @wrong(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS}) noinline cold {
  call void @leave(ptr %st, i64 %pc, i64 %depth, i64 %fuel, {PARAMETERS})
  %pr = getelementptr i64, ptr %st, i64 {REASON}
  store i64 {WRONG}, ptr %pr
  ret void
}
define void @save_frame(ptr %st, i64 %depth, {RECORD}) noinline cold {
  %a = mul i64 %depth, {FRAME_WORDS}
  %b = add i64 %a, {FRAMES}
  %p = getelementptr i64, ptr %st, i64 %b
{SAVES}
  ret void
}
"""

_LOOKUP = """
define ptr @lookup(ptr %st, i64 %depth, i64 %address, i64 %size, i64 %write) noinline {
entry:
  %slot = lshr i64 %address, {SLOT_BITS}
  %stack = icmp eq i64 %slot, {STACK_SLOT}
  br i1 %stack, label %frames, label %table
frames:
  %so = sub i64 %address, {STACK_START}
  %sd = udiv i64 %so, {FRAME_STRIDE}
  %si = urem i64 %so, {FRAME_STRIDE}
  %se = add i64 %si, %size
  %c1 = icmp ule i64 %sd, %depth
  %c2 = icmp uge i64 %si, {FRAME_GAP}
  %c3 = icmp ule i64 %se, {FRAME_STRIDE}
  %c12 = and i1 %c1, %c2
  %c123 = and i1 %c12, %c3
  %pk = getelementptr i64, ptr %st, i64 {STACK}
  %base = load ptr, ptr %pk
  %sh = getelementptr i8, ptr %base, i64 %so
  %sr = select i1 %c123, ptr %sh, ptr null
  ret ptr %sr
table:
  %ph = getelementptr i64, ptr %st, i64 {HIGH}
  %high = load i64, ptr %ph
  %moving = icmp ne i64 %high, 0
  %inpacket = icmp eq i64 %slot, {PACKET_SLOT}
  %moved = and i1 %moving, %inpacket
  br i1 %moved, label %packet, label %list
packet:
  %pl = getelementptr i64, ptr %st, i64 {LOW}
  %low = load i64, ptr %pl
  %above = icmp uge i64 %address, %low
  %pend = add i64 %address, %size
  %below = icmp ule i64 %pend, %high
  %between = and i1 %above, %below
  %po = sub i64 %address, {PACKET_START}
  %pp = getelementptr i64, ptr %st, i64 {PACKET}
  %buffer = load ptr, ptr %pp
  %phost = getelementptr i8, ptr %buffer, i64 %po
  %pr = select i1 %between, ptr %phost, ptr null
  ret ptr %pr
list:
  %pt = getelementptr i64, ptr %st, i64 {REGIONS}
  %regions = load ptr, ptr %pt
  %pn = getelementptr i64, ptr %st, i64 {REGION_COUNT}
  %n = load i64, ptr %pn
  br label %next
next:
  %i = phi i64 [0, %list], [%i1, %miss]
  %more = icmp ult i64 %i, %n
  br i1 %more, label %try, label %none
try:
  %w = mul i64 %i, {REGION_WORDS}
  %e0 = getelementptr i64, ptr %regions, i64 %w
  %start = load i64, ptr %e0
  %e1 = getelementptr i64, ptr %e0, i64 1
  %length = load i64, ptr %e1
  %offset = sub i64 %address, %start
  %e4 = getelementptr i64, ptr %e0, i64 4
  %mask = load i64, ptr %e4
  %e5 = getelementptr i64, ptr %e0, i64 5
  %room = load i64, ptr %e5
  %inner = and i64 %offset, %mask
  %end = add i64 %inner, %size
  %inside = icmp ult i64 %offset, %length
  %long = icmp ule i64 %end, %room
  %hit = and i1 %inside, %long
  br i1 %hit, label %found, label %miss
miss:
  %i1 = add i64 %i, 1
  br label %next
found:
  %e2 = getelementptr i64, ptr %e0, i64 2
  %host = load ptr, ptr %e2
  %e3 = getelementptr i64, ptr %e0, i64 3
  %writable = load i64, ptr %e3
  %allowed = icmp uge i64 %writable, %write
  %there = getelementptr i8, ptr %host, i64 %offset
  %result = select i1 %allowed, ptr %there, ptr null
  ret ptr %result
none:
  ret ptr null
}
"""

# Division of 128 bits, which LLVM asks a library for: closed forms of loops need it, and not every
# process has that library.  Bit by bit; the divisor is never 0.
_WIDE_DIVISION = """
define i128 @{NAME}(i128 %n, i128 %d) {
entry:
  br label %loop
loop:
  %i = phi i32 [128, %entry], [%i1, %loop]
  %x = phi i128 [%n, %entry], [%x1, %loop]
  %q = phi i128 [0, %entry], [%q2, %loop]
  %r = phi i128 [0, %entry], [%r3, %loop]
  %carry = icmp slt i128 %r, 0
  %top = lshr i128 %x, 127
  %x1 = shl i128 %x, 1
  %r1 = shl i128 %r, 1
  %r2 = or i128 %r1, %top
  %not = icmp uge i128 %r2, %d
  %fits = or i1 %carry, %not
  %less = sub i128 %r2, %d
  %r3 = select i1 %fits, i128 %less, i128 %r2
  %bit = zext i1 %fits to i128
  %q1 = shl i128 %q, 1
  %q2 = or i128 %q1, %bit
  %i1 = sub i32 %i, 1
  %more = icmp ne i32 %i1, 0
  br i1 %more, label %loop, label %done
done:
  ret i128 %{RESULT}
}
"""

_CALL_HELPER = """
define {i64, i64} @call_helper(ptr %st, i64 %index, i64 %depth, i64 %a1, i64 %a2, i64 %a3,
    i64 %a4, i64 %a5) noinline {
  %arguments = alloca [7 x ptr]
  %overflow = alloca i32
  %pd = getelementptr i64, ptr %st, i64 {DEPTH}
  store i64 %depth, ptr %pd
  %pr = getelementptr i64, ptr %st, i64 {REASON}
  %ph = getelementptr i64, ptr %st, i64 {HELPERS}
  %table = load ptr, ptr %ph
  %twice = mul i64 %index, 2
  %pair = getelementptr ptr, ptr %table, i64 %twice
  %function = load ptr, ptr %pair
  %unknown = icmp eq ptr %function, null
  br i1 %unknown, label %leave, label %call
call:
  %second = getelementptr ptr, ptr %pair, i64 1
  %context = load ptr, ptr %second
  %p1 = getelementptr ptr, ptr %arguments, i64 1
  store ptr %context, ptr %p1
{STORES}
  %result = call ptr @PyObject_Vectorcall(ptr %function, ptr %p1, i64 -9223372036854775802,
      ptr null)
{RELEASES}
  %null = icmp eq ptr %result, null
  br i1 %null, label %raised, label %convert
convert:
  %v = call i64 @PyLong_AsLongLongAndOverflow(ptr %result, ptr %overflow)
  %over = load i32, ptr %overflow
  %large = icmp eq i32 %over, 1
  br i1 %large, label %unsigned, label %small
small:
  %below = icmp ne i32 %over, 0
  br i1 %below, label %odd, label %maybe
unsigned:
  %u = call i64 @PyLong_AsUnsignedLongLong(ptr %result)
  br label %maybe
maybe:
  %value = phi i64 [%v, %small], [%u, %unsigned]
  %minus = icmp eq i64 %value, -1
  br i1 %minus, label %doubt, label %good
doubt:
  %error = call ptr @PyErr_Occurred()
  %fine = icmp eq ptr %error, null
  br i1 %fine, label %good, label %odd
good:
  call void @Py_DecRef(ptr %result)
  %r = insertvalue {i64, i64} {i64 0, i64 0}, i64 %value, 0
  ret {i64, i64} %r
odd:
  call void @PyErr_Clear()
  %pp = getelementptr i64, ptr %st, i64 {PENDING}
  store ptr %result, ptr %pp
  store i64 {PENDING_RESULT}, ptr %pr
  br label %leave
raised:
  store i64 {RAISED}, ptr %pr
  br label %leave
leave:
  ret {i64, i64} {i64 0, i64 1}
}
"""


def _leave() -> str:
    parameters = ", ".join(f"i64 %r{number}" for number in range(11))
    stores = "\n".join(
        f"  %p{number} = getelementptr i64, ptr %st, i64 {layout.REGISTERS + number}\n"
        f"  store i64 %r{number}, ptr %p{number}"
        for number in range(11)
    )
    record = ", ".join(f"i64 %w{word}" for word in range(layout.FRAME_WORDS))
    saves = "\n".join(
        f"  %q{word} = getelementptr i64, ptr %p, i64 {word}\n  store i64 %w{word}, ptr %q{word}"
        for word in range(layout.FRAME_WORDS)
    )
    return fill(_LEAVE, PARAMETERS=parameters, STORES=stores, RECORD=record, SAVES=saves)


def _call_helper() -> str:
    stores = "\n".join(
        f"  %o{number} = call ptr @PyLong_FromUnsignedLongLong(i64 %a{number})\n"
        f"  %q{number} = getelementptr ptr, ptr %arguments, i64 {number + 1}\n"
        f"  store ptr %o{number}, ptr %q{number}"
        for number in range(1, 6)
    )
    releases = "\n".join(f"  call void @Py_DecRef(ptr %o{number})" for number in range(1, 6))
    return fill(_CALL_HELPER, STORES=stores, RELEASES=releases)


def prelude(*, counting: bool) -> str:
    """What a program's module begins with: what it calls out of line."""
    record = ", ".join(["i64"] * layout.FRAME_WORDS)
    text = fill(PROGRAM, ELEVEN=", ".join(["i64"] * 11), RECORD=record)
    return text + (fill(_COUNT) if counting else "")


def runtime() -> str:
    """The declarations and functions that the module of the entry points begins with."""
    divisions = fill(_WIDE_DIVISION, NAME="__udivti3", RESULT="q2")
    divisions += fill(_WIDE_DIVISION, NAME="__umodti3", RESULT="r3")
    return DECLARATIONS + _leave() + fill(_LOOKUP) + _call_helper() + divisions
