"""Programs as functions: straight into machine code, with every way back out of it."""

import copy
import gc
import pickle
import weakref

import pytest

from drybpf.errors import BudgetExceeded, MemoryFault
from drybpf.hooks import Xdp
from drybpf.host import Host
from drybpf.program import Program

SECOND_BYTE = "ldxb r0, [r1+1]\nexit"
LOOP = "mov r0, 0\nloop:\nadd r0, 1\njne r0, 1000, loop\nexit"


@pytest.fixture
def program() -> Program:
    return Program.from_asm(SECOND_BYTE, engine="jit")


def test_every_form_of_a_call(program: Program) -> None:
    assert program(b"ab") == ord("b")  # compiles
    assert program(b"ab") == ord("b")  # straight into machine code
    assert program(packet=b"ab") == ord("b")
    assert program(bytearray(b"ab")) == ord("b")
    assert program(memoryview(b"xab")[1:]) == ord("b")
    assert program.function(b"ab") == ord("b")


def test_misuse_is_a_type_error(program: Program) -> None:
    program(b"ab")
    for arguments in ((1,), (b"ab", b"cd"), ("ab",)):
        with pytest.raises(TypeError):
            program(*arguments)
    with pytest.raises(TypeError):
        program(frame=b"ab")  # type: ignore[call-arg]


def test_a_fault_has_its_place(program: Program) -> None:
    program(b"ab")
    for call in (program, program.function):
        with pytest.raises(MemoryFault) as caught:
            call(b"a")
        assert (caught.value.pc, caught.value.address) == (0, 0x3000_0001)
    assert program(b"ab") == ord("b")


def test_without_a_packet() -> None:
    program = Program.from_asm("mov r0, r2\nexit", engine="jit")
    assert [program(), program(), program(b"abc")] == [0, 0, 3]


def test_a_new_budget_counts_at_once() -> None:
    program = Program.from_asm(LOOP, engine="jit")
    assert program() == program() == 1000
    program.budget = 100
    with pytest.raises(BudgetExceeded):
        program(b"")
    with pytest.raises(BudgetExceeded):
        program.function(b"")
    program.budget = None
    assert program(b"") == 1000


def test_another_engine_counts_at_once(program: Program) -> None:
    program(b"ab")
    program.engine = "interpreter"
    assert program(b"ab") == ord("b")
    assert program.function is program


def test_auto_gives_the_same_before_and_after_it_compiles() -> None:
    program = Program.from_asm(SECOND_BYTE)
    assert [program(b"ab") for _ in range(6)] == [ord("b")] * 6
    while not program.jit_stats.compiles:  # another thread compiles, when it comes to that
        assert program(b"ab") == ord("b")
    assert program(b"ab") == ord("b")
    assert program.jit_stats.compiles == 1


def test_helpers_in_python_keep_the_slower_way() -> None:
    program = Program.from_asm("call 1\nexit", engine="jit", helpers={1: lambda *_: 7})
    assert program(b"") == program(b"") == 7
    assert program.function is program


def test_packets_that_are_written_are_copies() -> None:
    text = "ldxw r2, [r1]\nstb [r2], 0x78\nldxb r0, [r2]\nexit"
    program = Program.from_asm(text, engine="jit", hook=Xdp())
    for packet in (b"abc", bytearray(b"abc"), b"a" * 5000):
        before = bytes(packet)
        assert program(packet) == program(packet) == 0x78
        assert bytes(packet) == before


def test_copies_and_pickles_begin_anew(program: Program) -> None:
    program(b"ab")
    for twin in (copy.copy(program), pickle.loads(pickle.dumps(program))):  # noqa: S301 (our own)
        assert twin(b"ab") == twin(b"ab") == ord("b")
        assert twin.engine == "jit"


def test_a_subclass_is_called_as_well() -> None:
    class Louder(Program):
        def __call__(self, packet: object = b"") -> int:
            return 1000 + super().__call__(packet)  # type: ignore[arg-type]

    program = Louder.from_asm(SECOND_BYTE, engine="jit")
    assert [program(b"ab") for _ in range(3)] == [1000 + ord("b")] * 3


def test_nothing_is_kept_alive() -> None:
    program = Program.from_asm(SECOND_BYTE, engine="jit")
    program(b"ab")
    function, ghost = program.function, weakref.ref(program)
    assert function(b"ab") == ord("b")
    del program, function
    gc.collect()
    assert ghost() is None


def test_a_program_without_maps_knows_its_processor() -> None:
    """Its word of the run was written for programs with maps only: others got what lay there."""
    program = Program.from_asm("call 8\nexit", hook=Xdp(), host=Host(cpu=3), engine="jit")
    packets = [bytes(64)] * 3
    for cpu in (3, 5):
        program.host.cpu = cpu
        assert [program(packet) for packet in packets] == [cpu] * 3
        assert list(program.run_batch(packets)) == [cpu] * 3
        assert program.run(packets[0]).value == cpu
        assert program.run(packets[0], engine="interpreter").value == cpu
