"""Fresh processes of this Python, timed."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from resource import RUSAGE_CHILDREN, getrusage


@lru_cache(maxsize=1)
def _pycache() -> str:
    """Where children keep compiled modules, as they would beside an installed package."""
    folder = tempfile.TemporaryDirectory(prefix="drybpf-bench-")
    atexit.register(folder.cleanup)
    return folder.name


def run(*arguments: str, cache: str = "") -> tuple[str, str, float]:
    """Run Python with these arguments; gives its output, its errors, and its CPU time in ms.

    drybpf's cache of machine code lies in `cache`, or is off.
    """
    dropped = ("DRYBPF_CACHE", "DRYBPF_CACHE_DIR", "PYTHONDONTWRITEBYTECODE")
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    environment["PYTHONPYCACHEPREFIX"] = _pycache()
    environment |= {"DRYBPF_CACHE_DIR": cache} if cache else {"DRYBPF_CACHE": "0"}
    command, before = [sys.executable, *arguments], getrusage(RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    after = getrusage(RUSAGE_CHILDREN)
    taken = (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1000
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout, done.stderr, taken
