"""The pytest plugin as its users meet it: whole test runs of small projects."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import hypothesis  # noqa: F401 (see below)
import llvmlite.binding  # noqa: F401 (as well)
import pytest

import drybpf
from drybpf.coverage import Coverage, source_files
from drybpf.testing import build
from drybpf.testing.agreement import Facts, disagreement
from support import FIREWALL, ROOT, TRAFFIC, fixture

pytest_plugins = ("pytester",)

# What a test run in this process loads is forgotten after it, and would be loaded twice: all of it
# before the first one.
for _module in walk_packages(drybpf.__path__, "drybpf."):
    if not _module.name.endswith("__main__"):
        import_module(_module.name)

ECHO = build.ethernet(build.ipv4(build.udp(b"hello", dport=7)))
HEAD = f"""
import pytest
import drybpf
from drybpf.testing import Expect, build
pytestmark = pytest.mark.bpf("xdp_firewall.o")
ECHO = bytes.fromhex("{ECHO.hex()}")
"""
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester) -> Run:
    """Write a test file and run it with the plugin: in this process, unless it starts others."""
    for path in (FIREWALL, fixture("xdp_bad_access"), fixture("xdp_two_programs")):
        shutil.copy(path, pytester.path)
    shutil.copy(TRAFFIC, pytester.path)

    def run(text: str, *options: str, head: str = HEAD) -> pytest.RunResult:
        pytester.makepyfile(test_it=head + text)
        apart = "-n" in options or "sys.modules" in text
        way = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        # What other plugins cost at each start is not the matter here.
        others = ("-p", "no:hypothesispytest", "-p", "no:pytest_cov", "-p", "no:cacheprovider")
        return way("-p", "drybpf.pytest_plugin", *others, *options)

    return run


# Fixtures


def test_the_fixtures(run: Run) -> None:
    result = run(
        """
def test_program(bpf):
    outcome = bpf.run(ECHO, ifindex=3)
    assert outcome.action is drybpf.XdpAction.TX
    assert outcome == Expect(action="TX", printed=())
    assert bpf(b"") == drybpf.XdpAction.ABORTED
    assert bpf.worst == 84

def test_capture(bpf):
    assert len(bpf.run_all("traffic.pcap")) == 77

def test_all_of_them(bpf_program, bpf_maps, bpf_helpers, bpf_engine):
    assert bpf_program.name == "xdp_firewall"
    assert dict(bpf_maps) == {}
    assert bpf_helpers.mock("bpf_ktime_get_ns", 5).calls == []
    assert bpf_engine == "auto" == bpf_program.engine

def test_load(bpf_load):
    assert bpf_load("xdp_two_programs.o", program="xdp_first").run(bytes(64)).value >= 0

@pytest.mark.bpf(engine="interpreter")
def test_engine(bpf):
    assert bpf.program.engine == "interpreter"

seen = []

@pytest.mark.parametrize("time", [1, 2])
def test_every_test_gets_an_object_of_its_own(bpf, time):
    assert bpf.object not in seen and not bpf.runs
    seen.append(bpf.object)
    bpf.run(ECHO)
"""
    )
    result.assert_outcomes(passed=7)


def test_markers_of_test_class_and_module_add_up(run: Run) -> None:
    result = run(
        """
@pytest.mark.bpf("xdp_two_programs.o", "xdp_first")
class TestBoth:
    def test_outer(self, bpf):
        assert bpf.program.name == "xdp_first"

    @pytest.mark.bpf(program="xdp_second", budget=2)
    def test_inner(self, bpf):
        assert bpf.program.name == "xdp_second"
        with pytest.raises(drybpf.BudgetExceeded):
            bpf.run(bytes(64))
"""
    )
    result.assert_outcomes(passed=2)


def test_objects_are_found_in_the_folders_of_the_settings(
    run: Run, pytester: pytest.Pytester
) -> None:
    (pytester.path / "build").mkdir()
    (pytester.path / "xdp_firewall.o").rename(pytester.path / "build" / "fw.o")
    pytester.makeini("[pytest]\nbpf_objects = build\nbpf_engine = jit\n")
    text = """
@pytest.mark.bpf("fw.o")
def test_it(bpf):
    assert bpf.program.engine == "jit" and bpf(ECHO).name == "TX"
"""
    run(text).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('@pytest.mark.bpf("none.o")\ndef test_it(bpf): pass', "*no object file 'none.o'*"),
        (
            '@pytest.mark.bpf("test_it.py")\ndef test_it(bpf): pass',
            "*ObjectError*",
        ),
        (
            '@pytest.mark.bpf("xdp_two_programs.o")\ndef test_it(bpf): bpf.run()',
            "*say which program is under test; there are xdp_first, xdp_second*",
        ),
    ],
)
def test_mistakes_are_told(run: Run, text: str, message: str) -> None:
    result = run(text)
    assert result.ret != 0
    result.stdout.fnmatch_lines([message])


def test_a_test_without_the_marker_is_told(run: Run) -> None:
    result = run("def test_it(bpf): pass", head="")
    result.stdout.fnmatch_lines(["*mark the test with @pytest.mark.bpf*"])


# Engines

COUNT = """
def test_it(bpf):
    assert bpf(ECHO).name == "TX"
    print("ran on", bpf.program.engine)
"""


@pytest.mark.parametrize(
    ("option", "engines"),
    [
        ("interpreter", ["interpreter"]),
        ("jit", ["jit"]),
        ("auto", ["auto"]),
        ("both", ["interpreter", "jit"]),
    ],
)
def test_the_engine_is_chosen(run: Run, option: str, engines: list[str]) -> None:
    result = run(COUNT, f"--bpf-engine={option}", "-s")
    result.assert_outcomes(passed=len(engines))
    assert [line.split()[-1] for line in result.outlines if "ran on" in line] == engines


def test_both_engines_must_come_to_the_same(run: Run) -> None:
    result = run(
        """
def test_it(bpf, bpf_engine):
    bpf.run(ECHO if bpf_engine == "jit" else b"")
""",
        "--bpf-engine=both",
    )
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*the engines differ in run 0*"])


DIFFERING = """
PACKETS = {"interpreter": b"", "jit": ECHO}

def test_jit_and_interpreter(bpf, bpf_engine):
    bpf.run(PACKETS[bpf_engine])

@pytest.mark.parametrize("mode", ["jit", "interpreter"])
def test_parameters(bpf, bpf_engine, mode):
    bpf.run(PACKETS[bpf_engine])

def test_loaded(bpf_load, bpf_engine):
    bpf_load("xdp_firewall.o").run(PACKETS[bpf_engine])

def test_fault(bpf_load, bpf_engine):
    bad = bpf_load("xdp_bad_access.o", program="xdp_unchecked")
    with pytest.raises(drybpf.MemoryFault):
        bad.run(bytes(10 if bpf_engine == "jit" else 20))
"""


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_whatever_tests_are_called_and_wherever_they_run(run: Run, options: tuple[str]) -> None:
    result = run(DIFFERING, "--bpf-engine=both", *options)
    result.assert_outcomes(passed=10, errors=5)
    result.stdout.fnmatch_lines(["*the engines differ in run 0*", "*given: xdp_firewall*"])
    assert result.ret == 1


def test_the_same_on_both_engines_is_no_difference(run: Run) -> None:
    result = run(
        """
@pytest.mark.parametrize("mode", ["jit", "interpreter", "a-jit"])
@pytest.mark.parametrize("other", ["jit", "interpreter"])
def test_parameters(bpf, mode, other):
    bpf.run(f"{mode} {other}".encode())

def test_functions_are_given(bpf):
    bpf.run(ECHO, ifindex=3, trace=lambda state: None)

def test_one_is_skipped(bpf, bpf_engine):
    bpf.run(b"")
    if bpf_engine == "jit":
        pytest.skip("not there")

def test_a_fault(bpf_load):
    bad = bpf_load("xdp_bad_access.o", program="xdp_unchecked")
    with pytest.raises(drybpf.MemoryFault):
        bad.run(b"")
""",
        "--bpf-engine=both",
    )
    result.assert_outcomes(passed=17, skipped=1)


def test_what_is_drawn_for_each_engine_is_compared_as_far_as_it_is_the_same(run: Run) -> None:
    """Hypothesis draws other packets for the other engine."""
    text = """
from hypothesis import given
from hypothesis import strategies as st
from drybpf.testing import strategies

@strategies.one_object(max_examples=30, database=None)
@given(st.binary(min_size=20, max_size=20))
def test_it(bpf, frame):
    bpf.run(frame)

@strategies.one_object(max_examples=30, derandomize=True)
@given(strategies.packets())
def test_the_same(bpf, frame):
    bpf.run(frame)
"""
    run(text, "--bpf-engine=both").assert_outcomes(passed=4)


@pytest.mark.parametrize(
    ("one", "other", "lines"),
    [
        ([{"given": "a", "r0": "0x1"}], [{"given": "a", "r0": "0x1"}], []),
        (
            [{"given": "a", "r0": "0x1", "packet": "0102"}],
            [{"given": "a", "r0": "0x2", "packet": "0103"}],
            ["the engines differ in run 0, jit → interpreter:", "  r0: 0x1 → 0x2", "  packet:"],
        ),
        (
            [{"given": "a", "r0": "0x1"}],
            [{"given": "a", "fault": "MemoryFault"}],
            ["the engines differ in run 0, jit → interpreter:", "  r0: 0x1 → none"],
        ),
        (
            [{"given": "a"}],
            [],
            ["the engines differ in the number of runs: 1 on jit, 0 on interpreter"],
        ),
    ],
)
def test_how_runs_differ(one: list[Facts], other: list[Facts], lines: list[str]) -> None:
    found = disagreement([one, other], ["jit", "interpreter"])
    assert found[: len(lines)] == lines
    assert bool(found) is bool(lines)


def test_what_is_drawn_may_differ_but_not_what_comes_of_the_same() -> None:
    same, other = {"given": "a", "r0": "0x1"}, {"given": "b", "r0": "0x2"}
    engines = ["jit", "interpreter"]
    assert disagreement([[same, other], [same, same]], engines, drawn=True) == []
    assert disagreement([[same], [same, other]], engines, drawn=True) == []
    assert disagreement([[same], [same | {"r0": "0x3"}]], engines, drawn=True)


def test_an_engine_that_a_mark_cannot_choose(run: Run) -> None:
    result = run(
        """
@pytest.mark.bpf(engine="quick")
def test_it(bpf):
    pass

@pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.bpf(engine="both"))])
def test_parameter(bpf, x):
    pass
"""
    )
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*engine='quick' cannot be said in a mark*"])
    result.stdout.fnmatch_lines(["*engine='both' cannot be said in a parameter's mark*"])


def test_the_kernel_runs_or_says_why_not(run: Run) -> None:
    result = run(COUNT, "--bpf-engine=kernel", "-rs")
    assert result.ret == 0
    counts = result.parseoutcomes()
    assert counts in ({"passed": 1}, {"skipped": 1})
    if "skipped" in counts:
        result.stdout.re_match_lines([r"SKIPPED.*(cannot run programs|runs no programs here)"])


def test_an_unknown_engine_is_refused(run: Run, pytester: pytest.Pytester) -> None:
    assert run(COUNT, "--bpf-engine=quick").ret == 4
    pytester.makeini("[pytest]\nbpf_engine = quick\n")
    result = run(COUNT)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*'quick' is none of auto, interpreter*"])


# Failures


def test_a_failed_expectation_shows_everything(run: Run) -> None:
    result = run("def test_it(bpf):\n    assert bpf.run(ECHO) == Expect('DROP', packet=ECHO)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*assert <Outcome xdp_firewall: TX (3)> == Expect(action='DROP', *",
            "E*verdict: TX (3), expected DROP",
            "E*packet, as it is → as expected:",
            "E*8 of 47 bytes differ:",
            "E*0x0000 ethernet.dst*02 00 00 00 00 01 → 02 00 00 00 00 02",
            "E*0x001e ipv4.dst*0a 00 00 01 → 0a 00 00 02",
            "*last BPF run*",
            "xdp_firewall on auto: TX (3), 84 instructions, packet of 47 bytes",
        ]
    )


def test_a_failed_comparison_of_packets_shows_the_fields(run: Run) -> None:
    result = run("def test_it(bpf):\n    assert bpf.run(ECHO).packet == ECHO\n")
    result.stdout.fnmatch_lines(
        ["E*8 of 47 bytes differ:", "*BPF difference*", "*0x0024 udp.dst_port*9c 40 → 00 07"]
    )


def test_a_failed_comparison_of_maps_shows_the_keys(run: Run) -> None:
    """With a stand-in, since a map is whatever of drybpf's is a mapping."""
    result = run(
        """
class Map(dict):
    __module__ = "drybpf.maps"

def test_it():
    assert Map({1: 5, 2: 6}) == {1: 5, 2: 7}
"""
    )
    result.stdout.fnmatch_lines(["E*left → right:", "E*[[]2]: 6 → 7"])


def test_other_comparisons_are_left_alone(run: Run) -> None:
    result = run("def test_it(bpf):\n    assert bpf.run(ECHO).instructions == 83\n")
    result.stdout.fnmatch_lines(["E*assert 84 == 83"])


def test_a_fault_shows_its_source_line(run: Run) -> None:
    result = run(
        """
@pytest.mark.bpf("xdp_bad_access.o", program="xdp_unchecked")
def test_it(bpf):
    bpf.run(b"abc")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            '>*bpf.run(b"abc")',
            "E*drybpf.errors.MemoryFault: read of 1 bytes at 0x30000164*",
            "*BPF fault*",
            "in xdp_unchecked, ./tests/fixtures/src/xdp_bad_access.c:10",
            ">*10 return data[[]100] ? XDP_PASS : XDP_DROP;",
            "insn 1: r1 = [*](u8 [*])(r1 + 100)",
            "r0=0x0 r1=0x30000100*",
        ]
    )
    assert "interpreter.py" not in result.stdout.str(), "only the test's own frames are shown"


def test_a_fault_is_told_of_its_own_program(run: Run) -> None:
    """Not of the object that was loaded last."""
    result = run(
        """
def test_it(bpf_load):
    bad = bpf_load("xdp_bad_access.o", program="xdp_past_end")
    bpf_load("xdp_firewall.o").run(ECHO)
    bad.run(ECHO)
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*BPF fault*", "in xdp_past_end, *", "insn 1: r0 = [*](u8*"])


def test_a_difference_of_another_test_is_not_told(run: Run) -> None:
    result = run(
        """
def test_one(bpf):
    with pytest.raises(AssertionError):
        assert bpf.run(ECHO).packet == bytes(47)

def test_two(bpf):
    bpf.run(b"")
    assert 1 == 2
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.no_fnmatch_line("*BPF difference*")


def test_the_worst_case_is_asserted(run: Run) -> None:
    result = run("@pytest.mark.bpf(max_instructions=83)\ndef test_it(bpf):\n    bpf.run(ECHO)\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*xdp_firewall executed 84 instructions, 83 are allowed",
            "E*19  ./examples/firewall/xdp_firewall.c:40: eth->h_dest[[]i] = eth->h_source[[]i];",
        ]
    )
    run(
        "@pytest.mark.bpf(max_instructions=84)\ndef test_it(bpf):\n    bpf.run(ECHO)\n"
    ).assert_outcomes(passed=1)


def test_mocked_helpers_record_calls(run: Run, pytester: pytest.Pytester) -> None:
    shutil.copy(fixture("xdp_adjust"), pytester.path)
    result = run(
        """
@pytest.mark.bpf("xdp_adjust.o", "xdp_pop_ethernet")
def test_it(bpf, bpf_helpers):
    adjust = bpf_helpers.mock("bpf_xdp_adjust_head", returns=-1)
    bpf.run(ECHO)
    adjust.assert_called(1)
    assert adjust.calls[0].arguments[1] == 14
"""
    )
    result.assert_outcomes(passed=1)


# Vectors

GOOD = "-- asm\nmov r0, 3\nexit\n-- result\n0x3\n"
BAD = "-- asm\nmov r0, 3\nexit\n-- result\n0x4\n"
FAULT = "-- asm\nldxb r0, [r1]\nexit\n-- error\nMemoryFault\n"


def test_vectors_are_collected_where_asked_for(run: Run, pytester: pytest.Pytester) -> None:
    folder = pytester.path / "vectors"
    folder.mkdir()
    for name, text in {"good": GOOD, "bad": BAD, "fault": FAULT, "none": "-- nonsense"}.items():
        (folder / f"{name}.data").write_text(text)
    (pytester.path / "other.data").write_text("no vector")
    pytester.makeini("[pytest]\nbpf_vectors = vectors/*.data\n")
    result = run("def test_it(): pass", head="")
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines(
        [
            "bad.data on auto:",
            "expected 0x4",
            "got      0x3",
            "none.data on auto:",
            "*unknown directive*",
        ]
    )
    run("def test_it(): pass", "--bpf-engine=both", head="").assert_outcomes(passed=5, failed=4)


def test_a_vector_is_collected_when_it_is_named(run: Run, pytester: pytest.Pytester) -> None:
    (pytester.path / "x.data").write_text(GOOD)
    result = run("", "x.data", "-v", head="")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["x.data::x PASSED*"])
    run("def test_it(): pass", head="").assert_outcomes(passed=1)


def test_vectors_with_helpers_of_the_project(run: Run, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nbpf_vector_helpers = mine:TABLE\npythonpath = .\n")
    pytester.makepyfile(mine="TABLE = {77: lambda context, *r: 5}")
    (pytester.path / "x.data").write_text("-- asm\ncall 77\nexit\n-- result\n0x5\n")
    run("", "x.data", head="").assert_outcomes(passed=1)


def test_the_projects_own_vectors(pytester: pytest.Pytester) -> None:
    """All that the project has, through the collector, on both engines."""
    pytester.makeini(
        "[pytest]\nbpf_vectors = tests/vectors/*.data tests/bugs/*.data\n"
        f"bpf_vector_helpers = vector_runs:HELPERS\npythonpath = {ROOT / 'tests'}\n"
    )
    files = sorted((ROOT / "tests" / "vectors" / "control").glob("*.data"))
    options = ["-p", "drybpf.pytest_plugin", "--bpf-engine=both", "-c", "tox.ini"]
    result = pytester.runpytest_subprocess(*options, *map(str, files))
    result.assert_outcomes(passed=2 * len(files))


# Coverage

SUITE = """
def test_echo(bpf):
    assert bpf(ECHO).name == "TX"

@pytest.mark.parametrize("port", [23, 445, 80])
def test_tcp(bpf, port):
    bpf.run(build.ethernet(build.ipv4(build.tcp(dport=port))))

def test_nothing(bpf):
    assert bpf(b"").name == "ABORTED"
"""


def _counts(path: Path) -> dict[str, object]:
    return Coverage.load(path).to_json()


def test_coverage_in_the_terminal(run: Run) -> None:
    result = run(SUITE, "--bpf-cov")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(
        [
            "*BPF coverage*",
            "file *lines *hit *ways *gone *cover *missing",
            "./examples/firewall/xdp_firewall.c *29 *",
            "*xdp_firewall.c:*: insn *",
        ]
    )
    short = run(SUITE, "--bpf-cov", "--bpf-cov-report=term-short")
    assert "insn" not in short.stdout.str()


def test_every_report_is_written(run: Run, pytester: pytest.Pytester) -> None:
    reports = ["html:out/page.html", "lcov", "cobertura", "json"]
    result = run(
        SUITE, "--bpf-cov", f"--bpf-cov-source={ROOT}", *(f"--bpf-cov-report={r}" for r in reports)
    )
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["html: out/page.html", "lcov: bpf-coverage.info"])
    page = (pytester.path / "out" / "page.html").read_text()
    assert "A small firewall: it decides" in page, "the source was found"
    assert "DA:162,5" in (pytester.path / "bpf-coverage.info").read_text()
    assert "<coverage" in (pytester.path / "bpf-coverage.xml").read_text()
    assert _counts(pytester.path / "bpf-coverage.json")["programs"]


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_workers_of_xdist_merge(run: Run, pytester: pytest.Pytester, engine: str) -> None:
    alone = run(SUITE, "--bpf-cov", "--bpf-cov-report=json:a.json", f"--bpf-engine={engine}")
    spread = run(
        SUITE, "--bpf-cov", "--bpf-cov-report=json:b.json", f"--bpf-engine={engine}", "-n", "2"
    )
    for result in (alone, spread):
        result.assert_outcomes(passed=5)
    assert _counts(pytester.path / "a.json") == _counts(pytester.path / "b.json")


def test_engines_measure_the_same(run: Run, pytester: pytest.Pytester) -> None:
    for engine in ("interpreter", "jit"):
        run(SUITE, "--bpf-cov", f"--bpf-cov-report=json:{engine}", f"--bpf-engine={engine}")
    assert _counts(pytester.path / "jit") == _counts(pytester.path / "interpreter")


def test_runs_add_up(run: Run, pytester: pytest.Pytester) -> None:
    options = ["--bpf-cov", "--bpf-cov-append=sum.json"]
    run(SUITE, *options, "-k", "echo")
    run(SUITE, *options, "-k", "not echo")
    run(SUITE, "--bpf-cov", "--bpf-cov-report=json:all.json")
    assert _counts(pytester.path / "sum.json") == _counts(pytester.path / "all.json")


def test_programs_that_no_test_ran_are_reported(run: Run, pytester: pytest.Pytester) -> None:
    text = (
        '@pytest.mark.bpf("xdp_two_programs.o", "xdp_first")\ndef test_it(bpf): bpf.run(bytes(64))'
    )
    run(text, "--bpf-cov", "--bpf-cov-report=json:x.json")
    coverage = Coverage.load(pytester.path / "x.json")
    assert [(p.name, bool(p.instructions)) for p in coverage] == [
        ("xdp_first", True),
        ("xdp_second", False),
    ]
    assert any(not line.hits for file in source_files(coverage) for line in file.lines.values())


def test_too_little_coverage_fails(run: Run) -> None:
    result = run(SUITE, "--bpf-cov", "--bpf-cov-fail-under=99.5")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAIL: * % of the BPF lines are covered, 99.5 % are demanded"])
    assert run(SUITE, "--bpf-cov", "--bpf-cov-fail-under=10").ret == 0


def test_an_unknown_report_is_refused(run: Run) -> None:
    result = run(SUITE, "--bpf-cov", "--bpf-cov-report=pdf")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*there is no report 'pdf'*"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bpf-cov-report=term:table.txt",), "*term goes to the terminal, not to a file*"),
        (("--bpf-cov-fail-under=nan",), "*nan is not 0 to 100*"),
        (("--bpf-cov-append=test_it.py",), "*test_it.py: no coverage data*"),
        (("--bpf-engine=kernel",), "*the kernel does not tell which instructions ran*"),
    ],
)
def test_what_would_be_measured_in_vain_is_refused(
    run: Run, options: tuple[str], message: str
) -> None:
    result = run(SUITE, "--bpf-cov", *options)
    assert result.ret == 4
    result.stderr.fnmatch_lines([message])


@pytest.mark.parametrize(
    "option", ["--bpf-cov-report=html:/dev/full", "--bpf-cov-append=/dev/full/x"]
)
def test_a_report_that_cannot_be_written_fails(run: Run, option: str) -> None:
    result = run(SUITE, "--bpf-cov", option)
    result.assert_outcomes(passed=5)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAIL: /dev/full* cannot be written: *"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_nothing_measured_is_not_enough(run: Run) -> None:
    result = run("def test_it(): pass", "--bpf-cov", "--bpf-cov-fail-under=1", head="")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAIL: no BPF lines were measured, 1 % are demanded"])
    assert run(SUITE, "--bpf-cov", "--bpf-cov-fail-under=1", "--collect-only").ret == 0


# What it costs those who test something else


def test_nothing_is_loaded_without_a_bpf_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
import sys
def test_it():
    loaded = [m for m in sys.modules if m.startswith(("drybpf", "llvmlite", "numpy"))]
    assert sorted(loaded) == ["drybpf", "drybpf.pytest_plugin"]
"""
    )
    pytester.runpytest_subprocess("-p", "drybpf.pytest_plugin").assert_outcomes(passed=1)


def test_the_interpreter_needs_no_llvm(run: Run) -> None:
    text = """
import sys
def test_it(bpf):
    bpf.run(ECHO)
    assert "llvmlite" not in sys.modules
"""
    run(text, "--bpf-engine=interpreter", "--bpf-cov").assert_outcomes(passed=1)


def test_the_plugin_starts_within_30_ms() -> None:
    """The best of several: other work of this machine must not count."""
    script = (
        "import pytest, time\n"
        "begin = time.perf_counter()\n"
        "import drybpf.pytest_plugin\n"
        "print(time.perf_counter() - begin)"
    )
    times = []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        times.append(float(done.stdout))
        if min(times) < 0.03:
            break
        time.sleep(0.2)
    assert min(times) < 0.03


def test_the_entry_point_is_declared() -> None:
    import tomllib  # noqa: PLC0415 (only here)

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"drybpf.pytest_plugin": "drybpf.pytest_plugin"}


def test_counts_of_workers_are_plain_data() -> None:
    """What goes through xdist's channel must be what execnet can send."""
    with Coverage() as coverage:
        drybpf.load(FIREWALL)["xdp_firewall"](ECHO)
    data = coverage.to_json()
    assert json.loads(json.dumps(data)) == json.loads(
        json.dumps(Coverage.from_json(data).to_json())
    )


# Maps

MAPS = """
@pytest.mark.bpf("load_maps.o", "enter")
def test_it(bpf, bpf_maps):
    outcome = bpf.run(bytes(1))
    assert outcome == Expect(action="TX", maps={"totals": {2: WANTED}})
    assert bpf_maps["totals"][2] == 1
"""


def test_maps_are_expected_and_fresh(run: Run, pytester: pytest.Pytester) -> None:
    shutil.copy(fixture("load_maps"), pytester.path)
    run(MAPS.replace("WANTED", "1"), "--bpf-engine=both").assert_outcomes(passed=2)
    result = run(MAPS.replace("WANTED", "5"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*map totals, as it is → as expected:",
            "E*[[]2]: 1 → 5",
            "*last BPF run*",
            "map totals: 2: 1",
        ]
    )
