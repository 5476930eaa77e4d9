"""The four machines: rbpf's names, and what each gives its program."""

from __future__ import annotations

import copy
import pickle
from array import array
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from struct import pack_into

import pytest

from drybpf.asm import assemble
from drybpf.errors import BudgetExceeded, DecodeError, Finding, MemoryFault, VerifierError
from drybpf.helpers import gather_bytes, sqrti
from drybpf.host import Clock
from drybpf.memory import CONTEXT, PACKET, REGISTERED, SLOT_SIZE
from drybpf.state import Context, State
from drybpf.vm import (
    EbpfVmFixedMbuff,
    EbpfVmMbuff,
    EbpfVmNoData,
    EbpfVmRaw,
    Verifier,
    default_verifier,
)

ONE, TWO = assemble("mov r0, 1\nexit"), assemble("mov r0, 2\nexit")
REFUSED = assemble("mov r0, 3")


def test_what_each_machine_gives_its_program() -> None:
    for register, expected in ((1, 0), (2, 0), (3, 0), (9, 0), (10, 0x2000_0400)):
        assert EbpfVmNoData(assemble(f"mov r0, r{register}\nexit")).execute_program() == expected
    for register, expected in ((1, PACKET), (2, 3), (3, 0)):
        vm = EbpfVmRaw(assemble(f"mov r0, r{register}\nexit"))
        assert vm.execute_program(b"abc") == expected
    for register, expected in ((1, CONTEXT), (2, 4), (3, 0)):
        mbuff = EbpfVmMbuff(assemble(f"mov r0, r{register}\nexit"))
        assert mbuff.execute_program(b"abc", b"1234") == expected
    for register, expected in ((1, CONTEXT), (2, 24), (3, 0)):
        fixed = EbpfVmFixedMbuff(assemble(f"mov r0, r{register}\nexit"), 8, 16)
        assert fixed.execute_program(b"abc") == expected


def test_metadata_that_the_user_fills() -> None:
    vm = EbpfVmMbuff(assemble("ldxdw r2, [r1+8]\nldxb r0, [r2+1]\nexit"))
    metadata = bytearray(16)
    pack_into("<Q", metadata, 8, vm.memory_address)
    assert vm.execute_program(b"\x07\x08", metadata) == 8


def test_metadata_of_the_machines_own() -> None:
    program = assemble("ldxdw r2, [r1+0x40]\nldxdw r0, [r1+0x50]\nsub r0, r2\nexit")
    vm = EbpfVmFixedMbuff(program, 0x40, 0x50)
    assert vm.execute_program(b"abcde") == 5
    assert vm.execute_program(b"") == 0
    vm.set_program(assemble("ldxdw r2, [r1+8]\nldxb r0, [r2]\nexit"), 8, 0)
    assert vm.execute_program(b"\x63") == 0x63


def test_a_refused_program_leaves_the_old_one() -> None:
    vm = EbpfVmNoData(ONE)
    with pytest.raises(VerifierError, match="run past the end"):
        vm.set_program(REFUSED)
    with pytest.raises(DecodeError):
        vm.set_program(ONE[:9])
    assert vm.execute_program() == 1
    vm.set_program(TWO)
    assert vm.execute_program() == 2


def test_a_refused_program_leaves_the_old_offsets() -> None:
    vm = EbpfVmFixedMbuff(assemble("mov r0, r2\nexit"), 0, 8)
    for arguments in ((REFUSED, 0, 32), (ONE, 0, 4)):
        with pytest.raises((VerifierError, ValueError)):
            vm.set_program(*arguments)
    assert vm.execute_program(b"") == 16


def test_a_machine_without_a_program() -> None:
    for vm in (EbpfVmNoData(), EbpfVmNoData(None)):
        with pytest.raises(ValueError, match=r"no program is set; call set_program\(\)"):
            vm.execute_program()
    vm.set_program(ONE)
    assert vm.execute_program() == 1
    with pytest.raises(VerifierError):
        EbpfVmNoData(REFUSED)
    with pytest.raises(VerifierError, match="the program is empty"):
        EbpfVmNoData(b"")


def _raises(_: bytes) -> None:
    raise RuntimeError("no loops here")


REFUSING: dict[str, Verifier] = {
    "RuntimeError: no loops here": _raises,
    "the verifier refused the program": lambda _: False,
    "too long": lambda _: ["too long"],
    "insn 1: exit: no exits": lambda _: [Finding(1, "exit", "no exits")],
    "no text is split": lambda _: "no text is split",
}


@pytest.mark.parametrize("message", REFUSING)
def test_verifiers_that_refuse(message: str) -> None:
    vm = EbpfVmNoData(ONE)
    with pytest.raises(VerifierError, match=message) as caught:
        vm.set_verifier(REFUSING[message])  # the loaded program is checked at once
    assert len(caught.value.findings) == 1
    vm.set_program(TWO)  # by the old verifier
    assert vm.execute_program() == 2
    empty = EbpfVmNoData()
    empty.set_verifier(REFUSING[message])
    with pytest.raises(VerifierError, match=message):
        empty.set_program(ONE)


@pytest.mark.parametrize("verdict", [None, True, (), [], ""])
def test_verifiers_that_accept(verdict: object) -> None:
    vm = EbpfVmNoData()
    seen: list[bytes] = []

    def verifier(program: bytes) -> object:
        seen.append(program)
        return verdict

    vm.set_verifier(verifier)
    vm.set_program(bytearray(ONE))
    assert vm.execute_program() == 1
    assert seen == [ONE]


def test_a_verifier_must_be_callable() -> None:
    with pytest.raises(TypeError, match="must be callable, not NoneType"):
        EbpfVmNoData().set_verifier(None)  # type: ignore[arg-type]  # the point


def test_the_default_verifier() -> None:
    default_verifier(ONE)
    with pytest.raises(VerifierError):
        default_verifier(REFUSED)


def test_helpers() -> None:
    vm = EbpfVmNoData(assemble("mov r1, 81\ncall 7\nexit"))
    vm.register_helper(7, sqrti)
    assert vm.execute_program() == 9
    vm.register_helper(7, lambda _context, value, *_rest: value + 1)
    assert vm.execute_program() == 82
    with pytest.raises(TypeError, match="callable"):
        vm.register_helper(7, 5)  # type: ignore[arg-type]  # the point
    for number in (-1, 1 << 32):
        with pytest.raises(ValueError, match="a helper's number is 0 to 4294967295"):
            vm.register_helper(number, sqrti)


def test_one_callable_for_all_helpers() -> None:
    def serve(context: Context, *_: int) -> int:
        return context.number

    vm = EbpfVmNoData(assemble("call 7\nmov r6, r0\ncall 80\nlsh r0, 8\nor r0, r6\nexit"))
    vm.register_default_helper(serve)
    vm.register_helper(80, lambda *_: 1)
    assert vm.execute_program() == 0x107
    vm.register_default_helper(None)
    with pytest.raises(Exception, match="helper 7 is not registered"):
        vm.execute_program()


def test_registered_memory() -> None:
    vm = EbpfVmRaw(assemble("ldxdw r2, [r1]\nldxb r0, [r2]\nadd r0, 1\nstxb [r2], r0\nexit"))
    first, second = bytearray(b"\x05"), bytearray(b"\x09")
    addresses = [vm.register_allowed_memory(first), vm.register_allowed_memory(second)]
    assert addresses[0] == REGISTERED
    assert addresses[1] >= REGISTERED + 4096
    assert vm.execute_program(addresses[1].to_bytes(8, "little")) == 10
    assert [bytes(first), bytes(second)] == [b"\x05", b"\x0a"]  # in place
    for beyond in (addresses[0] + 1, addresses[1] - 1, addresses[1] + 1):
        with pytest.raises(MemoryFault):
            vm.execute_program(beyond.to_bytes(8, "little"))


def test_registered_memory_that_is_read_only() -> None:
    vm = EbpfVmRaw(assemble("ldxdw r2, [r1]\nstb [r2], 1\nexit"))
    for address in (
        vm.register_allowed_memory(b"constant"),
        vm.register_allowed_memory(bytearray(8), writable=False),
    ):
        with pytest.raises(MemoryFault, match="registered memory is read-only"):
            vm.execute_program(address.to_bytes(8, "little"))


def test_registered_memory_has_an_end() -> None:
    vm = EbpfVmNoData(ONE)
    vm.register_allowed_memory(b"")
    untouched = mmap(-1, SLOT_SIZE)  # no page of it is ever there
    with pytest.raises(ValueError, match="no room"):
        vm.register_allowed_memory(untouched)
    assert vm.execute_program() == 1


def test_writable_buffers_are_changed_in_place() -> None:
    program = assemble("stb [r1], 9\nldxb r0, [r1]\nexit")
    vm = EbpfVmRaw(program)
    for buffer in (bytearray(b"abcd"), array("I", [1]), memoryview(bytearray(b"abcd"))):
        assert vm.execute_program(buffer) == 9
        assert memoryview(buffer).cast("B")[0] == 9
    mbuff = EbpfVmMbuff(program)
    memory, metadata = bytearray(b"m"), bytearray(b"d")
    assert mbuff.execute_program(memory, metadata) == 9
    assert [bytes(memory), bytes(metadata)] == [b"m", b"\x09"]
    assert mbuff.execute_program(b"m", b"d") == 9  # bytes never change


def test_a_program_that_only_stores_to_its_stack_runs_on_the_buffer_itself() -> None:
    vm = EbpfVmRaw(assemble("stb [r10-1], 9\nldxb r0, [r1]\nexit"))
    assert vm.execute_program(b"a") == ord("a")


def test_initial_registers() -> None:
    vm = EbpfVmRaw(assemble("mov r0, r9\nadd r0, r3\nexit"))
    assert vm.execute_program(b"", registers={9: 5, 3: -1}) == 4
    assert EbpfVmNoData(assemble("exit")).execute_program(registers={0: 1 << 64 | 7}) == 7
    for number in (10, 11, -1):
        with pytest.raises(ValueError, match=f"r{number} cannot be set"):
            vm.execute_program(b"", registers={number: 0})


def test_traces() -> None:
    seen: list[int] = []

    def trace(state: State) -> None:
        seen.append(state.pc)

    EbpfVmNoData(ONE).execute_program(trace=trace)
    EbpfVmMbuff(ONE).execute_program(b"", b"", trace=trace)
    assert seen == [0, 1, 0, 1]


def test_results() -> None:
    vm = EbpfVmRaw(assemble("stb [r1], 9\nmov r0, 5\nexit"))
    result = vm.run(b"ab")
    assert (result.value, result.action, result.packet) == (5, None, b"\x09b")
    assert (result.printed, result.instructions) == ((), 3)


def test_budgets() -> None:
    vm = EbpfVmNoData(assemble("ja -1"))
    vm.budget = 50
    with pytest.raises(BudgetExceeded):
        vm.execute_program()
    vm.budget = -1
    with pytest.raises(ValueError, match="a budget is"):
        vm.execute_program()
    vm.set_program(ONE)
    vm.budget = None
    assert vm.execute_program() == 1


def test_the_calculator_of_stack_usage_has_no_effect() -> None:
    vm = EbpfVmNoData(assemble("stb [r10-512], 1\nldxb r0, [r10-512]\nexit"))
    vm.set_stack_usage_calculator(lambda *_: 16, data=None)
    assert vm.execute_program() == 1


def test_repr() -> None:
    assert repr(EbpfVmNoData()) == "<EbpfVmNoData: no program>"
    vm = EbpfVmRaw(ONE)
    vm.register_helper(6, sqrti)
    vm.register_helper(5, sqrti)
    assert repr(vm) == "<EbpfVmRaw: 2 slots, helpers 5, 6>"


def _make(kind: str) -> EbpfVmNoData:
    vm = EbpfVmNoData(assemble("mov r1, 1\ncall 1\nexit"))
    vm.register_helper(1, gather_bytes)
    vm.budget = 77
    twin = copy.copy(vm) if kind == "copy" else pickle.loads(pickle.dumps(vm))  # noqa: S301
    assert isinstance(twin, EbpfVmNoData)
    vm.register_helper(1, sqrti)
    vm.set_program(TWO)
    vm.register_allowed_memory(b"abc")
    return twin


@pytest.mark.parametrize("kind", ["copy", "pickle"])
def test_copies_are_apart(kind: str) -> None:
    twin = _make(kind)
    assert twin.execute_program() == 1 << 32
    assert twin.budget == 77
    assert twin.register_allowed_memory(b"") == REGISTERED


@pytest.mark.parametrize(
    "vm", [EbpfVmRaw(ONE), EbpfVmMbuff(ONE), EbpfVmFixedMbuff(ONE, 0, 8)], ids=repr
)
def test_every_machine_can_be_pickled(vm: EbpfVmRaw) -> None:
    address = vm.register_allowed_memory(memoryview(bytearray(b"abcdef"))[2:4])
    twin = pickle.loads(pickle.dumps(vm))  # noqa: S301 (our own)
    assert repr(twin) == repr(vm)
    assert twin.register_allowed_memory(b"") == vm.register_allowed_memory(b"") > address


def test_threads() -> None:
    """A machine's runs share nothing but its tables."""
    vm = EbpfVmRaw(assemble("mov r0, 0\nldxb r3, [r1]\nadd r0, 1\njlt r0, r3, -2\nexit"))
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda n: vm.execute_program(bytes([n])), range(1, 200)))
    assert values == list(range(1, 200))


def test_the_hosts_clock() -> None:
    vm = EbpfVmNoData(assemble("call 5\nmov r6, r0\ncall 5\nsub r0, r6\nexit"))
    vm.register_helper(5, lambda context, *_: context.host.clock())
    assert vm.execute_program() == 1000
    vm.host.clock = Clock(now=5, step=7)
    assert vm.execute_program() == 7
    assert vm.host.clock() == 19


def test_no_data_is_no_data() -> None:
    with pytest.raises(TypeError):
        EbpfVmNoData(ONE).execute_program(b"data")  # type: ignore[call-arg, arg-type]  # the point
