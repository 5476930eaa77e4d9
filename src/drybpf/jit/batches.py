"""A batch of packets: the loop over them, in the module of the program itself, and its way in.

The program is inlined into the loop, and what is the same for all packets stands before it.
"""

from __future__ import annotations

from drybpf.jit.entries import longest
from drybpf.jit.runtime import PASSED, fill, runtime
from drybpf.jit.setup import (
    Setting,
    context_fields,
    own_packet,
    place_of_epochs,
    protocol_of,
    seen,
    words_of_run,
)

# Of how many packets further on the first bytes are asked from the memory: the processor fetches
# ahead by itself within a page only, and not where packets are long (64 bytes: 3.7 ns against 2.4).
AHEAD = 128

_ENTRY = """declare void @packets(ptr)
define ptr @batch(ptr %self, ptr %arg) {
  %st = call ptr @PyLong_AsVoidPtr(ptr %arg)
  %pq = getelementptr i64, ptr %st, i64 {RELEASE}
  %flag = load i64, ptr %pq
  %release = icmp ne i64 %flag, 0
  br i1 %release, label %unlock, label %locked
unlock:
  %thread = call ptr @PyEval_SaveThread()
  call void @packets(ptr %st)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %answer
locked:
  call void @packets(ptr %st)
  br label %answer
answer:
  %pe = getelementptr i64, ptr %st, i64 {REASON}
  %reason = load i64, ptr %pe
  %object = call ptr @PyLong_FromUnsignedLongLong(i64 %reason)
  ret ptr %object
}
"""

_LOOP = """
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare i64 @llvm.umin.i64(i64, i64)
define internal i64 @offset(ptr %offsets, i64 %index) alwaysinline {
  %p = getelementptr {OFFSET}, ptr %offsets, i64 %index
  %v = load {OFFSET}, ptr %p, align 1
  {WIDENED}
  ret i64 %wide
}
define void @packets(ptr %st) {
entry:
  %pd = getelementptr i64, ptr %st, i64 {DATA}
  %data = load ptr, ptr %pd
  %pdl = getelementptr i64, ptr %st, i64 {DATA_LENGTH}
  %size = load i64, ptr %pdl
  %po = getelementptr i64, ptr %st, i64 {OFFSETS}
  %offsets = load ptr, ptr %po
  %pv = getelementptr i64, ptr %st, i64 {VERDICTS}
  %verdicts = load ptr, ptr %pv
  %pi = getelementptr i64, ptr %st, i64 {INDEX}
  %first = load i64, ptr %pi
  %pn = getelementptr i64, ptr %st, i64 {END}
  %end = load i64, ptr %pn
  %pb = getelementptr i64, ptr %st, i64 {BUDGET}
  %budget = load i64, ptr %pb
  %pk = getelementptr i64, ptr %st, i64 {STACK}
  %stk = load ptr, ptr %pk
  %ps = getelementptr i64, ptr %st, i64 {SCRATCH}
  %scratch = load ptr, ptr %ps
  %pr = getelementptr i64, ptr %st, i64 {ROOM}
  %room = load i64, ptr %pr
  %pe = getelementptr i64, ptr %st, i64 {REASON}
  store i64 0, ptr %pe
  %pp = getelementptr i64, ptr %st, i64 {PACKET}
  %pl = getelementptr i64, ptr %st, i64 {PACKET_LENGTH}
  %pc = getelementptr i64, ptr %st, i64 {CONTEXT}
  %ctx = load ptr, ptr %pc
  {EPOCHS}
  {CONTEXT_ONCE}
  %begin = call i64 @offset(ptr %offsets, i64 %first)
  %c1 = icmp ule i64 %begin, %size
  br i1 %c1, label %loop, label %wrong
wrong:
  store i64 {BAD_OFFSETS}, ptr %pe
  store i64 -1, ptr %st
  ret void
loop:
  %i = phi i64 [%first, %entry], [%i1, %next]
  %low = phi i64 [%begin, %entry], [%high, %next]
  {USED}
  %more = icmp ult i64 %i, %end
  {FRESH}
  br i1 %go, label %packet, label %stop
packet:
  %i1 = add i64 %i, 1
  %high = call i64 @offset(ptr %offsets, i64 %i1)
  %flen = sub i64 %high, %low
  %c2 = icmp ule i64 %high, %size
  %c3 = icmp ule i64 %flen, {LONGEST}
  %c23 = and i1 %c2, %c3
  br i1 %c23, label %good, label %bad, !prof !0
good:
  %frame = getelementptr i8, ptr %data, i64 %low
  {SEEN}
  %far = add i64 %i, {AHEAD}
  %near = call i64 @llvm.umin.i64(i64 %far, i64 %end)
  %later = call i64 @offset(ptr %offsets, i64 %near)
  %ahead = getelementptr i8, ptr %data, i64 %later
  call void @llvm.prefetch.p0(ptr %ahead, i32 0, i32 3, i32 1)
  {COPY}
  {REGIONS_OF_PACKET}
  {RUN_WORDS}
  {CONTEXT_OF_PACKET}
  %pair = call {i64, i64} @enter(ptr %pkt, i64 %plen, ptr %ctx, i64 {CLEN}, ptr %stk, ptr %st,
      i64 0, i64 %budget)
  %rest = extractvalue {i64, i64} %pair, 1
  %left = icmp slt i64 %rest, 0
  br i1 %left, label %cold, label %next, !prof !1
next:
  %r0 = extractvalue {i64, i64} %pair, 0
  %out = getelementptr i64, ptr %verdicts, i64 %i
  store i64 %r0, ptr %out
  {SPENT}
  br label %loop
cold:
  store i64 %i, ptr %pi
  store ptr %pkt, ptr %pp
  store i64 %plen, ptr %pl
  ret void
bad:
  store i64 {BAD_OFFSETS}, ptr %pe
  br label %stop
stop:
  store i64 %i, ptr %pi
  store i64 -1, ptr %st
  ret void
}
"""

_COPY = """%needed = add i64 %plen, {HEADROOM}
  %roomy = icmp ule i64 %needed, %room
  br i1 %roomy, label %copying, label %grow
grow:
  store i64 {SMALL_SCRATCH}, ptr %pe
  br label %stop
copying:
  {OWN}
  %pkt = getelementptr i8, ptr %own, i64 0"""


# The first region of a batch's table is the packet at hand.
_REGIONS = """%rgp = getelementptr i64, ptr %st, i64 {REGIONS}
  %rgt = load ptr, ptr %rgp
  %rg1 = getelementptr i64, ptr %rgt, i64 1
  store i64 %plen, ptr %rg1
  %rg2 = getelementptr i64, ptr %rgt, i64 2
  store ptr %pkt, ptr %rg2
  %rg5 = getelementptr i64, ptr %rgt, i64 5
  store i64 %plen, ptr %rg5"""


def way_in() -> str:
    """The module of the entry point, which is the same for every program."""
    return runtime() + fill(_ENTRY)


# A batch of runs that may be long stops now and then, for Python to look for signals.
_METERED = {
    "USED": "%used = phi i64 [0, %entry], [%used1, %next]",
    "FRESH": "%fresh = icmp ult i64 %used, {SLICE}\n  %go = and i1 %more, %fresh",
    "SPENT": "%spent = sub i64 %budget, %rest\n  %used1 = add i64 %used, %spent",
}
_SHORT = {"USED": "", "FRESH": "%go = and i1 %more, true", "SPENT": ""}
_OFFSETS = {
    4: {"OFFSET": "i32", "WIDENED": "%wide = zext i32 %v to i64"},
    8: {"OFFSET": "i64", "WIDENED": "%wide = add i64 %v, 0"},
}


def loop(setting: Setting, width: int, *, short: bool) -> str:
    """What a program's module has besides, to be run on batches with offsets of `width` bytes.

    A `short` program executes no instruction twice.
    """
    once, each = context_fields(setting.shape)
    texts = {
        "SEEN": seen(setting.shape),
        **(_SHORT if short else _METERED),
        **_OFFSETS[width],
        "COPY": _COPY if setting.may_write else "%pkt = getelementptr i8, ptr %given, i64 0",
        "OWN": own_packet(setting, "%scratch", "%given"),
        "REGIONS_OF_PACKET": _REGIONS if setting.lookups else "",
        "RUN_WORDS": words_of_run(setting),
        "EPOCHS": place_of_epochs(setting),
        "CONTEXT_ONCE": once,
        "CONTEXT_OF_PACKET": each,
    }
    text = protocol_of(setting.shape) + _LOOP
    for name, value in texts.items():
        text = text.replace("{" + name + "}", value)
    shape = setting.shape
    values = {
        "PASSED": PASSED,
        "AHEAD": AHEAD,
        "LONGEST": longest(shape),
        "CLEN": shape.context_length,
        "HEADROOM": shape.headroom,
    }
    return fill(text, **values)
