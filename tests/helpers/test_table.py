"""The table of helpers: whole, true to its modules, to the pages and to the running kernel."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from importlib import import_module

import pytest

from drybpf import HelperError, Helpers, UnknownHelper
from drybpf.asm import assemble
from drybpf.helpers.kernel import describe_missing, kernel_helpers
from drybpf.helpers.kfuncs import FIRST, KFUNCS, helper_name, helper_number, kfunc_number
from drybpf.helpers.table import ROWS
from drybpf.hooks import HOOKS
from drybpf.objects import ProgramType
from drybpf.program import Program
from engines import run_everywhere
from kernel_here import needs_kernel
from support import ROOT


def test_every_number_has_a_row_and_every_name_one_number() -> None:
    assert list(ROWS) == list(range(1, 212))
    assert len({row.name for row in ROWS.values()}) == 211
    types = {kind.name.lower() for kind in ProgramType}
    for row in ROWS.values():
        assert row.simulated in ("exact", "host", "recorded", "none")
        assert bool(row.module) == (row.simulated != "none")
        assert row.programs is None or row.programs <= types, row


@pytest.mark.parametrize("row", [*ROWS.values(), *KFUNCS.values()], ids=lambda row: row.name)
def test_what_is_simulated_is_there(row: object) -> None:
    module, name = row.module, row.name  # type: ignore[attr-defined]
    if module:
        function = getattr(import_module(f"drybpf.helpers.{module}"), name)
        assert function.__doc__
        parameters = list(inspect.signature(function).parameters.values())
        count = 6 if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(parameters)
        assert count == 6, "a context and five registers"


def test_numbers_of_kfuncs_are_their_own() -> None:
    assert len(KFUNCS) == len({row.name for row in KFUNCS.values()})
    assert all(FIRST <= number < 1 << 31 for number in KFUNCS)
    assert helper_number("bpf_dynptr_slice") == kfunc_number("bpf_dynptr_slice")
    assert helper_number("bpf_redirect") == helper_number("redirect") == 23
    assert helper_name(23) == "bpf_redirect"


def test_a_table_for_each_type() -> None:
    for kind in HOOKS:
        table = kernel_helpers(kind)
        assert table[1].name == "map_lookup_elem"
        assert pickle.loads(pickle.dumps(table)) is table  # noqa: S301 (our own)
    assert 44 in kernel_helpers("xdp")
    assert 44 not in kernel_helpers("sched_cls")
    assert 9 in kernel_helpers("socket_filter")  # of the same context
    assert 9 not in kernel_helpers("xdp")
    assert kernel_helpers("xdp")[44].moves_packet


@pytest.mark.parametrize(
    ("number", "hook", "message"),
    [
        (9, "xdp", "bpf_skb_store_bytes#9 does not exist for xdp programs"),
        (149, "sched_cls", "bpf_snprintf_btf#149 is not simulated; give the program one"),
        (212, "xdp", "helper 212 is no helper of the kernel; give the program one"),
        (kfunc_number("bpf_obj_new_impl"), "xdp", "the kernel's function bpf_obj_new_impl is not"),
    ],
)
def test_a_missing_helper_is_named_when_it_is_reached(number: int, hook: str, message: str) -> None:
    program = Program.from_asm(f"jne r1, 1, +1\nexit\ncall {number}\nexit", hook=HOOKS[hook])
    for engine in ("interpreter", "jit"):
        with pytest.raises(UnknownHelper, match=message) as caught:
            program.run(bytes(64), engine=engine)
        assert (caught.value.helper, caught.value.pc) == (number, 2)
    assert describe_missing(number, hook).startswith(message)


def test_helpers_of_ones_own_go_first() -> None:
    own = Helpers()
    program = Program.from_asm("call 5\nexit", hook=HOOKS["xdp"], helpers=own)
    assert program(bytes(64)) == 0
    own.register("bpf_ktime_get_ns", lambda *_: 42)
    assert [program(bytes(64)) for _ in range(5)] == [42] * 5
    with program.helpers.replace(5, lambda *_: 43) as calls:
        assert program(bytes(64)) == 43
    assert len(calls) == 1
    with own.replace("ktime_get_ns", lambda *_: 44) as calls:
        assert program(bytes(64)) == 44
    assert program(bytes(64)) == 42
    twin = pickle.loads(pickle.dumps(Program.from_asm("call 8\nexit", hook=HOOKS["xdp"])))  # noqa: S301
    assert twin(bytes(64)) == 0
    assert 5 in program.helpers
    assert 9 not in program.helpers
    assert len(program.helpers) == len(list(program.helpers))


def test_what_a_helper_raises_names_it() -> None:
    outcome = run_everywhere("mov r1, 5\nmov r2, r10\ncall 3\nexit", helpers=kernel_helpers("xdp"))
    assert (outcome.error, outcome.pc) == ("HelperError", 2)
    assert outcome.message.startswith("bpf_map_delete_elem: 0x5 is no map")
    assert issubclass(HelperError, Exception)


def test_the_pages_are_what_the_tool_makes() -> None:
    command = [sys.executable, str(ROOT / "tools" / "make_helpers_page.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_kernel
@pytest.mark.parametrize("kind", ["xdp", "sched_cls", "socket_filter"])
def test_the_kernel_has_these_helpers_for_these_programs(kind: str) -> None:
    """A call without arguments is refused either way, but with different words."""
    for number, row in ROWS.items():
        program = Program.from_asm(f"call {number}\nexit", hook=HOOKS[kind])
        try:
            program.run(bytes(64), engine="kernel")
        except Exception as error:  # noqa: BLE001 (the words are what is asked for)
            log = str(error) + "".join(getattr(error, "__notes__", []))
            unknown = any(
                words in log for words in ("cannot use helper", "unknown func", "invalid func")
            )
            if unknown:
                assert not row.exists_for(kind), row
        else:
            assert row.exists_for(kind), row


def test_code_that_calls_a_kfunc_by_its_number() -> None:
    number = kfunc_number("bpf_strlen")
    text = f"stdw [r10-8], 0x6f6c6c\nmov r1, r10\nadd r1, -8\ncall {number}\nexit"
    outcome = run_everywhere(assemble(text), helpers=kernel_helpers("xdp"))
    assert outcome.value == 3
