"""Compile the C sources of the tests and examples to BPF objects; `--check` the committed ones.

    python tools/build_fixtures.py            # all
    python tools/build_fixtures.py xdp_pass   # those whose name contains "xdp_pass"
    python tools/build_fixtures.py --check    # exit 1 if an object does not match its source

The compiler is `--clang`, else `clang` on the path, else the one in the PyPI package `ziglang`. A
source may ask for options in its first line: `// build: -mcpu=v4`. The same compiler gives the
same bytes everywhere, since no path of this machine gets into the objects. For each object the
manifest tells the compiler and the digests of source (headers and options included) and object.
`--check` needs no compiler: it compares digests. Where it finds the very compiler of the manifest,
it compiles again, too, and compares bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
MANIFEST = FIXTURES / "objects" / "manifest.json"
OPTIONS = (
    *("-O2", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter"),
    *("-ffile-prefix-map=" + str(ROOT) + "=.", "-ffile-compilation-dir=."),
)
STABLE_OPTIONS = tuple(option for option in OPTIONS if str(ROOT) not in option)
_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_WANTED_OPTIONS = re.compile(r"\A// build: (.*)")


@dataclass(frozen=True)
class Unit:
    """A C source and the object made from it."""

    source: Path
    target: Path

    @property
    def name(self) -> str:
        """The object's path from the root of the project."""
        return self.target.relative_to(ROOT).as_posix()

    @property
    def options(self) -> tuple[str, ...]:
        """What the first line of the source asks for."""
        match = _WANTED_OPTIONS.match(self.source.read_text())
        return tuple(match[1].split()) if match else ()

    def digest(self) -> str:
        """SHA-256 over options, source, and the headers it includes."""
        digest = hashlib.sha256(" ".join((*STABLE_OPTIONS, *self.options)).encode())
        todo, seen = [self.source], set()
        while todo:
            path = todo.pop()
            if path not in seen:
                seen.add(path)
                text = path.read_text()
                digest.update(text.encode())
                todo += [(path.parent / name).resolve() for name in _INCLUDE.findall(text)]
        return digest.hexdigest()


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C to BPF, and what it says it is."""

    command: tuple[str, ...]
    version: str

    def compile(self, unit: Unit, target: Path) -> None:
        """Make `target` of the unit's source."""
        source = unit.source.relative_to(ROOT).as_posix()
        arguments = (*OPTIONS, *unit.options, "-c", source, "-o", str(target))
        subprocess.run([*self.command, *arguments], cwd=ROOT, check=True)


def units() -> list[Unit]:
    """Every source that is to be an object."""
    examples = sorted((ROOT / "examples").rglob("*.c"))
    fixtures = sorted((FIXTURES / "src").glob("*.c"))
    return [
        *(Unit(path, path.with_suffix(".o")) for path in examples),
        *(Unit(path, FIXTURES / "objects" / f"{path.stem}.o") for path in fixtures),
    ]


def find_compiler(clang: str | None) -> Compiler | None:
    """The compiler that was asked for, or the first that is there."""
    clang = clang or shutil.which("clang")
    if clang:
        command: tuple[str, ...] = (clang, "--target=bpfel")
        output = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
        return Compiler(command, output.stdout.splitlines()[0].strip())
    if importlib.util.find_spec("ziglang"):
        command = (sys.executable, "-m", "ziglang", "cc", "-target", "bpfel-freestanding")
        return Compiler(command, f"ziglang {importlib.metadata.version('ziglang')}")
    return None


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest() -> dict[str, dict[str, str]]:
    """For each object: `compiler`, `source`, `object`."""
    manifest: dict[str, dict[str, str]] = {}
    if MANIFEST.exists():
        manifest = json.loads(MANIFEST.read_text())
    return manifest


def build(chosen: list[Unit], compiler: Compiler) -> None:
    """Compile, and write down what was compiled from what."""
    manifest = read_manifest()
    for unit in chosen:
        unit.target.parent.mkdir(parents=True, exist_ok=True)
        compiler.compile(unit, unit.target)
        manifest[unit.name] = {
            "compiler": compiler.version,
            "source": unit.digest(),
            "object": digest_of(unit.target),
        }
        print(f"{unit.name}: {unit.target.stat().st_size} bytes")
    known = {unit.name for unit in units()}
    kept = {name: entry for name, entry in sorted(manifest.items()) if name in known}
    MANIFEST.write_text(json.dumps(kept, indent=1) + "\n")


def objection(unit: Unit, compiler: Compiler | None) -> str | None:
    """Why the object does not match its source, None if it does."""
    entry = read_manifest().get(unit.name)
    if entry is None or not unit.target.exists():
        return "never built"
    if entry["source"] != unit.digest():
        return "the source (or a header, or an option) has changed since it was built"
    if entry["object"] != digest_of(unit.target):
        return "the object is not the one that was built"
    if compiler is not None and compiler.version == entry["compiler"]:
        with tempfile.TemporaryDirectory() as folder:
            again = Path(folder) / "again.o"
            compiler.compile(unit, again)
            if again.read_bytes() != unit.target.read_bytes():
                return "compiling again gives other bytes"
    return None


def main() -> int:
    """Parse the command line, build or check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", help="only objects whose name contains this")
    parser.add_argument("--check", action="store_true", help="compare, build nothing")
    parser.add_argument("--clang", help="the compiler to use")
    arguments = parser.parse_args()
    chosen = [
        unit
        for unit in units()
        if not arguments.name or any(part in unit.name for part in arguments.name)
    ]
    compiler = find_compiler(arguments.clang)
    if arguments.check:
        objections = {unit.name: objection(unit, compiler) for unit in chosen}
        for name, reason in objections.items():
            print(f"{name}: {reason or 'ok'}")
        return 1 if any(objections.values()) else 0
    if compiler is None:
        print("no compiler: install clang, or `pip install ziglang`", file=sys.stderr)
        return 1
    build(chosen, compiler)
    return 0


if __name__ == "__main__":
    sys.exit(main())
