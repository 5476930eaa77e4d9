"""Printing as the kernel does it: `bpf_trace_printk` and its relatives.

A format is text with `%d %i %u %x %X %c %s %p`, lengths `l` and `ll`, a width and the flags
`-`, `0`, ` ` and `+`; `%pI4`, `%pi4`, `%pI6`, `%pi6` read an address from memory, `%pks` and
`%pus` a string of the kernel's or the user's, `%ps`, `%pS`, `%pB` name a symbol.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from drybpf.helpers.arguments import M32, s32, s64, u32
from drybpf.helpers.errno import EINVAL
from drybpf.helpers.memory import read_anywhere, read_string_anywhere, read_user
from drybpf.records import Output
from drybpf.state import Context

_MOST_ARGUMENTS = 12  # MAX_BPRINTF_VARARGS
_LONGEST = 1024  # bytes of what one call prints, MAX_BPRINTF_BUF
_SPECIFIER = re.compile(
    rb"%(?:(?P<percent>%)|(?P<flags>[-+ 0]*)(?P<width>[1-9][0-9]*)?"
    rb"(?:(?P<length>l{0,2})(?P<number>[diuxX])|(?P<text>c|s(?=[^0-9A-Za-z\x80-\xff]|$))"
    rb"|p(?:(?P<space>[ku])s(?=[^0-9A-Za-z\x80-\xff]|$)|(?P<symbol>[KxsSB])|(?P<ip>[Ii][46])(?P<more>[0-9A-Za-z]*)"
    rb"|(?P<plain>(?=[^0-9A-Za-z]|$)))))"
)
_PRINTABLE = frozenset((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\v\f\r"))


class _Refused(Exception):
    """A format or an argument that the kernel refuses; the value is the error."""

    def __init__(self, error: int) -> None:
        super().__init__(error)
        self.error = error


def trace_printk(
    context: Context, text: int, size: int, first: int, second: int, third: int
) -> int:
    """Print up to three arguments; the number of characters, or a negative error."""
    return _trace(context, text, size, (first, second, third))


def trace_vprintk(context: Context, text: int, size: int, data: int, length: int, *_: int) -> int:
    """Print arguments from an array of 8-byte numbers; the number of characters, or an error."""
    arguments = _array(context, data, length)
    return -EINVAL if arguments is None else _trace(context, text, size, arguments)


def _trace(context: Context, text: int, size: int, arguments: Sequence[int]) -> int:
    try:
        printed = _format(context, context.read(text, u32(size)), arguments)
    except _Refused as refused:
        return -refused.error
    context.print(printed.decode(errors="backslashreplace").removesuffix("\n"))
    return len(printed)


def snprintf(context: Context, to: int, room: int, text: int, data: int, length: int) -> int:
    """Print into memory, cut to its size; the size that would do, its zero byte included."""
    context.memory.check(to, u32(room), write=True)
    arguments = _array(context, data, length)
    if arguments is None:
        return -EINVAL
    try:
        printed = _format(context, context.read_string(text) + b"\0", arguments)
    except _Refused as refused:
        return -refused.error
    if u32(room):
        context.write(to, printed[: u32(room) - 1] + b"\0")
    return len(printed) + 1


def seq_printf(context: Context, _file: int, text: int, size: int, data: int, length: int) -> int:
    """Print into what an iterator's reader gets; 0 or a negative error."""
    arguments = _array(context, data, length)
    if arguments is None:
        return -EINVAL
    try:
        printed = _format(context, context.read(text, u32(size)), arguments)
    except _Refused as refused:
        return -refused.error
    context.record(Output(printed))
    return 0


def seq_write(context: Context, _file: int, data: int, length: int, *_: int) -> int:
    """Put bytes into what an iterator's reader gets; 0."""
    context.record(Output(context.read(data, u32(length))))
    return 0


def _array(context: Context, data: int, length: int) -> tuple[int, ...] | None:
    """The 8-byte numbers of an array; None where its length is refused."""
    length = u32(length)
    if length % 8 or length > 8 * _MOST_ARGUMENTS or (length and not data):
        return None
    read = context.read(data, length)
    return tuple(int.from_bytes(read[begin : begin + 8], "little") for begin in range(0, length, 8))


def _format(context: Context, text: bytes, arguments: Sequence[int]) -> bytes:
    """What is printed.  Raises `_Refused` as the kernel refuses: before anything is printed."""
    text, end, _ = text.partition(b"\0")
    if not end:
        raise _Refused(EINVAL)
    pieces: list[bytes] = []
    given = iter(arguments)
    place = 0
    while place < len(text):
        if text[place] != ord("%"):
            if text[place] not in _PRINTABLE:
                raise _Refused(EINVAL)
            pieces.append(text[place : place + 1])
            place += 1
            continue
        match = _SPECIFIER.match(text, place)
        if match is None:
            raise _Refused(EINVAL)
        pieces.append(b"%" if match["percent"] else _argument(context, match, given))
        place = match.end()
    return b"".join(pieces)[: _LONGEST - 1]


def _argument(context: Context, match: re.Match[bytes], given: Iterator[int]) -> bytes:
    """One argument as its specifier wants it."""
    value = next(given, None)
    if value is None:
        raise _Refused(EINVAL)
    shown = _show(context, match, value)
    flags, width = match["flags"], int(match["width"] or 0)
    if match["number"]:
        return _pad_number(shown, flags, width)
    return shown.ljust(width) if b"-" in flags else shown.rjust(width)


def _show(context: Context, match: re.Match[bytes], value: int) -> bytes:
    if match["number"]:
        return _number(match, value)
    if match["text"] == b"c":
        return bytes([value & 0xFF])
    if match["text"] == b"s" or match["space"]:
        reader = read_user if match["space"] == b"u" else read_anywhere
        return read_string_anywhere(context, value, _LONGEST - 1, reader) or b""
    if match["ip"]:
        return _address(context, match["ip"], value)
    if match["symbol"] in (b"s", b"S", b"B"):
        return context.host.symbol(value).encode()
    return (b"%x" if match["width"] else b"%016x") % value


def _number(match: re.Match[bytes], value: int) -> bytes:
    kind = match["number"]
    if not match["length"]:
        value = s32(value) if kind in b"di" else value & M32
    elif kind in b"di":
        value = s64(value)
    shown = {b"x": b"%x", b"X": b"%X"}.get(kind, b"%d") % value
    if kind in b"di" and value >= 0:
        for flag in (b"+", b" "):
            if flag in match["flags"]:
                return flag + shown
    return shown


def _pad_number(shown: bytes, flags: bytes, width: int) -> bytes:
    if b"-" in flags:
        return shown.ljust(width)
    return shown.zfill(width) if b"0" in flags else shown.rjust(width)


def _address(context: Context, kind: bytes, pointer: int) -> bytes:
    """An IP address that a pointer leads to; kind is `I4`, `i4`, `I6` or `i6`."""
    size = 4 if kind[1:] == b"4" else 16
    data = read_anywhere(context, pointer, size) or bytes(size)
    if size == 4:
        return b".".join((b"%d" if kind[:1] == b"I" else b"%03d") % byte for byte in data)
    groups = (data[begin : begin + 2].hex().encode() for begin in range(0, 16, 2))
    return (b":" if kind[:1] == b"I" else b"").join(groups)
