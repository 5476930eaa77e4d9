"""A per-flow packet counter over a batch: `python benchmarks/flows.py [--json FILE]`.

The program takes addresses, ports and protocol of an IPv4 packet as the key of a hash, and adds
to the flow's packets and bytes, or begins a flow.  One core, one thread, the map's set-up excluded.
"""

from __future__ import annotations

import argparse
import json
import random
import struct
from pathlib import Path
from time import perf_counter

from drybpf.batch import PacketBatch
from drybpf.hooks import Xdp
from drybpf.maps import Map, MapDefinition, MapType
from drybpf.program import Program
from drybpf.space import Space
from figures import table

PACKETS, ROUNDS = 20_000, 30
TARGET = 20.0  # million packets a second
PROGRAM = """
    ldxw r7, [r1+0]
    ldxw r8, [r1+4]
    mov r0, 2
    mov r2, r7
    add r2, 42
    jgt r2, r8, out
    sub r8, r7
    ldxw r1, [r7+26]
    stxw [r10-16], r1
    ldxw r1, [r7+30]
    stxw [r10-12], r1
    ldxw r1, [r7+34]
    stxw [r10-8], r1
    ldxb r1, [r7+23]
    stxw [r10-4], r1
    lddw r1, {flows}
    mov r2, r10
    add r2, -16
    call 1
    jeq r0, 0, new
    mov r1, 1
    lock add [r0], r1
    lock add [r0+8], r8
    mov r0, 2
    exit
new:
    stdw [r10-32], 1
    stxdw [r10-24], r8
    lddw r1, {flows}
    mov r2, r10
    add r2, -16
    mov r3, r10
    add r3, -32
    mov r4, 0
    call 2
    mov r0, 2
out:
    exit
"""


def measure(kind: MapType, flows: int) -> float:
    """Million packets a second over so many flows."""
    space, made = Space(), Map.create(MapDefinition("flows", kind, 16, 16, 1 << 16))
    text = PROGRAM.format(flows=space.add_map(made))
    program = Program.from_asm(text, space=space, hook=Xdp(), engine="jit")
    chance = random.Random(1)  # noqa: S311 (repeatable by design)
    packets = [
        bytes(23) + b"\x11" + bytes(2) + struct.pack(">IIHH", source, 7, 80, 80) + bytes(22)
        for source in (chance.randrange(flows) for _ in range(PACKETS))
    ]
    batch = PacketBatch.of(packets)
    best = min(_time(program, batch) for _ in range(ROUNDS))
    counted = sum(struct.unpack("<QQ", value)[0] for value in made.values())
    if counted != PACKETS * ROUNDS:
        raise SystemExit(f"{counted} packets were counted, not {PACKETS * ROUNDS}")
    return PACKETS / best / 1e6


def _time(program: Program, batch: PacketBatch) -> float:
    begin = perf_counter()
    program.run_batch(batch)
    return perf_counter() - begin


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    found = {
        (kind.name.lower(), flows): measure(kind, flows)
        for kind in (MapType.HASH, MapType.LRU_HASH)
        for flows in (1, 1_000, 10_000)
    }
    rows = [
        [kind, f"{flows:,}", f"{speed:.1f}", f"≥ {TARGET:.0f}", "yes" if speed >= TARGET else "no"]
        for (kind, flows), speed in found.items()
    ]
    print(table(["map", "flows", "million packets a second", "target", "reached"], rows))
    if given.json:
        named = {f"{kind} {flows}": speed for (kind, flows), speed in found.items()}
        given.json.write_text(json.dumps(named), "utf-8")


if __name__ == "__main__":
    main()
