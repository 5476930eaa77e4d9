"""From our references to the kernel's: `lddw` of guest addresses becomes `lddw` of descriptors.

ours, by slot                         the kernel's (src of lddw, imm, imm of the second slot)
the handle of a map                   1, descriptor, 0
an address in a data section          2, descriptor of its array map, offset in its one value
an address in an array of one value   2, descriptor of the map, offset
the handle of a function              4, distance to it: as it stands in the code

`src`, here before the first comma, is what the kernel calls BPF_PSEUDO_….
"""

from __future__ import annotations

import struct
from typing import Protocol

from drybpf.code import Code
from drybpf.errors import KernelError
from drybpf.memory import FUNCTION_HANDLES, HANDLES, SLOT_BITS

MAP_FD, MAP_VALUE, FUNCTION = 1, 2, 4  # BPF_PSEUDO_MAP_FD, _MAP_VALUE, _FUNC
_REGISTERS = struct.Struct("<B")
_IMM = struct.Struct("<I")


class Descriptors(Protocol):
    """Who knows what stands in the kernel for our maps and sections."""

    def map(self, handle: int) -> int:
        """The descriptor of a map, by our handle.  Raises `KernelError`."""

    def value(self, address: int) -> tuple[int, int] | None:
        """The descriptor of the array whose values are at a guest address, and the offset there.

        None where nothing of ours is at the address.
        """


def relocate(code: Code, descriptors: Descriptors) -> bytes:
    """The bytecode with each reference as the kernel takes it.

    Raises `KernelError` for a reference to what the kernel has not.
    """
    bytecode = bytearray(code.bytecode)
    for slot, value in code.references.items():
        if value >= FUNCTION_HANDLES and value >> SLOT_BITS == HANDLES >> SLOT_BITS:
            continue
        if value >> SLOT_BITS == HANDLES >> SLOT_BITS:
            _set(bytecode, slot, MAP_FD, descriptors.map(value), 0)
        elif (place := descriptors.value(value)) is not None:
            _set(bytecode, slot, MAP_VALUE, *place)
        elif value >> SLOT_BITS == 0:  # a number, or a weak symbol that nobody defines
            _set(bytecode, slot, 0, value, 0)
        else:
            raise KernelError(f"insn {slot} refers to {value:#x}, which the kernel has not")
    return bytes(bytecode)


def _set(bytecode: bytearray, slot: int, kind: int, low: int, high: int) -> None:
    place = 8 * slot
    _REGISTERS.pack_into(bytecode, place + 1, kind << 4 | bytecode[place + 1] & 0xF)
    _IMM.pack_into(bytecode, place + 4, low)
    _IMM.pack_into(bytecode, place + 12, high)
