"""Variables of objects: read and set from Python, shared with programs, frozen, reset."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from btf_writer import BtfWriter
from drybpf import Host, Object, load
from drybpf.errors import MemoryFault, ObjectError
from drybpf.isa import Instruction, encode
from drybpf.objects.elf import SHT_NOBITS, STB_LOCAL, STB_WEAK, STT_NOTYPE, STT_OBJECT, STT_SECTION
from elf_writer import DATA, EXIT, LDDW_R1_0, RETURN_1, ElfWriter, one_program
from object_runs import ENGINES, run_object
from support import fixture

GLOBALS = fixture("load_globals")
ALLOC = 2
R_BPF_64_64, R_BPF_64_ABS64 = 1, 2


def test_what_python_sees() -> None:
    """As in tests/fixtures/src/load_globals.c."""
    data = load(GLOBALS).data
    assert list(data) == [
        "limit", "everything", "pointers", "threshold", "title", "custom_constant",
        "custom_variable", "counters", "packets", "hidden",
    ]  # fmt: skip
    assert (data.limit, data["threshold"], data.title, data.packets) == (7, 100, "hello", 0)
    assert (data.custom_constant, data.custom_variable) == (3, 0x1234)
    everything = data.everything
    assert everything._asdict() == {
        "name": "drybpf", "mac": bytes([2, 0, 0, 0, 0, 1]), "on": True, "tiny": -2,
        "low": 5, "middle": 1000, "signed_bits": -7, "colour": -3,
        "points": ({"x": 1, "y": -1}, {"x": 2, "y": -2}),
        "word": 0x04030201, "octets": b"\1\2\3\4", "inner": 77,
        "either": {"number": 9, "point": {"x": 9, "y": 0}},
        "pointer": 0, "real": 1.5, "single": -0.25, "wide": 1 << 32,
        "matrix": ((1, 2, 3), (4, 5, 6)),
    }  # fmt: skip
    assert (everything.colour.name, everything.wide.name) == ("BLUE", "HUGE")


def test_sections() -> None:
    sections = load(GLOBALS).data.sections
    assert {name: list(section) for name, section in sections.items()} == {
        ".data": ["limit", "everything", "pointers"],
        ".rodata": ["threshold", "title"],
        ".rodata.config": ["custom_constant"],
        ".data.custom": ["custom_variable"],
        ".bss": ["counters", "packets", "hidden"],
    }
    assert [section.region.writable for section in sections.values()] == [
        True, False, False, True, True,
    ]  # fmt: skip
    assert sections[".rodata"].raw[:4] == (100).to_bytes(4, "little")
    assert repr(sections[".rodata"]) == "<.rodata: 2 variables: threshold, title>"


def test_programs_and_python_share_them() -> None:
    outcome = run_object(GLOBALS, "count", times=3)
    assert outcome.value == 7 + 100 + 3
    assert (outcome.data["packets"], outcome.data["hidden"]) == (3, 6)
    assert outcome.data["counters"] == (0, -3, 0, 0)


def test_variables_set_before_a_run_constants_too() -> None:
    def prepare(obj: Object) -> None:
        obj.data["limit"] = 1
        obj.data.threshold = 20
        obj.data.sections[".rodata.config"]["custom_constant"] = 300
        obj.data.counters = [5, 5, 5, 5]

    outcome = run_object(GLOBALS, "count", prepare=prepare)
    assert outcome.value == 321
    assert outcome.data["counters"] == (5, 4, 5, 5)


def test_pointers_between_variables() -> None:
    outcome = run_object(GLOBALS, "follow")
    assert outcome.value == 8
    assert (outcome.data["limit"], outcome.data["counters"]) == (8, (0, 0, 99, 0))
    assert outcome.data["custom_variable"] == 0x1234 + 6


def test_constants_are_read_only_for_programs() -> None:
    outcome = run_object(GLOBALS, "write_constant")
    assert outcome.error.startswith("MemoryFault: write of 4 bytes at ")
    assert ".rodata is read-only at insn 3 (./tests/fixtures/src/load_globals.c:" in outcome.error


@pytest.mark.parametrize("engine", ENGINES)
def test_constants_are_frozen_by_the_first_run(engine: Any) -> None:  # noqa: ANN401 (an Engine)
    obj = load(GLOBALS)
    obj.data.threshold = 1
    obj["count"].engine = engine
    assert obj["count"](b"") == 11
    for name in ("threshold", "custom_constant"):
        with pytest.raises(ValueError, match=f"{name!r} is in '.rodata.*constant since the first"):
            obj.data[name] = 5
    obj.data.limit = 8  # the others are not
    assert obj["count"](b"") == 12


def test_reset() -> None:
    obj = load(GLOBALS)
    obj.data.threshold = 1
    obj.data.reset()
    assert obj.data.threshold == 100
    obj.data.threshold = 1
    obj["count"].run()
    obj["follow"].run()
    obj.data.limit = 50
    before = obj.data.pointers
    obj.reset()
    assert (obj.data.limit, obj.data.packets, obj.data.counters) == (7, 0, (0, 0, 0, 0))
    assert obj.data.threshold == 1, "constant since the first run"
    assert obj.data.pointers == before
    assert obj["follow"].run().value == 8


def test_objects_do_not_share_variables() -> None:
    one, other = load(GLOBALS), load(GLOBALS)
    one.data.limit = 1
    assert other.data.limit == 7


def test_records_are_replaced() -> None:
    data = load(GLOBALS).data
    data.everything = data.everything._replace(name="changed", colour="GREEN", points=[(3, 4), {}])
    assert (data.everything.name, data.everything.colour) == ("changed", 5)
    assert data.everything.points == ((3, 4), (0, 0))
    assert data.everything.matrix == ((1, 2, 3), (4, 5, 6))


def test_what_is_refused() -> None:
    data = load(GLOBALS).data
    with pytest.raises(KeyError, match="no variable 'nothing'; there is limit, everything"):
        _ = data["nothing"]
    with pytest.raises(AttributeError, match="no variable 'nothing'"):
        _ = data.nothing
    with pytest.raises(AttributeError, match="no variable 'nothing'"):
        data.nothing = 1
    with pytest.raises(KeyError):
        data["nothing"] = 1
    with pytest.raises(KeyError, match=r"no variable 'limit' in '\.bss'"):
        _ = data.sections[".bss"]["limit"]
    with pytest.raises(ValueError, match="does not fit into 32 bits"):
        data.limit = 1 << 32
    with pytest.raises(TypeError):
        data.limit = "7"
    with pytest.raises(TypeError, match="cannot be deleted"):
        del data["limit"]
    assert repr(data).startswith("<10 variables: limit, everything")
    assert len(data) == 10
    assert {"limit", "reset"} <= set(dir(data))


def test_pickling_is_no_run() -> None:
    obj = load(GLOBALS)
    pickle.dumps(obj["count"])
    obj.data.threshold = 5
    assert obj["count"].run().value == 15


def test_a_pickled_program_takes_the_values_along() -> None:
    obj = load(GLOBALS)
    obj.data.limit = 40
    twin = pickle.loads(pickle.dumps(obj["count"]))  # noqa: S301 (our own)
    assert twin.run().value == 143


# Without BTF


def reading(section: str, data: bytes, flags: int = DATA, **fields: int) -> ElfWriter:
    """A program that returns the first 8 bytes of a section, and that section, the second."""
    code = encode([LDDW_R1_0, Instruction(0x79, dst=0, src=1), EXIT])
    writer = one_program(code, "test")
    index = writer.section(section, data, flags, **fields)
    symbol = writer.symbol("", index, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_64, symbol)
    return writer


def test_symbols_say_what_there_is() -> None:
    writer = reading(".data.mine", bytes(range(24)))
    writer.symbol("number", 2, 0, 8, kind=STT_OBJECT)
    writer.symbol("three", 2, 8, 3, kind=STT_OBJECT, binding=STB_LOCAL)
    writer.symbol("rest", 2, 11, kind=STT_NOTYPE)
    data = writer.build()
    obj = load(data)
    assert dict(obj.data) == {
        "number": 0x0706050403020100,
        "three": b"\x08\x09\x0a",
        "rest": bytes(range(11, 24)),
    }
    assert run_object(data, "prog").value == 0x0706050403020100
    changed = run_object(data, "prog", prepare=lambda obj: obj.data.__setitem__("number", 5))
    assert changed.value == 5


def test_sections_of_any_name_and_of_zeros() -> None:
    assert run_object(reading("my_globals", b"\1" + bytes(7)).build(), "prog").value == 1
    zeros = reading(".bss", b"", kind=SHT_NOBITS)
    zeros.sections[2].size = 1 << 20
    data = zeros.build()
    assert load(data).data.sections[".bss"].region.length == 1 << 20
    assert run_object(data, "prog").value == 0
    assert (
        load(reading(".rodata", bytes(8), ALLOC).build()).data.sections[".rodata"].region.writable
        is False
    )


def test_sections_that_are_no_data() -> None:
    writer = one_program()
    for name in ("license", "version", ".eh_frame", ".llvm_addrsig"):
        writer.section(name, bytes(8), DATA)
    writer.section(".debug_info", bytes(8), 0)
    assert not load(writer.build()).data.sections


def test_a_large_section_costs_nothing_until_it_is_used() -> None:
    zeros = reading(".bss", b"", kind=SHT_NOBITS)
    zeros.sections[2].size = 200 << 20
    obj = load(zeros.build())
    assert obj["prog"].run().value == 0
    zeros = reading(".bss", b"", kind=SHT_NOBITS)
    zeros.sections[2].size = 300 << 20
    with pytest.raises(ObjectError, match="larger than"):
        load(zeros.build())


def test_reading_behind_the_end_is_a_fault() -> None:
    obj = load(reading(".data", bytes(7)).build())
    for engine in ENGINES:
        with pytest.raises(MemoryFault, match=r"read of 8 bytes at 0x60000000: outside .data"):
            obj["prog"].run(engine=engine)


def test_eh_frame_refers_to_code_and_is_ignored() -> None:
    writer = one_program()
    frame = writer.section(".eh_frame", bytes(16), ALLOC)
    writer.relocate(frame, 4, 3, 1)
    assert load(writer.build()).unsupported == ()


# Pointers in data


def pointing(name: str, section: int, value: int, addend: int, **fields: int) -> ElfWriter:
    """A program, and data whose first 8 bytes point at a symbol."""
    writer = reading(".data", addend.to_bytes(8, "little", signed=True) + bytes(8))
    symbol = writer.symbol(name, section, value, kind=STT_OBJECT, **fields)
    writer.relocate(2, 0, R_BPF_64_ABS64, symbol)
    return writer


def test_a_pointer_with_an_addend() -> None:
    assert run_object(pointing("x", 2, 4, 8).build(), "prog").value == 0x6000_000C


@pytest.mark.parametrize("addend", [17, -5, 2**40])
def test_L6_pointers_out_of_their_section(addend: int) -> None:  # noqa: N802 (named by its row)
    with pytest.raises(ObjectError, match=r"a pointer to 'x' leaves section '\.data'"):
        load(pointing("x", 2, 4, addend).build())


def test_pointers_that_cannot_be_given_are_null_and_named() -> None:
    function = load(pointing("f", 1, 0, 0).build())
    assert function.unsupported == (
        ".data+0 is null in place of a pointer to 'f', which only code can refer to",
    )
    assert function["prog"].run().value == 0
    assert load(pointing("extern", 0, 0, 0, binding=STB_WEAK).build()).unsupported == ()
    assert "'needed'" in load(pointing("needed", 0, 0, 0).build()).unsupported[0]


def test_L5_a_relocation_outside_its_data() -> None:  # noqa: N802 (named by its row)
    writer = reading(".data", bytes(8))
    writer.relocate(2, 4, R_BPF_64_ABS64, 1)
    with pytest.raises(ObjectError, match="at offset 4 does not lie within it"):
        load(writer.build())


@pytest.mark.parametrize(("value", "size"), [(4, 8), (2**63, 8), (0, 2**63)])
def test_L6_variables_outside_their_section(value: int, size: int) -> None:  # noqa: N802 (as above)
    writer = reading(".data", bytes(8))
    writer.symbol("x", 2, value, size, kind=STT_OBJECT)
    with pytest.raises(ObjectError, match="'x' lies outside of it"):
        load(writer.build())


def test_code_and_data_of_one_name_do_not_mix() -> None:
    writer = one_program(RETURN_1, ".data")
    writer.section(".data", bytes(8), DATA)
    assert list(load(writer.build()).data.sections) == [".data"]


def test_a_function_pointer_among_others_is_null() -> None:
    """Named by its section, as clang names static functions, the addend tells them apart."""
    function = load(pointing("f", 1, 0, 8).build())
    assert "is null in place of a pointer to 'f'" in function.unsupported[0]
    assert function.data.sections[".data"].raw == bytes(16)
    assert function["prog"].run().value == 0


@pytest.mark.parametrize("kind", [3, 4])
def test_relocations_of_four_bytes(kind: int) -> None:
    writer = reading(".data", (2).to_bytes(4, "little") + b"\1\2\3\4")
    writer.relocate(2, 0, kind, writer.symbol("x", 2, 4, kind=STT_OBJECT))
    assert run_object(writer.build(), "prog").value == 0x0403_0201_6000_0006


def test_an_address_that_does_not_fit_into_four_bytes() -> None:
    writer = reading(".data", bytes(8))
    writer.relocate(2, 0, 3, writer.symbol("far", 0, kind=STT_NOTYPE))
    obj = load(writer.build(), host=Host(symbols={1 << 40: "far"}))
    assert obj.unsupported == (
        ".data+0 is null: the address 0x10000000000 does not fit into 4 bytes",
    )


def test_a_relocation_that_does_not_fit_data() -> None:
    writer = reading(".data", bytes(8))
    writer.relocate(2, 0, 10, 1)
    with pytest.raises(ObjectError, match="at offset 0 is of type 10, which does not fit data"):
        load(writer.build())


@pytest.mark.parametrize(("size", "seen"), [(4, 0x03020100), (3, b"\0\1\2")])
def test_a_part_that_the_optimiser_left_of_an_array(size: int, seen: object) -> None:
    """Clang -O2 keeps the used part of a static array, with the type of the whole."""
    btf = BtfWriter()
    byte = btf.type(1, "char", 1, [8])
    array = btf.type(3, extra=[byte, byte, 32])
    variable = btf.type(14, "part.0", array, [0])
    btf.type(15, ".data", 8, [variable, 0, size], vlen=1)
    writer = reading(".data", bytes(range(8)))
    writer.symbol("part.0", 2, 0, size, kind=STT_OBJECT, binding=STB_LOCAL)
    writer.section(".BTF", btf.build(), 0)
    assert load(writer.build()).data["part.0"] == seen


def test_a_distance_that_is_no_address_is_null() -> None:
    """The tables of clang's -fpic: 4 bytes, a distance, but marked as an address."""
    writer = reading(".data", (12).to_bytes(4, "little") + bytes(4))
    writer.relocate(2, 0, 3, writer.symbol("x", 2, 4, kind=STT_OBJECT))
    obj = load(writer.build())
    assert obj.unsupported == (".data+0 is null: a pointer to 'x' leaves section '.data'",)
    assert obj["prog"].run().value == 0


def test_names_that_begin_as_special_ones() -> None:
    """As libbpf's `__bpf_usdt_specs`."""
    writer = reading(".data", (7).to_bytes(8, "little"))
    writer.symbol("__mine", 2, 0, 8, kind=STT_OBJECT)
    obj = load(writer.build())
    assert obj.data.__mine == 7
    obj.data.__mine = 8
    assert obj.data["__mine"] == 8
    assert load(one_program(name="__hidden").build()).programs.__hidden.name == "__hidden"
