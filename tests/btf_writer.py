"""Writes .BTF and .BTF.ext sections for tests."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

Groups = dict[str, list[tuple[int, ...]]]


@dataclass
class BtfWriter:
    """Types in the order they are added, the first with id 1."""

    strings: bytearray = field(default_factory=lambda: bytearray(1))
    types: bytearray = field(default_factory=bytearray)
    count: int = 0

    def string(self, text: str) -> int:
        """Put a string into the table, give its offset; the empty one is at 0."""
        if not text:
            return 0
        offset = len(self.strings)
        self.strings += text.encode() + b"\0"
        return offset

    def type(
        self, kind: int, name: str = "", word: int = 0, extra: Sequence[int] = (), *,
        vlen: int = 0, flag: int = 0,
    ) -> int:  # fmt: skip
        """Add a type with its three words and the words behind them, give its id."""
        info = flag << 31 | kind << 24 | vlen
        words = [self.string(name), info, word, *(value & 0xFFFF_FFFF for value in extra)]
        self.types += struct.pack(f"<{len(words)}I", *words)
        self.count += 1
        return self.count

    def build(self, magic: int = 0xEB9F, version: int = 1, header: int = 24) -> bytes:
        """The section, types before strings."""
        places = 0, len(self.types), len(self.types), len(self.strings)
        head = struct.pack("<HBBIIIII", magic, version, 0, header, *places)
        return head + bytes(header - 24) + self.types + self.strings

    def ext(
        self, functions: Groups | None = None, lines: Groups | None = None,
        accesses: Groups | None = None, *, longer: int = 0,
    ) -> bytes:  # fmt: skip
        """A .BTF.ext section: records by section name, each `longer` bytes longer than known.

        Without `accesses` the header is the old one, which has no third part.
        """
        parts = [self._part(functions, 8, longer), self._part(lines, 16, longer)]
        if accesses is not None:
            parts.append(self._part(accesses, 16, longer))
        header = struct.pack("<HBBI", 0xEB9F, 1, 0, 8 + 8 * len(parts))
        position = 0
        for part in parts:
            header += struct.pack("<II", position, len(part))
            position += len(part)
        return header + b"".join(parts)

    def _part(self, groups: Groups | None, size: int, longer: int) -> bytes:
        if not groups:
            return b""
        data = struct.pack("<I", size + longer)
        for section, records in groups.items():
            data += struct.pack("<II", self.string(section), len(records))
            for record in records:
                data += struct.pack(f"<{len(record)}I", *record) + bytes(longer)
        return data

    def line(self, slot: int, text: str, line: int, column: int = 1) -> tuple[int, ...]:
        """A line record of the file `prog.c`."""
        return slot * 8, self.string("prog.c"), self.string(text), line << 10 | column
