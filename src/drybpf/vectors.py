"""Test vectors in the text format of bpf_conformance: a program, its memory, what must come out.

    -- asm          the program as text, or
    -- raw          64-bit words, a slot each: 0x… or decimal
    -- mem          the memory in r1, bytes in hexadecimal
    -- result       r0 afterwards, in hexadecimal or decimal
    -- error        or the error: a part of `MemoryFault: read of 4 bytes at 0x0: … at insn 1`
    # …             a comment

drybpf adds `-- after` (the memory afterwards), `-- budget` (instructions) and `-- strict` (refused
by the strict verifier only).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from struct import pack

from drybpf.asm import assemble
from drybpf.errors import BpfError

# In the order in which a directive is looked for; bpf_conformance looks for substrings, too.
_DIRECTIVES = (
    "after",
    "budget",
    "strict",
    "asm",
    "result",
    "mem",
    "raw",
    "no register offset",
    " c",
    "error",
)
_U64 = (1 << 64) - 1


class VectorError(BpfError):
    """A file that is no test vector."""


@dataclass(frozen=True, slots=True)
class Vector:
    """One test: what to run and what must come out."""

    name: str
    assembly: str
    bytecode: bytes | None  # given instead of the assembly
    memory: bytes | None
    result: int | None
    error: str = ""
    after: bytes | None = None
    budget: int | None = None
    strict: bool = False

    def program(self) -> bytes:
        """The bytecode.  Raises `AssemblyError`."""
        return assemble(self.assembly) if self.bytecode is None else self.bytecode


def read_vector(path: str | Path) -> Vector:
    """Read a vector from a file.  Raises `VectorError`."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VectorError(f"{path}: {error}") from error
    return parse_vector(text, Path(path).stem)


def parse_vector(text: str, name: str = "") -> Vector:
    """Read a vector from text.  Raises `VectorError` where the text is none."""
    sections = _sections(text)
    asm = "\n".join(sections.get("asm", ()))
    raw = b"".join(_words(sections.get("raw", ())))
    result, error, budget = (_last(sections, name) for name in ("result", "error", "budget"))
    if not asm and not raw:
        raise VectorError("the vector has no instructions")
    if not result and not error and "error" not in sections:
        raise VectorError("the vector has neither a result nor an error")
    return Vector(
        name,
        asm,
        raw or None,
        _bytes(sections.get("mem")),
        _number(result) if result else None,
        error,
        _bytes(sections.get("after")),
        _number(budget) if budget else None,
        "strict" in sections,
    )


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    current: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.rstrip("\r").split("#")[0]
        if "--" in content:
            directive = next((name for name in _DIRECTIVES if name in content), None)
            if directive is None:
                raise VectorError(f"line {number}: unknown directive {content.strip()!r}")
            current = sections.setdefault(directive, [])
        elif content.strip():
            current.append(content.strip())
    return sections


def _last(sections: dict[str, list[str]], name: str) -> str:
    """The line that counts: the last; "" where there is none."""
    return (sections.get(name) or [""])[-1]


def _number(text: str) -> int:
    if not re.fullmatch(r"0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20}", text):
        raise VectorError(f"{text!r} is no number of 64 bits")
    value = int(text, 0) if text[:2] in ("0x", "0X") else int(text)
    if value > _U64:
        raise VectorError(f"{text!r} is no number of 64 bits")
    return value


def _words(lines: list[str] | tuple[()]) -> list[bytes]:
    return [pack("<Q", _number(word)) for line in lines for word in line.split()]


def _bytes(lines: list[str] | None) -> bytes | None:
    if lines is None:
        return None
    words = " ".join(lines).split()
    if not all(re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,8}", word) for word in words):
        raise VectorError("the memory is no list of bytes in hexadecimal")
    return bytes(int(word, 16) & 0xFF for word in words)
