"""Programs: made from bytes, text or a builder; verified; run; told about."""

from __future__ import annotations

import pytest

from drybpf import flow
from drybpf.asm import assemble
from drybpf.code import Code, SourceLine
from drybpf.errors import BudgetExceeded, MemoryFault, VerifierError
from drybpf.helpers import Helpers, sqrti
from drybpf.hooks import FixedMetadata, Metadata, NoData, Raw
from drybpf.host import Clock, Host
from drybpf.program import Program
from drybpf.state import State
from slots import MOV

TEXT = "ldxb r0, [r1]\nadd r0, 1\nexit"


def test_from_bytes_and_text() -> None:
    for program in (
        Program.from_asm(TEXT),
        Program.from_bytes(assemble(TEXT)),
        Program(Code(assemble(TEXT))),
    ):
        assert program(b"\x05") == 6
        assert program.run(b"\x06").value == 7


def test_options_reach_the_program() -> None:
    program = Program.from_asm(
        "call 1\nexit", helpers={1: lambda *_: 3}, budget=5, engine="interpreter"
    )
    assert (program(), program.budget, program.engine) == (3, 5, "interpreter")
    table = Helpers({1: sqrti})
    assert Program.from_asm("exit", helpers=table).helpers is table
    with pytest.raises(TypeError, match="callable"):
        Program.from_asm("exit", helpers={1: "no"})


def test_it_is_verified_before_its_first_run() -> None:
    program = Program.from_bytes(MOV)
    for run in (program, program.run, program.state, program.verify):
        with pytest.raises(VerifierError):
            run()


def test_strict_verification_knows_the_helpers() -> None:
    program = Program.from_asm("call 1\nexit")
    program.verify()
    with pytest.raises(VerifierError, match="helper 1 is unknown"):
        program.verify(strict=True)
    program.helpers.register(1, sqrti)
    program.verify(strict=True)


def test_budgets() -> None:
    program = Program.from_asm("ja -1", budget=10)
    for budget in (-1, 20):  # -1: the program's own
        with pytest.raises(BudgetExceeded):
            program.run(budget=budget)
    with pytest.raises(ValueError, match="a budget is 0 to"):
        program.run(budget=-2)
    for budget in (-1, 1 << 63):
        with pytest.raises(ValueError, match="a budget is 0 to"):
            Program.from_asm("exit", budget=budget)
    assert Program.from_asm("exit", budget=0).run(budget=None).value == 0


def test_engines() -> None:
    with pytest.raises(ValueError, match="there is no engine 'fast'"):
        Program.from_asm("exit").run(engine="fast")  # type: ignore[arg-type]  # the point
    assert Program.from_asm("mov r0, 4\nexit").run(engine="interpreter").value == 4


def test_initial_registers_and_traces() -> None:
    seen: list[State] = []
    program = Program.from_asm("mov r0, r7\nexit")
    assert program.run(registers={7: -1}, trace=seen.append).value == (1 << 64) - 1
    assert len(seen) == 2


def test_a_state_that_has_not_begun() -> None:
    state = Program.from_asm(TEXT).state(b"\x05", budget=7, registers={3: 9})
    assert (state.pc, state.fuel, state.registers[3], state.instructions) == (0, 7, 9, 0)


def test_hooks() -> None:
    assert Program.from_asm("mov r0, r1\nexit", hook=NoData())() == 0
    with pytest.raises(ValueError, match="run without data"):
        Program.from_asm("exit", hook=NoData())(b"data")
    assert Program.from_asm("mov r0, r2\nexit", hook=Metadata())(b"data") == 0
    assert Program.from_asm("mov r0, r2\nexit", hook=FixedMetadata(0, 8))(b"data") == 16
    assert repr(FixedMetadata(0, 8)) == "<Hook fixed metadata>"
    for hook in (NoData(), Raw(), Metadata(), FixedMetadata(0, 8)):
        with pytest.raises(TypeError, match="this program has no ifindex"):
            Program.from_asm("exit", hook=hook).run(b"", ifindex=1)


def test_the_host() -> None:
    host = Host(clock=Clock(now=40, step=2))
    program = Program.from_asm("call 1\nexit", helpers={1: lambda c, *_: c.host.clock()}, host=host)
    assert [program(), program()] == [40, 42]


def test_disassembly_and_repr() -> None:
    program = Program.from_asm("mov r0, 1\nexit")
    assert assemble(program.disassemble()) == program.code.bytecode
    assert "r0 = " in program.disassemble("llvm")
    assert repr(program) == "<Program main: raw, 2 slots>"
    named = Program(Code(assemble("exit"), name="parser"))
    assert (named.name, repr(named)) == ("parser", "<Program parser: raw, 1 slots>")


LINES = {0: SourceLine("p.c", 3, 1, "  int x = *p;  "), 3: SourceLine("p.c", 9, 1, "")}
PROGRAM = assemble("mov r0, 0\nldxb r0, [r0]\nexit\nmov r0, 0\nexit")


def test_faults_name_their_source_line() -> None:
    program = Program(Code(PROGRAM, lines=LINES))
    with pytest.raises(MemoryFault) as caught:
        program()
    assert caught.value.source == "p.c:3: int x = *p;"
    assert str(caught.value).endswith("a null pointer at insn 1 (p.c:3: int x = *p;)")


def test_source_lines_do_not_cross_functions() -> None:
    code = Code(PROGRAM, lines={0: LINES[0]}, functions={3: "second"})
    assert code.line_at(2) == LINES[0]
    assert code.line_at(4) is None
    assert str(LINES[3]) == "p.c:9"


def test_function_names() -> None:
    code = Code(PROGRAM, functions={3: "second"})
    assert [code.function_name(pc) for pc in (0, 2, 3, 4)] == ["main", "main", "second", "second"]
    assert Code(PROGRAM, name="first").function_name(1) == "first"
    called = Code(assemble("call local f\nexit\nf:\nexit"))
    assert (called.entries, called.function_name(2)) == ((0, 2), "f2")


def test_code_is_a_value() -> None:
    code = Code(PROGRAM, name="a", lines=LINES, references={1: 2})
    same = Code(bytearray(PROGRAM), name="a", references={1: 2})
    assert code == same
    assert hash(code) == hash(same)
    assert code != Code(PROGRAM, name="b", references={1: 2})
    assert code != PROGRAM
    assert (len(code), repr(code), repr(Code(b""))) == (
        5,
        "<Code a: 5 slots>",
        "<Code main: 0 slots>",
    )


WRITES = {
    "exit": False,
    "stb [r10-1], 1\nexit": False,
    "lock add [r10-8], r1\nexit": False,
    "stxb [r1], r2\nexit": True,
    "lock add [r1], r2\nexit": True,
    "call 1\nexit": True,
    "callx r1\nexit": True,
    "call runtime 1\nexit": True,
    "call local f\nexit\nf:\nexit": False,
    "ldabsb 0\nexit": False,
}


@pytest.mark.parametrize("text", WRITES)
def test_whether_a_program_may_write(text: str) -> None:
    assert Code(assemble(text)).may_write is WRITES[text]


def test_code_that_is_no_instruction_writes_nothing() -> None:
    assert not Code(b"\xff" * 8).may_write


def test_targets() -> None:
    code = Code(assemble("ja +1\nexit\nja32 -2\ncall local -1\nlddw r1, code_addr(-4)\nexit"))
    targets = [flow.target(pc, found) for pc, found in enumerate(code.slots) if found]
    assert targets == [2, None, 1, 3, 1, None]
