"""The kernel's helpers: from the table to what programs call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from drybpf.errors import UnknownHelper
from drybpf.helpers.kfuncs import KFUNCS, kfunc_name
from drybpf.helpers.table import ROWS, Row
from drybpf.state import Context, Helper, HelperResult

_MOVERS = """
    xdp_adjust_head xdp_adjust_tail xdp_adjust_meta skb_change_head skb_change_tail
    skb_change_proto skb_adjust_room skb_vlan_push skb_vlan_pop skb_pull_data
    msg_pull_data msg_push_data msg_pop_data lwt_push_encap bpf_xdp_pull_data
"""  # what may change the packet's ends or place


@dataclass(frozen=True, slots=True)
class KernelHelper:
    """A helper by its kernel name and number.

    `call(context, r1, …, r5)` is its meaning.  `moves_packet` says that it may change the packet's
    ends or place; the compiler knows the helpers whose `native` it has a form for.
    """

    number: int
    name: str
    call: Helper
    moves_packet: bool = False
    native: str = ""

    def __call__(self, *arguments: object) -> HelperResult:
        """Call it as any helper."""
        return self.call(*arguments)


class KernelTable(Mapping[int, KernelHelper]):
    """The simulated helpers and kfuncs of one program type, None for those of all."""

    def __init__(self, program_type: str | None) -> None:
        """Find them in the tables; their modules are imported when they are asked for."""
        self.program_type = program_type
        self._rows = {
            row.number: row
            for row in (*ROWS.values(), *KFUNCS.values())
            if row.module and (program_type is None or row.runs_for(program_type))
        }
        self._made: dict[int, KernelHelper] = {}

    def __getitem__(self, number: int) -> KernelHelper:
        """The helper of a number."""
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = _helper(self._rows[number])
        return made

    def __contains__(self, number: object) -> bool:
        """Whether a helper is simulated."""
        return number in self._rows

    def __iter__(self) -> Iterator[int]:
        """The numbers."""
        return iter(self._rows)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._rows)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the type; the table is the same in every process."""
        return kernel_helpers, (self.program_type,)


@cache
def kernel_helpers(program_type: str | None = None) -> KernelTable:
    """The simulated helpers and kfuncs of a program type, such as `xdp`; None for all of them."""
    return KernelTable(program_type)


@cache
def _helper(row: Row) -> KernelHelper:
    module = import_module(f"drybpf.helpers.{row.module}")
    call: Helper = getattr(module, row.name)
    return KernelHelper(row.number, row.name, call, row.name in _MOVERS.split(), row.name)


def describe_missing(number: int, program_type: str = "") -> str:
    """Why there is no helper of a number, and what to do about it."""
    row = ROWS.get(number) or KFUNCS.get(number)
    if row is None:
        name = kfunc_name(number)
        what = f"the kernel's function {name}" if name else f"helper {number} is no helper of the"
        tail = " is not simulated" if name else " kernel"
        return f"{what}{tail}; {_remedy(repr(name) if name else number)}"
    title = row.title
    if program_type and not row.exists_for(program_type):
        return f"{title} does not exist for {program_type} programs"
    return f"{title} is not simulated; {_remedy(number if number in ROWS else repr(row.name))}"


def misplaced(number: int, program_type: str) -> str:
    """Where the kernel has a helper only for other types of programs with the same context."""
    row = ROWS.get(number)
    if row is None or not program_type or row.exists_for(program_type):
        return ""
    return f"{row.title}, which the kernel does not have for {program_type} programs"


def _remedy(which: object) -> str:
    return f"give the program one of yours with helpers.register({which}, function)"


def missing(context: Context, *_: int) -> HelperResult:
    """What a call of a helper that is not there does: it faults, by name."""
    program_type = context.state.hook.program_type
    raise UnknownHelper(context.number, describe_missing(context.number, program_type))
