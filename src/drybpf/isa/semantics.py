"""What the instructions compute, on plain Python integers: the first column beside the table.

Registers are unsigned 64-bit numbers.  Every function takes and gives such numbers (or a bool,
for conditions) and has no effect; its key is a row's `semantics`.  The second column, the lowering
to LLVM, has the same keys.  Where an operation has a trap, the trap is a visible `if`.
"""

from __future__ import annotations

from collections.abc import Callable

M32 = 0xFFFF_FFFF
M64 = 0xFFFF_FFFF_FFFF_FFFF

Operation = Callable[[int, int], int]  # (dst, source) -> new dst
Condition = Callable[[int, int], bool]  # (dst, source) -> jump or not
Conversion = Callable[[int], int]


def signed(value: int, bits: int) -> int:
    """Read the low `bits` of a value as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _div(a: int, b: int) -> int:
    if b == 0:
        return 0
    return a // b


def _mod(a: int, b: int) -> int:
    if b == 0:
        return a
    return a % b


def _sdiv(a: int, b: int) -> int:
    """Truncate towards zero; the smallest number by -1 wraps to itself when masked."""
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _smod(a: int, b: int) -> int:
    """The remainder has the dividend's sign."""
    if b == 0:
        return a
    remainder = abs(a) % abs(b)
    return -remainder if a < 0 else remainder


def _signed_pair(operation: Operation, bits: int) -> Operation:
    mask = (1 << bits) - 1
    return lambda d, s: operation(signed(d, bits), signed(s, bits)) & mask


def _unsigned_low_half(operation: Operation) -> Operation:
    return lambda d, s: operation(d & M32, s & M32)


OPERATIONS: dict[str, Operation] = {
    "add32": lambda d, s: (d + s) & M32,
    "add64": lambda d, s: (d + s) & M64,
    "sub32": lambda d, s: (d - s) & M32,
    "sub64": lambda d, s: (d - s) & M64,
    "mul32": lambda d, s: (d * s) & M32,
    "mul64": lambda d, s: (d * s) & M64,
    "div32": _unsigned_low_half(_div),
    "div64": _div,
    "sdiv32": _signed_pair(_sdiv, 32),
    "sdiv64": _signed_pair(_sdiv, 64),
    "mod32": _unsigned_low_half(_mod),
    "mod64": _mod,
    "smod32": _signed_pair(_smod, 32),
    "smod64": _signed_pair(_smod, 64),
    "or32": lambda d, s: (d | s) & M32,
    "or64": lambda d, s: d | s,
    "and32": lambda d, s: d & s & M32,
    "and64": lambda d, s: d & s,
    "xor32": lambda d, s: (d ^ s) & M32,
    "xor64": lambda d, s: d ^ s,
    "lsh32": lambda d, s: (d << (s & 31)) & M32,
    "lsh64": lambda d, s: (d << (s & 63)) & M64,
    "rsh32": lambda d, s: (d & M32) >> (s & 31),
    "rsh64": lambda d, s: d >> (s & 63),
    "arsh32": lambda d, s: (signed(d, 32) >> (s & 31)) & M32,
    "arsh64": lambda d, s: (signed(d, 64) >> (s & 63)) & M64,
    "mov32": lambda _, s: s & M32,
    "mov64": lambda _, s: s,
    "movsx832": lambda _, s: signed(s, 8) & M32,
    "movsx1632": lambda _, s: signed(s, 16) & M32,
    "movsx864": lambda _, s: signed(s, 8) & M64,
    "movsx1664": lambda _, s: signed(s, 16) & M64,
    "movsx3264": lambda _, s: signed(s, 32) & M64,
}


def _truncate(width: int) -> Conversion:
    mask = (1 << width) - 1
    return lambda d: d & mask


def _swap(width: int) -> Conversion:
    mask, size = (1 << width) - 1, width // 8
    return lambda d: int.from_bytes((d & mask).to_bytes(size, "little"), "big")


CONVERSIONS: dict[str, Conversion] = {
    "neg32": lambda d: -d & M32,
    "neg64": lambda d: -d & M64,
    # The machine is little-endian: le truncates, be swaps as bswap does.
    **{f"le{width}": _truncate(width) for width in (16, 32, 64)},
    **{f"be{width}": _swap(width) for width in (16, 32, 64)},
    **{f"bswap{width}": _swap(width) for width in (16, 32, 64)},
}

_COMPARE_64: dict[str, Condition] = {
    "jeq": lambda d, s: d == s,
    "jne": lambda d, s: d != s,
    "jgt": lambda d, s: d > s,
    "jge": lambda d, s: d >= s,
    "jlt": lambda d, s: d < s,
    "jle": lambda d, s: d <= s,
    "jset": lambda d, s: d & s != 0,
}
_SIGN_64, _SIGN_32 = 1 << 63, 1 << 31
# Flipping the sign bit turns the order of signed numbers into that of unsigned ones.
UNSIGNED_OF = {"jsgt": "jgt", "jsge": "jge", "jslt": "jlt", "jsle": "jle"}


def _low_half(compare: Condition) -> Condition:
    return lambda d, s: compare(d & M32, s & M32)


def _flipped(compare: Condition, sign: int, mask: int) -> Condition:
    return lambda d, s: compare(d & mask ^ sign, s & mask ^ sign)


CONDITIONS: dict[str, Condition] = {
    **{f"{name}64": compare for name, compare in _COMPARE_64.items()},
    **{f"{name}32": _low_half(compare) for name, compare in _COMPARE_64.items()},
    **{f"{n}64": _flipped(_COMPARE_64[u], _SIGN_64, M64) for n, u in UNSIGNED_OF.items()},
    **{f"{n}32": _flipped(_COMPARE_64[u], _SIGN_32, M32) for n, u in UNSIGNED_OF.items()},
}

_ATOMIC_OPERATIONS = {
    "add": "add",
    "or": "or",
    "and": "and",
    "xor": "xor",
    "xchg": "mov",
}
ATOMICS: dict[str, Operation] = {
    # (old value in memory, operand) -> new value; compare-and-exchange is the engine's own
    f"{prefix}{name}{bits}_atomic": OPERATIONS[f"{operation}{bits}"]
    for bits in (32, 64)
    for name, operation in _ATOMIC_OPERATIONS.items()
    for prefix in (("fetch_", "") if name != "xchg" else ("",))
}
COMPARE_EXCHANGE = frozenset({"cmpxchg32_atomic", "cmpxchg64_atomic"})

LOADS: dict[str, tuple[int, bool]] = {
    # size in bytes, and whether the value is sign-extended
    **{f"ldx{bits}": (bits // 8, False) for bits in (8, 16, 32, 64)},
    **{f"ldxs{bits}": (bits // 8, True) for bits in (8, 16, 32)},
}
STORES: dict[str, int] = {f"st{bits}": bits // 8 for bits in (8, 16, 32, 64)}
ACCESSES: dict[str, int] = {
    # size in bytes of what reads or writes at an address in a register
    **{name: size for name, (size, _) in LOADS.items()},
    **STORES,
    **{name: 4 if "32" in name else 8 for name in (*ATOMICS, *COMPARE_EXCHANGE)},
}
PACKET_LOADS: dict[str, tuple[int, bool]] = {
    # size in bytes, and whether a register is added to the offset
    **{f"ldabs{bits}": (bits // 8, False) for bits in (8, 16, 32, 64)},
    **{f"ldind{bits}": (bits // 8, True) for bits in (8, 16, 32, 64)},
}
WIDE_LOADS = (
    "lddw_imm64",
    "lddw_map_by_fd",
    "lddw_map_val_by_fd",
    "lddw_var_addr",
    "lddw_code_addr",
    "lddw_map_by_idx",
    "lddw_map_val_by_idx",
)
CONTROL = ("ja", "call_helper", "call_local", "call_runtime", "callx", "exit")
