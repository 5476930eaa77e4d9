"""The kernel takes the examples' programs, and agrees about all but the time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drybpf import Object
from example_runs import outcome, script
from kernel_here import needs_kernel

pytestmark = needs_kernel


def agreed(load: Callable[[], Object], packets: list[bytes]) -> list[dict[str, Any]]:
    """The outcomes of the kernel and of compiled code, whose verdicts and packets are the same."""
    both = [outcome(load(), packets, engine) for engine in ("kernel", "jit")]
    for part in ("verdicts", "packets", "variables"):
        assert both[0][part] == both[1][part], part
    return both


def test_blacklist() -> None:
    blacklist = script("blacklist")
    kernel, ours = agreed(blacklist.load, list(blacklist.flood(100)))
    assert kernel["maps"] == ours["maps"]


def test_load_balancer() -> None:
    balancer = script("load_balancer")
    kernel, ours = agreed(balancer.load, list(balancer.clients(100)))
    assert kernel["maps"] == ours["maps"]


def test_rate_limiter() -> None:
    limiter, packets = script("rate_limiter"), list(script("blacklist").flood(50))
    both = agreed(lambda: limiter.load(limit=1)[0], packets)
    counts = [
        {key: (each.passed, each.dropped) for key, each in done["maps"]["buckets"].items()}
        for done in both
    ]
    assert counts[0] == counts[1]


def test_flow_monitor() -> None:
    monitor = script("flow_monitor")
    packets = list(monitor.replay(monitor.CAPTURE, monitor.load()[1]))
    both = agreed(lambda: monitor.load()[0], [each for each in packets if len(each) >= 14])
    events = [
        [(event.kind, event.key, event.flow.packets) for event in done["maps"]["events"]]
        for done in both
    ]
    flows = [
        {key: (each.packets, each.bytes) for key, each in done["maps"]["flows"].items()}
        for done in both
    ]
    assert events[0] == events[1]
    assert flows[0] == flows[1]
