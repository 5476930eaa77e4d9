"""What objects expect from outside: kernel configuration, symbols, functions, helpers by name."""

from __future__ import annotations

from typing import Any

import pytest

from drybpf import Context, Helpers, Host, Object, load
from drybpf.errors import ObjectError, UnknownHelper
from drybpf.isa import Instruction, encode
from drybpf.objects.elf import STB_GLOBAL, STB_WEAK, STT_NOTYPE
from elf_writer import CALL_OUT, EXIT, LDDW_R1_0, one_program
from object_runs import ENGINES, run_object
from support import fixture

EXTERNS = fixture("load_externs")
R_BPF_64_64, R_BPF_64_32 = 1, 10


def test_options_of_the_kernel_have_defaults() -> None:
    config = run_object(EXTERNS, "read_config").data["config"]
    assert config == {
        "version": 6 << 16 | 18 << 8, "hz": Host().hz, "on": 1, "letter": 0, "tristate": 0,
        "text": "",
    }  # fmt: skip


def test_options_are_given() -> None:
    given = {
        "LINUX_KERNEL_VERSION": 5 << 16, "CONFIG_HZ": 100, "CONFIG_BPF_SYSCALL": "n",
        "CONFIG_LETTER": "m", "CONFIG_TRISTATE": "m", "CONFIG_TEXT": "hello", "CONFIG_UNKNOWN": 5,
    }  # fmt: skip
    outcome = run_object(EXTERNS, "read_config", kconfig=given)
    assert outcome.data["config"] == {
        "version": 5 << 16, "hz": 100, "on": 0, "letter": ord("m"), "tristate": 2, "text": "hello",
    }  # fmt: skip
    assert run_object(EXTERNS, "read_unknown", kconfig=given).value == 5
    assert run_object(EXTERNS, "read_config", host=Host(hz=77)).data["config"].hz == 77


@pytest.mark.parametrize(
    ("value", "letter"), [(True, "y"), (False, "n"), ("y", "y"), (ord("m"), "m")]
)
def test_forms_of_yes_and_no(value: object, letter: str) -> None:
    config = run_object(EXTERNS, "read_config", kconfig={"CONFIG_LETTER": value}).data["config"]
    assert config.letter == ord(letter)


@pytest.mark.parametrize(
    ("given", "error", "reason"),
    [
        ({"CONFIG_NOTHING": 1}, ValueError, "no option 'CONFIG_NOTHING' is asked for"),
        ({"CONFIG_HZ": 1 << 32}, ValueError, "CONFIG_HZ: 4294967296 does not fit"),
        ({"CONFIG_HZ": "many"}, TypeError, "CONFIG_HZ"),
        ({"CONFIG_TEXT": "123456789"}, ValueError, "CONFIG_TEXT: 9 bytes do not fit"),
    ],
)
def test_options_that_do_not_fit(given: dict[str, object], error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        load(EXTERNS, kconfig=given)


def test_options_are_constant_for_programs_and_visible_to_python() -> None:
    obj = load(EXTERNS)
    assert obj.data["LINUX_KERNEL_VERSION"] == 6 << 16 | 18 << 8
    section = obj.data.sections[".kconfig"]
    assert not section.region.writable
    assert next(iter(section)) == "LINUX_KERNEL_VERSION"


def test_an_option_without_a_value_is_named_and_faults_where_it_is_read() -> None:
    program = load(EXTERNS)["read_unknown"]
    reason = "reads CONFIG_UNKNOWN, which has no value; give load(..., kconfig="
    assert program.obstacles[0].startswith(f"insn 0 {reason}")
    assert run_object(EXTERNS, "read_unknown").error.startswith(
        f"UnknownHelper: the instruction {reason}"
    )


def test_symbols_of_the_kernel() -> None:
    assert run_object(EXTERNS, "weak_symbol").value == 2
    assert run_object(EXTERNS, "needed_symbol", bytes(4)).value == 2
    fault = run_object(EXTERNS, "needed_symbol", b"\1\0\0\0").error
    assert "refers to the undefined symbol 'kernel_variable_needed'; give load(..., host=" in fault
    host = Host(symbols={0xFFFF_8000_0000_0000: "kernel_variable"})
    assert run_object(EXTERNS, "weak_symbol", host=host).value == 1


def add(_context: Context, a: int, b: int, *_: int) -> int:
    return a + b


def test_functions_of_the_kernel_are_given() -> None:
    packet = (30).to_bytes(4, "little") + (12).to_bytes(4, "little")
    assert run_object(EXTERNS, "call_kernel", packet, kfuncs={"kernel_sum": add}).value == 42
    obj = load(EXTERNS)
    assert "kernel_sum" in obj["call_kernel"].obstacles[0]
    obj.helpers.register("kernel_sum", add)
    assert obj["call_kernel"].obstacles == ()
    with obj.helpers.replace("kernel_sum", lambda *_: 5) as calls:
        for engine in ENGINES:
            assert obj["call_kernel"].run(packet, engine=engine).value == 5
    assert [call.arguments[:2] for call in calls] == [(30, 12)] * 2
    assert obj["call_kernel"].run(packet).value == 42


def test_functions_that_may_be_missing() -> None:
    packet = (21).to_bytes(4, "little")
    assert run_object(EXTERNS, "call_optional", packet).value == 0xFFFF_FFFF
    assert load(EXTERNS)["call_optional"].obstacles == ()
    twice = {"kernel_optional": lambda _context, a, *_: 2 * a}
    assert run_object(EXTERNS, "call_optional", packet, kfuncs=twice).value == 42


def test_a_function_that_nobody_knows() -> None:
    assert run_object(EXTERNS, "call_nobody", bytes(4)).value == 2
    fault = run_object(EXTERNS, "call_nobody", b"\1\0\0\0").error
    assert "UnknownHelper" in fault
    assert "nobody_knows" in fault
    assert "at insn 4 (./tests/fixtures/src/load_externs.c:" in fault
    (obstacle,) = load(EXTERNS)["call_nobody"].obstacles
    assert obstacle.startswith("insn 4 calls a helper that is missing: ")


def test_what_is_given_must_be_callable() -> None:
    with pytest.raises(TypeError, match="must be callable"):
        load(EXTERNS, kfuncs={"kernel_sum": 5})  # type: ignore[dict-item]  # the mistake


def test_helpers_by_name() -> None:
    program = load(EXTERNS)["call_helper"]
    assert program.disassemble().startswith("call 0x7d\n")  # 125, bpf_ktime_get_boot_ns
    assert run_object(EXTERNS, "call_helper", host=Host(clock=lambda: 77)).value == 77


def test_functions_of_memory() -> None:
    """memset, memcpy, memmove and memcmp, as C means them."""
    outcome = run_object(EXTERNS, "call_memory", bytes(32))
    assert outcome.packet == b"xxxx" + bytes(4) + b"01234567" + bytes(16)
    assert outcome.data["text"] == "010123456789cdef"
    assert outcome.value == (1 << 64) - 1  # "0101…" < "0123…"


def calling(name: str, *, weak: bool = False, arguments: tuple[int, ...] = ()) -> bytes:
    """A program that calls an undefined function with numbers; r1 stays unless given."""
    moves = [Instruction(0xB7, 1 + index, imm=value) for index, value in enumerate(arguments)]
    saved = [Instruction(0xBF, 6, 1), *[m for m in moves if m.dst != 1]]
    writer = one_program(encode([*saved, CALL_OUT, EXIT]), "test")
    binding = STB_WEAK if weak else STB_GLOBAL
    symbol = writer.symbol(name, 0, kind=STT_NOTYPE, binding=binding)
    writer.relocate(1, 8 * len(saved), R_BPF_64_32, symbol)
    return writer.build()


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("memset", (0, 7, 9), "write of 9 bytes at 0x30000000: outside packet"),
        ("memset", (0, 7, -1), "write of 18446744073709551615 bytes at"),
        ("memcpy", (0, 0, 1), "read of 1 bytes at 0x0: a null pointer"),
        ("memmove", (0, 0x3000_0001, 8), "read of 8 bytes at 0x30000001: outside packet"),
        ("memcmp", (0, 0, 1), "read of 1 bytes at 0x0"),
    ],
)
def test_functions_of_memory_check_their_memory(
    name: str, arguments: tuple[int, ...], fault: str
) -> None:
    outcome = run_object(calling(name, arguments=arguments), "prog", bytes(8))
    assert outcome.error.startswith(f"MemoryFault: {fault}")


def test_functions_of_memory_on_nothing() -> None:
    for name in ("memset", "memcpy", "memmove"):
        assert run_object(calling(name, arguments=(0, 0, 0)), "prog", bytes(8)).value == 0x3000_0000
    assert run_object(calling("memcmp", arguments=(0, 0, 0)), "prog", bytes(8)).value == 0
    fills = run_object(calling("memset", arguments=(0, 0x1FF, 8)), "prog", bytes(8))
    assert fills.packet == b"\xff" * 8


def test_functions_of_memory_are_replaced_like_any() -> None:
    mine: Any = {"memset": lambda *_: 99}
    assert (
        run_object(calling("memset", arguments=(0, 0, 0)), "prog", bytes(8), kfuncs=mine).value
        == 99
    )


def test_functions_of_memory_in_a_table_that_is_given() -> None:
    given = Helpers()
    given.register("memset", lambda *_: 98)
    data = calling("memset", arguments=(0, 0, 0))
    assert run_object(data, "prog", bytes(8), helpers=given).value == 98


def test_weak_symbols_that_stay_undefined() -> None:
    writer = one_program(encode([LDDW_R1_0, Instruction(0xBF, 0, 1), EXIT]), "test")
    symbol = writer.symbol("anything", 0, kind=STT_NOTYPE, binding=STB_WEAK)
    writer.relocate(1, 0, R_BPF_64_64, symbol)
    data = writer.build()
    assert run_object(data, "prog").value == 0
    assert load(data).unsupported == ()


def test_programs_of_no_type_have_all_helpers_of_the_kernel() -> None:
    writer = one_program(encode([Instruction(0x85, imm=5), EXIT]), "test")
    assert run_object(writer.build(), "prog", host=Host(clock=lambda: 5)).value == 5


def test_obstacles_of_objects_that_share_helpers_do_not_mix() -> None:
    helpers = Helpers()
    objects = [load(EXTERNS, helpers=helpers) for _ in range(2)]
    for obj in objects:
        for program, name in (("read_unknown", "CONFIG_UNKNOWN"), ("needed_symbol", "needed")):
            with pytest.raises(UnknownHelper, match=name):
                obj[program].run(b"\1\0\0\0")
    assert len(helpers) == 0


def test_an_undefined_symbol_without_a_name() -> None:
    writer = one_program(encode([CALL_OUT, EXIT]))
    writer.relocate(1, 0, R_BPF_64_32, 0)
    with pytest.raises(ObjectError, match="names no symbol"):
        load(writer.build())


def test_addends_of_undefined_symbols() -> None:
    """Taken modulo 2^64: an address like any other, that faults where it is used."""
    code = encode([Instruction(0x18, 1, imm=-1, second=0xFFFF_FFFF << 32), EXIT])
    writer = one_program(code, "test")
    writer.relocate(1, 0, R_BPF_64_64, writer.symbol("here", 0, kind=STT_NOTYPE))
    obj: Object = load(writer.build(), host=Host(symbols={0: "here"}))
    assert obj["prog"].code.references == {0: (1 << 64) - 1}
