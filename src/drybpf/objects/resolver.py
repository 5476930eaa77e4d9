"""What each reference of an object means once its data and maps have their places."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from drybpf.errors import ObjectError
from drybpf.helpers.kfuncs import helper_number
from drybpf.memory import HANDLES
from drybpf.objects.binding import Found, Number, Value
from drybpf.objects.btf import POINTER_SIZE
from drybpf.objects.data import Section
from drybpf.objects.elf import SHN_UNDEF, STB_WEAK
from drybpf.objects.references import Reference
from drybpf.objects.variables import Pointer

_M64 = (1 << 64) - 1
_KERNEL_FUNCTIONS = HANDLES + (1 << 26)  # handles that mean nothing but that they are not null


@dataclass(frozen=True)
class Resolver:
    """Finds values for references.

    `sections` are the data sections by index; `maps` the handle of each map by its place, or why
    there is none; `options` the addresses of the kernel's options by name, `unknown` those without
    a value; `symbols` the addresses of the kernel's variables; `functions` the numbers of those
    helpers and functions of the kernel that can be called.
    """

    sections: Mapping[int, Section]
    maps: Mapping[tuple[int, int], int | str]
    options: Mapping[str, int]
    unknown: frozenset[str]
    symbols: Mapping[str, int]
    functions: Container[int]

    def __call__(self, reference: Reference) -> Found:
        """The value, the helper's number, or a sentence that says why there is neither."""
        if reference.section_index == SHN_UNDEF:
            if reference.kind == "call":
                return Number(helper_number(reference.symbol))
            return self._symbol(reference)
        found = self.maps.get((reference.section_index, reference.offset))
        if isinstance(found, int):
            return Value(found, map=True)
        section = self.sections.get(reference.section_index)
        if found is None and section is not None:
            return Value(section.address(reference.offset))
        why = f": {found}" if found else ", where neither maps nor variables are"
        return f"refers to {reference}{why}"

    def _symbol(self, reference: Reference) -> Found:
        name, number = reference.symbol, helper_number(reference.symbol)
        if name in self.options:
            if name in self.unknown and not reference.weak:
                return f"reads {name}, which has no value; give load(..., kconfig={{{name!r}: …}})"
            return Value(self.options[name] + reference.offset & _M64)
        if name in self.symbols:
            return Value(self.symbols[name] + reference.offset & _M64)
        if number in self.functions:
            return Value(_KERNEL_FUNCTIONS + number % (1 << 26))
        if reference.weak:
            return Value(0)
        return f"refers to {reference}; give load(..., host=Host(symbols={{address: {name!r}}}))"

    def pointer(self, pointer: Pointer) -> int | str:
        """The value of a pointer in a data section, or a sentence that says why it is null.

        Raises `ObjectError` where it points out of a section and is no mere distance.
        """
        value = self._pointed(pointer)
        if isinstance(value, int) and value >> 8 * pointer.size:
            return f"is null: the address {value:#x} does not fit into {pointer.size} bytes"
        return value

    def _pointed(self, pointer: Pointer) -> int | str:
        symbol, offset = pointer.symbol, pointer.symbol.value + pointer.addend
        what = repr(symbol.name) if symbol.name else f"offset {offset} of section {symbol.section}"
        section = self.sections.get(symbol.section)
        if section is not None:
            if not 0 <= offset <= section.source.size:
                why = f"a pointer to {what} leaves section {section.name!r}"
                if pointer.size == POINTER_SIZE:
                    raise ObjectError(why)
                return f"is null: {why}"  # clang's -fpic writes distances as if they were addresses
            return section.address(offset)
        found = self.maps.get((symbol.section, offset))
        if isinstance(found, int):
            return found
        if symbol.section == SHN_UNDEF:
            if symbol.name in self.symbols:
                return self.symbols[symbol.name] + pointer.addend & _M64
            if symbol.binding == STB_WEAK:
                return 0
        return f"is null in place of a pointer to {what}, which only code can refer to"
