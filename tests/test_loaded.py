"""Loaded objects as a user meets them, and the public names."""

from __future__ import annotations

import pickle

import pytest

import drybpf
from drybpf import EbpfVmNoData, ObjectError, Program, ProgramType, load
from drybpf.engine import Runner
from drybpf.hooks import Raw
from drybpf.space import Space
from support import FIREWALL, fixture


def test_an_object_is_a_collection_of_programs() -> None:
    obj = load(FIREWALL)
    assert list(obj) == ["xdp_firewall"]
    assert (len(obj), "xdp_firewall" in obj, "other" in obj) == (1, True, False)
    assert (obj.name, obj.btf is not None, obj.license) == ("xdp_firewall", True, "Dual MIT/GPL")
    assert "xdp_firewall" in repr(obj)
    assert obj["xdp_firewall"] is obj.programs.xdp_firewall


def test_a_program_knows_where_it_comes_from() -> None:
    program = load(FIREWALL)["xdp_firewall"]
    assert (program.section, program.type) == ("xdp", ProgramType.XDP)
    assert repr(program) == "<Program xdp_firewall: xdp, 161 slots>"
    twin = pickle.loads(pickle.dumps(program))  # noqa: S301 (our own)
    assert twin(bytes(64)) == program(bytes(64))
    linked = pickle.loads(pickle.dumps(program.linked))  # noqa: S301 (our own)
    assert linked == program.linked


def test_what_cannot_run_yet_says_so_when_it_is_run() -> None:
    program = load(fixture("xdp_pass"), types=ProgramType.EXT)["xdp_pass"]
    program.verify()
    with pytest.raises(ObjectError, match="EXT cannot be run yet"):
        program(b"")
    with pytest.raises(ObjectError, match="cannot run"):
        program.run_batch([b""])


def test_the_public_names() -> None:
    for name in drybpf.__all__:
        assert getattr(drybpf, name) is not None
    assert set(drybpf.__all__) <= set(dir(drybpf))
    assert drybpf.__getattr__("builder") is drybpf.builder
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = drybpf.nothing


def test_a_machine_without_program_or_compiled_code() -> None:
    vm = EbpfVmNoData()
    with pytest.raises(ValueError, match="no program is set"):
        vm.jit_compile()
    vm.set_program(drybpf.assemble("mov r0, 3\nexit"))
    with pytest.raises(ValueError, match="not compiled"):
        vm.execute_program_jit()
    vm.jit_compile()
    assert vm.execute_program_jit() == 3


def test_auto_interprets_what_is_too_large_and_says_so() -> None:
    code = drybpf.Code(drybpf.assemble("mov r0, 1\n" * 20_001 + "exit"))
    runner = Runner(code, Raw.shape, Space())
    program = Program(code)
    assert [program() for _ in range(4)] == [1] * 4
    ready = [runner.compiles("auto", program.helpers, program.host) for _ in range(4)]
    assert ready == [False] * 4
    assert "20000" in runner.note
    assert pickle.loads(pickle.dumps(runner)).note == ""  # noqa: S301 (our own)
