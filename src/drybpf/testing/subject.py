"""The object under test: what the fixture `bpf` is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drybpf.errors import ExecutionError
from drybpf.meter import Meter
from drybpf.objects import Object, ObjectProgram, load
from drybpf.testing.agreement import Attempt
from drybpf.testing.expect import Outcome
from drybpf.testing.faults import describe_fault
from drybpf.testing.mocks import HelperMock, HelperMocks
from drybpf.testing.packets import PacketBytes, as_bytes, capture

if TYPE_CHECKING:
    from drybpf.code import Code
    from drybpf.engine import Engine


class Subject:
    """An object file under test, loaded anew: its programs, maps and helpers.

    `runs` are the outcomes so far, in order; `attempts` are all runs, those that faulted included.
    With `max_instructions` a run that executes more fails the test.
    """

    def __init__(
        self,
        path: Path | bytes,
        *,
        program: str | None = None,
        engine: Engine = "auto",
        budget: int | None = -1,
        max_instructions: int | None = None,
        folder: Path = Path(),
        **options: Any,  # noqa: ANN401 (those of `load`)
    ) -> None:
        """Load; `options` are those of `drybpf.load`.  Raises `ObjectError`."""
        if (
            engine == "auto"
        ):  # in this thread: Python 3.11's parser counts its depth over all threads
            import_module("drybpf.jit.module")
        self.object: Object = load(path, **options)
        self._name, self._budget, self._folder = program, budget, folder
        self.engine, self.max_instructions = engine, max_instructions
        self.runs: list[Outcome] = []
        self.attempts: list[Attempt] = []
        self.helpers = HelperMocks(self.object.helpers)

    @property
    def program(self) -> ObjectProgram:
        """The program under test: the one that was named, else the object's only one."""
        if self._name is not None:
            return self[self._name]
        names = list(self.object)
        if len(names) != 1:
            known = ", ".join(names) or "none"
            raise ValueError(f"say which program is under test; there are {known}")
        return self[names[0]]

    def __getitem__(self, name: str) -> ObjectProgram:
        """A program by name, set to the engine and the budget of the test."""
        program = self.object[name]
        if program.engine != self.engine:
            program.engine = self.engine
        if self._budget not in (-1, program.budget):
            program.budget = self._budget
        return program

    @property
    def maps(self) -> Mapping[str, Any]:
        """The object's maps by name."""
        maps: Mapping[str, Any] = getattr(self.object, "maps", {})
        return maps

    @property
    def data(self) -> Any:  # noqa: ANN401 (the object's)
        """The object's global variables by name."""
        return self.object.data

    def mock(self, helper: int | str, returns: Any = 0) -> HelperMock:  # noqa: ANN401
        """Put a mock in the place of a helper; see `HelperMocks.mock`."""
        return self.helpers.mock(helper, returns)

    def packets(self, name: str | Path) -> Iterator[PacketBytes]:
        """The packets of a capture file; its name is relative to the test's folder."""
        return capture(self._folder / name)

    def run(self, packet: Any = b"", *, program: str | None = None, **fields: Any) -> Outcome:  # noqa: ANN401
        """Run on a packet, in any form that `as_bytes` takes; `fields` are the hook's own.

        Raises what the run raises: an `ExecutionError` where the program faults.
        """
        chosen = self.program if program is None else self[program]
        sent = as_bytes(packet)
        limit = self.max_instructions
        meter = Meter()
        if limit is not None:
            meter.start()
        __tracebackhide__ = True  # of the frames of pytest's report only the test's matter
        try:
            result = chosen.run(bytes(sent), **fields)
        except ExecutionError as error:
            self.attempts.append(Attempt(chosen.name, sent, fields, error))
            raise error.with_traceback(None)  # noqa: B904 (its own cause is chained already)
        finally:
            if limit is not None:
                meter.stop()
        outcome = Outcome(result, sent, chosen.name, self.engine, self.maps)
        self.runs.append(outcome)
        self.attempts.append(Attempt(chosen.name, sent, fields, outcome))
        if limit is not None and result.instructions > limit:
            raise AssertionError(
                f"{chosen.name} executed {result.instructions} instructions, {limit} are allowed\n"
                + "\n".join(_hottest(meter))
            )
        return outcome

    def __call__(self, packet: Any = b"", **fields: Any) -> Any:  # noqa: ANN401
        """Run on a packet; the verdict, or r0 where the hook has none."""
        outcome = self.run(packet, **fields)
        return outcome.result.value if outcome.result.action is None else outcome.result.action

    def run_all(self, packets: Any, **fields: Any) -> list[Outcome]:  # noqa: ANN401
        """Run on each of many packets, or on those of a capture file by its name."""
        if isinstance(packets, str | Path):
            packets = self.packets(packets)
        return [self.run(packet, **fields) for packet in packets]

    @property
    def worst(self) -> int:
        """The most instructions that a run of this test has executed; 0 without a run."""
        return max((run.result.instructions for run in self.runs), default=0)

    def codes(self) -> Iterator[Code]:
        """The code of each program that can run."""
        for name in self.object:
            program = self.object[name]
            if not program.cannot_run:
                yield program.code

    def describe_fault(self, error: ExecutionError) -> list[str]:
        """Tell a fault with its source line, for a report."""
        return describe_fault(error)

    def __repr__(self) -> str:
        """`<Subject firewall on jit>`."""
        return f"<Subject {self.object.name} on {self.engine}>"


def _hottest(meter: Meter) -> Iterator[str]:
    """The lines that executed the most instructions."""
    from drybpf.profile import Profile  # noqa: PLC0415 (only for a failure)

    profile = Profile.of(meter.take())
    for line in profile.lines[:5]:
        yield f"{line.instructions:8}  {line.place}: {line.text}"
