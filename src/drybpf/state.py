"""The state of a run: one object, from which a run can go on anywhere.

An engine reads and changes nothing else.  At `pc` the next instruction has not begun and, where
`pc` is a fuel point, its fuel has not been charged.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from drybpf.code import Code
from drybpf.entry import NO_LAYOUT, NO_SHAPE, Layout, Shape
from drybpf.errors import CallDepthExceeded, ExecutionError, HelperError
from drybpf.host import Host, Socket
from drybpf.isa.semantics import M64
from drybpf.memory import CONTEXT, MAX_FRAMES, Memory, frame_top
from drybpf.space import Space

UNLIMITED = (1 << 63) - 1  # the fuel of a run without a budget
FINISHED = -1  # the pc of a run that has ended
DEFAULT_BUDGET = 10_000_000  # instructions
MAX_TAIL_CALLS = 33  # of one run, the kernel's MAX_TAIL_CALL_CNT


@dataclass(frozen=True, slots=True)
class Invoke:
    """What a helper returns to have a function of the program called before it gives its result.

    `function` is the entry slot, `arguments` become r1 to r5.  When the function has returned,
    `then(context, r0)` gives the helper's result, or another `Invoke`.  It must be immutable.
    """

    function: int
    arguments: tuple[int, ...]
    then: Callable[[Context, int], int | Invoke]


@dataclass(frozen=True, slots=True)
class Enter:
    """What a helper returns to have another program run in place of this one (a tail call).

    It begins with the context in r1, all else zero, in the frame of the function that called.
    """

    code: Code


@dataclass(frozen=True, slots=True)
class Frame:
    """A caller that waits for its callee: where it goes on, and what it gets back."""

    code: Code
    return_pc: int
    saved: tuple[int, ...]  # r6 to r9
    then: Callable[[Context, int], int | Invoke] | None = None


HelperResult = int | Invoke | Enter
Helper = Callable[..., HelperResult]  # (context, r1, …, r5)
HelperTable = Mapping[int, Helper]


@dataclass(frozen=True, slots=True)
class Held:
    """A socket that a program has a pointer to, and how many references it must give back."""

    socket: Socket
    references: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tracing program is attached: a function's address, and what it was attached with.

    `arguments` is how many the function has; `returned` whether the program runs behind it.
    """

    function: int = 0
    cookie: int = 0
    arguments: int = 0
    returned: bool = False


@dataclass(slots=True)
class HookState:
    """What a hook keeps of a run beside memory and registers.

    `program_type` is the kernel's name of the kind of program, `layout` that of its context.
    """

    program_type: str = ""
    layout: Layout = NO_LAYOUT
    reservations: dict[int, tuple[int, int]] = field(default_factory=dict)
    # of ring buffers: by the guest address of the sample, the map's handle and offset there

    sockets: dict[int, Held] = field(default_factory=dict)  # by the guest address of the structure
    place: Place = field(default_factory=Place)
    answer: int = 0  # what the operation returns that the program is asked about
    chosen: Socket | None = None  # to which the packet or the connection was given
    shown: int = 0  # bytes for the reader of an iterator's file

    def before(self, packet: bytes, offset: int, size: int) -> bytes | None:
        """What a legacy packet load finds at a negative offset; None where nothing is."""
        del packet, offset, size
        return None

    def copy(self) -> Self:
        """Copy what can change."""
        return replace(
            self,
            reservations=dict(self.reservations),
            sockets=dict(self.sockets),
        )


@dataclass(slots=True)
class State:
    """All that a run is: code, place, registers, callers, memory, fuel and what was observed."""

    code: Code
    memory: Memory = field(default_factory=Memory)
    registers: list[int] = field(default_factory=lambda: [0] * 10 + [frame_top(0)])
    helpers: HelperTable = field(default_factory=dict)
    host: Host = field(default_factory=Host)
    fuel: int = DEFAULT_BUDGET
    pc: int = 0
    frames: list[Frame] = field(default_factory=list)
    instructions: int = 0
    packet: tuple[int, int] = (0, 0)  # guest addresses of the first byte and behind the last
    printed: list[str] = field(default_factory=list)
    space: Space = field(default_factory=Space)
    shape: Shape = NO_SHAPE  # how the program was entered
    cpu: int = 0
    tail_calls: int = 0
    records: list[object] = field(default_factory=list)  # what was done to the world, in order
    hook: HookState = field(default_factory=HookState)

    @property
    def finished(self) -> bool:
        """Whether the program has returned; its result is then in r0."""
        return self.pc == FINISHED

    def copy(self) -> State:
        """Copy all that the program can change; code, helpers and host are shared."""
        return State(
            self.code,
            self.memory.copy(),
            list(self.registers),
            self.helpers,
            self.host,
            self.fuel,
            self.pc,
            list(self.frames),
            self.instructions,
            self.packet,
            list(self.printed),
            self.space,
            self.shape,
            self.cpu,
            self.tail_calls,
            list(self.records),
            self.hook.copy(),
        )

    def release(self) -> None:
        """Give up the samples of ring buffers that the run reserved and did not hand over.

        Whoever reads a ring would wait for them for ever.
        """
        for handle, offset in self.hook.reservations.values():
            ring: Any = self.space.maps[handle]
            ring.discard(offset)
        self.hook.reservations.clear()

    def move_packet(self, low: int, data: int, high: int) -> None:
        """Let the program see the packet's buffer from `low` up to `high`; it begins at `data`.

        What lies between `low` and `data` is metadata.  The context's pointers and lengths follow.
        Raises `ValueError` where that leaves the buffer, or where the run has none of its own.
        """
        frame = self.memory.packet_frame
        if frame is None or not low <= data <= high:
            raise ValueError("this run's packet cannot be moved")
        frame.move(low, high)
        self.packet = (data, high)
        values = {"data_meta": low, "data": data, "data_end": high, "length": high - data}
        context = self.memory.at(CONTEXT)
        for offset, size, kind in self.shape.context or ():
            if context is not None and kind in values:
                context.data[offset : offset + size] = values[kind].to_bytes(size, "little")
        if self.memory.changed is not None:
            self.memory.changed()

    def enter(
        self,
        function: int,
        arguments: Sequence[int],
        return_pc: int,
        then: Callable[[Context, int], int | Invoke] | None = None,
    ) -> None:
        """Push a frame and begin a function.  Raises `CallDepthExceeded` for the ninth frame."""
        if len(self.frames) >= MAX_FRAMES - 1:
            raise CallDepthExceeded(f"call depth exceeds {MAX_FRAMES} frames")
        registers = self.registers
        self.frames.append(Frame(self.code, return_pc, tuple(registers[6:10]), then))
        depth = len(self.frames)
        self.memory.push_frame(depth)
        arguments = [*arguments[:5], 0, 0, 0, 0, 0]
        registers[:] = [0, *arguments[:5], 0, 0, 0, 0, frame_top(depth)]
        self.pc = function

    def leave(self) -> None:
        """Return from a function to its caller, or to the helper that had it called."""
        frame, result = self.frames[-1], self.registers[0]
        then = frame.then
        if then is None:
            self._pop(result)
            return
        # The helper goes on while the frame is still there: if it faults, the state is as before.
        following = self._ask(0, lambda context: then(context, result))
        self._pop(result)
        self.finish_call(0, following, frame.return_pc)

    def _pop(self, result: int) -> None:
        frame = self.frames.pop()
        self.memory.pop_frame()
        self.code, self.pc = frame.code, frame.return_pc
        top = frame_top(len(self.frames))
        self.registers[:] = [result, 0, 0, 0, 0, 0, *frame.saved, top]

    def call_helper(self, number: int, helper: Helper, return_pc: int) -> None:
        """Call a helper with r1 to r5; afterwards r0 is its result and r1 to r5 are zero."""
        arguments = self.registers[1:6]
        result = self._ask(number, lambda context: helper(context, *arguments))
        self.finish_call(number, result, return_pc)

    def _ask(self, number: int, call: Callable[[Context], HelperResult]) -> HelperResult:
        try:
            return call(Context(self, number))
        except Exception as error:  # noqa: BLE001 (whatever a helper raises is told as one error)
            raised = helper_error(number, error)
            raise raised from (None if raised is error else error)

    def finish_call(self, number: int, result: HelperResult, return_pc: int) -> None:
        """Take a helper's result and go on behind the call, or where the result sends the run."""
        if isinstance(result, Invoke):
            if result.function not in self.code.fuel:  # where no fuel is charged, none may begin
                raise HelperError(f"helper {number} called {result.function}, no function's entry")
            self.enter(result.function, result.arguments, return_pc, result.then)
        elif isinstance(result, Enter):
            self.code, self.pc = result.code, 0
            depth = len(self.frames)
            first = CONTEXT if self.shape.r1 == "context" else self.registers[1]
            self.registers[:] = [0, first, *[0] * 8, frame_top(depth)]
            self.memory.clear_frame(depth)
        else:
            self.registers[:6] = [to_register(number, result), 0, 0, 0, 0, 0]
            self.pc = return_pc


def helper_error(number: int, error: Exception) -> Exception:
    """What a run raises for an exception from a helper.

    A fault of the helper's own access to the program's memory is the program's fault.
    """
    if isinstance(error, ExecutionError) and error.pc < 0:
        return error
    return HelperError(f"helper {number} raised {type(error).__name__}: {error}")


@dataclass(frozen=True, slots=True)
class Context:
    """A helper's first argument: its way to the program's memory and to the run.

    `number` is the helper's number, so that one callable can serve several.
    """

    state: State
    number: int

    @property
    def host(self) -> Host:
        """The simulated host: clock, randomness, CPU."""
        return self.state.host

    @property
    def memory(self) -> Memory:
        """The memory that the program sees at this moment."""
        return self.state.memory

    def count_tail_call(self) -> bool:
        """Count a tail call of the run; whether it may have one more."""
        if self.state.tail_calls >= MAX_TAIL_CALLS:
            return False
        self.state.tail_calls += 1
        return True

    def read(self, address: int, length: int) -> bytes:
        """Copy guest memory out; a `MemoryFault` where the program itself could not read."""
        return self.memory.read(address, length)

    def write(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes into guest memory; a `MemoryFault` where the program could not write."""
        self.memory.write(address, data)

    def read_string(self, address: int, limit: int = 1 << 16) -> bytes:
        """Read a string up to its zero byte, at most `limit` bytes of it."""
        return self.memory.read_string(address, limit)

    def record(self, effect: object) -> None:
        """Keep what the program did to the world, for the result."""
        self.state.records.append(effect)

    def print(self, text: str) -> None:
        """Add text to what the run has printed."""
        self.state.printed.append(text)


def to_register(number: int, value: object) -> int:
    """Turn a helper's result into a register's value, modulo 2^64.

    Raises `HelperError` for what is no integer or fits neither signed nor unsigned 64 bits.
    """
    try:
        result = operator.index(value)  # type: ignore[arg-type]  # the point is to find out
    except TypeError as error:
        kind = type(value).__name__
        raise HelperError(f"helper {number} returned {kind}, not an integer") from error
    if not -(1 << 63) <= result < 1 << 64:
        raise HelperError(f"helper {number} returned a number beyond 64 bits")
    return result & M64
