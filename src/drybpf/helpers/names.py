"""The kernel's helpers by name, for people."""

from __future__ import annotations

from drybpf.helpers.table import ROWS

_NUMBERS = {row.name: number for number, row in ROWS.items()}


def helper_name(number: int) -> str:
    """The name of a helper, as C sources write it; `helper 4711` for a number without one."""
    return f"bpf_{ROWS[number].name}" if number in ROWS else f"helper {number}"


def helper_number(name: str) -> int:
    """The number of a helper by its name, with or without `bpf_`; `KeyError` for an unknown one."""
    return _NUMBERS[name.removeprefix("bpf_")]
