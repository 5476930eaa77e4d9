"""Coverage by source line: what the counts mean, how they merge, and each report of them."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import drybpf
from drybpf.asm import assemble
from drybpf.code import Code, SourceLine
from drybpf.coverage import (
    Coverage,
    CoverageError,
    cobertura,
    html,
    lcov,
    report,
    reports,
    source_files,
)
from drybpf.coverage.model import SourceFile
from drybpf.coverage.source import find_text
from drybpf.helpers.kfuncs import kfunc_number
from drybpf.meter import Counts
from drybpf.program import Program
from drybpf.state import State
from support import FIREWALL, ROOT, TRAFFIC, fixture

PACKETS = [packet.data for packet in drybpf.read_capture(TRAFFIC)]


def _line(number: int, text: str, file: str = "prog.c") -> SourceLine:
    return SourceLine(file, number, 1, text)


TEXT = """
jeq r2, 0, empty
ldxb r0, [r1]
jgt r0, 9, big
call 5
exit
big:
mov r0, 9
exit
empty:
mov r0, 0
exit
"""
LINES = {
    0: _line(3, "  if (!len)"),
    1: _line(5, "  u8 x = *p;"),
    2: _line(6, "  if (x > 9)"),
    3: _line(7, "    return bpf_ktime_get_ns();"),
    5: _line(6, "  if (x > 9)"),
    7: _line(4, "    return 0;"),
}


def _code() -> Code:
    return Code(assemble(TEXT), name="prog", functions={0: "prog"}, lines=LINES)


def _measured(*packets: bytes, code: Code | None = None) -> Coverage:
    program = Program(code or _code(), helpers={5: lambda *_: 1})
    with Coverage() as coverage:
        coverage.expect(program.code)
        for packet in packets:
            program.run(packet)
    return coverage


def _file(coverage: Coverage) -> SourceFile:
    (file,) = source_files(coverage)
    return file


def test_lines_and_branches() -> None:
    file = _file(_measured(b"\x0a", b"\x0b", b""))
    assert {number: line.hits for number, line in file.lines.items()} == {
        3: 3,
        4: 1,
        5: 2,
        6: 2,
        7: 0,
    }
    ways = {(b.pc, b.passed, b.taken, b.missing) for b in file.branches()}
    assert ways == {(0, 2, 1, ""), (2, 0, 2, "always taken")}
    assert file.lines[6].partial
    assert not file.lines[3].partial
    assert file.missing == ((7, 7),)
    assert [(line.number, call.helper, call.count) for line, call in file.calls()] == [(7, 5, 0)]
    assert (file.tally.lines, file.tally.lines_hit, file.tally.ways, file.tally.ways_gone) == (
        5,
        4,
        4,
        3,
    )


def test_instructions_stand_under_their_lines() -> None:
    file = _file(_measured(b"\x01"))
    under = {n: [(i.pc, i.count) for i in line.instructions] for n, line in file.lines.items()}
    assert under == {
        3: [(0, 1)],
        4: [(7, 0), (8, 0)],
        5: [(1, 1)],
        6: [(2, 1), (5, 0), (6, 0)],
        7: [(3, 1), (4, 1)],
    }


def test_lines_that_the_compiler_calls_none_belong_to_no_line() -> None:
    lines = {0: _line(3, "x"), 1: _line(0, "")}
    code = Code(assemble("mov r0, 0\nmov r1, 0\nexit"), lines=lines)
    file = _file(_measured(b"", code=code))
    assert {n: len(line.instructions) for n, line in file.lines.items()} == {3: 1}


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_lines_agree_with_an_independent_count(engine: str) -> None:
    """Recounted from the interpreter's trace, by the definition of a line's hits."""
    executed: Counter[int] = Counter()

    def count(state: State) -> None:
        executed[state.pc] += 1

    for name, path in (("xdp_firewall", FIREWALL), ("xdp_parser", fixture("xdp_parser"))):
        executed.clear()
        for packet in PACKETS:
            drybpf.load(path)[name].run(packet, trace=count)
        program = drybpf.load(path)[name]
        program.engine = engine  # type: ignore[assignment]  # a literal
        with Coverage() as coverage:
            for packet in PACKETS:
                program(packet)
        hits: dict[tuple[str, int], int] = {}
        for pc, slot in enumerate(program.code.slots):
            line = program.code.line_at(pc)
            if slot is not None and line is not None and line.line:
                key = line.file, line.line
                hits[key] = max(hits.get(key, 0), executed[pc])
        found = {(f.path, n): x.hits for f in source_files(coverage) for n, x in f.lines.items()}
        assert found == hits


def test_measurements_merge() -> None:
    first, second = _measured(b"\x01"), _measured(b"\x0a", b"")
    both = _measured(b"\x01", b"\x0a", b"")
    again = Coverage.from_json(json.loads(json.dumps(first.to_json())))
    again.merge(second)
    assert again.to_json() == both.to_json()
    assert lcov(again) == lcov(both)


def test_programs_of_one_file_add_up() -> None:
    code = _code()
    twin = Code(code.bytecode, name="twin", functions={0: "twin"}, lines=LINES)
    coverage = _measured(b"\x01", code=code)
    coverage.merge(_measured(b"\x0a", b"\x0b", code=twin))
    file = _file(coverage)
    assert (file.lines[5].hits, len(file.lines[5].instructions)) == (3, 2)
    assert [(f.name, f.hits) for f in file.functions] == [("prog", 1), ("twin", 2)]


def test_a_program_that_never_ran_is_reported() -> None:
    coverage = Coverage()
    coverage.expect(_code())
    assert _file(coverage).tally.lines_hit == 0
    assert "prog: never entered" in report(coverage)


def test_saved_and_loaded(tmp_path: Path) -> None:
    coverage = _measured(b"\x01")
    coverage.save(tmp_path / "counts")
    assert Coverage.load(tmp_path / "counts").to_json() == coverage.to_json()
    reports.append(_measured(b"\x0a"), tmp_path / "counts")
    assert Coverage.load(tmp_path / "counts").to_json() == _measured(b"\x01", b"\x0a").to_json()


GOOD = _measured(b"\x01").to_json()


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {},
        {"format": GOOD["format"]},
        {"format": GOOD["format"], "programs": [{}]},
        {"format": "drybpf coverage 0", "programs": []},
        {"format": GOOD["format"], "programs": 5},
    ],
)
def test_data_that_is_none_is_refused(broken: object) -> None:
    with pytest.raises(CoverageError):
        Coverage.from_json(broken)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bytecode", "AAAA"),
        ("bytecode", "?"),
        ("executed", [[99, 1]]),
        ("executed", [[0, -1]]),
        ("executed", [0]),
        ("lines", [[0, 7, 1, 1, "x"]]),
        ("lines", [["a", 0, 1, 1, "x"]]),
        ("functions", 3),
        ("executed", [[0, float("inf")]]),
        ("executed", [[0, 1.5]]),
        ("executed", [["0", "1"]]),
        ("taken", [[0, 1_000]]),
        ("lines", [[0, -1, 1, 1, "x"]]),
        ("lines", [[0, 0, -5, 1, "x"]]),
    ],
)
def test_broken_programs_are_refused(key: str, value: object) -> None:
    data = json.loads(json.dumps(GOOD))
    data["programs"][0][key] = value
    with pytest.raises(CoverageError):
        Coverage.from_json(data)


@pytest.mark.usefixtures("no_garbage")
@pytest.mark.parametrize("content", [b"", b"\xff", b"{", b"[" * 100_000])
def test_files_that_are_none_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(CoverageError):
        Coverage.load(tmp_path / "x")


def test_the_file_that_holds_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "counts.json").write_text("{}")
    with pytest.raises(CoverageError, match=r"counts\.json: this is no coverage data"):
        Coverage.load(tmp_path / "counts.json")


# Reports


def test_the_terminal_report() -> None:
    assert report(_measured(b"\x0a", b"")).splitlines() == [
        "file    lines  hit  ways  gone  cover  missing",
        "prog.c      5    4     4     3   80 %  7",
        "prog.c:6: insn 2 if r0 > 9 goto +2: always taken, 1 times",
        "prog.c:7: insn 3 bpf_ktime_get_ns: never called",
    ]


def test_the_terminal_report_names_programs_where_there_are_several() -> None:
    coverage = _measured(b"\x0a", b"")
    other = Code(assemble(TEXT), name="other", functions={0: "other"}, lines=LINES)
    coverage.merge(_measured(b"\x0a", code=other))
    assert report(coverage).splitlines()[2:] == [
        "prog.c:3: other insn 0 if r2 == 0 goto +6: never taken, 1 times",
        "prog.c:6: other insn 2 if r0 > 9 goto +2: always taken, 1 times",
        "prog.c:6: prog insn 2 if r0 > 9 goto +2: always taken, 1 times",
        "prog.c:7: other insn 3 bpf_ktime_get_ns: never called",
        "prog.c:7: prog insn 3 bpf_ktime_get_ns: never called",
    ]


def test_the_terminal_report_without_lines() -> None:
    coverage = _measured(b"", code=Code(assemble("mov r0, 0\nexit\nexit"), name="bare"))
    assert report(coverage) == "bare: no line information; 2 of 3 instructions reached"
    assert report(Coverage()) == "no program was run"


def test_100_per_cent_means_all() -> None:
    """999 of 1000 is not 100 %, however it is rounded."""
    text = "jeq r2, 0, +1\nexit\n" + "exit\n"
    lines = {0: _line(1, "a"), 1: _line(2, "b"), 2: _line(3, "c")}
    coverage = _measured(b"", code=Code(assemble(text), lines=lines))
    assert "66 %" in report(coverage)
    assert "100 %" in report(_measured(b"", b"\1", code=Code(assemble(text), lines=lines)))


def test_what_is_demanded() -> None:
    coverage = _measured(b"\x0a", b"")  # 4 of 5 lines
    assert reports.shortfall(coverage, 80) == ""
    assert (
        reports.shortfall(coverage, 80.5)
        == "80.0 % of the BPF lines are covered, 80.5 % are demanded"
    )
    bare = _measured(b"", code=Code(assemble("mov r0, 0\nexit"), name="bare"))
    for nothing in (bare, Coverage()):
        assert reports.shortfall(nothing, 0) == ""
        assert reports.shortfall(nothing, 1) == "no BPF lines were measured, 1 % are demanded"


def test_the_lcov_tracefile() -> None:
    assert lcov(_measured(b"\x0a", b"")).splitlines() == [
        "TN:",
        "SF:prog.c",
        "FN:3,prog",
        "FNDA:2,prog",
        "FNF:1",
        "FNH:1",
        "BRDA:3,0,0,1",
        "BRDA:3,0,1,1",
        "BRDA:6,0,0,0",
        "BRDA:6,0,1,1",
        "BRF:4",
        "BRH:3",
        "DA:3,2",
        "DA:4,1",
        "DA:5,1",
        "DA:6,1",
        "DA:7,0",
        "LF:5",
        "LH:4",
        "end_of_record",
    ]
    assert "BRDA:6,0,0,-" in lcov(_measured(b""))


def test_the_cobertura_document() -> None:
    text = cobertura(_measured(b"\x0a", b""), timestamp=7)
    root = ET.fromstring(text)  # noqa: S314 (our own)
    assert root.attrib["line-rate"] == "0.8"
    assert root.attrib["branches-covered"] == "3"
    assert root.attrib["timestamp"] == "7"
    lines = {int(x.attrib["number"]): x.attrib for x in root.iterfind(".//class/lines/line")}
    assert {n: x["hits"] for n, x in lines.items()} == {3: "2", 4: "1", 5: "1", 6: "1", 7: "0"}
    assert lines[6]["condition-coverage"] == "50% (1/2)"
    (method,) = root.iterfind(".//method")
    assert method.attrib["name"] == "prog"


def test_a_rate_of_1_means_all() -> None:
    lines = {pc: _line(pc + 1, "x") for pc in range(30_000)}
    code = Code(assemble("mov r0, 1\n" * 29_998 + "exit\nexit"), lines=lines)
    root = ET.fromstring(cobertura(_measured(b"", code=code)))  # noqa: S314 (our own)
    assert (root.attrib["lines-covered"], root.attrib["lines-valid"]) == ("29999", "30000")
    assert root.attrib["line-rate"] == "0.9999"


def test_the_page_shows_source_hits_and_gaps(tmp_path: Path) -> None:
    source = {1: "// one", **{line.line: line.text for line in LINES.values()}}
    (tmp_path / "prog.c").write_text("\n".join(source.get(n, "") for n in range(1, 9)))
    page = html(_measured(b"\x0a", b""), roots=[tmp_path])
    assert "// one" in page
    assert 'class="code miss" id="f0-7"' in page
    assert 'class="code part" id="f0-6"' in page
    assert 'class="code hit" id="f0-5"' in page
    assert "bpf_ktime_get_ns never called" in page
    assert "always taken" in page
    assert "if r0 &gt; 9 goto +2" in page
    assert "http" not in re.sub(r"<title>.*?</title>", "", page), "it needs nothing but itself"


def test_a_helper_that_another_instruction_of_the_line_called_was_called() -> None:
    text = "jeq r2, 0, +2\ncall 5\nexit\ncall 5\nexit"
    lines = {0: _line(1, "if"), 1: _line(2, "now()"), 2: _line(3, "}"), 3: _line(2, "now()")}
    coverage = _measured(b"", code=Code(assemble(text), name="two", lines=lines))
    assert "bpf_ktime_get_ns never called" not in html(coverage, roots=["/nowhere"])
    assert "insn 1 bpf_ktime_get_ns: never called" in report(coverage)
    assert _file(_measured(code=Code(assemble(text), lines=lines))).lines[2].never_called == [5]


def test_kfuncs_are_named() -> None:
    text = f"exit\ncall {kfunc_number('bpf_dynptr_size')}\nexit"
    code = Code(assemble(text), lines={0: _line(1, "return"), 1: _line(2, "size()")})
    assert "insn 1 bpf_dynptr_size: never called" in report(_measured(b"", code=code))


def test_a_function_of_several_programs_was_entered_in_one_of_them() -> None:
    text = "call f\nexit\nf: mov r0, 1\nexit"
    lines = {0: _line(1, "f();"), 2: _line(5, "{")}
    codes = [
        Code(assemble(text), name=name, functions={0: name, 2: "f"}, lines=lines)
        for name in ("ran", "idle")
    ]
    coverage = _measured(b"", code=codes[0])
    coverage.expect(codes[1])
    told = report(coverage)
    assert "idle: never entered" in told
    assert " f: never entered" not in told
    page = html(coverage, roots=["/nowhere"])
    assert "<code>idle</code> never entered" in page
    assert "<code>f</code> never entered" not in page
    methods = ET.fromstring(cobertura(coverage)).iterfind(".//method")  # noqa: S314 (our own)
    rates = {method.attrib["name"]: method.attrib["line-rate"] for method in methods}
    assert rates == {"ran": "1", "idle": "0", "f": "1"}


def test_a_page_without_the_source_quotes_the_object() -> None:
    page = html(_measured(b"\x0a"), roots=["/nowhere"])
    assert "the file was not found" in page
    assert "u8 x = *p;" in page


def test_a_changed_source_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "prog.c").write_text("changed\n" * 20)
    page = html(_measured(b"\x0a"), roots=[tmp_path])
    assert "is not what was compiled" in page
    assert ">changed<" not in page


def test_sources_are_found_below_a_root(tmp_path: Path) -> None:
    inner = tmp_path / "src"
    inner.mkdir()
    (inner / "a.c").write_text("int x;\n")
    for name in ("/build/1234/src/a.c", "../src/a.c", "src/a.c", "C:\\build\\src\\a.c"):
        code = Code(assemble("exit"), lines={0: _line(1, "int x;", name)})
        coverage = Coverage()
        coverage.expect(code)
        assert find_text(_file(coverage), [tmp_path]).lines == ("int x;",), name


def test_a_form_feed_ends_no_line(tmp_path: Path) -> None:
    (tmp_path / "prog.c").write_bytes("a\f\v\u2028b\r\n  if (!len)\r\n".encode())
    code = Code(assemble("exit"), lines={0: _line(2, "  if (!len)")})
    text = find_text(_file(_measured(b"", code=code)), [tmp_path])
    assert text.lines == ("a\f\v\u2028b", "  if (!len)"), text.note


def test_the_right_source_is_found_behind_a_wrong_one(tmp_path: Path) -> None:
    for folder, content in (("other", "int y;\n"), ("right", "int x;\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "main.c").write_text(content)
    code = Code(assemble("exit"), lines={0: _line(1, "int x;", "src/main.c")})
    file = _file(_measured(b"", code=code))
    assert find_text(file, [tmp_path / "other", tmp_path / "right"]).lines == ("int x;",)
    assert find_text(file, [tmp_path / "other"]).note.startswith(f"{tmp_path}/other/main.c is not")


def test_two_builds_of_a_program_are_told_apart() -> None:
    one = _measured(b"\x0a", b"\x01")
    changed = TEXT.replace("jgt r0, 9", "jgt r0, 8")
    one.merge(_measured(b"\x01", code=Code(assemble(changed), name="prog", lines=LINES)))
    page = html(one, roots=["/nowhere"])
    cell, count = r"<td[^>]*>([^<]*)</td>", r"<td[^>]*>[^<]*</td>"
    rows = re.findall(rf"{cell}{count}{count}<td>if r0 &gt; (.)[^<]*</td>{cell}", page)
    assert sorted((number, ways) for _, number, ways in rows) == [
        ("8", "taken 0, not taken 1"),
        ("9", "taken 1, not taken 1"),
    ]
    assert {program for program, _, _ in rows} == {"prog", "prog (2)"}


def test_hostile_names_break_no_report(tmp_path: Path) -> None:
    evil = '<script>alert(1)</script>\n"&]]>\x1b[31m'
    lines = {0: _line(1, evil, evil)}
    code = Code(assemble("exit"), name=evil, functions={0: evil}, lines=lines)
    coverage = _measured(b"", code=code)
    page = html(coverage, title=evil, roots=[tmp_path])
    assert "<script>alert" not in page
    ET.fromstring(cobertura(coverage))  # noqa: S314 (our own)
    assert all(re.match(r"[A-Z]+:|end_of_record", line) for line in lcov(coverage).splitlines())


def test_a_huge_line_number_makes_no_huge_page() -> None:
    code = Code(assemble("exit"), lines={0: _line((1 << 22) - 1, "x")})
    coverage = _measured(b"", code=code)
    assert len(html(coverage, roots=["/nowhere"])) < 1 << 14


def test_reports_are_written(tmp_path: Path) -> None:
    coverage = _measured(b"\x0a")
    for kind in reports.KINDS:
        path = tmp_path / kind / "out"
        reports.write(coverage, kind, path)
        assert path.stat().st_size > 100
    with pytest.raises(ValueError, match="no report"):
        reports.write(coverage, "pdf", tmp_path / "x")


def test_counts_of_the_firewall_are_in_its_source() -> None:
    """The text of every line stands in the file where the object says."""
    with Coverage() as coverage:
        drybpf.load(FIREWALL)["xdp_firewall"](PACKETS[0])
    file = _file(coverage)
    text = find_text(file, [ROOT])
    assert text.note == ""
    assert file.lines[168].hits == 1
    assert "if ((void *)(eth + 1) > data_end)" in text.lines[167]


def test_a_notebook_shows_the_table() -> None:
    assert "<td" in _measured(b"\x0a")._repr_html_()
    assert repr(_measured(b"\x0a")) == "<Coverage of 1 program>"


def test_counts_are_added_without_a_program() -> None:
    coverage = Coverage()
    counts = Counts(_code())
    counts.add({0: 4}, {0: 1})
    coverage.add(counts)
    (program,) = coverage
    assert (program.name, program.instructions, bool(coverage)) == ("prog", 4, True)
