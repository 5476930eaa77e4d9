"""The four machines of rbpf, with its names: thin over the same core.

They differ in what the program is given: nothing, memory, a metadata buffer of the user's, or a
metadata buffer of the machine's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar, Unpack

from drybpf import interpreter, verifier
from drybpf.code import Code
from drybpf.errors import BpfError, Finding, VerifierError
from drybpf.helpers import Helpers
from drybpf.hooks import FixedMetadata, Hook, Metadata, NoData, Raw
from drybpf.host import Host
from drybpf.interpreter import Trace
from drybpf.memory import PACKET, REGISTERED, SLOT_SIZE, Region
from drybpf.program import check_budget, new_state, set_registers
from drybpf.result import Result
from drybpf.state import DEFAULT_BUDGET, Helper, State

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from drybpf.jit.compiled import Jit

Bytecode = bytes | bytearray | memoryview
Verifier = Callable[[bytes], object]  # raises, or gives findings, to refuse a program
HookT = TypeVar("HookT", bound=Hook)
_GUARD = 4096  # bytes between two registered buffers, at least


def default_verifier(program: bytes) -> None:
    """Check a program's structure.  Raises `VerifierError`."""
    verifier.check(Code(program))


class RunOptions(TypedDict, total=False):
    """What every run may be told besides its data."""

    registers: Mapping[int, int]  # initial values, by number
    trace: Trace  # called with the state before each instruction


class JitOptions(TypedDict, total=False):
    """What a compiled run may be told besides its data."""

    registers: Mapping[int, int]  # initial values, by number


class _Machine(Generic[HookT]):
    """What the four machines share."""

    memory_address = PACKET
    """The guest address of the memory that a run is given."""

    def __init__(self, program: Bytecode | None, hook: HookT) -> None:
        self._hook = hook
        self._code: Code | None = None
        self._jit: Jit | None = None
        self._verifier: Verifier = default_verifier
        self._registered: list[Region] = []
        self.helpers = Helpers()
        self.host = Host()
        self.budget: int | None = DEFAULT_BUDGET
        if program is not None:
            _Machine.set_program(self, program)

    def set_program(self, program: Bytecode) -> None:
        """Verify and load a program; if it is refused the old one stays."""
        code = Code(program)
        _verify(self._verifier, code.bytecode)
        self._code, self._jit = code, None

    def jit_compile(self) -> None:
        """Compile the program, for `execute_program_jit`.

        Raises `CompileError` where it is too large, or where only a verifier of the user's lets
        it pass.
        """
        if self._code is None:
            raise ValueError("no program is set; call set_program()")
        from drybpf.jit.compiled import Jit  # noqa: PLC0415 (LLVM only when it is used)

        jit = Jit(self._code, self._hook.shape)
        jit.variant()
        self._jit = jit

    def set_verifier(self, function: Verifier) -> None:
        """Check programs by another function; a program that is loaded is checked at once.

        The function gets the bytecode and raises, or returns findings, to refuse it.  If it
        refuses the loaded program, the old verifier stays.
        """
        if not callable(function):
            raise TypeError(f"a verifier must be callable, not {type(function).__name__}")
        if self._code is not None:
            _verify(function, self._code.bytecode)
        self._verifier = function

    def register_helper(self, number: int, function: Helper) -> None:
        """Register a helper under a number, in place of an earlier one."""
        self.helpers.register(number, function)

    def register_default_helper(self, function: Helper | None) -> None:
        """Have one callable serve every number without a helper; `context.number` tells which."""
        self.helpers.default = function

    def register_allowed_memory(self, buffer: Buffer, *, writable: bool = True) -> int:
        """Let programs reach a buffer; the result is its guest address.

        Raises `ValueError` where the 256 MiB for such buffers are used up.
        """
        address = REGISTERED
        if self._registered:
            last = self._registered[-1]
            address = (last.start + last.length + 2 * _GUARD - 1) // _GUARD * _GUARD
        region = Region("registered memory", address, buffer, writable=writable)
        if address + region.length > REGISTERED + SLOT_SIZE:
            raise ValueError(f"no room for {region.length} more bytes of registered memory")
        self._registered.append(region)
        return address

    def set_stack_usage_calculator(self, function: object, data: object = None) -> None:
        """Accept rbpf's calculator of stack frames, without effect: every frame has 512 bytes."""
        del function, data

    def _state(self) -> State:
        if self._code is None:
            raise ValueError("no program is set; call set_program()")
        state = new_state(self._code, self.helpers, self.host, check_budget(self.budget))
        for region in self._registered:
            state.memory.map(region)
        return state

    def _run(self, state: State, options: RunOptions) -> Result:
        set_registers(state, options.get("registers"))
        value = interpreter.run(state, options.get("trace"))
        return Result.of(state, self._hook.action(value))

    def _run_jit(self, state: State, options: JitOptions) -> int:
        if self._jit is None:
            raise ValueError("the program is not compiled; call jit_compile()")
        set_registers(state, options.get("registers"))
        return self._jit.run(state)

    def __getstate__(self) -> dict[str, object]:
        """Pickle without what is compiled."""
        return {**self.__dict__, "_jit": None}

    def __copy__(self) -> _Machine[HookT]:
        """A machine with the same program and tables of its own."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.helpers = self.helpers.copy()
        twin._registered = list(self._registered)
        return twin

    def __repr__(self) -> str:
        """`<EbpfVmRaw: 57 slots, helpers 5, 6>`."""
        program = f"{len(self._code)} slots" if self._code else "no program"
        numbers = ", ".join(map(str, sorted(self.helpers)))
        return f"<{type(self).__name__}: {program}{', helpers ' if numbers else ''}{numbers}>"


class EbpfVmNoData(_Machine[NoData]):
    """A machine for programs without input: r1 and r2 are 0."""

    def __init__(self, program: Bytecode | None = None) -> None:
        """Make a machine, with a program or without one.  Raises `VerifierError`."""
        super().__init__(program, NoData())

    def execute_program(self, **options: Unpack[RunOptions]) -> int:
        """Interpret the program; the result is r0."""
        return self.run(**options).value

    def run(self, **options: Unpack[RunOptions]) -> Result:
        """Interpret the program and tell all that came of it."""
        return self._run(self._state(), options)

    def execute_program_jit(self, **options: Unpack[JitOptions]) -> int:
        """Run the compiled program; the result is r0."""
        return self._run_jit(self._state(), options)


class _OnMemory(_Machine[HookT]):
    """A machine whose program gets one buffer."""

    def execute_program(self, memory: Buffer, **options: Unpack[RunOptions]) -> int:
        """Interpret the program on memory; a writable buffer is changed in place."""
        return self.run(memory, **options).value

    def run(self, memory: Buffer, **options: Unpack[RunOptions]) -> Result:
        """Interpret the program on memory and tell all that came of it."""
        state = self._state()
        self._hook.enter(state, memory)
        return self._run(state, options)

    def execute_program_jit(self, memory: Buffer, **options: Unpack[JitOptions]) -> int:
        """Run the compiled program on memory; a writable buffer is changed in place."""
        state = self._state()
        self._hook.enter(state, memory)
        return self._run_jit(state, options)


class EbpfVmRaw(_OnMemory[Raw]):
    """A machine for programs on memory: r1 is its address, r2 its length."""

    def __init__(self, program: Bytecode | None = None) -> None:
        """Make a machine, with a program or without one.  Raises `VerifierError`."""
        super().__init__(program, Raw())


class EbpfVmMbuff(_Machine[Metadata]):
    """A machine for programs on a metadata buffer: r1 is its address, r2 its length.

    Pointers that the user puts into the buffer are guest addresses: `vm.memory_address` is that
    of the memory's first byte.
    """

    def __init__(self, program: Bytecode | None = None) -> None:
        """Make a machine, with a program or without one.  Raises `VerifierError`."""
        super().__init__(program, Metadata())

    def execute_program(
        self, memory: Buffer, metadata: Buffer, **options: Unpack[RunOptions]
    ) -> int:
        """Interpret the program; writable buffers are changed in place."""
        return self.run(memory, metadata, **options).value

    def run(self, memory: Buffer, metadata: Buffer, **options: Unpack[RunOptions]) -> Result:
        """Interpret the program on memory and metadata and tell all that came of it."""
        state = self._state()
        self._hook.enter_with(state, memory, metadata)
        return self._run(state, options)

    def execute_program_jit(
        self, memory: Buffer, metadata: Buffer, **options: Unpack[JitOptions]
    ) -> int:
        """Run the compiled program; writable buffers are changed in place."""
        state = self._state()
        self._hook.enter_with(state, memory, metadata)
        return self._run_jit(state, options)


class EbpfVmFixedMbuff(_OnMemory[FixedMetadata]):
    """A machine that fills a metadata buffer of its own with the ends of the memory.

    The 8-byte guest address of the memory's first byte is at `data_offset`, that behind its last
    at `data_end_offset`.
    """

    def __init__(self, program: Bytecode | None, data_offset: int, data_end_offset: int) -> None:
        """Make a machine.  Raises `VerifierError`, or `ValueError` for bad offsets."""
        super().__init__(program, FixedMetadata(data_offset, data_end_offset))

    def set_program(  # type: ignore[override]  # rbpf gives this machine's its offsets too
        self, program: Bytecode, data_offset: int, data_end_offset: int
    ) -> None:
        """Verify and load a program and its offsets; if it is refused nothing changes."""
        hook = FixedMetadata(data_offset, data_end_offset)
        super().set_program(program)
        self._hook = hook


def _verify(function: Verifier, bytecode: bytes) -> None:
    try:
        verdict = function(bytecode)
    except BpfError:
        raise
    except Exception as error:
        raise VerifierError((Finding(0, "", f"{type(error).__name__}: {error}"),)) from error
    if verdict is False:
        raise VerifierError((Finding(0, "", "the verifier refused the program"),))
    if isinstance(verdict, str) and verdict:
        verdict = [verdict]
    if isinstance(verdict, Iterable):
        findings = tuple(
            item if isinstance(item, Finding) else Finding(0, "", str(item)) for item in verdict
        )
        if findings:
            raise VerifierError(findings)
