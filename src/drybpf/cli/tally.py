"""A program on the packets of a capture, and what came of them, in memory that does not grow."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import click

from drybpf.cli.failures import describe
from drybpf.errors import ExecutionError, KernelError, PacketError
from drybpf.packets import Capture, Packet, write_capture
from drybpf.program import Program
from drybpf.result import Result
from drybpf.topology.frames import tagged

FAULT = "FAULT"
# The verdicts that let a packet go on, of every hook that packets run through
PASSING = frozenset(
    {"PASS", "KEEP", "ALLOW", "ALLOW_CN", "REROUTE"}
    | {"OK", "UNSPEC", "PIPE", "RECLASSIFY", "QUEUED", "REPEAT"}  # see `topology`
)
FAULTS = 100  # that are described
FIRST_CHUNK, CHUNK = 256, 1024  # packets; `auto` does not compile for the first chunk

Outcome = int | ExecutionError
Judged = tuple[Packet, Outcome, bytes]  # r0 or the fault, and the packet as it is afterwards


@dataclass
class Tally:
    """What came of the packets of a capture, by verdict."""

    packets: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    values: dict[str, int] = field(default_factory=dict)
    faults: list[dict[str, object]] = field(default_factory=list)  # the first ones
    cut: int = 0  # packets that the capture does not have whole

    def count(self, verdict: str, value: int, packet: Packet) -> None:
        """Count a packet."""
        self.packets[verdict] += 1
        self.bytes[verdict] += len(packet.data)
        self.values.setdefault(verdict, value)
        self.cut += packet.original_length > len(packet.data)


def judge(program: Program, capture: Iterable[Packet]) -> Tally:
    """Run on every packet."""
    tally = Tally()
    deque(_passed(program, capture, tally, keep=False), maxlen=0)
    return tally


def write_passed(path: str, program: Program, capture: Capture) -> Tally:
    """Run on every packet and write those that passed, as the program left them."""
    tally = Tally()
    broken: list[PacketError] = []  # what was wrong with the capture that is read

    def packets() -> Iterator[Packet]:
        try:
            yield from _passed(program, capture, tally, keep=True)
        except PacketError as error:
            broken.append(error)
            raise

    try:
        write_capture(path, packets(), capture.link_type, nanoseconds=True)
    except PacketError as error:
        if broken:
            raise
        raise click.ClickException(str(error)) from error
    return tally


def _passed(
    program: Program, capture: Iterable[Packet], tally: Tally, *, keep: bool
) -> Iterator[Packet]:
    """Count every packet; give those that passed, or that a program without verdicts ran on."""
    for index, (packet, outcome, after) in enumerate(_judged(program, capture, keep=keep)):
        if isinstance(outcome, ExecutionError):
            tally.count(FAULT, 0, packet)
            if len(tally.faults) < FAULTS:
                tally.faults.append({"packet": index, **describe(outcome)})
            continue
        action = program.hook.action(outcome)
        tally.count(f"{outcome:#x}" if action is None else action.name, outcome, packet)
        if action is None or action.name in PASSING:
            length = packet.original_length + len(after) - len(packet.data)
            yield replace(packet, data=after, original_length=length)


def _judged(program: Program, capture: Iterable[Packet], *, keep: bool) -> Iterator[Judged]:
    """Run in batches where only verdicts are wanted, or nothing else can change."""
    chosen, packets = program.engine, iter(capture)
    if chosen == "kernel":
        program.kernel.load(program.state())  # what it refuses now is no packet's fault
    one_by_one = keep and program.code.may_write
    size = FIRST_CHUNK
    while chunk := list(islice(packets, size)):
        first = size == FIRST_CHUNK
        program.engine = "interpreter" if first and chosen == "auto" else chosen
        yield from (_each if one_by_one else _batch)(program, chunk)
        program.engine, size = chosen, CHUNK


def _each(program: Program, chunk: list[Packet]) -> Iterator[Judged]:
    for packet in chunk:
        try:
            result = program.run(packet.data)
        except ExecutionError as error:
            yield packet, error, packet.data
        except KernelError as error:
            yield packet, ExecutionError(error.reason), packet.data
        else:
            yield packet, result.value, _on_the_wire(program, packet, result)


def _on_the_wire(program: Program, packet: Packet, result: Result) -> bytes:
    """The packet afterwards with what programs do not see in its bytes: link header, VLAN tag."""
    data = packet.data[: program.hook.shape.hidden] + result.packet
    present, kind, tag = map(result.context.get, ("vlan_present", "vlan_proto", "vlan_tci"))
    if present and isinstance(kind, int) and isinstance(tag, int):
        return tagged(data, kind, tag)
    return data


def _batch(program: Program, chunk: list[Packet]) -> Iterator[Judged]:
    verdicts = program.run_batch(chunk, on_fault="record")
    for index, packet in enumerate(chunk):
        yield packet, verdicts.faults.get(index, verdicts[index]), packet.data
