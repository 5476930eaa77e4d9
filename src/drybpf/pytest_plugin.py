"""The pytest plugin: objects under test, engines, coverage of the C source, vector files.

Everything heavy is imported when a test needs it: a test run without BPF tests loads this file and
nothing else of drybpf.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from drybpf.coverage import Coverage
    from drybpf.testing import HelperMocks, Subject
    from drybpf.testing.agreement import Half, Halves
    from drybpf.vectors import Vector

ENGINES = ("auto", "interpreter", "jit", "both", "kernel")
BOTH = ("interpreter", "jit")
REPORTS = ("term", "term-short", "html", "lcov", "cobertura", "json")
_FILES = {
    "html": "bpf-coverage.html",
    "lcov": "bpf-coverage.info",
    "cobertura": "bpf-coverage.xml",
    "json": "bpf-coverage.json",
}
_WORKER_OUTPUT = "drybpf_coverage"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and settings."""
    group = parser.getgroup("bpf", "eBPF programs (drybpf)")
    add = group.addoption
    add("--bpf-engine", choices=ENGINES, default=None, help="what runs BPF programs")
    add("--bpf-cov", action="store_true", help="measure the coverage of BPF sources")
    add(
        "--bpf-cov-report",
        action="append",
        default=[],
        metavar="KIND[:FILE]",
        help=f"{', '.join(REPORTS)}; may be repeated, default: term",
    )
    add("--bpf-cov-source", action="append", default=[], metavar="DIR", help="where sources lie")
    add("--bpf-cov-append", default=None, metavar="FILE", help="add to this file of counts")
    add(
        "--bpf-cov-fail-under",
        type=float,
        default=None,
        metavar="PERCENT",
        help="fail when fewer lines are covered",
    )
    parser.addini("bpf_engine", "what runs BPF programs", default="auto")
    parser.addini("bpf_objects", "folders where object files lie", type="paths", default=[])
    parser.addini("bpf_vectors", "patterns of vector files to collect", type="args", default=[])
    parser.addini("bpf_vector_helpers", "module:name of the vectors' helpers", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, check the options, begin to measure."""
    config.addinivalue_line(
        "markers",
        "bpf(object, program=None, engine=None, budget=..., max_instructions=None, types=None): "
        "the object file that the fixture `bpf` loads, and how its programs run",
    )
    if _engine(config) not in ENGINES:
        raise pytest.UsageError(f"bpf_engine: {_engine(config)!r} is none of {', '.join(ENGINES)}")
    if not hasattr(config, "workerinput"):  # the one process that gets all reports
        config.pluginmanager.register(_Judge(), "drybpf-judge")
    _check_reports(config)
    if config.getoption("bpf_cov") and not config.getoption("collectonly"):
        from drybpf.coverage import Coverage  # noqa: PLC0415 (only what is asked for)

        _check_coverage(config)
        config.stash[_COVERAGE] = Coverage()
        config.stash[_COVERAGE].start()


def _check_reports(config: pytest.Config) -> None:
    for report in config.getoption("bpf_cov_report"):
        kind, colon, _ = report.partition(":")
        if kind not in REPORTS:
            raise pytest.UsageError(f"--bpf-cov-report: there is no report {report!r}")
        if colon and kind not in _FILES:
            raise pytest.UsageError(f"--bpf-cov-report: {kind} goes to the terminal, not to a file")
    least = config.getoption("bpf_cov_fail_under")
    if least is not None and not 0 <= least <= 100:
        raise pytest.UsageError(f"--bpf-cov-fail-under: {least} is not 0 to 100")


def _check_coverage(config: pytest.Config) -> None:
    """Refuse now what would make all that is measured vain."""
    from drybpf.coverage import Coverage, CoverageError  # noqa: PLC0415 (only what is asked for)

    if _engine(config) == "kernel":
        raise pytest.UsageError("--bpf-cov: the kernel does not tell which instructions ran")
    kept = config.getoption("bpf_cov_append")
    try:
        if kept is not None and Path(kept).exists():
            Coverage.load(kept)
    except (CoverageError, OSError) as error:
        raise pytest.UsageError(f"--bpf-cov-append: {error}") from error


def _engine(config: pytest.Config) -> str:
    return str(config.getoption("bpf_engine") or config.getini("bpf_engine"))


# Fixtures


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each of both engines, where both were asked for."""
    if "bpf_engine" not in metafunc.fixturenames:
        return
    if _marked(metafunc.definition).get("engine", _engine(metafunc.config)) == "both":
        metafunc.parametrize("bpf_engine", BOTH, indirect=True, scope="function")


def _marked(item: pytest.Item) -> dict[str, Any]:
    """What the markers say, the closest one first; `object` is the positional argument."""
    said: dict[str, Any] = {}
    for mark in item.iter_markers("bpf"):
        given = dict(zip(("object", "program"), mark.args, strict=False))
        said = {**given, **mark.kwargs, **said}
    return said


@pytest.fixture
def bpf_engine(request: pytest.FixtureRequest) -> str:
    """The engine that runs this test's programs; a skip where there is no such engine here."""
    engine = str(
        getattr(request, "param", None)
        or _marked(request.node).get("engine")
        or _engine(request.config)
    )
    if engine == "kernel":
        _skip_without_kernel()
    elif engine not in (*BOTH, "auto"):  # `both` has become parameters where pytest can do that
        where = "a parameter's mark" if engine == "both" else "a mark"
        raise pytest.UsageError(f"engine={engine!r} cannot be said in {where}")
    return engine


def _skip_without_kernel() -> None:
    from drybpf.engine import ENGINES as KNOWN  # noqa: PLC0415 (only where it was asked for)

    if "kernel" not in KNOWN:
        pytest.skip("this drybpf cannot run programs in the kernel")
    kernel = pytest.importorskip("drybpf.kernel")
    why = kernel.objection() if hasattr(kernel, "objection") else None
    if why:
        pytest.skip(f"the kernel runs no programs here: {why}")


@pytest.fixture
def bpf_load(request: pytest.FixtureRequest, bpf_engine: str) -> Callable[..., Subject]:
    """A function that loads an object file as the object under test: `bpf_load("x.o")`."""

    def load(name: str | Path | bytes, **options: object) -> Subject:
        from drybpf.testing.subject import Subject  # noqa: PLC0415 (only for BPF tests)

        path = name if isinstance(name, bytes) else _find(request, Path(name))
        engine: Any = options.pop("engine", bpf_engine)
        subject = Subject(path, engine=engine, folder=request.path.parent, **options)  # type: ignore[arg-type]  # it checks
        request.node.stash.setdefault(_SUBJECTS, []).append(subject)
        coverage = request.config.stash.get(_COVERAGE, None)
        if coverage is not None:
            for code in subject.codes():
                coverage.expect(code)
        return subject

    return load


def _find(request: pytest.FixtureRequest, name: Path) -> Path:
    """An object file: beside the test, in the folders of `bpf_objects`, at pytest's root."""
    config = request.config
    folders = [request.path.parent, *config.getini("bpf_objects"), config.rootpath]
    for folder in folders:
        if (folder / name).is_file():
            return Path(folder / name)
    looked = ", ".join(str(folder) for folder in folders)
    raise pytest.UsageError(f"there is no object file {str(name)!r} in {looked}")


@pytest.fixture
def bpf(request: pytest.FixtureRequest, bpf_load: Callable[..., Subject]) -> Subject:
    """The object of `@pytest.mark.bpf(object, …)`, loaded anew for this test."""
    said = _marked(request.node)
    if "object" not in said:
        raise pytest.UsageError("mark the test with @pytest.mark.bpf('object.o')")
    said.pop("engine", None)
    return bpf_load(said.pop("object"), **said)


@pytest.fixture
def bpf_program(bpf: Subject) -> object:
    """The program under test: a `drybpf.Program`."""
    return bpf.program


@pytest.fixture
def bpf_maps(bpf: Subject) -> object:
    """The maps of the object under test, by name."""
    return bpf.maps


@pytest.fixture
def bpf_helpers(bpf: Subject) -> HelperMocks:
    """Mocks for helpers: `bpf_helpers.mock("bpf_ktime_get_ns", returns=5)` records its calls."""
    return bpf.helpers


_SUBJECTS: pytest.StashKey[list[Subject]] = pytest.StashKey()
_COVERAGE: pytest.StashKey[Coverage] = pytest.StashKey()
_DIFFERENCE = pytest.StashKey[list[str]]()
_SKIPPED = pytest.StashKey[bool]()
_FAILURES = pytest.StashKey[list[str]]()
_SHOWN = 5  # lines of a difference that pytest shows whatever their length


# Failures


def pytest_assertrepr_compare(
    config: pytest.Config, op: str, left: object, right: object
) -> list[str] | None:
    """Explain why outcomes, packets and maps are not equal.

    What pytest would cut off is told in the report, too.
    """
    lines = _compared(op, left, right)
    if lines is not None:
        config.stash[_DIFFERENCE] = lines[1:] if len(lines) > _SHOWN else []
    return lines


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Forget what was compared in the test before."""
    item.config.stash[_DIFFERENCE] = []


def _compared(op: str, left: object, right: object) -> list[str] | None:
    if op != "==" or not any(type(v).__module__.startswith("drybpf.") for v in (left, right)):
        return None
    from drybpf.testing.difference import (  # noqa: PLC0415 (loaded already)
        map_difference,
        packet_difference,
    )
    from drybpf.testing.expect import Expect, Outcome  # noqa: PLC0415 (as above)
    from drybpf.testing.packets import PacketBytes  # noqa: PLC0415 (as above)

    if isinstance(right, Outcome) and isinstance(left, Expect):
        left, right = right, left
    if isinstance(left, Outcome) and isinstance(right, Expect):
        return [f"{left!r} == {right!r}", *right.differences(left)]
    if isinstance(left, bytes) and isinstance(right, bytes):
        if not any(isinstance(value, PacketBytes) for value in (left, right)):
            return None
        head = f"{PacketBytes(left)!r} == {PacketBytes(right)!r}"
        return [head, "left → right:", *packet_difference(left, right)]
    if any(type(value).__module__.startswith("drybpf.maps") for value in (left, right)):
        try:
            lines = map_difference(left, right)
        except (TypeError, AttributeError):  # one of them is no map
            return None
        return [f"{left!r} == {right!r}", "left → right:", *lines]
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell in a failed test's report what its last run did, and where a fault happened."""
    report = yield
    subjects = item.stash.get(_SUBJECTS, None)
    if subjects and call.excinfo is not None and report.failed:
        from drybpf.errors import ExecutionError  # noqa: PLC0415 (loaded already)

        error = call.excinfo.value
        if isinstance(error, ExecutionError):
            report.sections.append(("BPF fault", "\n".join(subjects[-1].describe_fault(error))))
        difference = item.config.stash.get(_DIFFERENCE, [])
        if difference and isinstance(error, AssertionError):
            report.sections.append(("BPF difference", "\n".join(difference)))
        runs = subjects[-1].runs
        if runs:
            report.sections.append(("last BPF run", "\n".join(runs[-1].describe())))
    _tell_runs(item, report)
    return report


# Both engines


def _tell_runs(item: pytest.Item, report: pytest.TestReport) -> None:
    """Put what the runs of a half of a test came to into its last report, as plain data.

    The other half may run in another worker of pytest-xdist, so the reports are compared.
    """
    item.stash[_SKIPPED] = item.stash.get(_SKIPPED, False) or report.skipped
    spec = getattr(item, "callspec", None)
    if report.when != "teardown" or spec is None or item.stash[_SKIPPED]:
        return
    if "bpf_engine" not in spec.params or not (subjects := item.stash.get(_SUBJECTS, [])):
        return
    from drybpf.testing.agreement import half  # noqa: PLC0415 (only for both engines)

    drawn = bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))
    attempts = [attempt for subject in subjects for attempt in subject.attempts]
    told = half(item.nodeid, spec.id, spec.params["bpf_engine"], attempts, drawn=drawn)
    setattr(report, _REPORTED, told)


_REPORTED = "drybpf_runs"


class _Judge:
    """Where tests run on both engines, fails the later half of each whose runs differ."""

    def __init__(self) -> None:
        self._halves: Halves | None = None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Change the report before anybody has seen it."""
        told = getattr(report, _REPORTED, None)
        lines = self._judge(told) if told is not None else []
        if lines and report.failed:
            report.sections.append(("BPF engines", "\n".join(lines)))
        elif lines:
            report.outcome, report.longrepr = "failed", "\n".join(lines)
        yield

    def _judge(self, told: Half) -> list[str]:
        from drybpf.testing.agreement import Halves  # noqa: PLC0415 (only for both engines)

        if self._halves is None:
            self._halves = Halves()
        return self._halves.judge(told)


# Vector files


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> VectorFile | None:
    """Collect vector files that `bpf_vectors` matches, and those given on the command line."""
    if file_path.suffix != ".data":
        return None
    config = parent.config
    given = {Path(str(arg).partition("::")[0]).absolute() for arg in config.args}
    relative = file_path.as_posix()
    patterns = config.getini("bpf_vectors")
    if file_path.absolute() in given or any(fnmatch(relative, f"*{p}") for p in patterns):
        return VectorFile.from_parent(parent, path=file_path)
    return None


class VectorFile(pytest.File):
    """A file of bpf_conformance's format: one test."""

    def collect(self) -> Iterable[VectorItem]:
        """An item for each engine."""
        engine = _engine(self.config)
        for each in BOTH if engine == "both" else (engine,):
            name = f"{self.path.stem}[{each}]" if engine == "both" else self.path.stem
            item: VectorItem = VectorItem.from_parent(self, name=name)
            item.engine = each
            yield item


class VectorFailure(Exception):
    """What came out otherwise than the vector says."""


class VectorItem(pytest.Item):
    """One vector on one engine."""

    engine = "auto"

    def runtest(self) -> None:
        """Run it; the kernel takes no such programs."""
        from drybpf.testing import vectors  # noqa: PLC0415 (only for vectors)
        from drybpf.vectors import read_vector  # noqa: PLC0415 (as above)

        if self.engine == "kernel":
            pytest.skip("the kernel runs no vectors: they are programs on plain memory")
        vector: Vector = read_vector(self.path)
        table = self.config.getini("bpf_vector_helpers")
        helpers = vectors.find_helpers(table) if table else vectors.HELPERS
        found = vectors.objections(vector, self.engine, helpers)  # type: ignore[arg-type]  # checked
        if found:
            raise VectorFailure("\n".join(found))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401
        """The two results, or why the file is no vector."""
        from drybpf.errors import BpfError  # noqa: PLC0415 (loaded already)

        if isinstance(excinfo.value, VectorFailure | BpfError):
            return f"{self.path.name} on {self.engine}:\n{excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where the test stands."""
        return self.path, None, self.name


# Coverage


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Take over the counts, so that the programs of a test can be freed."""
    if _COVERAGE in item.config.stash:
        item.config.stash[_COVERAGE].collect()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 (xdist's)
    """Merge what a worker of pytest-xdist has measured."""
    sent = getattr(node, "workeroutput", {}).get(_WORKER_OUTPUT)
    if sent is not None and _COVERAGE in node.config.stash:
        from drybpf.coverage import Coverage  # noqa: PLC0415 (loaded already)

        node.config.stash[_COVERAGE].merge(Coverage.from_json(sent))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send a worker's counts, or write the reports and compare with what was demanded."""
    config = session.config
    coverage = config.stash.get(_COVERAGE, None)
    if coverage is None:
        return
    coverage.stop()
    if hasattr(config, "workeroutput"):
        config.workeroutput[_WORKER_OUTPUT] = coverage.to_json()
        return
    from drybpf.coverage import reports  # noqa: PLC0415 (loaded already)

    failures = config.stash[_FAILURES] = list(_write_reports(config, coverage))
    least = config.getoption("bpf_cov_fail_under")
    if least is not None and (why := reports.shortfall(coverage, least)):
        failures.append(why)
    if failures and not session.exitstatus:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _write_reports(config: pytest.Config, coverage: Coverage) -> Iterator[str]:
    """Write all files that were asked for; gives what could not be written, and why."""
    from drybpf.coverage import reports  # noqa: PLC0415 (loaded already)
    from drybpf.errors import CoverageError  # noqa: PLC0415 (as above)

    kept = config.getoption("bpf_cov_append")
    if kept is not None:
        try:
            reports.append(coverage, Path(kept))
        except OSError as error:
            yield f"{kept} cannot be written: {error.strerror}"
        except CoverageError as error:  # it was sound when the tests began
            yield str(error)
    roots = [*config.getoption("bpf_cov_source"), config.rootpath]
    for kind, path in _files(config):
        try:
            reports.write(coverage, kind, path, roots)
        except OSError as error:
            yield f"{path} cannot be written: {error.strerror}"


def _files(config: pytest.Config) -> Iterator[tuple[str, Path]]:
    """The reports that are files."""
    for report in config.getoption("bpf_cov_report"):
        kind, _, name = report.partition(":")
        if kind in _FILES:
            yield kind, Path(name or _FILES[kind])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of covered files."""
    config = terminalreporter.config
    coverage = config.stash.get(_COVERAGE, None)
    if coverage is None:
        return
    from drybpf.coverage import report  # noqa: PLC0415 (loaded already)
    from drybpf.markup import printable  # noqa: PLC0415 (as above)

    kinds = config.getoption("bpf_cov_report") or ["term"]
    if any(kind.startswith("term") for kind in kinds):
        terminalreporter.section("BPF coverage")
        for line in report(coverage, details="term" in kinds).split("\n"):
            terminalreporter.write_line(printable(line))
    for kind, path in _files(config):
        terminalreporter.write_line(f"{kind}: {path}")
    for failure in config.stash.get(_FAILURES, ()):
        terminalreporter.write_line(f"FAIL: {failure}", red=True)
