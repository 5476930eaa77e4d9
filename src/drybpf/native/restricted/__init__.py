"""Algorithms written once, in a small part of Python, run natively and in CPython alike.

    from drybpf.native.restricted import load64, restricted, store64

    @restricted
    def bump(table: int, key: int, *, MASK: int) -> int:
        place = table + (key & MASK) * 8
        store64(place, load64(place) + 1)
        return load64(place)

    bump.bind(MASK=7).ir()                          # LLVM IR: `define internal i64 @…(i64, i64)`
    bump.bind(MASK=7).python(Block(bytearray(64)), 0, 3)   # 1

Every value is an unsigned 64-bit number and arithmetic wraps.  The part of Python: assignments to
names, `+= …`, `+ - * // % & | ^ ~ << >>`, comparisons (0 or 1 as values), `and`, `or`, `not`, `if`,
`while`, `break`, `continue`, `return`, `pass`, integer constants (module-level ones by name),
`load8` to `load64`, `store8` to `store64`, and calls of other restricted functions; no recursion.
Where Python and the machine differ, a rule holds for both: shift counts are taken modulo 64,
`x // 0` is 0 and `x % 0` is x (as in BPF), a name read before it is assigned is 0, and so is the
result of a function that ends without `return`.  Parameters behind `*` are constants: `bind` gives
their values, and each set of them makes a function of its own.
"""

from drybpf.native.restricted.function import Function, lower, restricted
from drybpf.native.restricted.intrinsics import (
    load8,
    load16,
    load32,
    load64,
    store8,
    store16,
    store32,
    store64,
)
from drybpf.native.restricted.memory import Block, Memory
from drybpf.native.restricted.tree import RestrictedError

__all__ = [
    "Block",
    "Function",
    "Memory",
    "RestrictedError",
    "load8",
    "load16",
    "load32",
    "load64",
    "lower",
    "restricted",
    "store8",
    "store16",
    "store32",
    "store64",
]
