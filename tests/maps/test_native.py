"""The maps' runtime: attached, called through the table of addresses, on disk, done without."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from contextlib import suppress
from importlib import util
from typing import Any

import pytest

from drybpf.maps import Map, MapDefinition, MapType, base, layout, native
from drybpf.maps.operations import BY_TYPE, operation
from map_twins import interpret, smallest

M64 = (1 << 64) - 1


@pytest.fixture
def counters() -> Any:
    return Map.create(MapDefinition("counters", MapType.HASH, 4, 8, 10))


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_operation_of_every_type_has_an_address(kind: MapType) -> None:
    made = Map.create(smallest(kind))
    assert not any(made.storage[layout.VTABLE : layout.VTABLE + 8 * len(layout.OPERATIONS)])
    assert made.attach_native()
    assert made.attach_native()
    assert all(made._storage.word(layout.VTABLE + 8 * n) for n in range(len(layout.OPERATIONS)))
    made.clear()
    assert all(made._storage.word(layout.VTABLE + 8 * n) for n in range(len(layout.OPERATIONS)))


def test_compiled_code_calls_through_the_table(counters: Any) -> None:
    assert counters.attach_native()
    buffers = [ctypes.create_string_buffer(n.to_bytes(8, "little"), 8) for n in (1, 77)]
    key, value = (ctypes.addressof(each) for each in buffers)

    def call(place: int, *arguments: int) -> int:
        types = [ctypes.c_uint64] * (len(arguments) + 2)
        function = ctypes.CFUNCTYPE(*types)(counters._storage.word(place))
        return int(function(counters.address, *arguments))

    assert call(layout.LOOKUP, key, 0) == M64
    assert call(layout.UPDATE, key, value, 0, 0, 1) == 0
    offset = call(layout.LOOKUP, key, 0)
    begin = counters._storage.word(layout.VALUES) + offset
    assert bytes(counters.storage[begin : begin + 8]) == (77).to_bytes(8, "little")
    assert counters[1] == (77).to_bytes(8, "little")
    assert call(layout.DELETE, key, 1) == 0
    assert call(layout.DELETE, key, 1) == M64 - 1
    assert call(layout.PUSH, value, 0) == M64 + 1 - 95


def test_arguments_of_other_types_are_refused(counters: Any) -> None:
    assert counters.attach_native()
    lookup = counters._operate["lookup"]
    for wrong in ("text", None, 1.5, memoryview(b"1234"), [1]):
        with pytest.raises(TypeError):
            lookup(wrong, 0)
    assert lookup(bytes(4), -1) == M64
    assert lookup(bytes(4), 0, 0, 0, 0, 0, 0, 0) == M64


def test_without_llvm_maps_go_on_in_cpython(counters: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    native._runtime.cache_clear()
    monkeypatch.setattr(native, "find_spec", lambda _: None)
    try:
        assert not counters.attach_native()
        counters[1] = 2
        assert counters[1] == (2).to_bytes(8, "little")
        assert counters._storage.word(layout.LOOKUP) == 0
        assert native.calls(counters._storage, MapType.HASH) is None
    finally:
        native._runtime.cache_clear()


def test_threads_that_need_the_runtime_first_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # The second one was freed while maps pointed into it.
    native._runtime.cache_clear()
    build, meeting = native._build, threading.Barrier(2)

    def slow() -> object:
        with suppress(threading.BrokenBarrierError):
            meeting.wait(0.2)  # both are here, if both may be
        return build()

    monkeypatch.setattr(native, "_build", slow)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(native.runtime())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] is found[1] is native.runtime()


def test_much_use_goes_over_to_native_code() -> None:
    script = f"""
import sys
from drybpf.maps import Map, MapDefinition, MapType
made = Map.create(MapDefinition("m", MapType.HASH, 4, 8, 5000))
for n in range({base.WARM // 2}):
    made[n] = n
assert "llvmlite" not in sys.modules
for n in range(5000):
    made[n] = n
assert "llvmlite" in sys.modules and made._attached
assert list(map(int.from_bytes, made, ["little"] * 5000)) == list(range(5000))
other = Map.create(MapDefinition("m", MapType.HASH, 4, 8, 5))
other[1] = 1
assert other._attached
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_runtime_is_read_from_disk_the_next_time(tmp_path: Any) -> None:
    script = """
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.native import cache
made = Map.create(MapDefinition("m", MapType.HASH, 4, 8, 5))
assert made.attach_native()
print(cache.status().hits, cache.status().stores)
"""
    told = [
        subprocess.run(
            [sys.executable, "-c", script],
            check=True,
            capture_output=True,
            text=True,
            env={"DRYBPF_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": ":".join(sys.path)},
        ).stdout.split()
        for _ in range(2)
    ]
    assert told == [["0", "1"], ["1", "0"]]


def test_operations_have_the_parameters_that_the_table_says() -> None:
    counts = {"lookup": 3, "update": 6, "delete": 3, "push": 3, "pop": 2, "peek": 2, "reserve": 3}
    counts |= {"submit": 3, "discard": 3, "output": 5, "find": 3, "exact": 3, "put": 6, "drop": 3}
    for kind, operations in BY_TYPE.items():
        for name in operations:
            parameters = len(operation(kind, name).definition.parameters)
            assert parameters == counts.get(name, 3), f"{kind.name} {name}"


def test_llvm_is_here_for_these_tests() -> None:
    assert util.find_spec("llvmlite") is not None
    assert native.runtime() is not None
    assert interpret(Map.create(MapDefinition("m", MapType.ARRAY, 4, 4, 1)))[0] == bytes(4)
