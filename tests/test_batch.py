"""Batches: every layout in, the same verdicts out."""

from array import array
from dataclasses import dataclass

import numpy as np
import pytest

from drybpf.batch import PacketBatch, Verdicts
from drybpf.errors import MemoryFault
from drybpf.hooks import Xdp
from drybpf.program import Program

PACKETS = [b"abcd", b"", b"xy", bytes(range(100)), b"z" * 5000]
LENGTHS = [len(packet) for packet in PACKETS]
ENGINES = ["interpreter", "jit", "auto"]


def length_program(engine: str = "jit") -> Program:
    return Program.from_asm("mov r0, r2\nexit", engine=engine)


@dataclass
class Column:
    """As much of an Arrow column as a batch looks at."""

    type: str
    parts: tuple[object, ...]
    offset: int = 0
    length: int = 0
    null_count: int = 0

    def buffers(self) -> tuple[object, ...]:
        return (None, *self.parts)

    def __len__(self) -> int:
        return self.length


def arrow(kind: str, *, skip: int = 0) -> Column:
    offsets = np.cumsum([0, *LENGTHS]).astype(np.int32 if kind == "binary" else np.int64)
    return Column(kind, (offsets, b"".join(PACKETS)), skip, len(PACKETS) - skip)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_layout(engine: str) -> None:
    program, data = length_program(engine), b"".join(PACKETS)
    offsets = [0, *np.cumsum(LENGTHS).tolist()]
    for batch in (
        PACKETS,
        [bytearray(packet) for packet in PACKETS],
        (data, array("i", offsets)),
        (data, array("q", offsets)),
        (np.frombuffer(data, np.uint8), np.array(offsets, np.int64)),
        arrow("binary"),
        arrow("large_binary"),
        PacketBatch.from_packets(PACKETS),
    ):
        assert list(program.run_batch(batch)) == LENGTHS
    assert list(program.run_batch(arrow("binary", skip=2))) == LENGTHS[2:]
    assert list(program.run_batch([])) == []


def test_verdicts_are_a_buffer() -> None:
    verdicts = length_program().run_batch(PACKETS)
    assert isinstance(verdicts, Verdicts)
    assert np.asarray(verdicts).tolist() == LENGTHS


@pytest.mark.parametrize("engine", ENGINES)
def test_faults_are_recorded_or_raised(engine: str) -> None:
    program = Program.from_asm("ldxb r0, [r1+2]\nexit", engine=engine)
    verdicts = program.run_batch(PACKETS, on_fault="record")
    assert list(verdicts) == [ord("c"), 0, 0, 2, ord("z")]
    assert {index: error.pc for index, error in verdicts.faults.items()} == {1: 0, 2: 0}
    with pytest.raises(MemoryFault) as caught:
        program.run_batch(PACKETS)
    assert caught.value.__notes__ == ["packet 1 of the batch"]


@pytest.mark.parametrize("engine", ENGINES)
def test_packets_that_are_written_are_copies(engine: str) -> None:
    text = "ldxw r2, [r1]\nldxw r3, [r1+4]\njge r2, r3, exit\nstb [r2], 1\nldxb r0, [r2]\nexit"
    program = Program.from_asm(text, engine=engine, hook=Xdp())
    data = bytearray(b"".join(PACKETS))
    before = bytes(data)
    verdicts = program.run_batch((data, array("q", np.cumsum([0, *LENGTHS]).tolist())))
    assert list(verdicts) == [1, 0, 1, 1, 1]
    assert bytes(data) == before


@pytest.mark.parametrize("engine", ENGINES)
def test_python_helpers_run_in_batches(engine: str) -> None:
    program = Program.from_asm("mov r1, r2\ncall 1\nexit", engine=engine)
    program.helpers.register(1, lambda _, length, *_rest: length + 1)
    assert list(program.run_batch(PACKETS)) == [length + 1 for length in LENGTHS]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("offsets", [[0, 5], [3, 1], [-1, 2], [0, 1 << 40], [1 << 62, 1 << 62]])
def test_offsets_that_leave_the_data(engine: str, offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="leave the data"):
        length_program(engine).run_batch((b"abcd", array("q", [0, 2, *offsets])))


@pytest.mark.parametrize(
    ("batch", "error"),
    [
        ((b"ab", array("d", [0, 1])), TypeError),
        ((b"ab", array("q", [])), ValueError),
        ((b"ab", memoryview(array("q", [0, 1, 1, 2]))[::2]), ValueError),
        ([1, 2], TypeError),
        (Column("string", (b"", b"")), ValueError),
        (Column("binary", (b"", b""), null_count=1), ValueError),
    ],
)
def test_what_is_no_batch(batch: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        length_program().run_batch(batch)
    with pytest.raises(ValueError, match="on_fault"):
        length_program().run_batch([], on_fault="ignore")  # type: ignore[arg-type]


def test_a_batch_is_a_sequence_of_packets() -> None:
    batch = PacketBatch.from_packets(PACKETS)
    assert [bytes(packet) for packet in batch] == PACKETS
    with pytest.raises(IndexError):
        batch[len(batch)]
    assert len(PacketBatch.of(Column("binary", (None, None)))) == 0


def test_the_room_for_a_large_packet_is_let_go() -> None:
    program = Program.from_asm("stb [r1], 1\nldxb r0, [r1]\nexit", engine="jit")
    idle = program.compiler.exchanges._idle
    for size, rooms in ((1, [2048]), (3000, [6000]), (1 << 20, []), (1, [2048])):
        assert list(program.run_batch([bytes(size)] * 2)) == [1, 1]
        assert [exchange.room for exchange in idle] == rooms
