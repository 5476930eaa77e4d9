"""Control flow as pictures, and what notebooks show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import drybpf
from drybpf import markup
from drybpf.asm import assemble
from drybpf.cfg import Graph, control_flow, dot, mermaid, svg
from drybpf.cfg.layout import place
from drybpf.cli import main
from drybpf.code import Code, SourceLine
from drybpf.meter import Meter
from drybpf.profile import Recorder
from drybpf.program import Program
from support import FIREWALL, TRAFFIC, fixture

LOOP = "mov r0, 0\nl:\nadd r0, 1\njlt r0, r2, l\nexit"


def _graph(text: str, *packets: bytes) -> Graph:
    code = Code(assemble(text))
    if not packets:
        return control_flow(code)
    with Meter() as meter:
        for packet in packets:
            Program(code).run(packet)
    return control_flow(code, meter.take())


def _ways(graph: Graph) -> list[tuple[int, int, str, int | None]]:
    return [(edge.source, edge.target, edge.kind, edge.count) for edge in graph.edges]


def test_blocks_and_ways() -> None:
    graph = _graph(LOOP)
    assert [(b.first, b.last, b.is_entry) for b in graph.blocks.values()] == [
        (0, 0, True),
        (1, 2, False),
        (3, 3, False),
    ]
    assert _ways(graph) == [(0, 1, "", None), (1, 3, "not taken", None), (1, 1, "taken", None)]
    assert graph.blocks[1].rows == ((1, "r0 += 1"), (2, "if r0 < r2 goto 1"))


def test_counts_colour_the_picture() -> None:
    graph = _graph(LOOP, b"abc")
    assert [block.count for block in graph.blocks.values()] == [1, 3, 1]
    assert _ways(graph) == [(0, 1, "", 1), (1, 3, "not taken", 1), (1, 1, "taken", 2)]


def test_only_counts_of_the_same_code_colour_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A tail call has run other code, too."""
    options = ("--program", "again", "--mem", "00", "--format", "mermaid")
    assert main(["cfg", str(fixture("load_tails")), *options]) == 0
    assert '"1 times<br/>' in capsys.readouterr().out


def test_calls_and_unreached_blocks_are_in_it() -> None:
    graph = _graph("call f\nexit\nf:\nja +1\nexit\nexit", b"")
    assert (0, 2, "call", 1) in _ways(graph)
    assert {first: block.count for first, block in graph.blocks.items()} == {0: 1, 2: 1, 3: 0, 4: 1}


def _all() -> list[Graph]:
    objects = [FIREWALL, *map(fixture, ("xdp_parser", "xdp_loop", "xdp_local_calls", "xdp_v4"))]
    programs = [obj[name] for obj in map(drybpf.load, objects) for name in obj]
    return [control_flow(program.code) for program in programs]


@pytest.mark.parametrize("graph", _all(), ids=lambda graph: graph.name)
def test_pictures_of_real_programs(graph: Graph) -> None:
    root = ET.fromstring(svg(graph))  # noqa: S314 (our own)
    assert len(root.findall(".//{*}g/{*}g/{*}rect")) == len(graph.blocks)
    assert len(root.findall(".//{*}path[@marker-end]")) == len(graph.edges)
    assert dot(graph).count(" -> ") == len(graph.edges)
    assert mermaid(graph).count(":::") == len(graph.blocks)


@pytest.mark.parametrize("graph", _all(), ids=lambda graph: graph.name)
def test_no_box_covers_another(graph: Graph) -> None:
    layout = place(graph, dict.fromkeys(graph.blocks, (100.0, 50.0)))
    boxes = list(layout.boxes.values())
    for index, a in enumerate(boxes):
        for b in boxes[index + 1 :]:
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y


@pytest.mark.parametrize("draw", [dot, mermaid, svg])
def test_hostile_text_stays_text(draw: Callable[[Graph], str]) -> None:
    evil = '"]<script>&|\\\n\x1b;'
    line = SourceLine(evil, 1, 1, evil)
    code = Code(assemble("exit"), name=evil, functions={0: evil}, lines={0: line})
    text = draw(control_flow(code))
    assert "<script>" not in text or draw is dot  # where it is a quoted string
    assert "\x1b" not in text
    if draw is svg:
        ET.fromstring(text)  # noqa: S314 (our own)


def test_large_programs_are_drawn() -> None:
    text = "".join(f"jeq r1, {n}, l{n}\nadd r0, {n}\nl{n}:\nadd r0, 1\n" for n in range(1200))
    graph = _graph(text + "exit")
    assert len(graph.blocks) == 2401
    assert len(svg(graph)) > 100_000


def test_the_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "x.svg"
    assert main(["cfg", str(FIREWALL), "--pcap", str(TRAFFIC), "-o", str(out)]) == 0
    assert "77 times" in out.read_text()
    assert main(["cfg", str(FIREWALL), "--format", "mermaid"]) == 0
    assert capsys.readouterr().out.startswith("flowchart TD\n")
    assert main(["cfg", str(FIREWALL)]) == 0
    assert capsys.readouterr().out.startswith('digraph "xdp_firewall" {')


def test_the_ending_says_which_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, begin in (("x.svg", "<svg"), ("x.gv", "digraph"), ("x.MMD", "flowchart")):
        assert main(["cfg", str(FIREWALL), "-o", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_text().startswith(begin)
    for name in ("x.png", "x"):
        assert main(["cfg", str(FIREWALL), "-o", str(tmp_path / name)]) == 2
        assert "else say --format" in capsys.readouterr().err
        assert not (tmp_path / name).exists()
    assert main(["cfg", str(FIREWALL), "-o", str(tmp_path / "x"), "--format", "dot"]) == 0


def test_faults_are_told_beside_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    bad = str(fixture("xdp_bad_access"))
    assert main(["cfg", bad, "--program", "xdp_unchecked", "--mem", "00"]) == 1
    out, err = capsys.readouterr()
    assert "1 times" in out
    assert err == "drybpf: 1 of the runs ended with a fault\n"


def test_notebooks_show_everything() -> None:
    program = drybpf.load(FIREWALL)["xdp_firewall"]
    packet = next(iter(drybpf.read_capture(TRAFFIC))).data
    result = program.run(packet)
    assert "w0 = 0" in program._repr_html_()
    assert "PASS (2)" in result._repr_html_()
    assert control_flow(program.code)._repr_svg_().startswith("<svg")
    recorder = Recorder()
    recorder.run(program, packet)
    assert "xdp_firewall.c:168" in recorder.profile()._repr_html_()
    maps = drybpf.load(fixture("load_maps")).maps
    maps["flows"].clear()
    assert all("<table" in each._repr_html_() for each in (maps["totals"], maps["flows"]))


def test_notebooks_show_what_is_no_unicode() -> None:
    """Such as a `char[n]` of other bytes: a map shows it with surrogates."""
    assert markup.table(["a\udcff"], [["b\udcff", "<"]], "c\udcff").encode().count(b"?") == 3
    assert markup.code("<\n\udcff") == '<pre class="drybpf">&lt;\n?</pre>'
