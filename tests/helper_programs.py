"""Programs that call one helper with arguments from the fields `cb`, `mark` and `priority`.

So one compiled program serves many arguments, on every engine and in the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from drybpf.program import Program
from drybpf.result import Result

PATTERN = 0x1122334455667788  # in each 8 bytes of the 64 at the stack's end
_OUT = ("vlan_present", "vlan_tci", "vlan_proto", "protocol", "len")  # go into cb afterwards
_OFFSETS = {"vlan_present": 20, "vlan_tci": 24, "vlan_proto": 28, "protocol": 16, "len": 0}


def skb_program(*calls: str) -> str:
    """A tc program: each call is a number and its arguments.

    `skb` is the context, `wN` the N-th 32-bit word of cb, `stack:N` the address of the last N
    bytes of the stack; all else is a number.  r0 is made of all results, and the words of cb
    tell what the context then says; `priority` is a digest of the stack.
    """
    lines = ["mov r6, r1", "mov r8, 0", f"lddw r1, {PATTERN:#x}"]
    lines += [f"stxdw [r10-{offset}], r1" for offset in range(8, 72, 8)]
    for call in calls:
        number, *arguments = call.split()
        lines += [_argument(place, text) for place, text in enumerate(arguments, 1)]
        lines += [f"call {number}", "mul r8, 31", "add r8, r0"]
    lines += ["mov r0, 0"]
    for offset in range(8, 72, 8):
        lines += [f"ldxdw r1, [r10-{offset}]", "mul r0, 3", "add r0, r1"]
    lines += ["mov r1, r0", "rsh r1, 32", "xor r0, r1", "stxw [r6+32], r0"]
    for index, name in enumerate(_OUT):
        lines += [f"ldxw r1, [r6+{_OFFSETS[name]}]", f"stxw [r6+{48 + 4 * index}], r1"]
    return "\n".join([*lines, "mov r0, r8", "exit"])


def _argument(place: int, text: str) -> str:
    register = f"r{place}"
    if text == "skb":
        return f"mov {register}, r6"
    if text.startswith("stack:"):
        return f"mov {register}, r10\nadd {register}, -{text[6:]}"
    if text.startswith("w"):
        return f"ldxw {register}, [r6+{48 + 4 * int(text[1:])}]"
    if text.startswith("s"):  # a word with its sign
        offset = 48 + 4 * int(text[1:])
        return f"ldxw {register}, [r6+{offset}]\nlsh {register}, 32\narsh {register}, 32"
    return f"lddw {register}, {text}"


@dataclass(frozen=True)
class Seen:
    """What a run of such a program shows, on any engine."""

    value: int
    packet: bytes
    context: tuple[object, ...]

    @classmethod
    def of(cls, result: Result) -> Seen:
        """Keep what all engines can tell."""
        names = ("mark", "priority", "cb", "tstamp")
        context = tuple(result.context.get(name) for name in names)
        return cls(result.value & 0xFFFF_FFFF, result.packet, context)


def ours(program: Program, packet: bytes, **fields: object) -> Seen:
    """Run on interpreter and JIT, which must agree."""
    seen = [
        program.run(packet, engine="interpreter", **fields),  # type: ignore[arg-type]
        program.run(packet, engine="jit", **fields),  # type: ignore[arg-type]
    ]
    assert seen[0] == seen[1]
    return Seen.of(seen[0])


def agree(program: Program, packet: bytes, **fields: object) -> Seen:
    """The same, and the kernel agrees as well."""
    found = ours(program, packet, **fields)
    judged = Seen.of(program.run(packet, engine="kernel", **fields))  # type: ignore[arg-type]
    assert found == judged
    return found


def frame(protocol: int, payload: bytes) -> bytes:
    """An Ethernet frame."""
    return bytes.fromhex("020000000002 020000000001") + protocol.to_bytes(2, "big") + payload


_SEGMENT = bytes.fromhex("1f900050") + bytes(range(36))
IPV4 = bytes.fromhex("4500003c1c4640004006b1e6 c0a80001 c0a800c7") + _SEGMENT
IPV6 = bytes.fromhex("60000000 0024 11 40") + bytes(range(32)) + _SEGMENT
FRAMES = {
    "ipv4": frame(0x0800, IPV4),
    "ipv6": frame(0x86DD, IPV6),
    "vlan": frame(0x8100, bytes.fromhex("00640800") + IPV4),
    "qinq": frame(0x88A8, bytes.fromhex("0bb8810000640800") + IPV4),
    "ipx": frame(0x0040, b"\xff\xff" + bytes(60)),
    "llc": frame(0x0040, b"\xaa\xaa\x03" + bytes(60)),
}
