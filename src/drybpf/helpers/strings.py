"""Numbers in text, and comparison: the kernel's string helpers."""

from __future__ import annotations

from drybpf.errors import MemoryFault
from drybpf.helpers.arguments import u32
from drybpf.helpers.errno import EINVAL, ERANGE
from drybpf.state import Context

_SPACE = b" \t\n\v\f\r\xa0"  # what the kernel's isspace() knows
_DIGITS = b"0123456789abcdef"
_PIECE = 4096  # bytes compared at once
_LONGEST = 63  # digits that are looked at, as in the kernel


def strtol(context: Context, text: int, length: int, flags: int, result: int, *_: int) -> int:
    """Read a signed number; the number of characters consumed, or a negative error."""
    consumed, value, negative = _number(context, text, length, flags, result)
    if consumed < 0:
        return consumed
    if value > (1 << 63) - (not negative):
        return -ERANGE
    context.memory.store(result, 8, -value if negative else value)
    return consumed


def strtoul(context: Context, text: int, length: int, flags: int, result: int, *_: int) -> int:
    """Read an unsigned number; the number of characters consumed, or a negative error."""
    consumed, value, negative = _number(context, text, length, flags, result)
    if consumed < 0:
        return consumed
    if negative:
        return -EINVAL
    context.memory.store(result, 8, value)
    return consumed


def _number(
    context: Context, address: int, length: int, flags: int, result: int
) -> tuple[int, int, bool]:
    """What was consumed or a negative error, the value, and whether a minus stood before it."""
    context.memory.check(result, 8, write=True)
    text = context.read(address, length)
    context.memory.store(result, 8, 0)
    if not text or flags not in (0, 8, 10, 16):
        return -EINVAL, 0, False
    digits = text.lstrip(_SPACE)
    negative = digits.startswith(b"-")
    digits = digits[negative:]
    before = len(text) - len(digits)
    if not digits:
        return -EINVAL, 0, negative
    digits = digits[:_LONGEST].partition(b"\0")[0].lower()
    base, prefix = _radix(digits, flags)
    value, used = 0, prefix
    for character in digits[prefix:]:
        digit = _DIGITS.find(character)
        if not 0 <= digit < base:
            break
        value = value * base + digit
        used += 1
    if value >> 64:
        return -ERANGE, 0, negative
    if used == prefix:
        return -EINVAL, 0, negative
    return before + used, value, negative


def _radix(digits: bytes, base: int) -> tuple[int, int]:
    """The base, and the length of the prefix that says so."""
    if not base:
        hexadecimal = digits[1:2] == b"x" and digits[2:3].isalnum() and digits[2:3] in _DIGITS
        base = (16 if hexadecimal else 8) if digits[:1] == b"0" else 10
    return base, 2 if base == 16 and digits[:2] == b"0x" else 0


def strncmp(context: Context, left: int, length: int, right: int, *_: int) -> int:
    """Compare at most so many characters; negative, 0 or positive."""
    length = u32(length)
    for start in range(0, length, _PIECE):
        size = min(_PIECE, length - start)
        if _same(context, left + start, right + start, size):
            continue
        for index in range(start, start + size):
            a, b = context.memory.load(left + index, 1), context.memory.load(right + index, 1)
            if a != b:
                return -1 if a < b else 1
            if not a:
                return 0
    return 0


def _same(context: Context, left: int, right: int, size: int) -> bool:
    """Whether all bytes can be read, are the same, and none is zero."""
    try:
        text = context.memory.read(left, size)
        return 0 not in text and text == context.memory.read(right, size)
    except MemoryFault:
        return False
