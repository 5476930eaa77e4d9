"""Maps of objects: what all the ways of definition say, what they hold, sharing, resetting."""
# ruff: noqa: N802 -- tests of hostile input carry the name of their row, in its capitals

from __future__ import annotations

import struct
from typing import Any

import pytest

from btf_writer import BtfWriter
from drybpf import Helpers, Object, load
from drybpf.errors import ObjectError, UnknownHelper
from drybpf.helpers import errno
from drybpf.isa import Instruction, encode
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.memory import HANDLES
from drybpf.objects import read_object
from drybpf.objects.elf import STB_LOCAL, STT_NOTYPE, STT_OBJECT, STT_SECTION
from drybpf.objects.map_sources import MapSource
from drybpf.space import Space
from elf_writer import DATA, EXIT, LDDW_R1_0, ElfWriter, one_program
from object_runs import ENGINES, run_object
from support import fixture

MAPS = fixture("load_maps")
R_BPF_64_64, R_BPF_64_ABS64 = 1, 2
HASH, ARRAY, PROG_ARRAY, LRU = MapType.HASH, MapType.ARRAY, MapType.PROG_ARRAY, MapType.LRU_HASH
HANDLE = encode([LDDW_R1_0, Instruction(0xBF, dst=0, src=1), EXIT])  # returns what it loads


def legacy(*maps: tuple[str, list[int]], section: str = "maps", **symbol: int) -> ElfWriter:
    """A program, and in section 2 definitions one behind the other, all of the given words."""
    writer = one_program(HANDLE, "test")
    data = b"".join(struct.pack(f"<{len(words)}I", *words) for _, words in maps)
    index = writer.section(section, data, DATA)
    offset = 0
    for name, words in maps:
        writer.symbol(name, index, offset, **{"kind": STT_OBJECT, **symbol})
        offset += 4 * len(words)
    return writer


def sources(writer: ElfWriter) -> dict[str, MapSource]:
    return dict(read_object(writer.build()).maps)


def definitions(writer: ElfWriter) -> dict[str, MapDefinition]:
    return {name: source.definition for name, source in sources(writer).items()}


# Definitions of words


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8, 9, 12])
@pytest.mark.parametrize("kind", [STT_OBJECT, STT_NOTYPE])
def test_legacy_maps_of_every_length(length: int, kind: int) -> None:
    words = [HASH, 4, 8, 16, 1, 0, 0, 0, 0, 0, 0, 0]
    writer = legacy(("a", words[:length]), ("b", [LRU, 2, 3, 5, *words[4:length]]), kind=kind)
    flags = 1 if length > 4 else 0
    assert definitions(writer) == {
        "a": MapDefinition("a", HASH, 4, 8, 16, flags),
        "b": MapDefinition("b", LRU, 2, 3, 5, flags),
    }


def test_a_section_for_each_map() -> None:
    assert list(definitions(legacy(("mine", [HASH, 4, 4, 1]), section="maps/events"))) == ["mine"]
    nameless = legacy(("", [HASH, 4, 4, 1]), section="maps/events")
    assert list(definitions(nameless)) == ["events"]


def test_28_bytes_are_of_two_kinds() -> None:
    """The kernel's samples have an inner map's index and a NUMA node there, Cilium id and pin."""
    writer = legacy(
        ("inner", [HASH, 4, 4, 8, 0, 0, 0]),
        ("outer", [MapType.HASH_OF_MAPS, 4, 0, 2, 0, 0, 0]),
        ("calls", [PROG_ARRAY, 4, 4, 8, 0, 2, 2]),
        ("numa", [HASH, 4, 4, 8, 1 << 2, 0, 2]),
    )
    found = sources(writer)
    inner = MapDefinition("inner", HASH, 4, 4, 8)
    assert found["outer"].definition == MapDefinition(
        "outer", MapType.HASH_OF_MAPS, 4, 4, 2, inner=inner
    )
    assert (found["calls"].id, found["calls"].definition.pinned) == (2, True)
    assert not found["numa"].definition.pinned
    assert found["outer"].maps == {}


def test_36_bytes_are_iproute2s() -> None:
    """type, key, value, entries, flags, id, pinning, inner id, inner index."""
    nowhere = 0xFFFF_FFFF
    writer = legacy(
        ("first", [ARRAY, 4, 4, 1, 0, 7, 0, 0, 2]),
        ("second", [ARRAY, 4, 4, 1, 0, 7, 1, 0, nowhere]),
        ("outer", [MapType.ARRAY_OF_MAPS, 4, 4, 4, 0, 8, 2, 7, 0]),
        ("alone", [MapType.ARRAY_OF_MAPS, 4, 4, 4, 0, 9, 0, 0, 0]),
    )
    found = sources(writer)
    assert [source.definition.pinned for source in found.values()] == [False, False, True, False]
    assert found["outer"].maps == {2: "first"}
    inner = found["outer"].definition.inner
    assert inner is not None
    assert inner.name == "first"
    assert found["alone"].definition.inner is None
    obj = load(writer.build())
    assert obj.maps.outer[2] is obj.maps.first


@pytest.mark.parametrize("index", [1, 9])
def test_an_inner_map_that_is_not_there(index: int) -> None:
    writer = legacy(
        ("inner", [HASH, 4, 4, 8, 0, 0, 0]), ("outer", [MapType.HASH_OF_MAPS, 4, 4, 2, 0, index, 0])
    )
    assert definitions(writer)["outer"].inner is None


def test_types_by_the_kernels_annotation() -> None:
    writer = legacy(("flows", [HASH, 4, 2, 8, 0]), ("other", [HASH, 8, 8, 8, 0]))
    btf = BtfWriter()
    u32 = btf.type(1, "unsigned int", 4, [32])
    char = btf.type(1, "char", 1, [1 << 24 | 8])
    name = btf.type(3, "", 0, [char, u32, 2])
    for map_ in ("flows", "other"):
        extra = [btf.string("key"), u32, 0, btf.string("value"), name, 32]
        btf.type(4, f"____btf_map_{map_}", 8, extra, vlen=2)
    writer.section(".BTF", btf.build(), 0)
    found = load(writer.build()).maps
    found.flows[5] = "ab"
    assert dict(found.flows) == {5: "ab"}
    found.other[bytes(8)] = bytes(8)  # 4 and 2 bytes, which do not fit: left out
    assert list(found.other) == [bytes(8)]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([HASH, 4, 4], "map 'a' at offset 0 has 12 bytes, which are no definition"),
        ([99, 4, 4, 1], "map 'a': there is no map type 99"),
    ],
)
def test_L14_legacy_definitions_of_the_wrong_size_or_type(words: list[int], reason: str) -> None:
    with pytest.raises(ObjectError, match=reason):
        load(legacy(("a", words)).build())


@pytest.mark.parametrize("offset", [2, 28, 2**40])
def test_L14_legacy_definitions_at_odd_places(offset: int) -> None:
    writer = legacy(("a", [HASH, 4, 4, 1, 0, 0, 0]))
    writer.symbol("b", 2, offset, kind=STT_OBJECT)
    with pytest.raises(ObjectError, match="which are no definition"):
        load(writer.build())


def test_two_maps_of_one_name() -> None:
    writer = legacy(("a", [HASH, 4, 4, 1]))
    writer.symbol("a", writer.section("maps/b", bytes(16), DATA), kind=STT_OBJECT)
    writer.sections[3].data = struct.pack("<4I", HASH, 4, 4, 1)
    with pytest.raises(ObjectError, match="two maps are called 'a'"):
        load(writer.build())


# Definitions in BTF


def test_what_clang_makes_of_definitions() -> None:
    """As in tests/fixtures/src/load_maps.c."""
    found = read_object(MAPS).maps
    facts = {
        name: (s.definition.type.name, s.definition.key_size, s.definition.value_size,
               s.definition.max_entries)
        for name, s in found.items()
    }  # fmt: skip
    assert facts == {
        "flows": ("HASH", 16, 16, 1024),
        "totals": ("ARRAY", 4, 8, 4),
        "errors": ("ARRAY", 4, 8, 4),
        "sized": ("LRU_HASH", 6, 12, 16),
        "bloom": ("BLOOM_FILTER", 0, 4, 100),
        "ring": ("RINGBUF", 0, 0, 4096),
        "perf": ("PERF_EVENT_ARRAY", 4, 4, 0),
        "inner_a": ("ARRAY", 4, 4, 2),
        "inner_b": ("ARRAY", 4, 4, 2),
        "outer": ("ARRAY_OF_MAPS", 4, 4, 4),
        "by_name": ("HASH_OF_MAPS", 4, 4, 8),
        "programs": ("PROG_ARRAY", 4, 4, 4),
    }
    assert found["flows"].definition.flags == 1
    assert [name for name, source in found.items() if source.definition.pinned] == ["sized"]
    assert found["bloom"].definition.extra == 3
    assert (str(found["flows"].definition.key), str(found["flows"].definition.value)) == (
        "struct flow",
        "struct counters",
    )
    inner = found["by_name"].definition.inner
    assert inner is not None
    assert (inner.type, inner.key_size, inner.max_entries) == (HASH, 8, 32)
    assert found["outer"].maps == {1: "inner_a", 3: "inner_b"}
    assert found["programs"].programs == {0: "leaf", 2: "middle"}
    assert load(MAPS).unsupported == ()


class MapWriter:
    """Writes `.maps`: a variable of structures of pointers, as libbpf's macros make them."""

    def __init__(self) -> None:
        self.btf = BtfWriter()
        self.u32 = self.btf.type(1, "unsigned int", 4, [32])
        self.variables: list[int] = []

    def uint(self, value: int) -> int:
        return self.btf.type(2, "", self.btf.type(3, "", 0, [self.u32, self.u32, value]))

    def pointer(self, target: int) -> int:
        return self.btf.type(2, "", target)

    def struct(self, members: dict[str, int]) -> int:
        extra = [
            value
            for index, (name, type_id) in enumerate(members.items())
            for value in (self.btf.string(name), type_id, 64 * index)
        ]
        return self.btf.type(4, "", 8 * len(members), extra, vlen=len(members))

    def definition(self, **members: int) -> int:
        """Numbers by name; `key` and `value` are types, and so is what begins with `_`."""
        made = {
            name.removeprefix("_"): (
                self.pointer(value)
                if name in ("key", "value")
                else value
                if name.startswith("_")
                else self.uint(value)
            )
            for name, value in members.items()
        }
        return self.struct(made)

    def build(self, *maps: tuple[str, int, int], size: int = 64, linkage: int = 1) -> ElfWriter:
        """Maps by name, type and offset in BTF."""
        placed = [
            value
            for name, type_id, offset in maps
            for value in (self.btf.type(14, name, type_id, [linkage]), offset, 8)
        ]
        self.btf.type(15, ".maps", size, placed, vlen=len(maps))
        writer = one_program(HANDLE, "test")
        writer.section(".maps", bytes(size), DATA)
        writer.section(".BTF", self.btf.build(), 0)
        return writer


def test_static_maps_are_where_btf_says_and_others_where_their_symbol_says() -> None:
    w = MapWriter()
    kind = w.definition(type=HASH, key=w.u32, value=w.u32, max_entries=3)
    writer = w.build(("hidden", kind, 32), ("visible", kind, 0))
    writer.symbol("visible", 2, 8, kind=STT_OBJECT)
    writer.symbol("hidden", 2, 16, kind=STT_OBJECT, binding=STB_LOCAL)
    assert {name: s.offset for name, s in sources(writer).items()} == {"visible": 8, "hidden": 32}


def test_definitions_behind_typedefs_and_modifiers() -> None:
    w = MapWriter()
    kind = w.definition(type=HASH, key=w.u32, value=w.u32, max_entries=3)
    kind = w.btf.type(8, "map_t", w.btf.type(9, "", w.btf.type(10, "", kind)))
    assert definitions(w.build(("m", kind, 0)))["m"].max_entries == 3


def test_numbers_as_enumerations() -> None:
    w = MapWriter()
    big = w.btf.type(19, "", 8, [w.btf.string("___v"), 0, 1], vlen=1)
    kind = w.definition(type=MapType.BLOOM_FILTER, value=w.u32, max_entries=1, _map_extra=big)
    assert definitions(w.build(("m", kind, 0)))["m"].extra == 1 << 32


def test_pinnings() -> None:
    w = MapWriter()
    kinds = [
        w.definition(type=HASH, key=w.u32, value=w.u32, max_entries=1, pinning=pinning)
        for pinning in (0, 1, 16)
    ]
    found = definitions(w.build(*((f"m{i}", kind, 8 * i) for i, kind in enumerate(kinds))))
    assert [d.pinned for d in found.values()] == [False, True, False]


def test_a_ring_buffer_with_a_value_shows_its_events_by_it() -> None:
    w = MapWriter()
    kind = w.definition(type=MapType.RINGBUF, value=w.u32, max_entries=4096)
    writer = w.build(("ring", kind, 0))
    assert definitions(writer)["ring"].value_size == 0
    ring = load(writer.build()).maps.ring
    ring.push(7)
    assert list(ring) == [7]


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"type": 99}, "map 'm': there is no map type 99"),
        ({"_type": 1}, "map 'm': type is no number"),
        ({"type": 1, "_key": 1}, "map 'm': key is no pointer to a type"),
        ({"type": 1, "key_size": 8, "key": 1}, "map 'm': a key has 4 bytes, and also 8"),
        ({"type": 12, "_values": 1}, "map 'm': values are neither maps nor functions"),
    ],
)
def test_L14_btf_definitions_that_make_no_sense(members: dict[str, int], reason: str) -> None:
    w = MapWriter()
    with pytest.raises(ObjectError, match=reason):
        load(w.build(("m", w.definition(**members), 0)).build())


def test_L14_maps_that_are_no_structures_or_without_btf() -> None:
    w = MapWriter()
    with pytest.raises(ObjectError, match="its definition is no structure"):
        load(w.build(("m", w.u32, 0)).build())
    writer = one_program()
    writer.section(".maps", bytes(8), DATA)
    with pytest.raises(ObjectError, match="needs BTF"):
        load(writer.build())


def test_L14_maps_within_maps_within_maps() -> None:
    w = MapWriter()

    def holding(inner: int) -> int:
        array = w.btf.type(3, "", 0, [w.pointer(inner), w.u32, 0])
        return w.definition(type=12, key=w.u32, max_entries=1, _values=array)

    inner = w.definition(type=ARRAY, key=w.u32, value=w.u32, max_entries=1)
    assert definitions(w.build(("m", holding(inner), 0)))["m"].inner is not None
    w = MapWriter()
    inner = w.definition(type=ARRAY, key=w.u32, value=w.u32, max_entries=1)
    with pytest.raises(ObjectError, match="one deep"):
        load(w.build(("m", holding(holding(inner)), 0)).build())


def initialised(offset: int, symbol: str = "inner", addend: int | None = None) -> ElfWriter:
    """An array of maps in 32 bytes with one initialiser, and behind it the map `inner`."""
    w = MapWriter()
    inner = w.definition(type=ARRAY, key=w.u32, value=w.u32, max_entries=1)
    array = w.btf.type(3, "", 0, [w.pointer(inner), w.u32, 0])
    outer = w.definition(type=12, key=w.u32, max_entries=4, _values=array)
    writer = w.build(("outer", outer, 0), ("inner", inner, 56), size=96)
    names = {
        "inner": writer.symbol("inner", 2, 56, kind=STT_OBJECT),
        "": writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL),
        "prog": 1,
        "nothing": writer.symbol("nothing", 0, kind=STT_NOTYPE),
    }
    writer.relocate(2, offset, R_BPF_64_ABS64, names[symbol], addend)
    return writer


def test_static_initialisers() -> None:
    assert sources(initialised(24))["outer"].maps == {0: "inner"}
    assert sources(initialised(24 + 16))["outer"].maps == {2: "inner"}
    assert sources(initialised(32, "", 56))["outer"].maps == {1: "inner"}
    obj = load(initialised(40).build())
    assert obj.maps.outer[2] is obj.maps.inner


@pytest.mark.parametrize(
    ("offset", "symbol", "addend", "reason"),
    [
        (25, "inner", None, "an initialiser is at no value"),
        (52, "inner", None, "an initialiser is at no value"),
        (24, "nothing", None, "its initialiser 'nothing' is neither a map nor a program"),
        (24, "", 8, "its initialiser '' is neither"),
    ],
)
def test_L14_initialisers_that_make_no_sense(
    offset: int, symbol: str, addend: int | None, reason: str
) -> None:
    with pytest.raises(ObjectError, match=reason):
        load(initialised(offset, symbol, addend).build())


def test_L14_an_inner_map_that_does_not_fit() -> None:
    writer = initialised(24)
    obj = load(writer.build())
    assert obj.maps.outer[0] is obj.maps.inner
    w = MapWriter()
    inner = w.definition(type=ARRAY, key=w.u32, value=w.u32, max_entries=1)
    other = w.definition(type=HASH, key=w.u32, value=w.u32, max_entries=1)
    array = w.btf.type(3, "", 0, [w.pointer(inner), w.u32, 0])
    outer = w.definition(type=12, key=w.u32, max_entries=4, _values=array)
    writer = w.build(("outer", outer, 0), ("other", other, 56), size=96)
    writer.relocate(2, 24, R_BPF_64_ABS64, writer.symbol("other", 2, 56, kind=STT_OBJECT))
    with pytest.raises(ObjectError, match="map 'outer': other does not fit"):
        load(writer.build())


# References to maps


def test_a_program_gets_the_handle() -> None:
    writer = legacy(("a", [HASH, 4, 4, 1, 0]), ("b", [HASH, 4, 4, 1, 0]))
    writer.relocate(1, 0, R_BPF_64_64, 3)
    data = writer.build()
    assert run_object(data, "prog").value == HANDLES + 2
    program = load(data)["prog"]
    assert program.disassemble().splitlines()[0] == "lddw r1, map_by_fd(2)"


def test_a_map_by_its_section_and_offset() -> None:
    writer = legacy(("a", [HASH, 4, 4, 1, 0]), ("b", [HASH, 4, 4, 1, 0]))
    text = writer.symbol("", 2, kind=STT_SECTION, binding=STB_LOCAL)
    writer.relocate(1, 0, R_BPF_64_64, text, 20)
    assert run_object(writer.build(), "prog").value == HANDLES + 2


def test_the_middle_of_a_map_is_an_obstacle() -> None:
    writer = legacy(("a", [HASH, 4, 4, 1, 0]))
    writer.relocate(1, 0, R_BPF_64_64, 2, 4)
    program = load(writer.build())["prog"]
    assert program.obstacles == (
        "insn 0 refers to 'a' in section 'maps', where neither maps nor variables are",
    )


def test_a_map_that_the_kernel_would_refuse_is_named_and_faults_where_it_is_reached() -> None:
    writer = legacy(("a", [HASH, 0, 4, 1, 0]), ("b", [HASH, 4, 4, 1, 0]))
    writer.relocate(1, 0, R_BPF_64_64, 2)
    obj = load(writer.build())
    assert list(obj.maps) == ["b"]
    named, in_program = obj.unsupported
    assert named.startswith("map 'a': ")
    assert in_program.startswith("prog: insn 0 refers to 'a' in section 'maps': ")
    for engine in ENGINES:
        with pytest.raises(UnknownHelper, match="the instruction refers to 'a'"):
            obj["prog"].run(engine=engine)


# Programs and maps


def test_programs_count_in_maps_that_python_sees_typed() -> None:
    outcome = run_object(MAPS, "count", bytes(60), times=3)
    assert outcome.value == 2
    (entry,) = outcome.maps["flows"].items()
    assert entry == (
        {"source": 1, "destination": 2, "ports": (3, 4), "protocol": 17, "padding": bytes(3)},
        {"packets": 3, "bytes": 180},
    )


def test_python_fills_maps_before_a_run() -> None:
    flow = {"source": 1, "destination": 2, "ports": [3, 4], "protocol": 17}
    outcome = run_object(
        MAPS, "count", bytes(60), prepare=lambda obj: obj.maps.flows.update([(_key(obj), (5, 6))])
    )
    assert [tuple(value) for value in outcome.maps["flows"].values()] == [(6, 66)]
    obj = load(MAPS)
    obj.maps.flows[flow] = {"packets": 1}
    assert obj.maps.flows[flow] == (1, 0)


def _key(obj: Object) -> Any:  # noqa: ANN401 (a record)
    key = obj.file.maps["flows"].definition.key
    assert key is not None
    wanted = {"source": 1, "destination": 2, "ports": [3, 4], "protocol": 17}
    return key.unpack(key.pack(wanted))


def test_maps_of_maps() -> None:
    outcome = run_object(MAPS, "nested", bytes(60))
    assert outcome.value == 2
    assert outcome.maps["inner_b"] == [0, 7]
    assert outcome.maps["outer"] == {1: "inner_a", 3: "inner_b"}


def test_reset_brings_maps_back_to_what_the_object_says() -> None:
    obj = load(MAPS)
    obj["count"].run(bytes(60))
    obj["nested"].run(bytes(60))
    obj.maps.programs.clear()
    del obj.maps.outer[1]
    obj.reset()
    assert len(obj.maps.flows) == 0
    assert list(obj.maps.inner_b) == [0, 0]
    assert list(obj.maps.outer) == [1, 3]
    assert list(obj.maps.programs) == [0, 2]
    assert obj["enter"].run(bytes(60)).value == 3


# Sharing


def test_maps_are_shared_by_giving_them() -> None:
    first = load(MAPS)
    second = load(MAPS, maps={"flows": first.maps.flows, "inner_b": first.maps.inner_b})
    assert second.space is first.space
    first["count"].run(bytes(60))
    assert second["count"].run(bytes(60)).value == 2
    assert [value.packets for value in first.maps.flows.values()] == [2]
    assert second.maps.totals is not first.maps.totals
    assert second.maps.outer[3] is first.maps.inner_b


def test_a_map_of_ones_own() -> None:
    definition = read_object(MAPS).maps["totals"].definition
    mine: Any = Map.create(definition)
    obj = load(MAPS, maps={"totals": mine})
    obj["leaf"].run(bytes(60))
    assert list(mine) == [0, 0, 1, 0]


def test_a_map_in_place_of_one_that_is_too_small_or_refused() -> None:
    writer = legacy(("a", [HASH, 4, 4, 0, 0]))
    writer.relocate(1, 0, R_BPF_64_64, 2)
    data = writer.build()
    (named, _) = load(data).unsupported
    assert named.endswith("; give load(..., maps={'a': Map.create(…)})")
    mine: Map = Map.create(MapDefinition("mine", HASH, 4, 4, 100))
    obj = load(data, maps={"a": mine})
    assert obj.unsupported == ()
    assert obj["prog"].run().value == mine.handle


@pytest.mark.parametrize("kind", [MapType.RINGBUF, MapType.USER_RINGBUF])
def test_ring_buffers_are_rounded_up_as_libbpf_does(kind: MapType) -> None:
    for entries, wanted in ((1, 4096), (4096, 4096), (5000, 8192), (1 << 24, 1 << 24)):
        obj = load(legacy(("r", [kind, 0, 0, entries, 0])).build())
        assert obj.maps.r.definition.max_entries == wanted


def test_pinned_maps_are_shared_in_a_space() -> None:
    space = Space()
    first, second = load(MAPS, space=space), load(MAPS, space=space)
    assert first.maps.sized is second.maps.sized
    assert first.maps.flows is not second.maps.flows
    assert load(MAPS).maps.sized is not first.maps.sized


def test_what_cannot_be_shared() -> None:
    obj = load(MAPS)
    with pytest.raises(ValueError, match="maps: the object has no map 'other'; it has "):
        load(MAPS, maps={"other": obj.maps.flows})
    with pytest.raises(ValueError, match="maps: 'totals' has type HASH, the object wants ARRAY"):
        load(MAPS, maps={"totals": obj.maps.flows})
    with pytest.raises(ValueError, match="belongs to another space"):
        load(MAPS, maps={"flows": obj.maps.flows}, space=Space())
    space = Space()
    w = MapWriter()
    for entries in (1, 2):
        kind = w.definition(type=HASH, key=w.u32, value=w.u32, max_entries=entries, pinning=1)
        data = w.build(("m", kind, 0)).build()
        w = MapWriter()
        if entries == 1:
            load(data, space=space)
    with pytest.raises(ObjectError, match="the pinned map 'm' has max_entries 1, the object wants"):
        load(data, space=space)


def test_two_objects_in_one_space_do_not_overlap() -> None:
    space = Space()
    first, second = load(MAPS, space=space), load(fixture("load_globals"), space=space)
    assert first["count"].run(bytes(60)).value == 2
    assert second["follow"].run().value == 8
    assert second["count"].run().value == 111


def test_helpers_given_are_seen_but_not_changed() -> None:
    given = Helpers()
    obj = load(MAPS, helpers=given)
    assert len(given) == 0
    given.register("bpf_map_lookup_elem", lambda *_: -errno.EINVAL & (1 << 64) - 1)
    with pytest.raises(Exception, match="insn"):
        obj["leaf"].run(bytes(60))
    with obj.helpers.replace("bpf_map_lookup_elem", lambda *_: 0) as calls:
        assert obj["leaf"].run(bytes(60)).value == 3
    assert [call.arguments[0] for call in calls] == [obj.maps.totals.handle]


def test_a_ring_of_a_negative_size_is_no_map() -> None:
    w = MapWriter()
    negative = w.btf.type(6, "", 4, [w.btf.string("x"), -1], vlen=1, flag=1)
    ring = w.definition(type=MapType.RINGBUF, _max_entries=negative)
    obj = load(w.build(("r", ring, 0)).build())
    assert "max_entries -1 has no 32 bits" in obj.unsupported[0]
    assert not obj.maps
