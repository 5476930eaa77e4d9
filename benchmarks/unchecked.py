"""drybpf's own compiler without checks and without fuel tests: what safety costs.

There is no such thing in drybpf, and must not be: what is compiled here may touch anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from drybpf.jit.compiled import Jit
from drybpf.jit.copies import Copies
from drybpf.program import Program


class _Everything:
    """A set that has all."""

    def __contains__(self, _: object) -> bool:
        return True


@contextmanager
def _without_checks() -> Iterator[None]:
    """Compile as if all was proved, and keep none of it in the cache."""
    kept = {name: vars(Copies)[name] for name in ("proved", "paid", "begin")}
    cached = os.environ.get("DRYBPF_CACHE")
    everything = property(lambda _: _Everything())

    def begin(self: Copies, entry: int) -> None:
        self._f.line(f"br label %b{entry}")

    Copies.proved = Copies.paid = everything  # type: ignore[assignment, method-assign]
    Copies.begin = begin  # type: ignore[method-assign]
    os.environ["DRYBPF_CACHE"] = "0"
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(Copies, name, value)
        del os.environ["DRYBPF_CACHE"]
        if cached is not None:
            os.environ["DRYBPF_CACHE"] = cached


def compiled(program: Program) -> Jit:
    """A program compiled without checks."""
    with _without_checks():
        jit = Jit(program.code, program.hook.shape)
        jit.variant()
    return jit
