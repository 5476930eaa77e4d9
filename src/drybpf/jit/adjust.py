"""Moving the ends of an XDP packet in compiled code, as `helpers.xdp` does it.

Only for programs all of whose helpers compiled code does itself: nothing else learns of a move
before the run leaves.
"""

from __future__ import annotations

from drybpf.helpers.errno import EACCES, EINVAL
from drybpf.helpers.xdp import ETHERNET, FRAME, MOST_METADATA
from drybpf.jit import layout
from drybpf.jit.access import in_moving_buffer, packet_place
from drybpf.jit.function import PLACES, FunctionText
from drybpf.jit.ir import Value


def is_sealed(f: FunctionText, _pc: int) -> bool:
    """Whether no helper in Python can see the packet while it is elsewhere."""
    return f.options.sealed and f.options.moving


def _delta(f: FunctionText) -> Value:
    return f.value(f"sext i32 {f.trunc(f.get(2), 32)} to i64")


def _start(f: FunctionText) -> int:
    """The lowest address that the packet's buffer lets it have."""
    return f.options.packet_address - f.options.headroom + FRAME


def _move(f: FunctionText, low: Value, begin: Value, high: Value) -> None:
    """Put the places into the words, into the context, and into what checks read."""
    values = {"data_meta": low, "data": begin, "data_end": high}
    for (name, word), value in zip(PLACES.items(), (low, begin, high), strict=True):
        place = f.value(f"getelementptr i64, ptr %st, i64 {word}")
        f.line(f"store i64 {value}, ptr {place}")
        f.line(f"store i64 {value}, ptr %{name}")
    for offset, size, kind in f.options.packet_ends:
        place = f.value(f"getelementptr i8, ptr %ctx, i64 {offset}")
        f.line(f"store i{8 * size} {f.trunc(values[kind], 8 * size)}, ptr {place}, align 1")


class _Choice:
    """A result that is an error unless all conditions hold; what is emitted then is the effect."""

    def __init__(self, f: FunctionText) -> None:
        self._f, self._name = f, len(f.lines)
        self._ways: list[str] = []

    def require(self, condition: Value, error: int) -> None:
        f, number = self._f, len(self._ways)
        begin, end = f"%try{self._name}.{number}", f"%go{self._name}.{number}"
        f.line(f"br label {begin}")
        f.label(begin[1:])
        f.line(f"br i1 {condition}, label {end}, label %end{self._name}")
        f.label(end[1:])
        self._ways.append(f"[{-error}, {begin}]")

    def result(self) -> Value:
        f, last = self._f, f"%moved{self._name}"
        f.line(f"br label {last}")
        f.label(last[1:])
        f.line(f"br label %end{self._name}")
        f.label(f"end{self._name}")
        return f.value(f"phi i64 [0, {last}], {', '.join(self._ways)}")


def adjust_head(f: FunctionText, _pc: int) -> Value:
    """Move the packet's first byte, its metadata with it."""
    low, begin, high = (packet_place(f, kind) for kind in ("data_meta", "data", "data_end"))
    to = f.value(f"add i64 {begin}, {_delta(f)}")
    size = f.value(f"sub i64 {begin}, {low}")
    to_low = f.value(f"sub i64 {to}, {size}")
    choice = _Choice(f)
    above = f.value(f"icmp uge i64 {to_low}, {_start(f)}")
    below = f.value(f"icmp ule i64 {to}, {f.value(f'sub i64 {high}, {ETHERNET}')}")
    choice.require(f.value(f"and i1 {above}, {below}"), EINVAL)
    source, target = in_moving_buffer(f, low), in_moving_buffer(f, to_low)
    f.line(f"call void @llvm.memmove.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)")
    _move(f, to_low, to, high)
    return choice.result()


def adjust_tail(f: FunctionText, _pc: int) -> Value:
    """Move the packet's end; what is new is zero."""
    low, begin, high = (packet_place(f, kind) for kind in ("data_meta", "data", "data_end"))
    to = f.value(f"add i64 {high}, {_delta(f)}")
    limit = f.value(f"load i64, ptr {f.value(f'getelementptr i64, ptr %st, i64 {layout.LIMIT}')}")
    choice = _Choice(f)
    below = f.value(f"icmp ule i64 {to}, {limit}")
    above = f.value(f"icmp uge i64 {to}, {f.value(f'add i64 {begin}, {ETHERNET}')}")
    choice.require(f.value(f"and i1 {above}, {below}"), EINVAL)
    grows = f.value(f"icmp ugt i64 {to}, {high}")
    size = f.value(f"select i1 {grows}, i64 {f.value(f'sub i64 {to}, {high}')}, i64 0")
    new = in_moving_buffer(f, high)
    f.line(f"call void @llvm.memset.p0.i64(ptr {new}, i8 0, i64 {size}, i1 false)")
    _move(f, low, begin, to)
    return choice.result()


def adjust_meta(f: FunctionText, _pc: int) -> Value:
    """Move the beginning of the metadata."""
    low, begin, high = (packet_place(f, kind) for kind in ("data_meta", "data", "data_end"))
    to = f.value(f"add i64 {low}, {_delta(f)}")
    choice = _Choice(f)
    above = f.value(f"icmp uge i64 {to}, {_start(f)}")
    choice.require(f.value(f"and i1 {above}, {f.value(f'icmp ule i64 {to}, {begin}')}"), EINVAL)
    size = f.value(f"sub i64 {begin}, {to}")
    even = f.value(f"icmp eq i64 {f.value(f'and i64 {size}, 3')}, 0")
    small = f.value(f"icmp ule i64 {size}, {MOST_METADATA}")
    choice.require(f.value(f"and i1 {even}, {small}"), EACCES)
    _move(f, to, begin, high)
    return choice.result()
