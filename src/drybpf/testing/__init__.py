"""Testing eBPF programs: what the pytest plugin is made of, and packets to test with.

packets, headers, difference packets as bytes, their fields, what differs
expect, mocks, faults, subject   what a run came to, mocked helpers, faults told, the fixture `bpf`
build, strategies             packets made by hand, and Hypothesis strategies for them
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drybpf.testing import build, strategies
    from drybpf.testing.difference import map_difference, packet_difference
    from drybpf.testing.expect import Expect, Outcome
    from drybpf.testing.headers import fields
    from drybpf.testing.mocks import HelperMock, HelperMocks
    from drybpf.testing.packets import PacketBytes, as_bytes, capture
    from drybpf.testing.subject import Subject

__all__ = [
    "Expect",
    "HelperMock",
    "HelperMocks",
    "Outcome",
    "PacketBytes",
    "Subject",
    "as_bytes",
    "build",
    "capture",
    "fields",
    "map_difference",
    "packet_difference",
    "strategies",
]

_MODULES = ("build", "strategies")
_HOMES = {
    name: f"drybpf.testing.{home}"
    for home, names in {
        "difference": "map_difference packet_difference",
        "expect": "Expect Outcome",
        "headers": "fields",
        "mocks": "HelperMock HelperMocks",
        "packets": "PacketBytes as_bytes capture",
        "subject": "Subject",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    """Import a public name from where it is defined (PEP 562): Hypothesis only when it is used."""
    if name in _MODULES:
        return import_module(f"drybpf.testing.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'drybpf.testing' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
