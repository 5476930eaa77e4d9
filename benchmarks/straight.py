"""Programs without a branch, of any length: how compile time grows with the program."""

from __future__ import annotations

from random import Random

from drybpf.asm import assemble

MEMORY = 256  # bytes that a program reads
SLOTS = 8  # of the stack that it uses, 8 bytes each
_REGISTERS = (0, 1, 2, 3, 4, 5, 7, 8, 9)  # r6 holds the memory
_ARITHMETIC = ("add64", "sub64", "xor64", "or64", "mul64", "add32", "sub32", "xor32")
_SHIFTS = ("lsh64", "rsh64", "arsh64")


def program(length: int, seed: int = 1) -> bytes:
    """A program of `length` instructions, at least 40, always the same for a seed.

    In the mix of `10_straight`: mostly arithmetic, one instruction in eight to memory or stack.
    """
    random = Random(seed)  # noqa: S311 (no secret)
    lines = ["mov64 r6, r1"]
    lines += [f"ldxdw r{n}, [r6+{8 * i}]" for i, n in enumerate(_REGISTERS)]
    lines += [f"stxdw [r10-{8 * i + 8}], r{n}" for i, n in enumerate(_REGISTERS[:SLOTS])]
    fold = [f"xor64 r0, r{n}" for n in _REGISTERS[1:]]
    middle = length - len(lines) - len(fold) - 1
    lines += [_instruction(random) for _ in range(middle)]
    return bytes(assemble("\n".join([*lines, *fold, "exit"])))


def _instruction(random: Random) -> str:
    dst, src, kind = random.choice(_REGISTERS), random.choice(_REGISTERS), random.random()
    if kind < 0.04:
        return f"ldxdw r{dst}, [r10-{8 * random.randint(1, SLOTS)}]"
    if kind < 0.08:
        return f"stxdw [r10-{8 * random.randint(1, SLOTS)}], r{src}"
    if kind < 0.12:
        size, suffix = random.choice(((1, "b"), (4, "w"), (8, "dw")))
        return f"ldx{suffix} r{dst}, [r6+{size * random.randrange(MEMORY // size)}]"
    if kind < 0.25:
        return f"{random.choice(_SHIFTS)} r{dst}, {random.randint(1, 31)}"
    if kind < 0.45:
        return f"{random.choice(_ARITHMETIC)} r{dst}, {random.randint(-(1 << 31), (1 << 31) - 1)}"
    return f"{random.choice(_ARITHMETIC)} r{dst}, r{src}"
