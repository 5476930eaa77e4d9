"""Running batches in compiled code, and in the interpreter what compiled code leaves of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from drybpf.batch import PacketBatch, Verdicts
from drybpf.entry import Shape
from drybpf.errors import ExecutionError
from drybpf.host import Host
from drybpf.jit import drive, layout
from drybpf.jit.exchange import BatchExchange, adopt
from drybpf.jit.surroundings import host_table
from drybpf.state import HelperTable, State

if TYPE_CHECKING:
    from drybpf.jit.compiled import Jit
    from drybpf.jit.variant import Variant


MOST_KEPT = 1 << 20  # bytes of scratch that an exchange may have which waits for a batch


class Exchanges:
    """The exchanges of one program that no batch uses at present."""

    def __init__(self, shape: Shape) -> None:
        """Begin with none."""
        self._shape = shape
        self._idle: list[BatchExchange] = []

    def take(self) -> BatchExchange:
        """One for a batch that begins."""
        try:
            return self._idle.pop()
        except IndexError:  # others are at it, or nobody was yet
            return BatchExchange(self._shape)

    def give_back(self, exchange: BatchExchange) -> None:
        """Have it serve the next batch, unless a large packet made it large."""
        exchange.end()
        if exchange.room <= MOST_KEPT:
            self._idle.append(exchange)


def run(
    engine: Jit,
    packets: PacketBatch,
    verdicts: Verdicts,
    budget: int,
    fresh: Callable[[object], State],
    helpers: HelperTable,
    host: Host,
    *,
    record: bool,
) -> bool:
    """Run a batch, the GIL released while compiled code runs; `record` keeps faults.

    Nothing is done, and the result is false, where packets are not all that the program needs.
    """
    variant = engine.plain(helpers, host, packets.offsets.itemsize)
    if variant is None:
        return False
    exchange = engine.exchanges.take()
    exchange.begin(packets, verdicts, min(budget, layout.SLICE))
    try:
        _run(engine, variant, exchange, packets, verdicts, fresh, helpers, host, record=record)
    finally:
        engine.exchanges.give_back(exchange)
    return True


def _run(
    engine: Jit,
    variant: Variant,
    exchange: BatchExchange,
    packets: PacketBatch,
    verdicts: Verdicts,
    fresh: Callable[[object], State],
    helpers: HelperTable,
    host: Host,
    *,
    record: bool,
) -> None:
    """Run packet after packet, in the latest variant."""
    words, tables = exchange.words, engine.tables.find(variant, helpers, host)
    words[layout.CPU] = host.cpu
    choices = engine.choices
    if choices.spaced or choices.numbered:
        words[layout.STORES] = host_table(engine.space)
    index, count = 0, len(packets)
    while index < count:
        python: Callable[[], int] | None = None  # how a packet is run, or finished, in Python
        if tables is None:
            python = partial(engine.run, fresh(packets[index]))
        else:
            words[layout.HELPERS], words[layout.PROGRAMS], _ = tables
            alone = variant.ledger is None and not variant.numbered
            words[layout.RELEASE] = int(alone and choices.around.is_free_of_structure)
            if choices.spaced:
                variant.env[layout.ENV_EPOCH] = engine.space.epoch_address
            index = exchange.go(variant.run, packets, index)
            if exchange.left:
                python = _adopted(engine, exchange, variant, fresh(packets[index]))
            elif exchange.bad_offsets:
                fresh(packets[index])  # raises: the offsets leave the data, or it is too long
        if python is not None:
            try:
                verdicts[index] = python()
            except ExecutionError as error:
                if not record:
                    error.add_note(f"packet {index} of the batch")
                    raise
                verdicts.faults[index] = error
            index += 1
        if index < count:
            latest = engine.batch_variant(packets.offsets.itemsize)
            if latest is not variant:
                variant, tables = latest, engine.tables.find(latest, helpers, host)


def _adopted(
    engine: Jit, exchange: BatchExchange, variant: Variant, state: State
) -> Callable[[], int]:
    """How a run of a batch is finished that compiled code has left."""
    left = adopt(state, exchange.address, exchange.given, spaced=engine.choices.spaced)
    drive.tell_ledgers(engine, variant, state)
    return partial(drive.finish, engine, state, left)
