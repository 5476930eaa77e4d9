"""Make the benchmark programs from their sources: bytecode, memories and expected results.

    python benchmarks/make_programs.py [NAME …]      # those from 11 on, or the named ones

The compiler is the `clang` on the path or the one in the PyPI package ziglang; the flags are those
of all programs here: no unrolling, no vectors, and the same source once more for XDP.  Expected
results come from native C.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path
from random import Random

import native
from drybpf.objects.elf import read_elf

HERE = Path(__file__).parent / "programs"
FLAGS = ["-target", "bpfel-freestanding", "-O2", "-mcpu=v3", "-fno-builtin", "-w", "-c"]


def ethernet(protocol: int, rest: bytes) -> bytes:
    """An Ethernet and IPv4 header before what follows them."""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(rest), 7, 0, 64, protocol, 0, *ADDRESSES)
    return bytes.fromhex("00112233445566778899aabb0800") + ip + rest


ADDRESSES = bytes((10, 0, 0, 1)), bytes((192, 168, 7, 9))


def memory(name: str) -> bytes:
    """What a program works on."""
    random = Random(name)  # noqa: S311 (no secret)
    match name:
        case "11_fivetuple":
            return ethernet(6, struct.pack(">HH", 51000, 443)).ljust(64, b"\0")
        case "12_dnsname":
            labels = b"\3WwW\7exAMPLe\6drybpf\4test\0"
            question = bytes(12) + labels + b"\0\1\0\1"
            return ethernet(
                17, struct.pack(">HHHH", 5353, 53, 8 + len(question), 0) + question
            ).ljust(96, b"\0")
        case "13_tcpopts":
            options = bytes.fromhex("020405b4 0402 080a0102030405060708 01 030307 0101 00").ljust(
                40, b"\0"
            )
            tcp = struct.pack(">HHIIBBHHH", 51000, 443, 1, 0, 15 << 4, 2, 64240, 0, 0)
            return ethernet(6, tcp + options)
        case "14_crc32":
            table = [_crc_entry(byte) for byte in range(256)]
            return struct.pack("<256I", *table) + random.randbytes(512)
        case "15_siphash":
            return random.randbytes(272)
        case "16_base64":
            return random.randbytes(384) + bytes(512)
        case "17_lpm":
            return _trie(random) + random.randbytes(64)
        case "18_json":
            return _json(random)
        case "19_bloom":
            return _bloom(random)
        case "20_maglev":
            backends = bytes(random.randrange(32) for _ in range(1024))
            return backends + random.randbytes(128 + 384 + 192)
    raise SystemExit(f"{name} has no memory here")


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xEDB88320 if byte & 1 else 0)
    return byte


def _trie(random: Random) -> bytes:
    nodes: list[list[int]] = [[0, 0, 1]]
    while len(nodes) < 256:
        at, depth = 0, random.randrange(4, 15)
        for _ in range(depth):
            side = random.randrange(2)
            if not nodes[at][side]:
                if len(nodes) == 256:
                    break
                nodes.append([0, 0, 0])
                nodes[at][side] = len(nodes) - 1
            at = nodes[at][side]
        nodes[at][2] = random.randrange(1, 1 << 16)
    return b"".join(struct.pack("<HHI", *node) for node in nodes)


def _json(random: Random) -> bytes:
    items: list[object] = []
    while len(text := json.dumps({"flows": items})) < 560:
        items.append(
            {
                "src": f"10.0.{random.randrange(256)}.1",
                "n": random.randrange(10**6),
                "t": [1, 'a"b'],
            }
        )
    return text.encode()[:640].ljust(640)


def _bloom(random: Random) -> bytes:
    filter_, keys = bytearray(1024), [random.getrandbits(32) for _ in range(32)]
    for key in keys[::2] + [random.getrandbits(32) for _ in range(500)]:
        hash_ = key * 0x9E3779B97F4A7C15 & (1 << 64) - 1
        for _ in range(4):
            filter_[(hash_ & 8191) >> 3] |= 1 << (hash_ & 7)
            hash_ >>= 13
    return bytes(filter_) + struct.pack("<32I", *keys)


def compile_program(source: Path, defines: list[str]) -> bytes:
    """The bytecode of a source's one function."""
    found = shutil.which("clang")
    command = [found] if found else [sys.executable, "-m", "ziglang", "cc"]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.o"
        subprocess.run([*command, *FLAGS, *defines, str(source), "-o", str(made)], check=True)
        text = read_elf(made.read_bytes()).section(".text")
        if text is None:
            raise SystemExit(f"{source} has no code")
        return bytes(text.data)


def main() -> None:
    """Make them."""
    names = sys.argv[1:] or sorted(s.stem for s in HERE.glob("*.c") if s.stem >= "11")
    expected = json.loads((HERE / "expected.json").read_text())
    for name in names:
        source, data = HERE / f"{name}.c", memory(name)
        (HERE / f"{name}.mem").write_bytes(data)
        (HERE / f"{name}.bin").write_bytes(compile_program(source, []))
        (HERE / f"{name}.xdp.bin").write_bytes(compile_program(source, ["-DXDP"]))
        expected[name] = native.build(source, [])(bytearray(data), 1)[0]
        print(name, len(data), expected[name])
    if zlib.crc32(memory("14_crc32")[1024:]) != expected.get("14_crc32"):
        raise SystemExit("14_crc32 is no CRC-32")
    (HERE / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    main()
