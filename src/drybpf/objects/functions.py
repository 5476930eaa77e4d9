"""Where the functions in an object's code begin and end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from drybpf.errors import ObjectError
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.objects.elf import STB_LOCAL, STT_FUNC, STT_NOTYPE, ElfFile, Section, Symbol

LIBRARY = ".text"  # the section of functions that programs call; clang puts cold ones, and with
# -ffunction-sections each, into one of its own: `.text.unlikely.`, `.text.name`


@dataclass(frozen=True, slots=True)
class Function:
    """A function's place: slots `start` up to `end` of a section.

    `names` are its symbols' (aliases are several), the section's where no symbol names it; `local`
    where none is visible outside the object.
    """

    names: tuple[str, ...]
    section: Section
    start: int
    end: int
    local: bool

    @property
    def bytecode(self) -> memoryview:
        """The function's instructions as they stand in the file."""
        return self.section.data[self.start * SLOT_SIZE : self.end * SLOT_SIZE]


def find_functions(elf: ElfFile) -> tuple[Function, ...]:
    """All functions, in the order of the sections and of their places there.

    A function has a symbol of type FUNC with its size.  Old clang wrote NOTYPE and size 0 (and
    its labels are the same but local): such a function extends to the next.  Code without any
    symbol is one function.
    """
    symbols: dict[int, list[Symbol]] = {section.index: [] for section in elf.sections}
    for symbol in elf.symbols:
        symbols[symbol.section].append(symbol)
    return tuple(
        function
        for section in elf.sections
        if section.executable
        for function in _in_section(section, symbols[section.index])
    )


def entry_functions(functions: Sequence[Function]) -> tuple[Function, ...]:
    """The functions that are programs: visible, and not in the library section.

    Where there are none, visible ones of the library are; without these, all are.
    """
    visible = [function for function in functions if not function.local]
    outside = [function for function in visible if not _is_library(function.section.name)]
    return tuple(outside or visible or functions)


def _is_library(section: str) -> bool:
    return section == LIBRARY or section.startswith(f"{LIBRARY}.")


def _in_section(section: Section, symbols: list[Symbol]) -> list[Function]:
    if section.size % SLOT_SIZE:
        raise ObjectError(
            f"section {section.name!r}: {section.size} bytes are no whole instructions"
        )
    groups: dict[int, list[Symbol]] = {}
    for symbol in _naming_functions(symbols):
        groups.setdefault(symbol.value, []).append(symbol)
    if not groups:
        return [Function((section.name,), section, 0, section.size // SLOT_SIZE, local=False)]
    starts = sorted(groups)
    limits = [*starts[1:], section.size]
    return [
        _function(section, groups[start], start, limit)
        for start, limit in zip(starts, limits, strict=True)
    ]


def _naming_functions(symbols: list[Symbol]) -> list[Symbol]:
    functions = [symbol for symbol in symbols if symbol.type == STT_FUNC]
    return functions or [
        symbol for symbol in symbols if symbol.type == STT_NOTYPE and symbol.binding != STB_LOCAL
    ]


def _function(section: Section, symbols: list[Symbol], start: int, limit: int) -> Function:
    """The function that begins at a byte of its section, and ends at or before another."""
    name = symbols[0].name
    end = start + max(symbol.size for symbol in symbols)
    if end == start:
        end = limit
    if start % SLOT_SIZE or end % SLOT_SIZE:
        raise ObjectError(
            f"function {name!r} in section {section.name!r}: "
            f"bytes {start} to {end} are no whole instructions"
        )
    if not start < end <= limit:
        raise ObjectError(
            f"function {name!r} in section {section.name!r}: bytes {start} to {end} run into "
            f"what follows at {limit}"
        )
    return Function(
        names=tuple(symbol.name or section.name for symbol in symbols),
        section=section,
        start=start // SLOT_SIZE,
        end=end // SLOT_SIZE,
        local=all(symbol.binding == STB_LOCAL for symbol in symbols),
    )
