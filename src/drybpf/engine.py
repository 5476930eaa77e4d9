"""Which engine runs a program, decided in one place.

`interpreter` is the reference.  `jit` compiles before the first run.  `auto` interprets until the
program is compiled, which another thread begins after the first runs; a batch it compiles at once.
A program that is too large is interpreted for good, and `note` says so.  `kernel` is no engine of
ours: programs ask `drybpf.kernel` for it themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, get_args

from drybpf import background, interpreter
from drybpf.background import Job
from drybpf.batch import PacketBatch, Verdicts
from drybpf.code import Code
from drybpf.entry import Shape
from drybpf.errors import CompileError, ExecutionError
from drybpf.host import Host
from drybpf.interpreter import Trace
from drybpf.space import Space
from drybpf.state import HelperTable, State

if TYPE_CHECKING:
    from drybpf.jit.compiled import Jit
    from drybpf.jit.variant import Variant

Engine = Literal["auto", "jit", "interpreter", "kernel"]
ENGINES: tuple[str, ...] = get_args(Engine)
FIRST_RUNS = 2  # that `auto` interprets
PAUSE = 1e-4  # seconds that a run leaves to what compiles: it is Python too, in part


def check_engine(engine: str) -> Engine:
    """Refuse the name of an engine that there is not."""
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; there are {', '.join(ENGINES)}")
    return engine  # type: ignore[return-value]  # mypy does not narrow by `in`


class Runner:
    """Runs the states of one program."""

    def __init__(self, code: Code, shape: Shape, space: Space) -> None:
        """Prepare; LLVM is loaded when something is compiled."""
        self.code, self.shape, self.space = code, shape, space
        self.note = ""  # why `auto` does not compile
        self._jit: Jit | None = None
        space.runners[code] = self
        self._runs = 0
        self._job: Job | None = None  # that compiles

    @property
    def jit(self) -> Jit:
        """The program's compiler.  Raises `CompileError` where it cannot be compiled."""
        if self._jit is None:
            from drybpf.jit.compiled import Jit  # noqa: PLC0415 (LLVM only when it is used)

            self._jit = Jit(self.code, self.shape, self.space)
        return self._jit

    def run(
        self, state: State, engine: Engine, *, counting: bool = False, trace: Trace | None = None
    ) -> int:
        """Run a state to its end; the result is r0.

        `state.instructions` is exact where the interpreter ran, or with `counting`.
        """
        try:
            if trace is not None or not self.compiles(
                engine, state.helpers, state.host, counting=counting
            ):
                return interpreter.run(state, trace)
            return self.jit.run(state, counting=counting)
        finally:
            state.release()

    def compiles(
        self, engine: Engine, helpers: HelperTable, host: Host, *, counting: bool = False
    ) -> bool:
        """Whether the next run is by compiled code."""
        if engine != "auto":
            return engine == "jit"
        self._runs += 1
        if self._runs <= FIRST_RUNS or self.note:
            return False
        try:
            return self._is_ready(helpers, host, counting=counting)
        except CompileError as error:
            self.note = str(error)
            return False

    def _is_ready(self, helpers: HelperTable, host: Host, *, counting: bool) -> bool:
        """Whether compiled code is there; if not, it will be."""
        job = self._job
        if job is not None and not job.is_lost and not job.wait(PAUSE):
            return False
        self._job = None
        if job is not None and job.error is not None:
            raise job.error
        work: Callable[[], None] | None = self._load_compiler
        if self._jit is not None:
            work = self._jit.work_ahead(helpers, host, counting=counting)
        if work is not None:
            self._job = background.start(work)
        return work is None

    def _load_compiler(self) -> None:
        self.jit  # noqa: B018 (made where it is first asked for)

    def finish_compiling(self, seconds: float | None = None) -> None:
        """Wait for what another thread compiles, or so long."""
        if self._job is not None:
            self._job.wait(seconds)

    def function(
        self,
        name: str,
        budget: int,
        fresh: Callable[[object], State],
        helpers: HelperTable,
        outdated: Callable[[], None],
        host: Host,
    ) -> tuple[Callable[..., int], Variant] | None:
        """A built-in function from packet to r0, or None where the program needs more.

        `outdated` is called when asking again would give a better one.
        """
        return self.jit.bind(name, budget, fresh, helpers, outdated, host)

    def batch(
        self,
        packets: PacketBatch,
        verdicts: Verdicts,
        engine: Engine,
        budget: int,
        fresh: Callable[[object], State],
        helpers: HelperTable,
        host: Host,
        *,
        record: bool,
    ) -> None:
        """Run on each packet and put r0 into the verdicts."""
        compiled = engine == "jit" or (engine == "auto" and self._can_compile())
        if compiled and self.jit.batch(
            packets, verdicts, budget, fresh, helpers, host, record=record
        ):
            return
        for index, packet in enumerate(packets):
            state = fresh(packet)
            try:
                verdicts[index] = self.jit.run(state) if compiled else interpreter.run(state)
            except ExecutionError as error:
                if not record:
                    error.add_note(f"packet {index} of the batch")
                    raise
                verdicts.faults[index] = error
            finally:
                state.release()

    def _can_compile(self) -> bool:
        try:
            self._load_compiler()
        except CompileError as error:
            self.note = str(error)
        return not self.note

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle without what is compiled."""
        return Runner, (self.code, self.shape, self.space)
