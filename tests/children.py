"""Tests that could take the process down run their code in a child."""

from __future__ import annotations

import os
import subprocess
import sys


def run_child(code: str, **environment: str) -> str:
    """Run Python code in a new process; its output.  Fails where the process does not end well."""
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **paths, **environment},
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
