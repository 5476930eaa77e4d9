"""The counter table: CPython and native code leave the same bytes, and a dict agrees with both."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import counter_table
from drybpf.native.buffer import host_address
from drybpf.native.emit import compile_ir
from drybpf.native.link import Library, link
from drybpf.native.restricted import Block, Function, lower

M64 = (1 << 64) - 1
OPERATIONS: dict[str, Function[...]] = {
    name: getattr(counter_table, name) for name in ("add", "count", "remove")
}
# Few keys, so that they collide, come again, and fill the table; among them 0 and the largest.
KEYS = st.sampled_from([*range(12), 1 << 32, 1 << 63, M64])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS, st.integers(0, M64)),
        st.tuples(st.just("add"), KEYS, st.integers(0, 3)),
        st.tuples(st.sampled_from(["count", "remove"]), KEYS),
    ),
    max_size=80,
)


@cache
def compiled(bits: int) -> tuple[Library, dict[str, Callable[..., int]]]:
    bound = {name: function.bind(BITS=bits) for name, function in OPERATIONS.items()}
    image = compile_ir(lower(bound.values(), external=True), verify=True)
    library = link([image], [function.symbol for function in bound.values()])
    calls: dict[str, Callable[..., int]] = {}
    for name, function in bound.items():
        types = [ctypes.c_uint64] * (1 + len(function.definition.parameters))
        calls[name] = ctypes.CFUNCTYPE(*types)(library.address(function.symbol))
    return library, calls


def model(state: dict[int, int], bits: int, name: str, key: int, amount: int = 0) -> int:
    """What the table shall do, in a dict."""
    if name == "count":
        return state.get(key, 0)
    if name == "remove":
        return int(state.pop(key, None) is not None)
    if key not in state and len(state) == (1 << bits) - 1:
        return M64
    state[key] = state.get(key, 0) + amount & M64
    return state[key]


@pytest.mark.parametrize("bits", [1, 3, 4])
@given(steps=STEPS)
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_random_operations(bits: int, steps: list[tuple[str, int] | tuple[str, int, int]]) -> None:
    _, calls = compiled(bits)
    size = counter_table.table_size(bits)
    real, shown, state = bytearray(size), bytearray(size), dict[int, int]()
    address = host_address(memoryview(real))
    for name, *arguments in steps:
        expected = model(state, bits, name, *arguments)
        function = OPERATIONS[name].bind(BITS=bits)
        assert calls[name](address, *arguments) == expected
        assert function.python(Block(shown, address), address, *arguments) == expected
        assert shown == real
    assert int.from_bytes(real[:8], "little") == len(state)
