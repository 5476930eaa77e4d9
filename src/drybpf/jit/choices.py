"""What a module is compiled for, and what is known of it besides its code.

Code out of the cache needs no more of the compiler than this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.jit.plan import Plan
from drybpf.jit.setup import Setting
from drybpf.jit.surroundings import NOWHERE, Surroundings
from drybpf.native.restricted import Function


@dataclass(frozen=True)
class Module:
    """The text of a module, and what its user must provide for a run."""

    ir: str
    helpers: tuple[int, ...]  # numbers, in the order of the run's table
    lookups: bool  # whether the table of regions is read
    plans: tuple[Plan, ...] = ()  # where the functions count, in the covering variant
    counters: int = 0
    straight: bool = False  # whether no function of it has a loop
    alone: bool = False  # whether, besides, there is one function only

    def facts(self) -> bytes:
        """All but the text, as a line for the cache of compiled code."""
        plans = [plan.to_json() for plan in self.plans]
        facts = self.helpers, self.lookups, plans, self.counters, self.straight, self.alone
        return json.dumps(facts).encode()

    @classmethod
    def from_facts(cls, facts: bytes) -> Module:
        """The inverse of `facts`."""
        helpers, lookups, plans, counters, straight, alone = json.loads(facts)
        plans = tuple(map(Plan.from_json, plans))
        return cls("", tuple(helpers), lookups, plans, counters, straight, alone)


@dataclass(frozen=True)
class Choices:
    """What a module is compiled for, besides the program and its hook.

    `lookups` are the accesses whose region is looked up; `counting` counts instructions; with a
    `start` the module goes on from that slot instead of beginning the program, and if it is
    `looping`, in a turn of a loop with all turns that follow; `natives` are the
    helpers in restricted Python and `kernel` those that have a lowering of their own, by number;
    `around` is the space; `moving` lets the packet's ends move; `tail` is for a program that tail
    calls enter, `numbered` for one that may make them, `sealed` for
    one that calls no helper in Python; `paranoid` checks what the guards of loops
    stand for; `batch`, for a module whose way in is the loop over a batch, is the bytes of
    its offsets; `covering` counts
    the edges of the flow graph.
    """

    lookups: frozenset[int] = frozenset()
    counting: bool = False
    start: int | None = None
    looping: bool = False
    natives: Mapping[int, Function[...]] = field(default_factory=dict)
    kernel: Mapping[int, str] = field(default_factory=dict)
    around: Surroundings = NOWHERE
    moving: bool = False
    tail: bool = False
    numbered: bool = False
    sealed: bool = False
    paranoid: bool = False
    batch: int = 0
    covering: bool = False

    @property
    def spaced(self) -> bool:
        """Whether the program names stores or maps."""
        return bool(self.around.stores or self.around.maps)

    def setting(self, code: Code, shape: Shape, *, lookups: bool) -> Setting:
        """What the ways into such a module must know."""
        return Setting(shape, code.may_write, lookups, self.spaced, self.moving, self.numbered)
