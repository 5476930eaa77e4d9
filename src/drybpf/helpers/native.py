"""Helpers in restricted Python: inlined by the compiler, run as they are by the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drybpf.native.buffer import host_address
from drybpf.native.restricted import Block, Function
from drybpf.state import Context

if TYPE_CHECKING:
    from typing_extensions import Buffer


class NativeHelper:
    """A helper whose data lies in one buffer and whose code is a restricted function.

    The function gets the address of the buffer and then r1, r2, … as many as it has parameters;
    it must stay within the buffer for any arguments.  Both engines see the same bytes.
    """

    def __init__(self, function: Function[...], storage: Buffer) -> None:
        """Bind a function to its storage, which must not change its size from now on."""
        count = len(function.definition.parameters)
        if not 1 <= count <= 6:
            raise TypeError(f"a native helper has 1 to 6 parameters, not {count}")
        self.function, self.arguments = function, count - 1
        self.storage = memoryview(storage).cast("B")
        self.address = host_address(self.storage)

    def __call__(self, _: Context, *registers: int) -> int:
        """Run in CPython, over the same bytes."""
        memory = Block(self.storage, self.address)
        return self.function.python(memory, self.address, *registers[: self.arguments])
