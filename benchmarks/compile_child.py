"""A process that compiles one program once and prints what it took, in ms of CPU, as JSON.

python compile_child.py compile PROG.bin | straight LENGTH | verdict ENGINE PROG.bin PROG.mem
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time_ns
from typing import Any

_NOTHING = bytes.fromhex("b700000000000000 9500000000000000")


class _Laps:
    """The time between points of a run, in ms."""

    def __init__(self) -> None:
        self.times: dict[str, float] = {}
        self._last = thread_time_ns()

    def lap(self, name: str) -> None:
        """End the lap of this name."""
        now = thread_time_ns()
        self.times[name] = (now - self._last) / 1e6
        self._last = now

    def around(
        self, function: Callable[..., Any], before: str = "", after: str = ""
    ) -> Callable[..., Any]:
        """A function that ends a lap before it runs, after it, or both."""

        def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (whatever it takes)
            if before:
                self.lap(before)
            result = function(*arguments, **options)
            if after:
                self.lap(after)
            return result

        return timed


def compiled(bytecode: bytes) -> dict[str, Any]:
    """Compile, LLVM and the entry points being there, and time the stages."""
    from drybpf.code import Code  # noqa: PLC0415 (a verdict must not pay for the compiler)
    from drybpf.hooks import Raw  # noqa: PLC0415
    from drybpf.jit import module  # noqa: PLC0415
    from drybpf.jit import variant as jit  # noqa: PLC0415
    from drybpf.jit.compiled import Jit  # noqa: PLC0415
    from drybpf.native import passes  # noqa: PLC0415
    from drybpf.verifier import structure  # noqa: PLC0415

    Jit(Code(_NOTHING), Raw.shape).variant()
    code = Code(bytecode)
    structure.is_sound(code)  # programs are verified when they are loaded
    jit.prepare(Raw.shape, may_write=code.may_write)
    gc.collect()
    gc.disable()  # as `timeit` does: a collection of all objects may fall into the time, or not
    laps = _Laps()
    for place, name, before, after in (
        (module, "emit_module", "", "emit"),
        (passes, "run", "parse", "optimise"),
        (jit, "link", "generate", ""),
    ):
        setattr(place, name, laps.around(getattr(place, name), before, after))
    begin = thread_time_ns()
    variant = Jit(code, Raw.shape).variant()
    laps.lap("link")
    whole = (thread_time_ns() - begin) / 1e6
    return {**laps.times, "compile": whole, "cached": variant.cached}


def verdict(engine: Any, bytecode: bytes, packet: bytes) -> dict[str, Any]:  # noqa: ANN401 (a word)
    """Run once."""
    from drybpf.program import Program  # noqa: PLC0415 (as above)

    return {"verdict": Program.from_bytes(bytecode, engine=engine)(packet)}


def main() -> None:
    """Do what the command line says."""
    what, *arguments = sys.argv[1:]
    if what == "verdict":
        engine, *paths = arguments
        found = verdict(engine, *(Path(path).read_bytes() for path in paths))
    elif what == "straight":
        import straight  # noqa: PLC0415 (it assembles)

        found = compiled(straight.program(int(arguments[0])))
    else:
        found = compiled(Path(arguments[0]).read_bytes())
    print(json.dumps(found))


if __name__ == "__main__":
    main()
