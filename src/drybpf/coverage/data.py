"""Coverage as data: the counts of programs, which merge across tests, processes and machines."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from drybpf import meter
from drybpf.cached import cached_property
from drybpf.code import Code, SourceLine
from drybpf.errors import BpfError, CoverageError
from drybpf.meter import Counts

FORMAT = "drybpf coverage 1"


@dataclass
class ProgramCoverage:
    """What was executed of one program; see `meter.Counts` for the two mappings."""

    code: Code
    executed: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The program's name."""
        return self.code.name or "program"

    @cached_property
    def key(self) -> str:
        """Tells programs apart: a digest of code, name and lines."""
        facts = self.code.name, dict(self.code.functions), dict(self.code.lines)
        return sha256(self.code.bytecode + repr(facts).encode()).hexdigest()

    def add(self, executed: Mapping[int, int], taken: Mapping[int, int]) -> None:
        """Add counts."""
        for total, more in ((self.executed, executed), (self.taken, taken)):
            for pc, count in more.items():
                total[pc] = total.get(pc, 0) + count

    @property
    def instructions(self) -> int:
        """How many instructions were executed in all."""
        return sum(self.executed.values())

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        files = {line.file: index for index, line in enumerate(self.code.lines.values())}
        files = {file: index for index, file in enumerate(files)}
        return {
            "name": self.code.name,
            "bytecode": b64encode(self.code.bytecode).decode(),
            "functions": list(self.code.functions.items()),
            "files": list(files),
            "lines": [
                [pc, files[line.file], line.line, line.column, line.text]
                for pc, line in self.code.lines.items()
            ],
            "executed": sorted(self.executed.items()),
            "taken": sorted(self.taken.items()),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`.  Raises `KeyError`, `TypeError` or `ValueError`."""
        files = list(map(str, data["files"]))
        lines = {
            _whole(pc): SourceLine(files[_whole(file)], _whole(line), _whole(column), str(text))
            for pc, file, line, column, text in data["lines"]
        }
        functions = {_whole(pc): str(name) for pc, name in data["functions"]}
        code = Code(
            b64decode(data["bytecode"], validate=True),
            name=str(data["name"]),
            functions=functions,
            lines=lines,
        )
        loaded = cls(code)
        executed, taken = _counts(data["executed"], code), _counts(data["taken"], code)
        if any(count > executed.get(pc, 0) for pc, count in taken.items()):
            raise ValueError("a jump was taken more often than it was executed")
        loaded.add(executed, taken)
        return loaded


def _counts(pairs: Iterable[tuple[int, int]], code: Code) -> dict[int, int]:
    counts = {_whole(pc): _whole(count) for pc, count in pairs}
    if any(pc > len(code) for pc in counts):
        raise ValueError("counts for instructions that there are not")
    return counts


def _whole(value: object) -> int:
    """A number that is not negative; JSON has others, infinity among them."""
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no number of something")
    return value


class Coverage:
    """What was executed of each program, by its key.

    As a context manager it measures all that runs within the `with` block.
    """

    def __init__(self) -> None:
        """Nothing yet."""
        self.programs: dict[str, ProgramCoverage] = {}
        self._meter = meter.Meter()

    def __enter__(self) -> Self:
        """Begin to measure."""
        self._meter.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Measure no longer."""
        self._meter.stop()
        self.collect()

    def start(self) -> None:
        """Begin to measure: what `with` does."""
        self._meter.start()

    def stop(self) -> None:
        """Measure no longer."""
        self.__exit__()

    def collect(self) -> None:
        """Take over what has been measured so far; the codes it came from are free to go."""
        for counts in self._meter.take():
            self.add(counts)

    def add(self, counts: Counts) -> None:
        """Add the counts of a meter."""
        self.expect(counts.code).add(counts.executed, counts.taken)

    def expect(self, code: Code) -> ProgramCoverage:
        """Have a program reported even if it is never run."""
        fresh = ProgramCoverage(code)
        return self.programs.setdefault(fresh.key, fresh)

    def merge(self, other: Coverage) -> None:
        """Add another coverage to this one."""
        for key, program in other.programs.items():
            mine = self.programs.setdefault(key, ProgramCoverage(program.code))
            mine.add(program.executed, program.taken)

    def __bool__(self) -> bool:
        """Whether any program is in it."""
        return bool(self.programs)

    def __iter__(self) -> Iterator[ProgramCoverage]:
        """The programs, by name."""
        return iter(sorted(self.programs.values(), key=lambda program: (program.name, program.key)))

    def to_json(self) -> dict[str, object]:
        """As plain data."""
        return {"format": FORMAT, "programs": [program.to_json() for program in self]}

    @classmethod
    def from_json(cls, data: object) -> Coverage:
        """The inverse of `to_json`.  Raises `CoverageError` for anything else."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise CoverageError("this is no coverage data of drybpf")
        coverage = cls()
        try:
            for program in map(ProgramCoverage.from_json, data["programs"]):
                mine = coverage.programs.setdefault(program.key, ProgramCoverage(program.code))
                mine.add(program.executed, program.taken)
        except (KeyError, TypeError, ValueError, IndexError, BpfError) as error:
            raise CoverageError(f"coverage data is malformed: {error}") from error
        return coverage

    def save(self, path: str | Path) -> None:
        """Write to a file, as JSON."""
        Path(path).write_text(json.dumps(self.to_json()), "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Coverage:
        """Read what `save` wrote.  Raises `CoverageError`, or `OSError` where it cannot be read."""
        try:
            return cls.from_json(json.loads(Path(path).read_bytes()))
        except (ValueError, RecursionError) as error:
            raise CoverageError(f"{path}: no coverage data: {error}") from error
        except CoverageError as error:
            raise CoverageError(f"{path}: {error}") from error

    def __repr__(self) -> str:
        """`<Coverage of 2 programs>`."""
        return f"<Coverage of {len(self.programs)} program{'s' * (len(self.programs) != 1)}>"

    def _repr_html_(self) -> str:
        """How a notebook shows it: a table of the files."""
        from drybpf.coverage.terminal import file_rows  # noqa: PLC0415 (it builds on this module)
        from drybpf.markup import table  # noqa: PLC0415 (only for people)

        return table(*file_rows(self))
