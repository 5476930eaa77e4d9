"""What each reference of an object means once its data and maps have their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drybpf.helpers.kfuncs import KFUNCS, kfunc_number
from drybpf.memory import FUNCTION_HANDLES
from drybpf.objects.binding import Found, Number, Value
from drybpf.objects.data import Section
from drybpf.objects.elf import SHN_UNDEF
from drybpf.objects.helper_names import HELPER_NUMBERS
from drybpf.objects.memory_functions import MEMORY_FUNCTIONS
from drybpf.objects.private_helpers import PrivateHelpers
from drybpf.objects.references import Reference
from drybpf.objects.variables import Pointer
from drybpf.state import Helper

_M64 = (1 << 64) - 1
_ELSEWHERE = FUNCTION_HANDLES + (1 << 26)  # the address of a kernel function, to compare with null


@dataclass(frozen=True)
class Resolver:
    """Finds values for references.

    `sections` are the data sections by index; `maps` the handle of each map by its place, or why
    there is none; `options` the addresses of the kernel's options by name, `unknown` those without
    a value.
    """

    sections: Mapping[int, Section]
    maps: Mapping[tuple[int, int], int | str]
    options: Mapping[str, int]
    unknown: frozenset[str]
    kfuncs: Mapping[str, Helper]
    private: PrivateHelpers

    def __call__(self, reference: Reference) -> Found:
        """The value, the helper's number, or a sentence that says why there is neither."""
        if reference.section_index == SHN_UNDEF:
            return (self._function if reference.kind == "call" else self._symbol)(reference)
        found = self.maps.get((reference.section_index, reference.offset))
        if isinstance(found, int):
            return Value(found, map=True)
        section = self.sections.get(reference.section_index)
        if found is None and section is not None:
            return Value(section.address(reference.offset))
        why = f": {found}" if found else ", which holds neither maps nor variables"
        return f"refers to {reference}{why}"

    def _function(self, reference: Reference) -> Found:
        name = reference.symbol
        function = self.kfuncs.get(name) or MEMORY_FUNCTIONS.get(name)
        if function is not None:
            return Number(self.private.number(name, function))
        if name in HELPER_NUMBERS:
            return Number(HELPER_NUMBERS[name])
        number = kfunc_number(name)
        if number in KFUNCS:
            return Number(number)
        reason = f"calls {name!r}, which nothing defines; give load(..., kfuncs={{{name!r}: …}})"
        return Number(number, reason)

    def _symbol(self, reference: Reference) -> Found:
        name = reference.symbol
        if name in self.options:
            if name in self.unknown and not reference.weak:
                return f"reads {name}, which has no value; give load(..., kconfig={{{name!r}: …}})"
            return Value(self.options[name] + reference.offset)
        if name in self.kfuncs:
            return Value(_ELSEWHERE + self.private.number(name, self.kfuncs[name]) % (1 << 20))
        if reference.weak:
            return Value(0)
        return f"refers to {reference}"

    def pointer(self, pointer: Pointer) -> int:
        """The value of a pointer in a data section; 0 for what programs cannot be given."""
        symbol = pointer.symbol
        offset = symbol.value + pointer.addend
        if symbol.section in self.sections:
            return self.sections[symbol.section].address(offset) & _M64
        found = self.maps.get((symbol.section, offset), 0)
        return found if isinstance(found, int) else 0
