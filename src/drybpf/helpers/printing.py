"""Printing as the kernel does it: `bpf_trace_printk` and its relatives.

A format is text with `%d %i %u %x %X %c %s %p`, lengths `l` and `ll`, a width and the flags
`-`, `0`, ` ` and `+`; `%pI4`, `%pi4`, `%pI6`, `%pi6` read an address from memory, `%pks` and
`%pus` a string of the kernel's or the user's, `%ps`, `%pS`, `%pB` name a symbol.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from drybpf.helpers.arguments import M32, s32, s64, u32
from drybpf.helpers.errno import EINVAL, ENOSPC, EOVERFLOW
from drybpf.helpers.memory import read_anywhere, read_string_anywhere, read_user
from drybpf.records import Output
from drybpf.state import Context

_MOST_ARGUMENTS = 12  # MAX_BPRINTF_VARARGS
_LONGEST = 1024  # bytes of what is traced, a zero byte included: MAX_BPRINTF_BUF
_ROOM_OF_READER = 1 << 15  # bytes for what one run shows to an iterator's reader: 8 pages
_ROOM = 512  # bytes for all arguments of a call, copies of strings included: MAX_BPRINTF_BIN_ARGS
_WIDEST = (1 << 23) - 1  # FIELD_WIDTH_MAX
# What may follow a string or a plain pointer, and what is passed over behind all other pointers, by
# the kernel's table of characters, which is Latin-1.
_END = rb"(?=[\t-\r -/:-@\[-`{-~\xa0-\xbf\xd7\xf7]|$)"
_LETTERS = rb"[0-9A-Za-z\xc0-\xd6\xd8-\xf6\xf8-\xff]*"
_SPECIFIER = re.compile(
    rb"%(?:(?P<percent>%)|(?P<flags>[-+ 0]*)(?P<width>[1-9][0-9]*)?"
    rb"(?:(?P<length>l{0,2})(?P<number>[diuxX])|(?P<text>c|s" + _END + rb")"
    rb"|p(?:(?P<space>[ku])s"
    + _END
    + rb"|(?P<symbol>[KxsSB])"
    + _LETTERS
    + rb"|(?P<ip>[Ii][46])"
    + _LETTERS
    + rb"|(?P<plain>"
    + _END
    + rb"))))"
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
        read = context.read(text, u32(size))
        printed, length = _format(context, read, arguments, _LONGEST - 1)
    except _Refused as refused:
        return -refused.error
    context.print(printed.decode(errors="backslashreplace").removesuffix("\n"))
    return length


def snprintf(context: Context, to: int, room: int, text: int, data: int, length: int) -> int:
    """Print into memory, cut to its size; the size that would do, its zero byte included."""
    context.memory.check(to, u32(room), write=True)
    arguments = _array(context, data, length)
    if arguments is None:
        return -EINVAL
    try:
        read = context.read_string(text) + b"\0"
        printed, needed = _format(context, read, arguments, max(u32(room) - 1, 0))
    except _Refused as refused:
        return -refused.error
    if u32(room):
        context.write(to, printed + b"\0")
    return needed + 1


def seq_printf(context: Context, _file: int, text: int, size: int, data: int, length: int) -> int:
    """Print into what an iterator's reader gets; 0 or a negative error."""
    arguments = _array(context, data, length)
    if arguments is None:
        return -EINVAL
    try:
        printed, needed = _format(
            context, context.read(text, u32(size)), arguments, _ROOM_OF_READER
        )
    except _Refused as refused:
        return -refused.error
    return _show(context, printed, needed)


def _show(context: Context, data: bytes, needed: int) -> int:
    """Put bytes into what an iterator's reader gets; -EOVERFLOW where they do not all fit.

    The buffer is full from then on, even to its last byte, as the kernel's is.
    """
    hook = context.state.hook
    if hook.shown + needed >= _ROOM_OF_READER:
        hook.shown = _ROOM_OF_READER
        return -EOVERFLOW
    hook.shown += needed
    context.record(Output(data))
    return 0


def seq_write(context: Context, _file: int, data: int, length: int, *_: int) -> int:
    """Put bytes into what an iterator's reader gets; 0, or -EOVERFLOW where there is no room."""
    return _show(context, context.read(data, u32(length)), u32(length))


def _array(context: Context, data: int, length: int) -> tuple[int, ...] | None:
    """The 8-byte numbers of an array; None where its length is refused."""
    length = u32(length)
    if length % 8 or length > 8 * _MOST_ARGUMENTS or (length and not data):
        return None
    read = context.read(data, length)
    return tuple(int.from_bytes(read[begin : begin + 8], "little") for begin in range(0, length, 8))


def _format(
    context: Context, text: bytes, arguments: Sequence[int], limit: int
) -> tuple[bytes, int]:
    """What is printed, cut to a limit, and how long it is uncut.

    Raises `_Refused` as the kernel refuses: before anything is printed.
    """
    text, end, _ = text.partition(b"\0")
    if not end:
        raise _Refused(EINVAL)
    pieces: list[bytes] = []
    more = 0  # bytes of padding that are beyond the limit, and so not made
    printer = _Arguments(context, arguments)
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
        shown = b"%" if match["percent"] else printer.show(match)
        width = _width(match)
        made = min(width, limit + len(shown))
        more += max(width, len(shown)) - max(made, len(shown))
        pieces.append(_pad(match, shown, made))
        place = match.end()
    printed = b"".join(pieces)
    return printed[:limit], len(printed) + more


def _width(match: re.Match[bytes]) -> int:
    """The least width of a field; those of pointers whose text is made beforehand have none."""
    if not match["width"] or match["ip"] or match["space"] or match["symbol"] == b"B":
        return 0
    width = 0
    for digit in match["width"]:
        width = s32(10 * width + digit - ord("0"))
    return min(max(width, 0), _WIDEST)


def _pad(match: re.Match[bytes], shown: bytes, width: int) -> bytes:
    flags = match["flags"] or b""
    if b"-" in flags:
        return shown.ljust(width)
    return shown.zfill(width) if match["number"] and b"0" in flags else shown.rjust(width)


class _Arguments:
    """The arguments of a call in order; together they must find room in a buffer."""

    def __init__(self, context: Context, arguments: Sequence[int]) -> None:
        self._context, self._given = context, iter(arguments)
        self._used = 0

    def show(self, match: re.Match[bytes]) -> bytes:
        """The next argument as its specifier wants it, but for its width."""
        value = next(self._given, None)
        if value is None:
            raise _Refused(EINVAL)
        context = self._context
        if match["number"]:
            self._take(8 if match["length"] else 4, alignment=4)
            return _number(match, value)
        if match["text"] == b"c":
            self._take(1)
            return bytes([value & 0xFF])
        if match["text"] == b"s" or match["space"]:
            reader = read_user if match["space"] == b"u" else read_anywhere
            return self._keep(read_string_anywhere(context, value, self._rest(), reader) or b"")
        if match["ip"]:
            if self._rest() + 1 < (4 if match["ip"][1:] == b"4" else 16):
                raise _Refused(ENOSPC)
            return self._keep(_address(context, match["ip"], value))
        if match["symbol"] == b"B":
            return self._keep(context.host.symbol(value).encode())
        self._take(8, alignment=4)
        if match["symbol"] in (b"s", b"S"):
            return context.host.symbol(value).encode()
        return (b"%x" if match["width"] else b"%016x") % value

    def _take(self, size: int, alignment: int = 1) -> None:
        """Use up room."""
        self._used += -self._used % alignment
        if _ROOM - self._used < size:
            raise _Refused(ENOSPC)
        self._used += size

    def _rest(self) -> int:
        """The characters for which there is room, beside a zero byte."""
        if self._used >= _ROOM:
            raise _Refused(ENOSPC)
        return _ROOM - self._used - 1

    def _keep(self, text: bytes) -> bytes:
        """A text cut to the room there is for it and a zero byte."""
        text = text[: self._rest()]
        self._used += len(text) + 1
        return text


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


def _address(context: Context, kind: bytes, pointer: int) -> bytes:
    """An IP address that a pointer leads to; kind is `I4`, `i4`, `I6` or `i6`."""
    size = 4 if kind[1:] == b"4" else 16
    data = read_anywhere(context, pointer, size) or bytes(size)
    if size == 4:
        return b".".join((b"%d" if kind[:1] == b"I" else b"%03d") % byte for byte in data)
    groups = (data[begin : begin + 2].hex().encode() for begin in range(0, 16, 2))
    return (b":" if kind[:1] == b"I" else b"").join(groups)
