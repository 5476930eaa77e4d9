"""Imports point downwards only; and what is heavy is loaded only by what needs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import drybpf

SOURCE = Path(drybpf.__file__).parent
HEAVY = {"llvmlite", "numpy", "rich", "elftools", "click"}

LAYERS = (  # from the bottom; modules of one line may import each other
    "background cached errors entry host markup records",
    "isa",
    "asm flow",
    "code builder verifier",
    "meter memory native",
    "maps",
    "space",
    "state",
    "helpers interpreter",
    "hooks vectors batch",
    "jit engine",
    "result",
    "kernel",
    "program vm",
    "objects packets",
    "topology",
    "cfg coverage profile testing trace",
    "cli __main__ pytest_plugin",
)
LEVELS = {name: level for level, line in enumerate(LAYERS) for name in line.split()}
MODULES = sorted(SOURCE.rglob("*.py"))


def _imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports of drybpf when it is loaded or run; not what only types need."""
    hidden = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (
                [f"drybpf.{alias.name}" for alias in node.names] if module == "drybpf" else [module]
            )
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _top(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_downwards(path: Path) -> None:
    top = _top(path)
    if top == "__init__":
        return
    for name in _imports(ast.parse(path.read_text("utf-8"))):
        if name.startswith("drybpf.") and name != "drybpf.__version__":
            below = name.split(".")[1]
            assert LEVELS[below] <= LEVELS[top], f"{top} imports {below}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_assert_and_no_relative_import_in_the_source(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: vanishes under -O"
        assert not isinstance(node, ast.ImportFrom) or not node.level


CORE = ["drybpf", "drybpf.vm", "drybpf.program", "drybpf.asm", "drybpf.vectors", "drybpf.hooks"]


@pytest.mark.parametrize("module", CORE)
def test_heavy_libraries_are_not_loaded(module: str) -> None:
    script = f"import sys, {module}; print(*(m for m in {HEAVY!r} if m in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
