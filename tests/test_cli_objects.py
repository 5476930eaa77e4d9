"""`drybpf info`, and the maps and variables of `drybpf run`."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from drybpf import cli, load
from drybpf.cli.contents import entries
from drybpf.cli.values import from_json, read_value, split, to_json, to_text
from drybpf.maps import Codec, Map, MapDefinition, MapType, RawBytes
from drybpf.objects.codecs import Boolean, Enumeration, Floating, Integer, Octets, Repeated, Text
from drybpf.objects.elf import STT_OBJECT
from elf_writer import DATA, one_program
from support import TRAFFIC, fixture, shared

MAPS, GLOBALS, EXTERNS, CORE = (
    str(fixture(name)) for name in ("load_maps", "load_globals", "load_externs", "load_core")
)
PACKET = "00" * 60
FLOW = '{"source": 1, "destination": 2, "ports": [3, 4], "protocol": 17}'


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:  # noqa: ANN401 (JSON)
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 0
    return json.loads(out)


# info


def test_info_of_programs_and_maps(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "info", MAPS)
    assert (found["file"], found["license"], found["unsupported"]) == (MAPS, "GPL", [])
    assert found["programs"][0] == {
        "name": "leaf", "section": "xdp", "type": "xdp", "instructions": 13,
        "helpers": ["bpf_map_lookup_elem"], "unsupported": [],
    }  # fmt: skip
    by_name = {each["name"]: each for each in found["maps"]}
    assert by_name["flows"] == {
        "name": "flows", "type": "hash", "key_size": 16, "key": "struct flow", "value_size": 16,
        "value": "struct counters", "max_entries": 1024, "flags": 1, "pinned": False,
        "inner": None,
    }  # fmt: skip
    assert by_name["by_name"]["inner"]["key"] == "u64"
    assert by_name["sized"]["pinned"]


def test_info_of_variables_and_what_is_not_supported(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(capsys, "info", GLOBALS)
    by_name = {each["name"]: each for each in found["variables"]}
    assert by_name["threshold"] == {
        "name": "threshold", "section": ".rodata", "type": "u32", "size": 4, "writable": False,
        "value": 100,
    }  # fmt: skip
    assert by_name["everything"]["value"]["mac"] == "0x020000000001"
    assert by_name["everything"]["value"]["points"][1] == {"x": 2, "y": -2}
    missing = run_json(capsys, "info", EXTERNS)
    assert len(missing["unsupported"]) == 4
    programs = {each["name"]: each for each in missing["programs"]}
    assert programs["call_memory"]["helpers"] == ["memset", "memcpy", "memmove", "memcmp"]
    assert "kconfig" in programs["read_unknown"]["unsupported"][0]


def test_json_has_no_numbers_that_json_has_not() -> None:
    shown = [to_json(float(text)) for text in ("nan", "inf", "-inf", "1.5")]
    assert shown == ["nan", "inf", "-inf", 1.5]
    assert read_value("-inf", Floating(8)) == float("-inf")


def test_info_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "info", MAPS)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{MAPS}: GPL"
    assert "  leaf    xdp      xdp   13            bpf_map_lookup_elem" in lines
    assert (
        "  flows     hash                    struct flow  struct counters  1024     flags 0x1"
        in lines
    )
    assert "  outer     array_of_maps of array  u32          4 bytes          4" in lines
    assert "not supported" not in lines
    _, out, _ = run(capsys, "info", GLOBALS)
    assert '  title            .rodata         char[16]           "hello"' in out.splitlines()
    _, out, _ = run(capsys, "info", EXTERNS)
    assert "\nnot supported\n  read_unknown: insn 0 reads CONFIG_UNKNOWN" in out


def test_info_against_other_types(capsys: pytest.CaptureFixture[str]) -> None:
    target = str(fixture("load_core_target"))
    assert run_json(capsys, "info", CORE)["unsupported"] == []
    found = run_json(capsys, "info", CORE, "--btf", target)["unsupported"]
    assert "reach_missing: insn 3 asks CO-RE for record___other.missing" in found[1]


def test_info_of_what_is_no_object(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "text.o"
    path.write_text("mov r0, 1")
    code, _, err = run(capsys, "info", str(path))
    assert (code, err) == (3, "drybpf: not an ELF file\n")


def test_info_of_real_objects(capsys: pytest.CaptureFixture[str]) -> None:
    for path in sorted(shared("objects").glob("*/*.o")):
        found = run_json(capsys, "info", str(path))
        assert found["programs"]
        code, out, _ = run(capsys, "info", str(path))
        assert (code, out.startswith(str(path))) == (0, True)


# run


def test_maps_are_filled_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("run", MAPS, "--program", "count", "--mem", PACKET, "--map", f"flows={FLOW}:[5,6]")
    for engine in ("interpreter", "jit"):
        found = run_json(capsys, *arguments, "--dump-maps", "--engine", engine)
        assert found["action"] == "PASS"
        assert found["maps"]["flows"] == [
            {
                "key": json.loads(FLOW) | {"padding": "0x000000"},
                "value": {"packets": 6, "bytes": 66},
            }
        ]
        assert found["maps"]["totals"] == []
    code, out, _ = run(capsys, *arguments, "--dump-maps")
    assert code == 0
    assert out.splitlines()[0] == "PASS (2)"
    assert "map flows (hash)" in out
    assert "{packets: 6, bytes: 66}" in out
    assert "map totals (array)\n  empty" in out


def test_entries_of_every_kind_of_map(capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "totals=0:7,3:0x10", 'sized="02:00:00:00:00:01":0x000102030405060708090a0b',
        "bloom=1,2", "programs=1:count,3:leaf", "outer=0:inner_b", "inner_a=1:5",
    )  # fmt: skip
    filled = [word for option in options for word in ("--map", option)]
    found = run_json(
        capsys, "run", MAPS, "--program", "enter", "--mem", PACKET, "--dump-maps", *filled
    )["maps"]
    assert found["totals"] == [
        {"key": 0, "value": 7}, {"key": 2, "value": 1}, {"key": 3, "value": 16},
    ]  # fmt: skip
    assert found["sized"] == [{"key": "0x020000000001", "value": "0x000102030405060708090a0b"}]
    assert found["programs"] == [
        {"key": slot, "value": name}
        for slot, name in enumerate(("leaf", "count", "middle", "leaf"))
    ]
    assert found["outer"][0] == {"key": 0, "value": "inner_b"}
    assert found["inner_a"] == [{"key": 1, "value": 5}]


def test_prefixes_queues_and_values_of_each_cpu(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kinds = {
        "routes": (MapType.LPM_TRIE, 8, 4, 8, 1), "routes6": (MapType.LPM_TRIE, 20, 4, 8, 1),
        "queue": (MapType.QUEUE, 0, 4, 8, 0), "each": (MapType.PERCPU_ARRAY, 4, 4, 2, 0),
    }  # fmt: skip
    writer = one_program(section="xdp")
    words = b"".join(struct.pack("<5I", *kind) for kind in kinds.values())
    section = writer.section("maps", words, DATA)
    for index, name in enumerate(kinds):
        writer.symbol(name, section, 20 * index, kind=STT_OBJECT)
    path = tmp_path / "maps.o"
    path.write_bytes(writer.build())
    options = ("routes=10.0.0.0/8:5", 'routes6="2001:db8::/32":0x06000000', "queue=3,4", "each=1:7")
    filled = [word for option in options for word in ("--map", option)]
    found = run_json(capsys, "run", str(path), "--mem", PACKET, "--dump-maps", *filled)["maps"]
    five, six, seven = "0x05000000", "0x06000000", "0x07000000"
    assert found == {
        "routes": [{"key": "0x080000000a000000", "value": five}],
        "routes6": [{"key": "0x2000000020010db8" + "00" * 12, "value": six}],
        "queue": [{"key": 0, "value": "0x03000000"}, {"key": 1, "value": "0x04000000"}],
        "each": [{"key": 1, "value": [seven] * 4}],
    }


def test_maps_from_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def totals(content: object) -> list[dict[str, int]]:
        path = tmp_path / "totals.json"
        path.write_text(json.dumps(content))
        found = run_json(
            capsys, "run", MAPS, "--program", "nested", "--mem", PACKET, "--dump-maps",
            "--map", f"totals={path}",
        )  # fmt: skip
        return list(found["maps"]["totals"])

    wanted = [{"key": 1, "value": 5}, {"key": 3, "value": 6}]
    assert totals({"1": 5, "0x3": 6}) == wanted
    assert totals([0, 5, 0, 6]) == wanted
    assert totals(wanted) == wanted, "what --dump-maps wrote"


def test_variables_are_set(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(
        capsys, "run", GLOBALS, "--program", "count", "--set", "limit=100", "--set", "threshold=5",
        "--set", 'everything={"mac": "02:00:00:00:00:09", "colour": "GREEN"}',
    )  # fmt: skip
    assert found["value"] == 108


def test_maps_are_shown_after_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--program", "leaf", "--mem", PACKET, "--budget", "1", "--dump-maps")
    code, out, err = run(capsys, "run", MAPS, *arguments, "--map", "totals=3:7")
    assert (code, "the budget ends" in err) == (1, True)
    assert "  3    7\n" in out


def test_a_capture_with_maps(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_json(
        capsys, "run", MAPS, "--program", "leaf", "--pcap", str(TRAFFIC), "--dump-maps",
        "--map", "totals=2:1000",
    )  # fmt: skip
    assert found["packets"] == 77
    assert found["maps"]["totals"] == [{"key": 2, "value": 1077}]
    code, out, _ = run(
        capsys, "run", MAPS, "--program", "leaf", "--pcap", str(TRAFFIC), "--dump-maps"
    )
    assert code == 0
    assert "map totals (array)\n  key  value\n  2    77" in out


def test_types_and_targets(capsys: pytest.CaptureFixture[str]) -> None:
    tracing = str(fixture("load_core"))
    target = str(fixture("load_core_target"))
    packet = ("--mem", "02" + "00" * 7)
    arguments = ("run", tracing, "--program", "reach_missing", *packet)
    assert run(capsys, *arguments, "--btf", target)[1] == "0x2\n"
    assert run(capsys, *arguments, "--type", "xdp")[1].startswith("PASS")


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--map", "flows"], "--map 'flows' is not NAME=VALUE"),
        (["--map", "=1:2"], "--map '=1:2' is not NAME=VALUE"),
        (["--map", "other=1:2"], "--map: no map 'other'; there are inner_a, inner_b"),
        (["--map", "totals=1"], "--map totals: '1' is not KEY:VALUE"),
        (["--map", "totals=9:1"], "--map totals: 9 is not below 4"),
        (["--map", "totals=1:-1"], "--map totals: -1 does not fit"),
        (["--map", "flows={:1"], "--map flows: "),
        (["--map", 'flows={}}:{"packets": x}'], "is no JSON"),
        (["--map", "programs=1:nobody"], "--map programs: no program 'nobody'"),
        (["--map", "outer=1:nobody"], "--map outer: no map 'nobody'"),
        (["--map", "totals=missing.json"], "missing.json"),
        (["--map", "totals=-1:1"], "--map totals: -1 is no index"),
        (["--map", "perf=5"], "--map perf: only programs put events into it"),
        (["--map", "flows=1:" + "[" * 5000 + "]" * 5000], "is no JSON"),
        (["--set", "limit=1"], "--set: no variable 'limit'; there are none"),
        (["--type", "nothing"], "--type: no program type 'nothing'; there are unspec, socket"),
        (["--btf", "missing"], "cannot be read"),
    ],
)
def test_what_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    code, out, err = run(capsys, "run", MAPS, "--program", "leaf", "--mem", PACKET, *arguments)
    assert code in (2, 3)
    assert out == ""
    assert err.startswith("drybpf: ")
    assert err.count("\n") == 1
    assert reason in err


def test_options_for_objects_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "program.s"
    path.write_text("mov r0, 1\nexit\n")
    for option in (("--map", "a=1:2"), ("--set", "a=1"), ("--dump-maps",), ("--type", "xdp")):
        code, _, err = run(capsys, "run", str(path), *option)
        assert (code, "go with an object" in err) == (2, True)


@pytest.mark.usefixtures("no_garbage")
def test_a_json_file_of_something_else(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, reason in (
        ("5", "holds neither an object nor a list"),
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1, 2, 3, 4, 5]", "4 is not below 4"),
    ):
        path.write_text(text)
        code, _, err = run(
            capsys, "run", MAPS, "--program", "leaf", "--mem", PACKET, "--map", f"totals={path}"
        )
        assert (code, reason in err) == (2, True)


# Values


COLOUR = Enumeration("colour", 4, False, {"RED": 3}, {3: "RED"})


@pytest.mark.parametrize(
    ("text", "codec", "value"),
    [
        ("12", Integer(4), 12), ("0x0c", Integer(4), 12), ("-1", Integer(4, signed=True), -1),
        (" 7 ", Integer(4), 7), ("true", Boolean(), True), ("false", Boolean(), False),
        ("1.5", Floating(8), 1.5), ("RED", COLOUR, "RED"), ("text", Text(8), "text"),
        ('"a:b,c"', Text(8), "a:b,c"), ("12", Text(8), "12"),
        ("0x0102", Octets(2), b"\1\2"), ("0x0102", RawBytes(2), b"\1\2"),
        ("258", RawBytes(2), 258), ("0x1", RawBytes(2), 1), ("0x0102", Integer(2), 258),
        ("10.0.0.1", Integer(4), b"\x0a\0\0\1"), ("10.0.0.1", RawBytes(4), b"\x0a\0\0\1"),
        ("2001:db8::1", Octets(16), bytes.fromhex("20010db8000000000000000000000001")),
        ("02:00:00:00:00:0a", Octets(6), b"\2\0\0\0\0\x0a"),
        ("[1, 2]", Repeated(Integer(2), 2), [1, 2]),
        ('["0x0102", "0x0304"]', Repeated(Octets(2), 2), [b"\1\2", b"\3\4"]),
        ("10.0.0.0/8", RawBytes(8), "10.0.0.0/8"),
    ],
)  # fmt: skip
def test_texts_of_values(text: str, codec: Codec, value: object) -> None:
    assert read_value(text, codec) == value


def test_texts_are_split_outside_of_brackets_and_quotes() -> None:
    assert split('{"a": [1, 2]}:5,"x:y,\\"z":[1,2]', ",") == [
        '{"a": [1, 2]}:5', '"x:y,\\"z":[1,2]',
    ]  # fmt: skip
    assert split("a:b", ":") == ["a", "b"]
    assert split("", ",") == [""]


def test_values_shown() -> None:
    record = load(GLOBALS).data.everything
    assert to_text(record).startswith('{name: "drybpf", mac: 0x020000000001, on: true, tiny: -2')
    assert "colour: BLUE (-3), points: [{x: 1, y: -1}, {x: 2, y: -2}]" in to_text(record)
    assert json.dumps(to_json(record))
    assert to_json({1: b"\1", "a": (None, 1.5)}) == {"1": "0x01", "a": [None, 1.5]}
    assert to_json(object()).__class__ is str
    assert from_json(5, Integer(4)) == 5


def test_only_what_is_in_a_large_array_is_shown() -> None:
    large: Any = Map.create(MapDefinition("a", MapType.ARRAY, 4, 12, 1_000_000))
    large[999_999] = b"\1" * 12
    large[5] = bytes(11) + b"\2"
    assert [key for key, _ in entries(large)] == [5, 999_999]
    each: Any = Map.create(MapDefinition("c", MapType.PERCPU_ARRAY, 4, 8, 5000), cpus=3)
    each[4000] = [0, 0, 7]
    assert entries(each) == [(4000, [bytes(8), bytes(8), b"\7" + bytes(7)])]
