"""Compiling: cold, in stages, from the disk cache, and growing with the program's length.

Everything runs in processes of its own, so that nothing is warm that should be cold.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import children
from engines import PROGRAMS
from figures import Figure

CHILD = Path(__file__).with_name("compile_child.py")
LENGTHS = (1_000, 2_000, 5_000, 10_000, 20_000)
TARGETS = {"02_parser": 10.0, "10_straight": 250.0}  # ms, LLVM loaded
WARM_TARGET, LINEAR = 1.5, 1.5  # ms; the most that an instruction of the longest may cost more
STAGES = ("emit", "parse", "optimise", "generate", "link")


def compiles(*, quick: bool) -> list[Figure]:
    """Cold compiles in stages, warm ones, and the growth with length."""
    rounds = 1 if quick else 7
    return [*_cold(rounds), *_warm(rounds), *_growth((100, 200) if quick else LENGTHS)]


def _cold(rounds: int) -> list[Figure]:
    figures, topic = [], "Cold compile (LLVM loaded, no cache)"
    for name, target in TARGETS.items():
        found = [_child("compile", str(PROGRAMS / f"{name}.bin")) for _ in range(rounds)]
        total = min(sum(stages[stage] for stage in STAGES) for stages in found)
        figures.append(Figure(topic, name, total, "ms", target))
        figures += [
            Figure(topic, f"{name}: {stage}", min(stages[stage] for stages in found), "ms")
            for stage in STAGES
        ]
    return figures


def _warm(rounds: int) -> list[Figure]:
    topic, best = (
        "Warm compile (LLVM loaded, from the disk cache)",
        dict.fromkeys(TARGETS, math.inf),
    )
    with tempfile.TemporaryDirectory(prefix="drybpf-bench-") as cache:
        for name in TARGETS:
            path = str(PROGRAMS / f"{name}.bin")
            for number in range(rounds + 1):
                found = _child("compile", path, cache=cache)
                if number:
                    if not found["cached"]:
                        raise SystemExit(f"{name} was not found in the cache")
                    best[name] = min(best[name], found["compile"])
    return [Figure(topic, name, value, "ms", WARM_TARGET) for name, value in best.items()]


def _growth(lengths: tuple[int, ...]) -> list[Figure]:
    topic = "Cold compile of straight code"
    times = {n: sum(_child("straight", str(n))[stage] for stage in STAGES) for n in lengths}
    per = {length: time / length * 1000 for length, time in times.items()}
    figures = [
        Figure(topic, f"{length:,} instructions", time, "ms") for length, time in times.items()
    ]
    few, many = 2_000 if 2_000 in per else lengths[0], lengths[-1]
    what = f"price of an instruction among {many:,}, to one among {few:,} (linear: 1)"
    return [*figures, Figure(topic, what, per[many] / per[few], "×", LINEAR)]


def first_verdicts(*, quick: bool) -> list[Figure]:
    """From the start of a process to the first verdict: by the interpreter, compiled, cached."""
    topic = "First verdict in a fresh process (parser; Python's own start included)"
    paths = [str(PROGRAMS / f"02_parser.{kind}") for kind in ("bin", "mem")]
    with tempfile.TemporaryDirectory(prefix="drybpf-bench-") as cache:
        forms = {
            "interpreter": ("interpreter", ""),
            "compiled, cold": ("jit", ""),
            "compiled, from the cache": ("jit", cache),
        }
        for engine, folder in forms.values():  # fill the cache, and Python's own
            _child("verdict", engine, *paths, cache=folder)
        best = dict.fromkeys(forms, math.inf)
        for _ in range(1 if quick else 9):
            for label, (engine, folder) in forms.items():
                found = _child("verdict", engine, *paths, cache=folder)
                best[label] = min(best[label], found["wall"])
    targets = {"compiled, cold": 250.0, "compiled, from the cache": 150.0}
    return [Figure(topic, label, value, "ms", targets.get(label)) for label, value in best.items()]


def _child(*arguments: str, cache: str = "") -> dict[str, Any]:
    """Run `compile_child.py`; `wall` is the whole process in ms."""
    output, _, taken = children.run(str(CHILD), *arguments, cache=cache)
    return {**json.loads(output), "wall": taken}
