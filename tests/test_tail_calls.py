"""Program arrays as objects fill them: initialisers, tags, names of sections, and Python."""

from __future__ import annotations

import pickle
import struct

import pytest

from drybpf import load
from drybpf.isa import Instruction, encode
from drybpf.maps import MapType
from drybpf.objects import ProgramType, read_object
from drybpf.objects.elf import STT_OBJECT
from elf_writer import DATA, EXIT, RETURN_1, ElfWriter
from object_runs import ENGINES, run_object
from support import fixture, shared

MAPS, TAILS = fixture("load_maps"), fixture("load_tails")
PROG_ARRAY = MapType.PROG_ARRAY


def test_initialisers() -> None:
    outcome = run_object(MAPS, "enter", bytes(60))
    assert outcome.value == 3
    assert outcome.maps["programs"] == {0: "leaf", 2: "middle"}
    assert outcome.maps["totals"] == [0, 0, 1, 0]


def test_tags() -> None:
    assert read_object(TAILS).filling == {"calls": {5: "tagged", 1: "forever"}, "chosen": {}}
    outcome = run_object(TAILS, "first", bytes(60))
    assert (outcome.value, outcome.data["depth"]) == (3, 10)


def test_the_kernels_limit() -> None:
    """33 tail calls; the 34th does not happen and the program goes on behind it."""
    outcome = run_object(TAILS, "again", bytes(60))
    assert (outcome.value, outcome.data["depth"]) == (1, 33)


def test_python_fills_arrays() -> None:
    def prepare(obj: object) -> None:
        obj.maps["chosen"][1] = obj["tagged"]  # type: ignore[attr-defined,index]  # an Object

    assert run_object(TAILS, "by_user", bytes(60)).value == 2
    assert run_object(TAILS, "by_user", bytes(60), prepare=prepare).value == 3


def test_a_pickled_program_takes_its_program_arrays_along() -> None:
    for program, value in (("first", 3), ("again", 1)):
        twin = pickle.loads(pickle.dumps(load(TAILS)[program]))  # noqa: S301 (our own)
        for engine in ENGINES:
            assert twin.run(bytes(60), engine=engine).value == value


def test_a_shared_array_keeps_what_is_in_it() -> None:
    first = load(MAPS)
    first.maps.outer.clear()
    second = load(MAPS, maps={"outer": first.maps.outer, "programs": first.maps.programs})
    assert len(second.maps.outer) == 0
    assert second.maps.programs[0] is second["leaf"]


def test_reset_empties_what_python_filled() -> None:
    obj = load(TAILS)
    obj.maps.chosen[1] = obj["tagged"]
    del obj.maps.calls[5]
    obj.reset()
    assert (list(obj.maps.chosen), list(obj.maps.calls)) == ([], [1, 5])


def named(*sections: str, entries: int = 8, ids: tuple[int, ...] = (2,)) -> ElfWriter:
    """Programs p0, p1, … in these sections, and one program array of each id."""
    writer = ElfWriter()
    for index, section in enumerate(sections):
        writer.symbol(f"p{index}", writer.section(section, RETURN_1), size=16)
    words = [struct.pack("<7I", PROG_ARRAY, 4, 4, entries, 0, number, 0) for number in ids]
    maps = writer.section("maps", b"".join(words), DATA)
    for index in range(len(ids)):
        writer.symbol(f"array{index}", maps, 28 * index, kind=STT_OBJECT)
    return writer


@pytest.mark.parametrize(
    ("sections", "wanted"),
    [
        (("2/3", "2/0x5", "from-netdev"), {3: "p0", 5: "p1"}),  # Cilium: the array's id, the slot
        (("1/3",), {}),  # no array has that id
        (("tail-4", "tail-0", "downcall"), {4: "p0", 0: "p1"}),  # Open vSwitch
        (("socket/1", "socket", "kprobe/2"), {1: "p0", 2: "p2"}),  # the kernel's samples
        (("xdp_prog/3", "xdp/2", "xdp/devmap"), {3: "p0", 2: "p1"}),
        (("socket/8",), {}),  # behind the end
        (("2/x",), {}),
    ],
)
def test_names_of_sections(sections: tuple[str, ...], wanted: dict[int, str]) -> None:
    data = named(*sections).build()
    assert read_object(data).filling == {"array0": wanted}
    obj = load(data)
    assert {slot: program.name for slot, program in obj.maps.array0.items()} == wanted


def test_which_array() -> None:
    data = named("1/0", "2/1", "socket/3", ids=(1, 2)).build()
    assert read_object(data).filling == {"array0": {0: "p0"}, "array1": {1: "p1", 3: "p2"}}


def test_real_objects() -> None:
    tail_call = shared("objects/build/tail_call.o")
    assert run_object(tail_call, "caller", bytes(64)).value == 42
    ovs = load(shared("objects/ovs/datapath.o"))
    (calls,) = [found for found in ovs.maps.values() if found.definition.type == PROG_ARRAY]
    assert {slot: program.section for slot, program in calls.items()} == {
        int(name.removeprefix("tail-")): name for name in ovs if name.startswith("tail-")
    }
    lxc = load(shared("objects/bpf_cilium_test/bpf_lxc_jit.o"))
    assert {slot: p.section for slot, p in lxc.maps.cilium_calls_56326.items()} == {
        int(section[2:]): section
        for section in (program.section for program in lxc.programs.values())
        if section.startswith("2/")
    }


# Which type programs of such names are of


def calling(section: str, number: int) -> bytes:
    writer = ElfWriter()
    code = encode([Instruction(0x85, imm=number), EXIT])
    writer.symbol("prog", writer.section(section, code), size=16)
    return writer.build()


@pytest.mark.parametrize("section", ["2/3", "from-netdev", "to-netdev", "from-host"])
def test_helpers_tell_whether_a_custom_name_means_xdp(section: str) -> None:
    xdp_adjust_head, skb_load_bytes, ktime = 44, 26, 5
    assert read_object(calling(section, xdp_adjust_head))["prog"].type == ProgramType.XDP
    assert read_object(calling(section, skb_load_bytes))["prog"].type == ProgramType.SCHED_CLS
    assert read_object(calling(section, ktime))["prog"].type == ProgramType.SCHED_CLS


@pytest.mark.parametrize(
    ("offsets", "wanted"),
    [
        ((0, 4), ProgramType.XDP),
        ((0, 4, 12), ProgramType.XDP),
        ((76, 80), ProgramType.SCHED_CLS),
        ((0, 4, 76), ProgramType.SCHED_CLS),
        ((0,), ProgramType.SCHED_CLS),
        ((), ProgramType.SCHED_CLS),
    ],
)
def test_fields_of_the_context_tell_it_too(offsets: tuple[int, ...], wanted: ProgramType) -> None:
    code = [Instruction(0xBF, 6, 1)]
    code += [Instruction(0x61, 2, 6, offset) for offset in offsets]
    code += [Instruction(0xB7, 6), Instruction(0x61, 2, 6, 80), EXIT]  # no longer the context
    writer = ElfWriter()
    data = encode(code)
    writer.symbol("prog", writer.section("from-netdev", data), size=len(data))
    assert read_object(writer.build())["prog"].type == wanted


def test_a_type_asked_for_goes_before() -> None:
    xdp = read_object(calling("2/3", 26), types={"2/3": ProgramType.XDP})
    assert xdp["prog"].type == ProgramType.XDP


def test_a_real_xdp_object_of_cilium() -> None:
    assert load(shared("objects/cilium/bpf_xdp.o"))["xdp_start"].type == ProgramType.XDP
    assert load(shared("objects/cilium/bpf_lb.o"))["from_netdev"].type == ProgramType.SCHED_CLS
