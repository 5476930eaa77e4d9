"""What an object expects from outside: kernel configuration, kernel symbols and functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf.objects import btf_types as t
from drybpf.objects.btf import Btf

if TYPE_CHECKING:
    from drybpf.maps.codec import Codec
    from drybpf.objects.typed import Types

KCONFIG, KSYMS = ".kconfig", ".ksyms"
LINUX_VERSION = (6, 18, 0)  # the kernel that `helpers.table` describes
# What programs find where `kconfig` does not say otherwise: a usual x86-64 kernel.
DEFAULTS: Mapping[str, object] = {
    "LINUX_KERNEL_VERSION": LINUX_VERSION[0] << 16 | LINUX_VERSION[1] << 8 | LINUX_VERSION[2],
    "LINUX_HAS_BPF_COOKIE": 1,
    "LINUX_HAS_SYSCALL_WRAPPER": 1,
    "CONFIG_64BIT": "y",
    "CONFIG_BPF": "y",
    "CONFIG_BPF_SYSCALL": "y",
    "CONFIG_BPF_JIT": "y",
    "CONFIG_SMP": "y",
    "CONFIG_NET": "y",
    "CONFIG_INET": "y",
    "CONFIG_IPV6": "y",
    "CONFIG_X86_64": "y",
}
_ANSWERS = {"n": 0, "y": 1, "m": 2}


@dataclass(frozen=True, slots=True)
class KernelOption:
    """A variable of the section `.kconfig`, whose value the loader provides."""

    name: str
    codec: Codec
    character: bool  # a `char`, which holds y, m or n as a letter


def kernel_options(btf: Btf | None, types: Types | None) -> tuple[KernelOption, ...]:
    """The options that an object asks for."""
    found = []
    for variable in _variables(btf, KCONFIG):
        if btf and types:
            kind = btf.resolve(variable.type)
            character = isinstance(kind, t.Int) and kind.size == 1 and not kind.boolean
            found.append(KernelOption(variable.name, types.codec(variable.type), character))
    return tuple(found)


def kernel_functions(btf: Btf | None) -> frozenset[str]:
    """The names of the kernel's functions that an object declares."""
    return frozenset(found.name for found in _members(btf, KSYMS) if isinstance(found, t.Function))


def option_bytes(option: KernelOption, value: object) -> bytes:
    """A value as a program reads it; y, m and n are letters, numbers, or true and false.

    Raises `TypeError` or `ValueError` where it does not fit.
    """
    if isinstance(value, bool) and option.character:
        value = "y" if value else "n"
    if isinstance(value, str) and value in _ANSWERS:
        if option.character:
            return value.encode()
        if option.codec.size <= 8:  # a bool, an enum libbpf_tristate, or an integer
            return _ANSWERS[value].to_bytes(option.codec.size, "little")
    try:
        return option.codec.pack(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"kconfig: {option.name}: {error}") from error


def _variables(btf: Btf | None, section: str) -> Iterator[t.Variable]:
    return (found for found in _members(btf, section) if isinstance(found, t.Variable))


def _members(btf: Btf | None, section: str) -> Iterator[t.BtfType]:
    for type_id in btf.named(section) if btf else ():
        data = btf.types[type_id] if btf else None
        for placed in data.variables if isinstance(data, t.DataSection) else ():
            if btf:
                yield btf.types[placed.variable]
