"""The ways into a compiled program: by a prepared state, by one packet.

Each is a CPython function of one argument.  `@run` takes the address of a prepared run, `@call` a
buffer.  That of batches is in `batches`.

While `@call` asks for the buffer and gives it back, its code is not counted as in use (`@inside`):
0.4 ns of 19 a call.  That is safe where nothing gives the program's code up meanwhile, so with all
that is in Python and NumPy.  It is not where a class of the user's runs Python there (`__buffer__`,
from Python 3.12 on; `__getbuffer__` of Cython), which has the same program compiled anew, as by
registering a helper and calling it: `program(packet)` then returns into code that was freed.
`program.function`, called, holds its code itself.
"""

from __future__ import annotations

from drybpf.entry import Shape
from drybpf.jit.runtime import PASSED, fill, runtime
from drybpf.jit.setup import (
    Setting,
    context_fields,
    own_packet,
    place_of_epochs,
    protocol_of,
    regions,
    seen,
    words_of_run,
    words_of_space,
)
from drybpf.memory import FRAME_STRIDE, MAX_FRAMES, SLOT_SIZE

_RUN = """
define ptr @run(ptr %self, ptr %arg) {
  %st = call ptr @PyLong_AsVoidPtr(ptr %arg)
  %p0 = getelementptr i64, ptr %st, i64 {PACKET}
  %pkt = load ptr, ptr %p0
  %p1 = getelementptr i64, ptr %st, i64 {PACKET_LENGTH}
  %plen = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %st, i64 {CONTEXT}
  %ctx = load ptr, ptr %p2
  %p3 = getelementptr i64, ptr %st, i64 {CONTEXT_LENGTH}
  %clen = load i64, ptr %p3
  %p4 = getelementptr i64, ptr %st, i64 {STACK}
  %stk = load ptr, ptr %p4
  %p5 = getelementptr i64, ptr %st, i64 {FUEL}
  %fuel = load i64, ptr %p5
  %p6 = getelementptr i64, ptr %st, i64 {DEPTH}
  %depth = load i64, ptr %p6
  %pair = call {i64, i64} @enter({PASSED}, i64 %depth, i64 %fuel)
  %rest = extractvalue {i64, i64} %pair, 1
  %left = icmp slt i64 %rest, 0
  br i1 %left, label %cold, label %done
done:
  %r0 = extractvalue {i64, i64} %pair, 0
  store i64 -1, ptr %st
  store i64 %rest, ptr %p5
  %pr = getelementptr i64, ptr %st, i64 {REGISTERS}
  store i64 %r0, ptr %pr
  br label %answer
cold:
  %pe = getelementptr i64, ptr %st, i64 {REASON}
  %reason = load i64, ptr %pe
  %error = icmp eq i64 %reason, {RAISED}
  br i1 %error, label %raise, label %answer
answer:
  %value = phi i64 [%r0, %done], [0, %cold]
  %object = call ptr @PyLong_FromUnsignedLongLong(i64 %value)
  ret ptr %object
raise:
  ret ptr null
}
"""

# The time of a run: a number of runs of the same state, but for what they change.
_REPEAT = """
define ptr @repeat(ptr %self, ptr %arg) {
entry:
  %st = call ptr @PyLong_AsVoidPtr(ptr %arg)
  %p0 = getelementptr i64, ptr %st, i64 {PACKET}
  %pkt = load ptr, ptr %p0
  %p1 = getelementptr i64, ptr %st, i64 {PACKET_LENGTH}
  %plen = load i64, ptr %p1
  %p2 = getelementptr i64, ptr %st, i64 {CONTEXT}
  %ctx = load ptr, ptr %p2
  %p3 = getelementptr i64, ptr %st, i64 {CONTEXT_LENGTH}
  %clen = load i64, ptr %p3
  %p4 = getelementptr i64, ptr %st, i64 {STACK}
  %stk = load ptr, ptr %p4
  %p5 = getelementptr i64, ptr %st, i64 {FUEL}
  %fuel = load i64, ptr %p5
  %p6 = getelementptr i64, ptr %st, i64 {END}
  %end = load i64, ptr %p6
  %p7 = getelementptr i64, ptr %st, i64 {TAIL_CALLS}
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %again]
  store i64 0, ptr %p7
  %pair = call {i64, i64} @enter({PASSED}, i64 0, i64 %fuel)
  %rest = extractvalue {i64, i64} %pair, 1
  %i1 = add i64 %i, 1
  %left = icmp slt i64 %rest, 0
  br i1 %left, label %done, label %again, !prof !1
again:
  %more = icmp ult i64 %i1, %end
  br i1 %more, label %loop, label %done
done:
  %count = phi i64 [%i, %loop], [%i1, %again]
  %object = call ptr @PyLong_FromUnsignedLongLong(i64 %count)
  ret ptr %object
}
"""

_CALL = """
define ptr @call(ptr %self, ptr %arg) {
  %buffer = alloca [80 x i8], align 16
  %st = alloca [{WORDS} x i64], align 16
  %stk = alloca [{STACK_BYTES} x i8], align 16
  {SCRATCH_ALLOCA}
  %regions = alloca [12 x i64], align 16
  %ctx = alloca [{CONTEXT_ROOM} x i8], align 16
  %rc = call i32 @PyObject_GetBuffer(ptr %arg, ptr %buffer, i32 0)
  %bad = icmp ne i32 %rc, 0
  br i1 %bad, label %refused, label %open, !prof !1
open:
  %frame = load ptr, ptr %buffer
  %pl = getelementptr i8, ptr %buffer, i64 16
  %flen = load i64, ptr %pl
  {SEEN}
  %p1 = getelementptr i64, ptr %st, i64 {PACKET_LENGTH}
  store i64 %plen, ptr %p1
  %pe = getelementptr i64, ptr %st, i64 {REASON}
  store i64 0, ptr %pe
  store i64 0, ptr %st
  %pcode = getelementptr i64, ptr %st, i64 {CODE}
  store i64 0, ptr %pcode
  %long = icmp ugt i64 %plen, {LONGEST}
  br i1 %long, label %strange, label %fits, !prof !1
fits:
  {COPY}
ready:
  %pkt = phi ptr {PACKETS}
  {KEPT}
  %p0 = getelementptr i64, ptr %st, i64 {PACKET}
  store ptr %pkt, ptr %p0
  %p4 = getelementptr i64, ptr %st, i64 {STACK}
  store ptr %stk, ptr %p4
  %env0 = load i64, ptr @env
  %penv2 = getelementptr i64, ptr @env, i64 {ENV_HELPERS}
  %env2 = load i64, ptr %penv2
  %p7 = getelementptr i64, ptr %st, i64 {HELPERS}
  store i64 %env2, ptr %p7
  %p8 = getelementptr i64, ptr %st, i64 {CONTEXT}
  store ptr %ctx, ptr %p8
  {SPACE_WORDS}
  {EPOCHS}
  {RUN_WORDS}
  {CONTEXT_ONCE}
  {CONTEXT_SETUP}
  {REGION_SETUP}
  %pair = call {i64, i64} @enter(ptr %pkt, i64 %plen, ptr %ctx, i64 {CLEN}, ptr %stk, ptr %st,
      i64 0, i64 %env0)
  %rest = extractvalue {i64, i64} %pair, 1
  %left = icmp slt i64 %rest, 0
  br i1 %left, label %cold, label %done, !prof !1
done:
  %r0 = extractvalue {i64, i64} %pair, 0
  {FREE}
  call void @PyBuffer_Release(ptr %buffer)
  %object = call ptr @PyLong_FromUnsignedLongLong(i64 %r0)
  ret ptr %object
cold:
  %answer = call ptr @fallback(ptr %arg, ptr %st)
  {FREE}
  call void @PyBuffer_Release(ptr %buffer)
  ret ptr %answer
strange:
  %verdict = call ptr @fallback(ptr %arg, ptr null)
  call void @PyBuffer_Release(ptr %buffer)
  ret ptr %verdict
refused:
  ret ptr null
}
define ptr @vectorcall(ptr %self, ptr %arguments, i64 %flags, ptr %names) {
  %count = and i64 %flags, 9223372036854775807
  %one = icmp eq i64 %count, 1
  %unnamed = icmp eq ptr %names, null
  %plain = and i1 %one, %unnamed
  br i1 %plain, label %packet, label %other
packet:
  %arg = load ptr, ptr %arguments
  %answer = tail call ptr @call(ptr %self, ptr %arg)
  ret ptr %answer
other:
  %po = getelementptr i64, ptr @env, i64 {ENV_OTHER}
  %function = load ptr, ptr %po
  call void @inside(i64 1)
  %result = call ptr @PyObject_Vectorcall(ptr %function, ptr %arguments, i64 %flags, ptr %names)
  call void @inside(i64 -1)
  ret ptr %result
}
define internal void @inside(i64 %change) {
  %pi = getelementptr i64, ptr @env, i64 {ENV_INSIDE}
  %before = load i64, ptr %pi
  %after = add i64 %before, %change
  store i64 %after, ptr %pi
  ret void
}
define internal ptr @fallback(ptr %arg, ptr %st) noinline cold {
  %arguments = alloca [3 x ptr]
  %p1 = getelementptr ptr, ptr %arguments, i64 1
  store ptr %arg, ptr %p1
  %number = ptrtoint ptr %st to i64
  %address = call ptr @PyLong_FromUnsignedLongLong(i64 %number)
  %p2 = getelementptr ptr, ptr %arguments, i64 2
  store ptr %address, ptr %p2
  %pf = getelementptr i64, ptr @env, i64 {ENV_FALLBACK}
  %function = load ptr, ptr %pf
  call void @inside(i64 1)
  %r = call ptr @PyObject_Vectorcall(ptr %function, ptr %p1, i64 -9223372036854775806, ptr null)
  call void @inside(i64 -1)
  call void @Py_DecRef(ptr %address)
  ret ptr %r
}
"""

# A private copy: of every packet, or only of those in read-only buffers.
_COPY = """%pw = getelementptr i8, ptr %buffer, i64 32
  %flag = load i32, ptr %pw
  %readonly = icmp ne i32 %flag, 0
  %copied = or i1 %readonly, {PRIVATE}
  br i1 %copied, label %copy, label %ready
copy:
  %big = icmp ugt i64 %plen, {ROOM_FOR_PACKET}
  br i1 %big, label %allocate, label %fill
allocate:
  %room = add i64 %plen, {HEADROOM}
  %heap = call ptr @PyMem_Malloc(i64 %room)
  %failed = icmp eq ptr %heap, null
  br i1 %failed, label %strange, label %fill
fill:
  %buffer0 = phi ptr [%scratch, %copy], [%heap, %allocate]
  %owned = phi ptr [null, %copy], [%heap, %allocate]
  {OWN}
  br label %ready"""


def entries(setting: Setting) -> str:
    """The module of the entry points for programs of one setting."""
    shape = setting.shape
    once, each = context_fields(shape)
    scratch = max(2048, shape.buffer_size)
    texts = {
        "SEEN": seen(shape),
        "SPACE_WORDS": words_of_space(setting),
        "EPOCHS": place_of_epochs(setting),
        "RUN_WORDS": words_of_run(setting),
        "CONTEXT_ONCE": once,
        "CONTEXT_SETUP": each,
        "REGION_SETUP": regions(setting, "%regions") if setting.lookups else "",
        **_copying(setting.may_write),
    }
    values: dict[str, object] = {
        "PASSED": PASSED,
        "LONGEST": longest(shape),
        "STACK_BYTES": MAX_FRAMES * FRAME_STRIDE,
        "CLEN": shape.context_length,
        "CONTEXT_ROOM": shape.context_length or 8,
        "SCRATCH_BYTES": scratch,
        "ROOM_FOR_PACKET": scratch - shape.headroom,
        "HEADROOM": shape.headroom,
        "PRIVATE": "true" if shape.private_packet else "false",
        "OWN": own_packet(setting, "%buffer0", "%given"),
    }
    text = (
        runtime()
        + "declare {i64, i64} @enter(ptr, i64, ptr, i64, ptr, ptr, i64, i64)"
        + "\ndeclare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
        + _RUN
        + _REPEAT
    )
    if shape.plain:
        text += protocol_of(shape) + _CALL
        text += "declare i16 @llvm.bswap.i16(i16)\n"
    for name, value in texts.items():
        text = text.replace("{" + name + "}", value)
    return fill(text, **values)


def longest(shape: Shape) -> int:
    """The longest packet that compiled code takes; a program without input takes none."""
    return 0 if shape.r1 == "zero" else SLOT_SIZE - (shape.packet_address & SLOT_SIZE - 1)


def _copying(may_write: bool) -> dict[str, str]:
    if not may_write:
        return {
            "SCRATCH_ALLOCA": "",
            "COPY": "br label %ready",
            "PACKETS": "[%given, %fits]",
            "KEPT": "",
            "FREE": "",
        }
    return {
        "SCRATCH_ALLOCA": "%scratch = alloca [{SCRATCH_BYTES} x i8], align 16",
        "COPY": _COPY,
        "PACKETS": "[%given, %fits], [%own, %fill]",
        "KEPT": "%kept = phi ptr [null, %fits], [%owned, %fill]",
        "FREE": "call void @PyMem_Free(ptr %kept)",
    }
