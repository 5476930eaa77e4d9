"""Would packets in the lanes of vectors be faster?  `python benchmarks/lanes.py [--quick]`.

The parser in C, one packet after the other and sixteen at once, beside drybpf's batch: over packets
that are all the same, and over a mix where no branch can be told from the packet before.
"""

from __future__ import annotations

import argparse
import ctypes
import random
import subprocess
import tempfile
from array import array
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import native
from calls import NAME, parser
from drybpf.batch import PacketBatch
from engines import memory
from figures import table

SOURCE = Path(__file__).with_name("lanes.c")
CHANGES = (  # a place in the packet, and what may stand there
    (12, (b"\x86\xdd",)),  # IPv6
    (14, (b"\x46", b"\x44")),
    (20, (b"\x20",)),  # a fragment
    (22, (b"\x01", b"\x40")),
    (23, (b"\x11",)),  # UDP
    (36, (b"\x00\x50", b"\x01\xbb", b"\x00\x35", b"\x1f\x90")),
    (47, (b"\x02", b"\x10", b"\x03")),
)


def mixed(count: int) -> list[bytes]:
    """The parser's packet with some bytes changed, or cut off."""
    chance = random.Random(1)  # noqa: S311 (no secret)
    plain = memory(NAME)
    packets = []
    for _ in range(count):
        packet = bytearray(plain)
        for place, choices in chance.sample(CHANGES, chance.randrange(3)):
            value = chance.choice(choices)
            packet[place : place + len(value)] = value
        length = chance.choice((13, 20, 40)) if chance.random() < 0.1 else len(packet)
        packets.append(bytes(packet[:length]))
    return packets


def in_c() -> dict[str, Callable[[PacketBatch], array[int]]]:
    """The two forms in C."""
    with tempfile.TemporaryDirectory(prefix="drybpf-bench-") as folder:
        built = Path(folder) / "lanes.so"
        command = [*(native.compiler() or ()), *native.FLAGS, str(SOURCE), "-o", str(built)]
        subprocess.run(command, check=True, capture_output=True)
        library = ctypes.CDLL(str(built))

    def form(name: str) -> Callable[[PacketBatch], array[int]]:
        function = getattr(library, name)

        def run(batch: PacketBatch) -> array[int]:
            verdicts = array("Q", bytes(8 * len(batch)))
            places = batch.offsets.obj.buffer_info()[0], len(batch), verdicts.buffer_info()[0]
            data = ctypes.c_char_p(batch.data.obj)
            begin = perf_counter_ns()
            function(data, *map(ctypes.c_void_p, places))
            run.taken = perf_counter_ns() - begin  # type: ignore[attr-defined]
            return verdicts

        return run

    return {"C, one by one": form("one_by_one"), "C, in 16 lanes": form("in_lanes")}


def _batch(packets: list[bytes]) -> PacketBatch:
    """A batch with the 64 bytes behind it that the C reads."""
    batch = PacketBatch.from_packets(packets)
    return PacketBatch.from_buffers(bytes(batch.data) + bytes(64), batch.offsets)


def main() -> None:
    """Measure, compare the verdicts, and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="does it work?")
    quick = options.parse_args().quick
    if native.compiler() is None:
        raise SystemExit("there is no clang here, neither on the path nor as the package ziglang")
    program, forms = parser(), in_c()
    count, rounds = (1000, 2) if quick else (100_000, 30)
    batches = {
        "all the same": _batch([memory(NAME)] * count),
        "mixed": _batch(mixed(count)),
    }
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for packets, batch in batches.items():
            begin = perf_counter_ns()
            expected = program.run_batch(batch)
            times = {"drybpf": perf_counter_ns() - begin}
            for name, run in forms.items():
                if run(batch) != expected:
                    raise SystemExit(f"{name} gives other verdicts over packets that are {packets}")
                times[name] = run.taken  # type: ignore[attr-defined]
            for name, taken in times.items():
                best[name, packets] = min(taken / count, best.get((name, packets), taken))
    rows = [[name, *(f"{best[name, packets]:.2f}" for packets in batches)] for name in times]
    print(table(["ns a packet", *batches], rows))


if __name__ == "__main__":
    main()
