"""The kernel's string functions for programs, over any memory that can be read."""

from __future__ import annotations

from drybpf.helpers.arguments import M32, s32
from drybpf.helpers.errno import E2BIG, EFAULT, ENOENT
from drybpf.helpers.memory import read_string_anywhere
from drybpf.state import Context

_LONGEST = 0xFFFF  # characters of the longest string; with its zero byte XATTR_SIZE_MAX
_STEP = 256  # characters that are read at once
_UPPER = (
    *range(0x41, 0x5B),
    *range(0xC0, 0xD7),
    *range(0xD8, 0xDF),
)  # in Latin-1, as in the kernel
_LOWER = bytes(each + 32 if each in _UPPER else each for each in range(256))


class _Refused(Exception):
    """A string that cannot be used; the value is the negative error."""


def _text(context: Context, address: int, limit: int = _LONGEST) -> bytes:
    found = read_string_anywhere(context, address, limit)
    if found is None:
        raise _Refused(-EFAULT)
    return found


def _whole(context: Context, address: int) -> bytes:
    """A string that must end within what is looked at."""
    found = _text(context, address, _LONGEST + 1)
    if len(found) > _LONGEST:
        raise _Refused(-E2BIG)
    return found


def bpf_strlen(context: Context, text: int, *_: int) -> int:
    """The length of a string, or a negative error."""
    return bpf_strnlen(context, text, M32)


def bpf_strnlen(context: Context, text: int, count: int, *_: int) -> int:
    """The length of a string, at most `count`, or a negative error."""
    try:
        if count <= _LONGEST:
            return len(_text(context, text, count))
        return len(_whole(context, text))
    except _Refused as refused:
        return int(refused.args[0])


def _compare(context: Context, left: int, right: int, *, fold: bool) -> int:
    """Compare as far as the first difference: what is wrong behind it is not met."""
    for place in range(0, _LONGEST + 1, _STEP):
        a, b = (_part(context, text + place) for text in (left, right))
        if a is None or b is None:
            return _apart(context, left + place, right + place, fold=fold)
        if fold:
            a, b = a.translate(_LOWER), b.translate(_LOWER)
        if a != b:
            return 1 if a > b else -1
        if len(a) < _STEP:
            return 0
    return -E2BIG


def _part(context: Context, address: int) -> bytes | None:
    return read_string_anywhere(context, address, _STEP)


def _apart(context: Context, left: int, right: int, *, fold: bool) -> int:
    """The same of strings of which one ends soon or cannot be read to its end."""
    for place in range(_STEP):
        a, b = (read_string_anywhere(context, text + place, 1) for text in (left, right))
        if a is None or b is None:
            return -EFAULT
        if fold:
            a, b = a.translate(_LOWER), b.translate(_LOWER)
        if a != b:
            return 1 if a > b else -1
        if not a:
            return 0
    return -EFAULT


def bpf_strcmp(context: Context, left: int, right: int, *_: int) -> int:
    """Compare two strings: -1, 0, 1, or a negative error."""
    return _compare(context, left, right, fold=False)


def bpf_strcasecmp(context: Context, left: int, right: int, *_: int) -> int:
    """The same, upper case taken for lower."""
    return _compare(context, left, right, fold=True)


def bpf_strnchr(context: Context, text: int, count: int, character: int, *_: int) -> int:
    """The place of the first such character among `count`, or a negative error."""
    try:
        data = _text(context, text, count) if count <= _LONGEST else _whole(context, text)
    except _Refused as refused:
        return int(refused.args[0])
    searched = data + (b"\0" if len(data) < count else b"")
    place = searched.find(character & 0xFF)
    return place if place >= 0 else -ENOENT


def bpf_strchr(context: Context, text: int, character: int, *_: int) -> int:
    """The place of the first such character, or a negative error."""
    return bpf_strnchr(context, text, M32, character)


def bpf_strchrnul(context: Context, text: int, character: int, *_: int) -> int:
    """The place of the first such character, or the string's length."""
    found = bpf_strchr(context, text, character)
    return bpf_strlen(context, text) if found == -ENOENT else found


def bpf_strrchr(context: Context, text: int, character: int, *_: int) -> int:
    """The place of the last such character, or a negative error."""
    try:
        data = _whole(context, text) + b"\0"
    except _Refused as refused:
        return int(refused.args[0])
    place = data.rfind(s32(character) & 0xFF)
    return place if place >= 0 else -ENOENT


def _span(context: Context, text: int, characters: int, *, wanted: bool) -> int:
    try:
        data, known = _whole(context, text), _whole(context, characters)
    except _Refused as refused:
        return int(refused.args[0])
    for place, character in enumerate(data):
        if (character in known) != wanted:
            return place
    return len(data)


def bpf_strspn(context: Context, text: int, accepted: int, *_: int) -> int:
    """How many characters at the beginning are all among some, or a negative error."""
    return _span(context, text, accepted, wanted=True)


def bpf_strcspn(context: Context, text: int, rejected: int, *_: int) -> int:
    """How many characters at the beginning are none of some, or a negative error."""
    return _span(context, text, rejected, wanted=False)


def bpf_strnstr(context: Context, text: int, part: int, count: int, *_: int) -> int:
    """The place of a string within the first `count` characters of another, or an error."""
    try:
        data, wanted = _text(context, text, min(count, _LONGEST)), _whole(context, part)
    except _Refused as refused:
        return int(refused.args[0])
    place = data.find(wanted)
    return place if place >= 0 else -ENOENT


def bpf_strstr(context: Context, text: int, part: int, *_: int) -> int:
    """The place of one string within another, or a negative error."""
    return bpf_strnstr(context, text, part, M32)
