"""What the ways in do before each run: the words, the context and the table of regions, in IR.

Both `@call` and the loop over a batch have `%st`, `%pkt`, `%plen` and `%ctx` when they use it, and
`%frame` and `%flen`, what the caller gave.
"""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.entry import Shape
from drybpf.jit import layout
from drybpf.memory import CONTEXT


@dataclass(frozen=True)
class Setting:
    """What a way in must know of the program that it leads to, and of its hook.

    `lookups` says that the program reads the table of regions, `spaced` that it names stores or
    maps, `moving` that its packet's ends move, `numbered` that it may make tail calls.
    """

    shape: Shape
    may_write: bool = False
    lookups: bool = False
    spaced: bool = False
    moving: bool = False
    numbered: bool = False


def store(word: int, value: object, kind: str = "i64") -> list[str]:
    """Put a value into a word of the run."""
    name = f"%w{word}"
    return [f"{name} = getelementptr i64, ptr %st, i64 {word}", f"store {kind} {value}, ptr {name}"]


def words_of_run(setting: Setting) -> str:
    """The words that each run begins with."""
    lines: list[str] = []
    if setting.numbered:
        lines += [*store(layout.CODE, 0), *store(layout.TAIL_CALLS, 0)]
    first = setting.shape.packet_address
    if setting.moving:
        lines.append(f"%behind = add i64 %plen, {first}")
        lines += [*store(layout.LOW, first), *store(layout.BEGIN, first)]
        lines += store(layout.HIGH, "%behind")
        lines += store(layout.PACKET, "%pkt", "ptr")
        least = first - setting.shape.headroom + setting.shape.buffer_size
        lines.append(f"%longer = icmp ugt i64 %behind, {least}")
        lines.append(f"%limit = select i1 %longer, i64 %behind, i64 {least}")
        lines += store(layout.LIMIT, "%limit")
    if setting.spaced:  # what is deleted in a run is not used again within it
        lines += ["%epochp = load ptr, ptr %epochs", "%epoch0 = load i64, ptr %epochp"]
        lines += ["%epoch = add i64 %epoch0, 1", "store i64 %epoch, ptr %epochp"]
        lines += store(layout.EPOCH, "%epoch")
    return "\n  ".join(lines)


def place_of_epochs(setting: Setting) -> str:
    """Where the address of the space's count of runs is found."""
    word = layout.ENV_EPOCH
    return f"%epochs = getelementptr i64, ptr @env, i64 {word}" if setting.spaced else ""


def words_of_space(setting: Setting) -> str:
    """The words that are the same in all runs of a bound program: from its environment."""
    words = {layout.CPU: layout.ENV_CPU}
    if setting.spaced or setting.numbered:
        words[layout.STORES] = layout.ENV_STORES
    if setting.numbered:
        words[layout.PROGRAMS] = layout.ENV_PROGRAMS
    lines: list[str] = []
    for word, source in words.items():
        lines += [
            f"%es{word} = getelementptr i64, ptr @env, i64 {source}",
            f"%ev{word} = load i64, ptr %es{word}",
            *store(word, f"%ev{word}"),
        ]
    if not setting.moving:
        lines += store(layout.HIGH, 0)
    return "\n  ".join(lines)


def context_fields(shape: Shape) -> tuple[str, str]:
    """Filling the context: once for all runs what no program can change, else for each."""
    once: list[str] = []
    each: list[str] = []
    if shape.context_length:
        zero = (
            f"call void @llvm.memset.p0.i64(ptr %ctx, i8 0, i64 {shape.context_length}, i1 false)"
        )
        (each if shape.context_writable else once).append(zero)
    for index, (offset, size, value) in enumerate(shape.context or ()):
        lines = [f"%cp{index} = getelementptr i8, ptr %ctx, i64 {offset}"]
        stored = str(shape.packet_address if value in ("data", "data_meta") else value)
        if value in ("data_end", "length", "first_length"):
            begin = shape.packet_address if value == "data_end" else 0
            lines.append(f"%ce{index} = add i64 %plen, {begin}")
            lines += [f"%cn{index} = trunc i64 %ce{index} to i{8 * size}"] if size < 8 else []
            stored = f"%cn{index}" if size < 8 else f"%ce{index}"
        if value == "protocol":
            lines.append(f"%ck{index} = call i{8 * size} @protocol(ptr %frame, i64 %flen)")
            stored = f"%ck{index}"
        lines.append(f"store i{8 * size} {stored}, ptr %cp{index}")
        varies = isinstance(value, str) or shape.context_writable
        (each if varies else once).extend(lines)
    return "\n  ".join(once), "\n  ".join(each)


def seen(shape: Shape) -> str:
    """What the program sees of a frame: `%given` and `%plen`."""
    lines = [
        f"%behind.link = icmp ult i64 %flen, {shape.hidden}",
        f"%hidden = select i1 %behind.link, i64 %flen, i64 {shape.hidden}",
        "%given = getelementptr i8, ptr %frame, i64 %hidden",
        "%plen = sub i64 %flen, %hidden",
    ]
    return "\n  ".join(lines)


PROTOCOL = """
define internal i32 @protocol(ptr %frame, i64 %flen) alwaysinline {
  %two = icmp uge i64 %flen, 14
  br i1 %two, label %whole, label %short, !prof !0
whole:
  %p12 = getelementptr i8, ptr %frame, i64 12
  %raw = load i16, ptr %p12, align 1
  %kind = call i16 @llvm.bswap.i16(i16 %raw)
  %named = icmp uge i16 %kind, 1536
  br i1 %named, label %type, label %length, !prof !0
type:
  %wide = zext i16 %raw to i32
  ret i32 %wide
length:
  %more = icmp uge i64 %flen, 16
  br i1 %more, label %look, label %llc
look:
  %p14 = getelementptr i8, ptr %frame, i64 14
  %mark = load i16, ptr %p14, align 1
  %ipx = icmp eq i16 %mark, -1
  br i1 %ipx, label %raw.ipx, label %llc
raw.ipx:
  ret i32 256
llc:
  ret i32 1024
short:
  %one = icmp eq i64 %flen, 13
  br i1 %one, label %half, label %none
half:
  %h12 = getelementptr i8, ptr %frame, i64 12
  %byte = load i8, ptr %h12
  %hw = zext i8 %byte to i32
  %hs = shl i32 %hw, 8
  ret i32 %hs
none:
  ret i32 0
}
"""
"""The protocol of an Ethernet frame in network order: its type, or what stands for a length."""


def protocol_of(shape: Shape) -> str:
    """The function that `context_fields` calls, where it does."""
    needed = any(value == "protocol" for _, _, value in shape.context or ())
    return PROTOCOL if needed else ""


def regions(setting: Setting, table: str) -> str:
    """The table of regions: the packet and the context."""
    shape = setting.shape
    words = [shape.packet_address, "%plen", "%pkt", 1, -1, "%plen"]
    writable = int(shape.context_writable and not shape.protected)
    words += [CONTEXT, shape.context_length, "%ctx", writable, -1, shape.context_length]
    lines = []
    for index, word in enumerate(words):
        kind = "ptr" if word in ("%pkt", "%ctx") else "i64"
        lines.append(f"%rg{index} = getelementptr i64, ptr {table}, i64 {index}")
        lines.append(f"store {kind} {word}, ptr %rg{index}")
    lines += store(layout.REGIONS, table, "ptr")
    lines += store(layout.REGION_COUNT, 2 if shape.context_length else 1)
    return "\n  ".join(lines)


def own_packet(setting: Setting, buffer: str, given: str) -> str:
    """Copy a packet into a buffer, behind the room before it; gives `%own`, what is passed on."""
    headroom = setting.shape.headroom
    lines = [f"%body = getelementptr i8, ptr {buffer}, i64 {headroom}"]
    if setting.moving and headroom:  # what programs can come to see
        zero = f"call void @llvm.memset.p0.i64(ptr {buffer}, i8 0, i64 {headroom}, i1 false)"
        lines.append(zero)
    copy = f"call void @llvm.memcpy.p0.p0.i64(ptr %body, ptr {given}, i64 %plen, i1 false)"
    passed = buffer if setting.moving else "%body"
    return "\n  ".join([*lines, copy, f"%own = getelementptr i8, ptr {passed}, i64 0"])
