"""What is no use of the interface says so, in words that help: a TypeError, nothing foreign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import drybpf
from support import fixture

api: Any = drybpf  # what is wrong here, mypy would not let pass
RETURN = drybpf.assemble("r0 = r1\nexit")
MAPS = fixture("load_maps")


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda: api.EbpfVmRaw("abc"), "bytecode is bytes, not str"),
        (lambda: api.EbpfVmRaw(16), "bytecode is bytes, not int"),
        (lambda: api.assemble(b"exit"), "assembly is text, not bytes"),
        (lambda: api.assemble(None), "assembly is text, not NoneType"),
        (
            lambda: api.disassemble("exit"),
            "or a sequence of Instruction, not str",
        ),
        (lambda: api.disassemble([1]), "or a sequence of Instruction, not int"),
        (lambda: api.to_insn_vec("exit"), "a program is bytes"),
        (lambda: api.to_json("exit"), "a program is bytes"),
        (lambda: api.Program.from_bytes(RETURN, hook="xdp"), r"a hook is one of drybpf.HOOKS"),
        (lambda: api.Program.from_bytes(RETURN, budget=1.5), "float"),
        (lambda: api.Program.from_bytes(RETURN, budget="1"), "str"),
        (lambda: api.EbpfVmRaw(RETURN).execute_program(b"", registers={1: 1.5}), "float"),
        (lambda: api.Helpers().register(1.5, print), "float"),
        (lambda: api.Helpers().register(None, print), "NoneType"),
        (lambda: api.load(MAPS, types="xdp"), "types: a ProgramType, or one by name, is wanted"),
        (lambda: api.load(MAPS, types={"count": "xdp"}), "as ProgramType.XDP, not 'xdp'"),
        (lambda: api.load(MAPS, maps={"flows": {}}), "maps: a Map is wanted for 'flows', not dict"),
    ],
)
def test_wrong_types(use: Callable[[], object], reason: str) -> None:
    with pytest.raises(TypeError, match=reason):
        use()


def test_right_types() -> None:
    assert api.load(MAPS, types={"count": api.ProgramType.SOCKET_FILTER})["count"].type == 1
