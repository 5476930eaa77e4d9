"""What the guard of a loop demands of the accesses in a region: the checks of `access`, at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf.jit.provenance import CALLERS
from drybpf.jit.trips import Number
from drybpf.memory import CONTEXT, FRAME_SIZE, FRAME_STRIDE, PACKET, STACK

if TYPE_CHECKING:
    from drybpf.jit.function import FunctionText
    from drybpf.jit.ir import Value


MOST_PACKET = 1 << 16  # bytes that an access is expected to range over, not that there may be


@dataclass(frozen=True)
class Bounds:
    """A region: where it begins, and what an offset of one byte must be below.

    Where it holds values at the multiples of mask + 1, bytes that are demanded together lie in
    the first `room` of one of them, as accesses must.
    """

    start: Number
    limit: Number
    mask: int = -1
    room: int = 0


def bounds(f: FunctionText, region: int) -> Bounds | None:
    """The bounds of a region that accesses are guessed to lie in, as they are at this place."""
    if region == PACKET:
        if not f.options.moving:
            return Bounds(f.options.packet_address, f.limit("p", 1))
        low, high = f.value("load i64, ptr %p.low"), f.value("load i64, ptr %p.high")
        return Bounds(low, f.value(f"sub i64 {high}, {low}"))
    if region == CONTEXT:
        return Bounds(CONTEXT, f.options.context_length or f.limit("c", 1))
    if region == STACK:
        return Bounds("%low", FRAME_SIZE)
    if region == CALLERS:
        return Bounds(callers_start(), callers_length(f), FRAME_STRIDE - 1, FRAME_SIZE)
    store = f.options.around.store_at(region)
    if store is None:
        return None
    return Bounds(store.start, store.length, store.mask, store.room)


def room(f: FunctionText, region: int) -> int:
    """The most bytes that may lie together in a region, as far as that is known."""
    if region == PACKET:
        return MOST_PACKET
    if region == CONTEXT:
        return f.options.context_length or MOST_PACKET
    if region in (STACK, CALLERS):
        return FRAME_SIZE
    store = f.options.around.store_at(region)
    return 0 if store is None else store.length if store.mask == -1 else store.room


def callers_start() -> int:
    """The first byte of the outermost frame."""
    return STACK + FRAME_STRIDE - FRAME_SIZE


def callers_length(f: FunctionText) -> Value:
    """From the outermost frame's first byte to the last one's end, 0 in the outermost itself."""
    return f.value(f"call i64 @llvm.usub.sat.i64(i64 %deep, i64 {FRAME_STRIDE - FRAME_SIZE})")
