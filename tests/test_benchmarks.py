"""The benchmark command works and looks at results; nothing here is about time."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from drybpf import Program
from drybpf.engine import Engine
from kernel_here import needs_kernel
from support import ROOT

BENCHMARKS = ROOT / "benchmarks"
PROGRAMS = BENCHMARKS / "programs"
EXPECTED = json.loads((PROGRAMS / "expected.json").read_text())


def _measure(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--quick", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("benchmarks")
    constant = f"fixed={sys.executable} -c print({{repeat}}*0+7)"
    done = _measure(
        *("--engines", "drybpf;unchecked;interpreter", "--engine", constant),
        *("--json", str(folder / "figures.json"), "--markdown", str(folder / "page.md")),
    )
    assert done.returncode == 0, done.stderr
    page = (folder / "page.md").read_text()
    assert done.stdout.split("\n", 1)[1].strip() in page
    found: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return found


@pytest.mark.parametrize("name", sorted(EXPECTED))
@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_result(name: str, engine: Engine) -> None:
    bytecode, memory = (PROGRAMS / f"{name}.{kind}" for kind in ("bin", "mem"))
    program = Program.from_bytes(bytecode.read_bytes(), engine=engine)
    assert program.run(memory.read_bytes()).value == EXPECTED[name]


@needs_kernel
def test_maps_beside_the_kernels(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    script = BENCHMARKS / "maps_kernel.py"
    options = ["--quick", "--only", "array", "--json", str(figures)]
    subprocess.run([sys.executable, str(script), *options], timeout=300, check=True)
    found = json.loads(figures.read_text())
    assert {(cost["entries"], cost["operation"]) for cost in found} == {
        (entries, operation) for entries in (1000, 100_000) for operation in ("lookup", "update")
    }
    assert all(cost["kernel_loop"] > 0 and cost["our_loop"] > 0 for cost in found)


def test_every_program_ran_on_every_engine_chosen(record: dict[str, Any]) -> None:
    assert set(record["runs"]) == set(EXPECTED)
    for times in record["runs"].values():
        assert set(times) == {"drybpf", "unchecked", "interpreter", "fixed"}
        assert times["fixed"] == 7  # the command's own word for it
        assert all(0 < taken < math.inf for taken in times.values())


def test_peers_by_hand(record: dict[str, Any]) -> None:
    # Without C nothing is scaled: these are the smallest numbers of the table's rows.
    scaled = {peer["name"]: (peer["peer"], peer["scaled"]) for peer in record["peers"]}
    assert scaled["02_parser"] == ("llvmbpf", 4.0)  # the kernel's 29 without 25 come second
    assert scaled["03_csum"] == ("uBPF", 263)
    assert scaled["05_sieve"] == ("kernel", 358 - 25)
    for peer in record["peers"]:
        ours = record["runs"][peer["name"]]["drybpf"]
        assert peer["ratio"] == pytest.approx(ours / peer["scaled"])


def test_every_topic_has_figures(record: dict[str, Any]) -> None:
    topics = {figure["topic"].split(" (")[0] for figure in record["figures"]}
    assert topics == {
        "Against the best peer",
        "Against unchecked of this run",
        "One call from Python",
        "Batch",
        "Batch on two threads",
        "Cold compile",
        "Warm compile",
        "Cold compile of straight code",
        "import drybpf",
        "First verdict in a fresh process",
        "Interpreter",
    }


def test_reached_follows_from_value_and_target(record: dict[str, Any]) -> None:
    for figure in record["figures"]:
        value, target = figure["value"], figure["target"]
        beyond = None if target is None else value >= target
        below = None if target is None else value <= target
        assert figure["reached"] is (beyond if figure["at_least"] else below)


def test_nothing_heavy_is_imported(record: dict[str, Any]) -> None:
    (heavy,) = (f for f in record["figures"] if f["what"].startswith("libraries loaded"))
    assert heavy["value"] == 0


def test_wrong_result_ends_the_run(tmp_path: Path) -> None:
    for source in (BENCHMARKS, PROGRAMS):
        target = tmp_path if source == BENCHMARKS else tmp_path / "programs"
        target.mkdir(exist_ok=True)
        for path in source.iterdir():
            if path.is_file():
                (target / path.name).write_bytes(path.read_bytes())
    wrong = json.dumps(EXPECTED | {"00_nop": 3})
    (tmp_path / "programs" / "expected.json").write_text(wrong)
    command = [sys.executable, str(tmp_path / "run.py"), "--only", "00_nop", "--topics", "runs"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "00_nop: drybpf gives 2, not 3" in done.stderr


def test_lanes_give_the_same_verdicts() -> None:
    command = [sys.executable, str(BENCHMARKS / "lanes.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if "no clang here" in done.stderr:
        pytest.skip("there is no clang here")
    assert done.returncode == 0, done.stderr
    assert "C, in 16 lanes" in done.stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--engines", "drybpf;v8"), "unknown: v8"),
        (("--topics", "colours"), "unknown: colours"),
        (("--engine", "uBPF"), "NAME=COMMAND"),
        (("--only", "11_none"), "invalid choice"),
    ],
)
def test_wrong_options_are_named(options: tuple[str, ...], complaint: str) -> None:
    done = _measure(*options)
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.fixture(scope="module")
def straight() -> Callable[..., bytes]:
    spec = spec_from_file_location("straight", BENCHMARKS / "straight.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    program: Callable[..., bytes] = module.program
    return program


@pytest.mark.parametrize("length", [40, 100, 500])
def test_straight_program(straight: Callable[..., bytes], length: int) -> None:
    bytecode = straight(length)
    assert len(bytecode) == 8 * length
    assert bytecode == straight(length)
    assert bytecode != straight(length, seed=2)
    memory = bytes(range(256))
    interpreted = Program.from_bytes(bytecode, engine="interpreter").run(memory)
    assert interpreted.instructions == length
    assert Program.from_bytes(bytecode, engine="jit").run(memory).value == interpreted.value
