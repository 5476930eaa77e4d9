"""The names of instructions as Python methods: what the builder offers."""

from __future__ import annotations

from drybpf.isa.table import ROWS, Row


def method_name(row: Row) -> str:
    """Name the method: the mnemonic, and for the kinds of `lddw` the kind."""
    name = row.semantics if row.mnemonic == "lddw" else row.mnemonic
    return name.removesuffix("_imm64").replace(" ", "_")


def _methods() -> dict[str, tuple[Row, ...]]:
    methods: dict[str, tuple[Row, ...]] = {}
    for row in ROWS:
        name = method_name(row)
        methods[name] = (*methods.get(name, ()), row)
    return methods


METHODS = _methods()
"""The rows of each method: one, or the one with an immediate and the one with a register."""
