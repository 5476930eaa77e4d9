"""A helper of the kernel's, as the registry and the compiler know it."""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.state import Helper, HelperResult


@dataclass(frozen=True, slots=True)
class KernelHelper:
    """A helper by its kernel name and number.

    `call(context, r1, …, r5)` is its meaning.  `moves_packet` says that it may change the packet's
    ends or place; the compiler knows the helpers whose `native` it has a form for.
    """

    number: int
    name: str
    call: Helper
    moves_packet: bool = False
    native: str = ""

    def __call__(self, *arguments: object) -> HelperResult:
        """Call it as any helper."""
        return self.call(*arguments)
