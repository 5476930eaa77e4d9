"""Lines of other tools' listings, pasted back: what the assembler is to read of each.

llvm-objdump    `4:  18 01 00 00 …  r1 = 0x0 ll`, with and without the bytes; `…68 <middle>:`
kernel, bpftool `4: (18) r1 = 0x0`

Where a line has the bytes, these count: the text of a local call is that of a helper's.
"""

from __future__ import annotations

import re

from drybpf.asm.parser import QUAD

_TITLE = re.compile(r"\s*(?:\S.*:\s+file format \S+|Disassembly of section .*:)\s*")
_FUNCTION = re.compile(r"\s*[0-9a-fA-F]{8,16} <(?P<name>[^<>\s]+)>:\s*")
_RELOCATION = re.compile(r"\s*[0-9a-fA-F]{8,16}:\s+R_BPF_\w+\s+(?P<symbol>\S+)\s*")
_BYTES = re.compile(
    r"\s*[0-9]+:\s+(?P<bytes>(?:[0-9a-fA-F]{2} ){7}[0-9a-fA-F]{2}"
    r"(?: (?:[0-9a-fA-F]{2} ){7}[0-9a-fA-F]{2})?)(?:\s.*)?"
)
_NUMBERED = re.compile(r"\s*[0-9]+:\s+(?:\([0-9a-fA-F]{2}\)\s)?(?=\S)")


def translate(line: str) -> str | None:
    """What to read in place of a line, places kept where errors may be; None where it is no such.

    Raises `ValueError` with the reason for a line without which the program would be another.
    """
    if "\n" in line:
        return None
    if _TITLE.fullmatch(line):
        return ""
    if match := _FUNCTION.fullmatch(line):
        return f"{match['name']}:"
    if match := _RELOCATION.fullmatch(line):
        raise ValueError(
            f"the instruction above refers to {match['symbol']!r}, which only its object file has"
        )
    if match := _BYTES.fullmatch(line):
        data = bytes.fromhex(match["bytes"])
        words = (int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8))
        return f"{QUAD} {', '.join(map(hex, words))}"
    if match := _NUMBERED.match(line):
        return " " * match.end() + line[match.end() :]
    return None
