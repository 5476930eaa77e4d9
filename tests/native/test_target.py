"""The machine that code is made for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from children import run_child
from drybpf.errors import CompileError
from drybpf.native import target

AARCH64 = "aarch64-unknown-linux-gnu"


def test_one_machine_a_process_whatever_the_thread() -> None:
    with ThreadPoolExecutor(8) as pool:
        machines = list(pool.map(lambda _: target.machine(), range(64)))
    assert {id(machine) for machine in machines} == {id(target.machine())}
    assert target.machine(codegen=3) is not target.machine()


def test_another_machine_by_its_triple() -> None:
    assert target.machine(AARCH64).triple == AARCH64
    assert target.machine(AARCH64) is target.machine(AARCH64)


def test_description_tells_processors_and_versions_apart() -> None:
    text = target.describe()
    assert text.startswith("LLVM ")
    assert "llvmlite " in text
    assert target.machine().triple in text
    assert text.endswith("pic small")
    assert text == target.describe()


def test_unknown_triple() -> None:
    with pytest.raises(CompileError, match="no code can be made for nonsense"):
        target.machine("nonsense")


@pytest.mark.parametrize("codegen", [-1, 4])
def test_effort_out_of_range(codegen: int) -> None:
    with pytest.raises(ValueError, match="codegen is 0 to 3"):
        target.machine(codegen=codegen)


def test_importing_loads_no_llvm() -> None:
    modules = "builtin, cache, emit, link, target, restricted"
    code = f"import sys; from drybpf.native import {modules}; print('llvmlite' in sys.modules)"
    assert run_child(code) == "False\n"
