"""The assembler: text in either dialect to bytecode, in time linear in the length of the text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from drybpf.asm.foreign import translate
from drybpf.asm.linker import Linker
from drybpf.asm.parser import BadTokenError, Parsed, parse
from drybpf.asm.source import Source
from drybpf.errors import AssemblyError

_CACHED_LENGTH = 120  # longer lines are parsed each time, so that the cache stays small
_LONGEST = 32  # lines of one instruction

_parse_short = lru_cache(maxsize=1 << 14)(parse)


def assemble(text: str) -> bytes:
    """Assemble a program; the dialect, `ubpf` or `llvm`, is known by the instruction.

    A number as the target of a jump or a local call is a distance in slots from the next one;
    labels count slots as well.  The label `exit`, unless defined, is the first `exit` instruction.
    The listings of llvm-objdump, bpftool and the kernel's verifier are read as they are.
    Raises `AssemblyError` at the first mistake.
    """
    if not isinstance(text, str):
        raise TypeError(f"assembly is text, not {type(text).__name__}")
    linker = Linker()
    for source, parsed in _sources(text):
        linker.add(parsed.statements, source)
    return linker.link()


def _sources(text: str) -> Iterator[tuple[Source, Parsed]]:
    """Parse line by line; an instruction without an end goes on in the next line."""
    pending: Source | None = None
    complaint: AssemblyError | None = None
    for number, line in enumerate(text.split("\n"), 1):
        source = pending.continued(line) if pending else Source(line, number)
        source, parsed = _parse(source, complaint)
        yield source, parsed
        if parsed.unfinished < 0:
            pending = complaint = None
            continue
        if not pending or parsed.unfinished:  # another one than in the line before
            pending, complaint = source.rest(parsed.unfinished), source.error(parsed.complaint)
        else:
            pending = source
        if number - pending.line > _LONGEST:
            break
    if complaint:
        raise complaint


def _parse(source: Source, complaint: AssemblyError | None) -> tuple[Source, Parsed]:
    """Parse; where an instruction of the line before finds no end, that was the mistake."""
    try:
        return source, _parsed(source.text)
    except BadTokenError as error:
        if complaint and error.start == 0:
            raise complaint from None
        if not complaint and (listed := _listed(source)) is not None:
            return listed
        raise source.error(error.reason, error.token) from None


def _listed(source: Source) -> tuple[Source, Parsed] | None:
    """A line of another tool's listing; None where it is none."""
    try:
        text = translate(source.text)
    except ValueError as error:
        raise source.error(str(error), 0) from None
    if text is None:
        return None
    source = Source(text, source.line, source.column)
    try:
        return source, _parsed(text)
    except BadTokenError as error:
        raise source.error(error.reason, error.token) from None


def _parsed(text: str) -> Parsed:
    return _parse_short(text) if len(text) <= _CACHED_LENGTH else parse(text)
