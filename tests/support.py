"""Where the tests find the project's fixtures and the material shared between workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OBJECTS = ROOT / "tests" / "fixtures" / "objects"
FIREWALL = ROOT / "examples" / "firewall" / "xdp_firewall.o"
TRAFFIC = ROOT / "examples" / "firewall" / "traffic.pcap"


def shared_or_none(name: str) -> Path | None:
    """A file or folder of the shared material, None where there is none: for parameters."""
    path = Path(os.environ.get("DRYBPF_SHARED", ROOT.parent / "shared")) / name
    return path if path.exists() else None


def shared(name: str) -> Path:
    """A file or folder of the shared material; skips the running test where there is none."""
    path = shared_or_none(name)
    if path is None:
        pytest.skip(f"{name} of the shared material is not here (DRYBPF_SHARED)")
    return path


def fixture(name: str) -> Path:
    """A compiled fixture: `fixture("xdp_pass")` is its object file."""
    return OBJECTS / f"{name}.o"
