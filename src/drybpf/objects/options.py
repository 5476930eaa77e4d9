"""The kernel's configuration as a data section: `.kconfig`, constant for everyone."""

from __future__ import annotations

from collections.abc import Mapping

from drybpf.host import Host
from drybpf.objects.externs import DEFAULTS, KCONFIG, KernelOption, option_bytes
from drybpf.objects.variables import DataSource, Variable

_ALIGNMENT = 8


def option_source(
    options: tuple[KernelOption, ...], given: Mapping[str, object], host: Host
) -> tuple[DataSource, frozenset[str]]:
    """The section with the options' values, and the names of those without any.

    `given` goes before what the host says and the defaults.  Raises `ValueError` for names that
    the object does not ask for, `TypeError` or `ValueError` for values that do not fit.
    """
    known = {option.name for option in options}
    for name in given:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ValueError(f"kconfig: no option {name!r} is asked for; {there} are")
    values = {**DEFAULTS, "CONFIG_HZ": host.hz, f"CONFIG_HZ_{host.hz}": "y", **given}
    image = bytearray()
    variables: dict[str, Variable] = {}
    unknown: set[str] = set()
    for option in options:
        image += bytes(-len(image) % _ALIGNMENT)
        variables[option.name] = Variable(option.name, len(image), option.codec)
        value = values.get(option.name)
        if value is None:
            unknown.add(option.name)
            image += bytes(option.codec.size)
        else:
            image += option_bytes(option, value)
    source = DataSource(KCONFIG, -1, bytes(image), len(image), False, variables, ())
    return source, frozenset(unknown)
