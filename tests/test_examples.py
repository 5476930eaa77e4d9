"""The sample project: its suite, run as its users run it, finds the bug in the firewall."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drybpf.coverage import Coverage, source_files
from support import ROOT

PROJECT = ROOT / "examples" / "firewall"


def _suite(*options: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "drybpf.pytest_plugin",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    return subprocess.run(
        [*command, *options, str(PROJECT)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
        cwd=ROOT,
    )


@pytest.mark.parametrize("engine", ["interpreter", "jit"])
def test_the_suite_finds_the_bug(engine: str) -> None:
    done = _suite(f"--bpf-engine={engine}")
    failed = [
        line.split("::")[1].split(" ")[0] for line in done.stdout.splitlines() if "FAILED" in line
    ]
    assert failed == ["test_an_answer_is_never_answered"], done.stdout
    assert "1 failed, 21 passed" in done.stdout
    assert "sport=7" in done.stdout
    assert "two of these would never stop" in done.stdout


def test_the_mended_firewall_passes(tmp_path: Path) -> None:
    counts = tmp_path / "counts.json"
    done = _suite("-o", "bpf_objects=mended", "--bpf-cov", f"--bpf-cov-report=json:{counts}")
    assert "22 passed" in done.stdout, done.stdout
    (file,) = source_files(Coverage.load(counts))
    assert file.path == "./examples/firewall/mended/xdp_firewall.c"
    assert file.missing == ()
    assert file.tally.branch_rate >= 0.9
