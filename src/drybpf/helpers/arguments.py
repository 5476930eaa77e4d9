"""What helpers do with their arguments."""

from __future__ import annotations

from typing import Any, cast

from drybpf.errors import HelperError
from drybpf.helpers.kfuncs import helper_name
from drybpf.memory import CONTEXT, FUNCTION_HANDLES
from drybpf.state import Context

M32 = (1 << 32) - 1


def u32(value: int) -> int:
    """The low 32 bits."""
    return value & M32


def s32(value: int) -> int:
    """The low 32 bits as a signed number."""
    value &= M32
    return value - ((value & 1 << 31) << 1)


def s64(value: int) -> int:
    """A register as a signed number."""
    return value - ((value & 1 << 63) << 1)


def refuse(context: Context, reason: str) -> HelperError:
    """The fault of a call that no verified program would make; to be raised."""
    name = helper_name(context.number) or f"helper {context.number}"
    return HelperError(f"{name}: {reason}")


def map_of(context: Context, handle: int) -> Any:  # noqa: ANN401 (a `maps.Map` of any type)
    """The map of a handle; a fault where the number is none."""
    found = context.state.space.maps.get(handle)
    if found is None:
        raise refuse(context, f"{handle:#x} is no map")
    return cast("Any", found)


def callback(context: Context, address: int) -> int:
    """The slot of a function of the program, from its address; a fault where it is none."""
    slot = address - FUNCTION_HANDLES
    if slot not in context.state.code.fuel:
        raise refuse(context, f"{address:#x} is no function of the program")
    return slot


def field(context: Context, name: str) -> int:
    """A field of the hook's context; 0 where it has no such field."""
    found = context.state.hook.layout.get(name)
    region = context.state.memory.at(CONTEXT)
    if found is None or region is None or found.end > region.length:
        return 0
    return int.from_bytes(region.data[found.offset : found.offset + found.size], "little")


def set_field(context: Context, name: str, value: int) -> None:
    """Change a field of the hook's context, also where programs cannot."""
    found = context.state.hook.layout[name]
    region = context.state.memory.at(CONTEXT)
    if region is not None:
        data = (value & (1 << 8 * found.size) - 1).to_bytes(found.size, "little")
        region.data[found.offset : found.offset + found.size] = data
