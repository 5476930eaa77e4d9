"""What `import drybpf` costs, and what it must not load."""

from __future__ import annotations

import math

import children
from figures import Figure

TARGET = 60.0  # ms over bare Python
UNWANTED = ("llvmlite", "numpy", "rich", "elftools", "click")


def imports(*, quick: bool) -> list[Figure]:
    """The price over bare Python, and the libraries loaded."""
    topic, modules = "import drybpf", loaded()
    best = dict.fromkeys(("pass", "import drybpf"), math.inf)
    for _ in range(2 if quick else 20):
        for text in best:
            best[text] = min(best[text], children.run("-c", text)[2])
    found = [name for name in UNWANTED if name in modules]
    what = "libraries loaded of " + ", ".join(UNWANTED)
    return [
        Figure(topic, "over bare Python", best["import drybpf"] - best["pass"], "ms", TARGET),
        Figure(topic, "bare Python", best["pass"], "ms"),
        Figure(topic, what, len(found), " ".join(found), 0),
        Figure(topic, "modules loaded", len(modules), ""),
    ]


def loaded() -> set[str]:
    """The modules, by their first name, that `python -X importtime` sees `import drybpf` load."""
    _, errors, _ = children.run("-X", "importtime", "-c", "import drybpf")
    lines = [line.split("|") for line in errors.splitlines() if line.count("|") == 2]
    names = [fields[2].strip() for fields in lines[1:]]
    return {name.split(".")[0] for name in names} | {n for n in names if n.startswith("drybpf")}
