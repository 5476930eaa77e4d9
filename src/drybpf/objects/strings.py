"""String tables of ELF and BTF: bytes with NULs, strings named by their offset."""

from __future__ import annotations

from drybpf.errors import ObjectError

LONGEST = 1 << 16  # bytes of one name or source line
ALL_TOGETHER = 1 << 26  # bytes of all strings read from one table; strings may share their ends


class StringTable:
    """Reads strings by offset, each once, and refuses what is not within the table."""

    def __init__(self, data: bytes | memoryview, name: str) -> None:
        """Take the table's bytes; `name` is for messages."""
        self._data = bytes(data)
        self._name = name
        self._known: dict[int, str] = {}
        self._left = ALL_TOGETHER

    def at(self, offset: int) -> str:
        r"""The string at an offset; bytes that are not UTF-8 appear as `\xNN`.

        Raises `ObjectError` where the offset lies outside, no NUL ends the string, or the
        strings read so far are longer than any honest file's.
        """
        known = self._known.get(offset)
        if known is not None:
            return known
        if offset >= len(self._data):
            raise ObjectError(f"{self._name}: string offset {offset} is beyond the table's end")
        end = self._data.find(b"\0", offset, offset + LONGEST + 1)
        if end < 0:
            raise ObjectError(
                f"{self._name}: the string at {offset} does not end within {LONGEST} bytes"
            )
        self._left -= end - offset
        if self._left < 0:
            raise ObjectError(f"{self._name}: the strings take more than {ALL_TOGETHER} bytes")
        text = self._data[offset:end].decode(errors="backslashreplace")
        self._known[offset] = text
        return text
