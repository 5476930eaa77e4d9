"""Random numbers that compiled code draws from the same sequence as Python."""

from __future__ import annotations

from random import Random
from struct import pack_into, unpack_from
from typing import Any

M64 = (1 << 64) - 1
GOLDEN = 0x9E37_79B9_7F4A_7C15
FIRST, SECOND = 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB


class Randomness(Random):
    """SplitMix64 (Steele, Lea, Flood 2014): repeatable, not secret.  Its state lies in `words`."""

    def __init__(self, seed: int = 0) -> None:
        """Begin a sequence; the seed is taken modulo 2^64."""
        self.words = bytearray(8)
        super().__init__(seed)

    def seed(self, a: Any = 0, version: int = 2) -> None:  # noqa: ANN401, ARG002 (as Random has it)
        """Begin a sequence anew."""
        pack_into("<Q", self.words, 0, int(a or 0) & M64)
        self.gauss_next = None

    def _draw(self) -> int:
        state: int = unpack_from("<Q", self.words)[0]
        state = state + GOLDEN & M64
        pack_into("<Q", self.words, 0, state)
        mixed = (state ^ state >> 30) * FIRST & M64
        mixed = (mixed ^ mixed >> 27) * SECOND & M64
        return mixed ^ mixed >> 31

    def getrandbits(self, k: int, /) -> int:
        """An unsigned number of `k` bits."""
        if k < 0:
            raise ValueError("the number of bits is not negative")
        bits = -(-k // 64)
        drawn = 0
        for _ in range(bits):
            drawn = drawn << 64 | self._draw()
        return drawn >> 64 * bits - k

    def random(self) -> float:
        """A number from 0 up to 1."""
        return self.getrandbits(53) / (1 << 53)

    def getstate(self) -> tuple[Any, ...]:
        """Where the sequence is."""
        return bytes(self.words), self.gauss_next

    def setstate(self, state: tuple[Any, ...]) -> None:
        """Go to a place of the sequence."""
        self.words[:], self.gauss_next = state

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the sequence is."""
        return type(self), (0,), self.getstate()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Unpickle."""
        self.setstate(state)
