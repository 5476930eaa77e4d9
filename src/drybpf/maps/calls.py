"""Operations of a map run in CPython: the restricted functions over storage and arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from drybpf.maps.definition import MapType
from drybpf.maps.layout import OPERATIONS
from drybpf.maps.operations import operation
from drybpf.maps.storage import Storage
from drybpf.native.restricted import Function

Argument = int | bytes | bytearray
Call = Callable[..., int]

_ELSEWHERE = 60  # the bit from which an address means one of the arguments, not host memory


class _Memory:
    """The storage at its host address, and buffers at addresses that no host has."""

    __slots__ = ("_base", "_buffers", "_view")

    def __init__(self, storage: Storage, buffers: list[Any]) -> None:
        self._view, self._base, self._buffers = storage.view, storage.address, buffers

    def load(self, address: int, size: int, /) -> int:
        data, at = self._place(address, size)
        return int.from_bytes(data[at : at + size], "little")

    def store(self, address: int, size: int, value: int, /) -> None:
        data, at = self._place(address, size)
        data[at : at + size] = value.to_bytes(size, "little")

    def _place(self, address: int, size: int) -> tuple[Any, int]:
        which = address >> _ELSEWHERE
        if which:
            data, at = self._buffers[which - 1], address & (1 << _ELSEWHERE) - 1
        else:
            data, at = self._view, address - self._base
        if not 0 <= at <= len(data) - size:
            raise IndexError(f"{size} bytes at {address:#x} are outside the map")
        return data, at


def interpreted(storage: Storage, kind: MapType, tell: Callable[[], None]) -> dict[str, Call]:
    """Each operation by name; `tell` is called before every one.

    A call takes numbers and buffers; a buffer is passed as the address of its bytes.
    """
    return {name: partial(_call, storage, operation(kind, name), tell) for name in OPERATIONS}


def _call(
    storage: Storage, function: Function[Any], tell: Callable[[], None], *arguments: Argument
) -> int:
    tell()
    parameters = len(function.definition.parameters)
    if not parameters:
        return function()
    buffers: list[Any] = []
    values = [storage.address]
    for argument in arguments[: parameters - 1]:
        if isinstance(argument, int):
            values.append(argument)
        else:
            buffers.append(argument)
            values.append(len(buffers) << _ELSEWHERE)
    return function.python(_Memory(storage, buffers), *values)
