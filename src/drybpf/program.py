"""A program to run: code, the hook it is attached to, and what surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import index
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from drybpf import interpreter, markup, meter, verifier
from drybpf.batch import PacketBatch, Verdicts
from drybpf.code import Code
from drybpf.engine import Engine, Runner, check_engine
from drybpf.entry import FieldValue
from drybpf.helpers import Helpers, timers
from drybpf.hooks import Hook, Raw
from drybpf.host import Host
from drybpf.interpreter import Trace
from drybpf.memory import Memory
from drybpf.native import vectorcall
from drybpf.result import Result
from drybpf.space import Space
from drybpf.state import DEFAULT_BUDGET, UNLIMITED, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from drybpf.builder import BpfCode
    from drybpf.jit.compiled import Jit, Stats
    from drybpf.jit.report import Access
    from drybpf.kernel import KernelRunner


class Program(vectorcall.base()):  # type: ignore[misc]  # a plain object, but for how it is called
    """Code that can be run.  It is verified before its first run.

    `program(packet)` gives r0.  As soon as it is compiled, and where it calls no helper in Python,
    that call goes straight into the machine code.
    """

    def __init__(
        self,
        code: Code,
        *,
        hook: Hook | None = None,
        helpers: Helpers | Mapping[int, object] | None = None,
        host: Host | None = None,
        budget: int | None = DEFAULT_BUDGET,
        engine: Engine = "auto",
        space: Space | None = None,
    ) -> None:
        """Put a program together; by default it gets memory in r1 and its length in r2.

        `space` holds the maps and data that it shares with other programs.
        """
        self.code = code
        if not isinstance(hook, Hook | None):
            raise TypeError(f"a hook is one of drybpf.HOOKS, as HOOKS['xdp'], not {hook!r}")
        self.hook = hook or Raw()
        own = helpers if isinstance(helpers, Helpers) else _helpers(helpers)
        self.helpers = self.hook.helpers(own)
        self.host = host or Host()
        self.space = space or Space()
        self._budget = check_budget(budget)
        self._engine = check_engine(engine)
        self._verified = False
        self._bound = False  # whether it is known how compiled code can be called
        self._direct: Callable[[Buffer], int] | None = None
        self._runner = Runner(code, self.hook.shape, self.space)
        self._kernel: KernelRunner | None = None

    def __init_subclass__(cls) -> None:
        """Have a subclass that is called in the same way called as fast."""
        if cls.__call__ is Program.__call__:
            vectorcall.enable(cls)

    @classmethod
    def from_bytes(cls, bytecode: bytes | bytearray | memoryview, **options: object) -> Self:
        """Make a program of raw bytecode; options are those of the constructor."""
        return cls(Code(bytecode), **options)  # type: ignore[arg-type]  # checked by the callee

    @classmethod
    def from_asm(cls, text: str, **options: object) -> Self:
        """Make a program of assembly text, in either dialect."""
        from drybpf.asm import assemble  # noqa: PLC0415 (most programs come as bytes)

        return cls.from_bytes(assemble(text), **options)

    @classmethod
    def from_builder(cls, builder: BpfCode, **options: object) -> Self:
        """Make a program of what an instruction builder holds."""
        return cls.from_bytes(builder.to_bytes(), **options)

    @property
    def name(self) -> str:
        """The program's name, empty where it has none."""
        return self.code.name

    def verify(self, *, strict: bool = False) -> None:
        """Raise a `VerifierError` with every objection to the program."""
        verifier.check(self.code, strict=strict, helpers=self.helpers if strict else None)

    def disassemble(self, dialect: Literal["ubpf", "llvm"] = "ubpf") -> str:
        """The program as text, an instruction a line."""
        from drybpf.asm import disassemble  # noqa: PLC0415 (only for people)

        return disassemble(self.code.bytecode, dialect=dialect)

    def __call__(self, packet: Buffer = b"") -> int:
        """Run on a packet; the result is r0."""
        if self.engine == "kernel":
            return self.run(packet).value
        compiled = self._runner.compiles(self.engine, self.helpers, self.host)
        if compiled and not self._bound:
            self._bind()
        return self._runner.run(self.state(packet), "jit" if compiled else "interpreter")

    def _bind(self) -> None:
        """Have calls go into compiled code, where nothing else is needed."""
        self._ensure_verified()
        budget = UNLIMITED if self.budget is None else self.budget
        name, fresh = self.name or "program", cast("Callable[[object], State]", self.state)
        found = self._runner.function(name, budget, fresh, self.helpers, self._unbind, self.host)
        self._bound = True
        self.helpers.watch(self)
        self.host.watch(self)
        meter.watch(self)
        if found is not None:
            vectorcall.point(self, found[1].direct(self._call_otherwise))
            self._direct = found[0]

    def _call_otherwise(self, *packet: Buffer, **named: Buffer) -> int:
        """A call without a packet, or with one by name."""
        return type(self).__call__(self, *packet, **named)

    def _unbind(self) -> None:
        """Forget the way into compiled code, after a change of what is bound into it."""
        vectorcall.point(self, 0)
        self._bound, self._direct = False, None

    def helpers_changed(self) -> None:
        """Have the next call see the helpers as they are now."""
        self._unbind()

    def meters_changed(self) -> None:
        """Have the next call counted, or no longer."""
        self._unbind()

    @property
    def function(self) -> Callable[[Buffer], int]:
        """The program as a built-in function from packet to r0, compiled.

        It is the program itself where that calls helpers in Python, and where the interpreter or
        the kernel was chosen.  Ask anew after a change of the budget, the helpers or the host: a
        function from before has the old ones, or the new ones too where the same code serves both.
        Raises `CompileError`.
        """
        if not self._bound and self.engine not in ("interpreter", "kernel"):
            self._bind()
        return self if self._direct is None else self._direct

    @property
    def budget(self) -> int | None:
        """The number of instructions that a run may execute; None for no limit."""
        return self._budget

    @budget.setter
    def budget(self, budget: int | None) -> None:
        self._budget = check_budget(budget)
        self._unbind()

    @property
    def engine(self) -> Engine:
        """The engine: `auto`, `jit`, `interpreter` or `kernel`."""
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        self._engine = check_engine(engine)
        self._unbind()

    def options(self) -> dict[str, Any]:
        """The options that make a program like this one, for the constructor."""
        return {
            "hook": self.hook,
            "helpers": self.helpers,
            "host": self.host,
            "budget": self.budget,
            "engine": self.engine,
            "space": self.space,
        }

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the program was made of, not what was compiled."""
        return rebuild, (type(self), self.code, self.options())

    @property
    def compiler(self) -> Jit:
        """The program's compiler, for its present helpers.  Raises `CompileError`."""
        self._runner.jit.use(self.helpers, self.host)
        return self._runner.jit

    def checks_left(self) -> tuple[Access, ...]:
        """The accesses that compiled code still checks; none where all are proven to be safe.

        Raises `CompileError`.
        """
        from drybpf.jit.report import checks_left  # noqa: PLC0415 (LLVM only when it is used)

        return checks_left(self.compiler)

    @property
    def jit_stats(self) -> Stats:
        """What the compiler did: compiles, exits by place and reason, guesses that failed."""
        return self._runner.jit.stats

    @property
    def kernel(self) -> KernelRunner:
        """The program's twin in the kernel, loaded at its first run there.

        Raises `KernelError` where the kernel's test run has no such programs.
        """
        if self._kernel is None:
            from drybpf.kernel import KernelRunner  # noqa: PLC0415 (only when it is used)

            self._kernel = KernelRunner(self.hook, **self.kernel_options())
        return self._kernel

    def kernel_options(self) -> dict[str, Any]:
        """How the kernel loads the program: the options of a `KernelRunner`."""
        return {}

    def run(
        self,
        packet: Buffer = b"",
        *,
        engine: Engine | None = None,
        budget: int | None = -1,
        registers: Mapping[int, int] | None = None,
        trace: Trace | None = None,
        **fields: FieldValue,
    ) -> Result:
        """Run on a packet and tell all that came of it, the exact number of instructions included.

        `registers` gives initial values by number, `trace` is called with the state before each
        instruction (by the interpreter), `fields` are the hook's own (`ifindex=3`).  The kernel
        tells no number of instructions: it is 0.  Raises `KernelError` for what it refuses.
        """
        chosen = check_engine(engine or self.engine)
        state = self.state(packet, budget=budget, registers=registers, **fields)
        if chosen == "kernel":
            if registers or trace:
                raise ValueError("the kernel neither takes registers nor tells instructions")
            return self.kernel.run(state)
        value = self._runner.run(state, chosen, counting=True, trace=trace)
        return Result.of(state, self.hook.action(value), self.hook.fields(state))

    def run_timers(self) -> tuple[Result, ...]:
        """Run the callbacks of the timers that are due by the host's clock, the earliest first.

        Timers belong to the maps of the program's space; nothing else lets them fire.
        """
        ended = timers.fire(self.space, self.host, interpreter.run)
        return tuple(Result.of(state, None) for state in ended)

    def run_batch(
        self, packets: object, *, on_fault: Literal["raise", "record"] = "raise"
    ) -> Verdicts:
        """Run on many packets; the result is r0 for each.

        `packets` is a `PacketBatch`, a pair of data and offsets, an Arrow binary column, or a list
        of packets.  Compiled code runs without the GIL where the program calls no helper.  Faults
        are raised, or with `on_fault="record"` kept in `verdicts.faults`.
        """
        if on_fault not in ("raise", "record"):
            raise ValueError(f"on_fault is 'raise' or 'record', not {on_fault!r}")
        batch = PacketBatch.of(packets)
        verdicts = Verdicts(len(batch))
        fresh: Callable[[Any], State] = self.state
        self._ensure_verified()
        budget = UNLIMITED if self.budget is None else self.budget
        if self.engine == "kernel":
            faults = verdicts.faults if on_fault == "record" else None
            self.kernel.batch((fresh(packet) for packet in batch), verdicts, faults)
            return verdicts
        record = on_fault == "record"
        self._runner.batch(
            batch, verdicts, self.engine, budget, fresh, self.helpers, self.host, record=record
        )
        return verdicts

    def state(
        self,
        packet: Buffer = b"",
        *,
        budget: int | None = -1,
        registers: Mapping[int, int] | None = None,
        **fields: FieldValue,
    ) -> State:
        """The state of a run that has not begun, for an engine or a debugger to go on from."""
        self._ensure_verified()
        chosen = self.budget if budget == -1 else check_budget(budget)
        state = new_state(self.code, self.helpers, self.host, chosen, self.space)
        self.hook.enter(state, packet, **fields)
        set_registers(state, registers)
        return state

    def _ensure_verified(self) -> None:
        if not self._verified:
            self.verify()
            self._verified = True

    def _repr_html_(self) -> str:
        """How a notebook shows it: its instructions."""
        return markup.code(f"{self!r}\n\n{self.disassemble('llvm')}")

    def __repr__(self) -> str:
        """`<Program parser: xdp, 57 slots>`."""
        return f"<Program {self.name or 'main'}: {self.hook.name}, {len(self.code)} slots>"


vectorcall.enable(Program)


def rebuild(cls: type[Program], code: Code, options: dict[str, Any]) -> Program:
    """Make a program anew, from a pickle."""
    return cls(code, **options)


def new_state(
    code: Code, helpers: Helpers, host: Host, budget: int | None, space: Space | None = None
) -> State:
    """A state at the code's first instruction, with nothing mapped but stack and space."""
    space = space or Space()
    space.epoch += 1
    fuel = UNLIMITED if budget is None else budget
    memory = Memory(space.slots)
    return State(code, memory, helpers=helpers, host=host, fuel=fuel, space=space, cpu=host.cpu)


def set_registers(state: State, registers: Mapping[int, int] | None) -> None:
    """Set initial registers, r0 to r9, modulo 2^64.  Raises `ValueError` for other numbers."""
    for number, value in (registers or {}).items():
        if number not in range(10):
            raise ValueError(f"r{number} cannot be set; r0 to r9 can")
        state.registers[number] = index(value) & (1 << 64) - 1


def check_budget(budget: int | None) -> int | None:
    """Refuse a budget that is no number of instructions."""
    if budget is None:
        return None
    budget = index(budget)
    if not 0 <= budget <= UNLIMITED:
        raise ValueError(f"a budget is 0 to {UNLIMITED} instructions, or None; not {budget}")
    return budget


def _helpers(functions: Mapping[int, object] | None) -> Helpers:
    table = Helpers()
    for number, function in (functions or {}).items():
        table.register(number, function)  # type: ignore[arg-type]  # register() checks it
    return table
