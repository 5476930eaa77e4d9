"""The kernel's names of its helpers, by number (`enum bpf_func_id`)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from drybpf.helpers.table import ROWS

HELPER_NAMES: Mapping[int, str] = MappingProxyType(
    {number: f"bpf_{row.name}" for number, row in ROWS.items()}
)
HELPER_NUMBERS: Mapping[str, int] = MappingProxyType(
    {name: number for number, name in HELPER_NAMES.items()}
)
