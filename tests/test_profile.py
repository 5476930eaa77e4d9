"""Profiles and traces: where instructions go, agreeing with the interpreter's own trace."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import drybpf
from drybpf.asm import assemble
from drybpf.cli import main
from drybpf.code import Code
from drybpf.errors import BudgetExceeded, ExecutionError
from drybpf.profile import Profile, Recorder, flame_graph
from drybpf.program import Program
from drybpf.state import State
from drybpf.trace import ENOUGH, Step, describe, trace
from support import FIREWALL, TRAFFIC, fixture

PACKETS = [packet.data for packet in drybpf.read_capture(TRAFFIC)]
CALLS = """
mov r1, 1
call inner
call inner
exit
inner:
mov r0, r1
add r0, 1
exit
"""


def _recorded(program: Program, *, stacks: bool = True) -> Profile:
    recorder = Recorder(stacks=stacks)
    for packet in PACKETS:
        recorder.run(program, packet)
    return recorder.profile()


@pytest.mark.parametrize("stacks", [True, False])
@pytest.mark.parametrize("name", ["xdp_tripled", "xdp_local_calls"])
def test_a_profile_agrees_with_an_independent_count(name: str, stacks: bool) -> None:
    lines: Counter[tuple[str, int]] = Counter()
    functions: Counter[str] = Counter()
    program = drybpf.load(fixture("xdp_local_calls"))[name]

    def count(state: State) -> None:
        line = state.code.line_at(state.pc)
        functions[state.code.function_name(state.pc)] += 1
        lines[(line.file, line.line) if line else ("", 0)] += 1

    totals = [program.run(packet, trace=count).instructions for packet in PACKETS]
    profile = _recorded(drybpf.load(fixture("xdp_local_calls"))[name], stacks=stacks)
    assert {(line.file, line.line): line.instructions for line in profile.lines} == lines
    assert profile.functions == functions
    assert list(profile.runs) == totals
    assert (profile.instructions, profile.worst) == (sum(totals), max(totals))
    assert sum(profile.stacks.values()) == (sum(totals) if stacks else 0)


def test_hot_ones_come_first() -> None:
    profile = _recorded(drybpf.load(FIREWALL)["xdp_firewall"])
    counts = [line.instructions for line in profile.lines]
    assert counts == sorted(counts, reverse=True)
    assert sum(profile.share(count) for count in counts) == pytest.approx(1)
    assert "xdp_firewall.c:171" in profile._repr_html_()


def test_stacks_hold_the_callers() -> None:
    recorder = Recorder()
    recorder.run(Program(Code(assemble(CALLS), name="main", functions={0: "main", 4: "inner"})))
    assert recorder.profile().stacks == {("main", "inner", "[inner]"): 6, ("main", "[main]"): 4}


def test_runs_that_fault_count() -> None:
    recorder = Recorder()
    recorder.run(Program.from_asm("mov r0, 0\nldxb r0, [r1]\nexit"), b"")
    assert (recorder.faults, recorder.profile().instructions) == (1, 2)


def test_a_flame_graph_is_a_picture() -> None:
    text = flame_graph(_recorded(drybpf.load(fixture("xdp_local_calls"))["xdp_tripled"]), "a <b>")
    root = ET.fromstring(text)  # noqa: S314 (our own)
    titles = [title.text or "" for title in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("sum4: ") for title in titles)
    boxes = [float(box.attrib["width"]) for box in root.iterfind(".//{*}g/{*}rect")]
    assert max(boxes) == pytest.approx(1175.5, abs=1)
    assert ET.fromstring(flame_graph(Recorder().profile())) is not None  # noqa: S314 (our own)


def test_hostile_names_break_no_picture() -> None:
    evil = "<g>\n\0\ud800&"
    code = Code(assemble("mov r0, 0\nexit"), name=evil, functions={0: evil})
    recorder = Recorder()
    recorder.run(Program(code))
    ET.fromstring(flame_graph(recorder.profile(), evil).encode())  # noqa: S314 (our own)


# Traces


def _steps(program: Program, packet: bytes = b"") -> tuple[list[Step], object]:
    steps: list[Step] = []
    return steps, trace(program, packet, steps.append)


def test_each_step_is_told() -> None:
    steps, ended = _steps(Program(Code(assemble(CALLS), functions={0: "main", 4: "inner"})))
    assert ended == 1
    assert [step.pc for step in steps] == [0, 1, 4, 5, 6, 2, 4, 5, 6, 3]
    assert [step.depth for step in steps] == [0, 0, 1, 1, 1, 0, 1, 1, 1, 0]
    assert (steps[0].changed, steps[3].changed) == (((1, 1),), ((0, 2),))
    assert {step.function for step in steps} == {"main", "inner"}


def test_memory_is_told_before_and_after() -> None:
    steps, _ = _steps(Program.from_asm("ldxb r0, [r1]\nstb [r1+1], 9\nexit"), b"ab")
    read, write = steps[0].memory, steps[1].memory
    assert read is not None
    assert write is not None
    assert (read.kind, read.address & 0xFF, read.before) == ("read", 0, b"a")
    assert (write.kind, write.size, write.before, write.after) == ("write", 1, b"b", b"\x09")
    assert describe(steps[1]).endswith("write [0x30000001] 62 → 09")


def test_a_trace_ends_with_the_fault() -> None:
    steps, ended = _steps(Program.from_asm("mov r0, 0\nldxw r0, [r1+2]\nexit"), b"abc")
    assert isinstance(ended, ExecutionError)
    assert [step.pc for step in steps] == [0, 1]
    assert "MemoryFault" in steps[-1].fault
    assert "MemoryFault" in describe(steps[-1])


def test_a_trace_that_is_enough() -> None:
    """The run goes on to its end, and its fault is not told of the last step."""
    steps: list[Step] = []

    def tell(step: Step) -> object:
        steps.append(step)
        return ENOUGH if len(steps) == 2 else None

    endless = Program.from_asm("loop:\nadd r1, 1\nja loop", budget=1000)
    ended = trace(endless, b"", tell)
    assert isinstance(ended, BudgetExceeded)
    assert [(step.number, step.pc, step.fault) for step in steps] == [(0, 0, ""), (1, 1, "")]


def test_a_trace_follows_every_instruction_of_a_run() -> None:
    program = drybpf.load(FIREWALL)["xdp_firewall"]
    for packet in PACKETS[:20]:
        steps, ended = _steps(program, packet)
        result = program.run(packet)
        assert (len(steps), ended) == (result.instructions, result.value)


# Commands


def _run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    return code, printed.out, printed.err


def test_profile_as_a_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    svg = tmp_path / "flame.svg"
    code, out, err = _run(capsys, "profile", FIREWALL, "--pcap", TRAFFIC, "--svg", svg, "--top", 3)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "2760 instructions in 77 runs: 12 to 84 a run, median 34"
    assert len(lines) == 5
    assert svg.read_text().startswith("<svg")
    _, text, _ = _run(capsys, "profile", FIREWALL, "--pcap", TRAFFIC, "--json")
    report = json.loads(text)
    assert report["instructions"] == 2760
    assert report["runs"]["most"] == 84
    _, fast, _ = _run(capsys, "profile", FIREWALL, "--pcap", TRAFFIC, "--fast", "--json")
    assert json.loads(fast) == {**report, "stacks": []}


def test_trace_as_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    path = fixture("xdp_bad_access")
    code, out, err = _run(capsys, "trace", path, "--program", "xdp_unchecked", "--mem", "00")
    assert code == 1
    assert "1     1  r1 = *(u8 *)(r1 + 100)" in out
    assert "xdp_bad_access.c:10" in err
    _, text, _ = _run(capsys, "trace", FIREWALL, "--pcap", TRAFFIC, "--packet", 3, "--json")
    steps = [json.loads(line) for line in text.splitlines()]
    assert [step["step"] for step in steps] == list(range(len(steps)))
    assert steps[1]["registers"].keys() == {"r3"}


@pytest.mark.parametrize(
    ("options", "pcs"),
    [
        (["--pc", "2"], [2]),
        (["--pc", "2-4"], [2, 3, 4]),
        (["--line", "164-165"], [1, 2]),
        (["--register", "r3"], [1]),
        (["--limit", "3"], [0, 1, 2]),
        (["--function", "other"], []),
        (["--memory", "--pc", "0-6"], [1, 2, 6]),
    ],
)
def test_traces_are_filtered(
    capsys: pytest.CaptureFixture[str], options: list[str], pcs: list[int]
) -> None:
    arguments = ["trace", FIREWALL, "--pcap", TRAFFIC, "--packet", "3", "--json", *options]
    code, out, _ = _run(capsys, *arguments)
    assert code == 0
    assert [json.loads(line)["pc"] for line in out.splitlines()] == pcs


@pytest.mark.parametrize(
    "arguments",
    [
        ["trace", FIREWALL, "--pc", "x"],
        ["trace", FIREWALL, "--pc", "3-"],
        ["trace", FIREWALL, "--register", "r77"],
        ["trace", FIREWALL, "--pcap", TRAFFIC, "--packet", "9999"],
        ["trace", FIREWALL, "--pcap", TRAFFIC, "--mem", "00"],
        ["trace", FIREWALL, "--mem", "00", "--packet", "0"],
        ["profile", FIREWALL, "--fast", "--svg", "x.svg"],
        ["profile", FIREWALL, "--pcap", TRAFFIC, "--svg", TRAFFIC],
        ["cover", FIREWALL, FIREWALL],
        ["cover", FIREWALL, "--pcap", TRAFFIC, "--engine", "kernel"],
        ["cover", FIREWALL, "--pcap", TRAFFIC, "--html", TRAFFIC],
        ["cfg", FIREWALL, "-o", FIREWALL],
        ["cfg", fixture("xdp_two_programs")],
    ],
)
def test_misuse_is_told(capsys: pytest.CaptureFixture[str], arguments: list[object]) -> None:
    code, _, err = _run(capsys, *arguments)
    assert code == 2
    assert len(err.splitlines()) == 1


def test_cover_as_a_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    names = {kind: tmp_path / kind for kind in ("html", "lcov", "cobertura", "save")}
    options = [part for kind, path in names.items() for part in (f"--{kind}", path)]
    code, out, _ = _run(capsys, "cover", FIREWALL, "--pcap", TRAFFIC, *options)
    assert code == 0
    assert out.splitlines()[1].split()[1:6] == ["29", "29", "66", "57", "100"]
    assert all(path.stat().st_size for path in names.values())
    _, twice, _ = _run(capsys, "cover", names["save"], names["save"], "--json")
    assert json.loads(twice)["files"][0]["lines_hit"] == 29
    assert dict(json.loads(twice)["programs"][0]["executed"])[0] == 154
    code, _, err = _run(
        capsys, "cover", fixture("xdp_bad_access"), "--program", "xdp_unchecked", "--mem", "00"
    )
    assert code == 1
    assert "first fault" in err


def test_cover_of_what_is_no_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "x").write_text("{}")
    code, _, err = _run(capsys, "cover", tmp_path / "x")
    assert code == 3
    assert "x: this is no coverage data" in err


@pytest.mark.parametrize("engine", ["jit", "interpreter"])
def test_cover_with_each_engine(capsys: pytest.CaptureFixture[str], engine: str) -> None:
    _, out, _ = _run(capsys, "cover", FIREWALL, "--pcap", TRAFFIC, "--engine", engine, "--json")
    _, auto, _ = _run(capsys, "cover", FIREWALL, "--pcap", TRAFFIC, "--json")
    assert json.loads(out) == json.loads(auto)


def test_counts_take_no_packets(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    saved = tmp_path / "counts"
    _run(capsys, "cover", FIREWALL, "--save", saved)
    for options in (["--mem", "00"], ["--pcap", TRAFFIC], ["--program", "xdp_firewall"]):
        code, _, err = _run(capsys, "cover", saved, *options)
        assert code == 2
        assert "for a program, not for counts" in err


@pytest.mark.parametrize("option", ["--html", "--lcov", "--cobertura", "--save"])
def test_reports_that_cannot_be_written(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """As of every other output: it is no input that cannot be read."""
    for place, why in (("/proc/there/is/none", "No such file"), ("/dev/full", "No space left")):
        code, _, err = _run(capsys, "cover", FIREWALL, option, place)
        assert (code, err.count("\n")) == (1, 1)
        assert f"{place}: cannot be written: {why}" in err


def test_a_flame_graph_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _run(capsys, "profile", FIREWALL, "--svg", "/dev/full")
    assert (code, err) == (1, "drybpf: /dev/full: cannot be written: No space left on device\n")
