"""Between a run's state and the words that compiled code works on."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from drybpf.batch import PacketBatch, Verdicts
from drybpf.entry import Shape
from drybpf.helpers.host_natives import for_compiled
from drybpf.helpers.looping import Looping
from drybpf.helpers.native import NativeHelper
from drybpf.jit import layout
from drybpf.jit.surroundings import host_table
from drybpf.memory import (
    CONTEXT,
    FRAME_SIZE,
    FRAME_STRIDE,
    MAX_FRAMES,
    PACKET,
    SLOT_BITS,
    STACK,
    Memory,
)
from drybpf.native.buffer import host_address
from drybpf.native.restricted import Function
from drybpf.state import Context, Frame, Helper, State

M64 = (1 << 64) - 1
Words = ctypes.Array[ctypes.c_uint64]
_WORDS = ctypes.c_uint64 * layout.WORDS


class NativeContext(Context):
    """A helper's context in a compiled run: it looks up how deep the run is when asked."""

    words: Words

    def __init__(self, state: State, number: int, words: Words) -> None:
        """Keep the words beside the state."""
        super().__init__(state, number)
        object.__setattr__(self, "words", words)

    def count_tail_call(self) -> bool:
        """Count a tail call where compiled code counts its own."""
        self.state.tail_calls = self.words[layout.TAIL_CALLS]
        allowed = super().count_tail_call()
        self.words[layout.TAIL_CALLS] = self.state.tail_calls
        return allowed

    @property
    def memory(self) -> Memory:
        """The memory, with the frames that the program has entered by now."""
        self.state.memory.show_frames(self.words[layout.DEPTH] + 1)
        return self.state.memory


class Exchange:
    """The words of one run, and all that they point at."""

    def __init__(
        self, state: State, helpers: Sequence[int | None], *, moving: bool = False
    ) -> None:
        """Make the words of a run; `moving` is for code that lets the packet's ends move."""
        self.state, self._moving = state, moving
        self.outer = list(state.frames)  # of the callers of the function that is entered
        self.words: Words = _WORDS()
        self.address = ctypes.addressof(self.words)
        self.words[layout.STACK] = host_address(state.memory.stack)
        self.words[layout.STORES] = host_table(state.space)
        self.words[layout.CPU], self.words[layout.EPOCH] = state.cpu, state.space.epoch
        self.words[layout.TAIL_CALLS] = state.tail_calls
        self._keep: list[object] = []
        self._regions: object = None
        self._show_memory()
        state.memory.changed = self._show_memory
        self._prepare_helpers(helpers)

    def _show_memory(self) -> None:
        """Put the regions into the words as they are now: the packet, the context, the table."""
        state, words = self.state, self.words
        begin, end = state.packet
        regions = [
            region
            for region in state.memory.regions()
            if region.start >> SLOT_BITS != STACK >> SLOT_BITS
        ]
        table = (ctypes.c_uint64 * (layout.REGION_WORDS * len(regions)))()
        for index, region in enumerate(regions):
            host = host_address(region.data)
            writable = int(region.writable and not region.protected)
            entry = region.start, region.length, host, writable, region.mask & M64, region.room
            for place, word in enumerate(entry, index * layout.REGION_WORDS):
                table[place] = word
            if region.start == begin:
                words[layout.PACKET], words[layout.PACKET_LENGTH] = host, end - begin
            if region.start == CONTEXT:
                words[layout.CONTEXT], words[layout.CONTEXT_LENGTH] = host, region.length
        words[layout.REGIONS] = ctypes.addressof(table)
        words[layout.REGION_COUNT] = len(regions)
        self._regions = table, regions
        frame = state.memory.packet_frame
        if self._moving and frame is not None:
            words[layout.PACKET] = host_address(frame.buffer)
            words[layout.LOW], words[layout.BEGIN], words[layout.HIGH] = frame.start, begin, end
            words[layout.LIMIT] = frame.limit

    def _prepare_helpers(self, numbers: Sequence[int | None]) -> None:
        state, words = self.state, self.words
        found = [
            None if number is None else for_compiled(state.helpers, number, state.host)
            for number in numbers
        ]
        self.helpers = {
            n: helper for n, helper in zip(numbers, found, strict=True) if n is not None
        }
        table, kept = helper_table(
            found,
            [None if number is None else NativeContext(state, number, words) for number in numbers],
        )
        words[layout.HELPERS] = ctypes.addressof(table)
        self._keep += [table, kept]

    def put(self, fuel: int) -> None:
        """Put the place of a run that goes on into the words."""
        words, state = self.words, self.state
        words[layout.FUEL], words[layout.DEPTH] = fuel, len(state.frames)
        for number, value in enumerate(state.registers):
            words[layout.REGISTERS + number] = value
        turn = state.frames[-1].then if state.frames else None
        if isinstance(turn, Looping):
            place = slice(layout.TURN, layout.ARGUMENT + 1)
            words[place] = [turn.index, turn.times, turn.argument]

    def take_turn(self) -> bool:
        """Bring the frame that waits up to the turn of code that loops; whether it is another."""
        frame = self.outer[-1]
        if not isinstance(frame.then, Looping) or frame.then.index == self.words[layout.TURN]:
            return False
        turn = replace(frame.then, index=self.words[layout.TURN])
        self.outer[-1] = self.state.frames[-1] = replace(frame, then=turn)
        return True

    def end(self) -> None:
        """The run is no longer in compiled code."""
        self.state.memory.changed = None

    def take_back(self) -> None:
        """Put what compiled code left behind into the state."""
        words, state = self.words, self.state
        _take_place(words, state, self.outer)
        self.take_packet()
        state.memory.show_frames(len(state.frames) + 1)

    def take_packet(self) -> None:
        """Move the packet to where compiled code has moved it."""
        words, state = self.words, self.state
        frame = state.memory.packet_frame
        if self._moving and frame is not None:
            place = words[layout.LOW], words[layout.BEGIN], words[layout.HIGH]
            if place != (frame.start, *state.packet):
                state.move_packet(*place)

    def pending(self) -> object:
        """The helper's result that compiled code could not take."""
        pointer = ctypes.cast(self.words[layout.PENDING], ctypes.py_object)
        result: object = pointer.value
        _DECREF(result)  # compiled code owned it
        return result


def are_inlined(natives: Mapping[int, Function[...]], helpers: Mapping[int, Helper | None]) -> bool:
    """Whether helpers are what code has inlined: another thread may have replaced one meanwhile."""
    return all(
        isinstance(helper, NativeHelper) and helper.function == natives[number]
        for number, helper in helpers.items()
        if number in natives
    )


def helper_table(
    helpers: Sequence[object], contexts: Sequence[object]
) -> tuple[ctypes.Array[ctypes.c_uint64], object]:
    """The table that compiled code finds its helpers in, and what must live as long.

    An entry is the helper and its context; of a native helper, the address of its storage.
    """
    shared = 2 * (layout.LAST_SHARED_HELPER + 1)  # programs compiled later may look further
    table = (ctypes.c_uint64 * max(2 * len(helpers), shared))()
    for index, helper in enumerate(helpers):
        if isinstance(helper, NativeHelper):
            table[2 * index + 1] = helper.address
        elif helper is not None:
            table[2 * index], table[2 * index + 1] = id(helper), id(contexts[index])
    return table, (helpers, contexts)


_DECREF = ctypes.pythonapi.Py_DecRef
_DECREF.argtypes = [ctypes.py_object]
_DECREF.restype = None


def _take_place(words: Words, state: State, outer: Sequence[Frame] = ()) -> None:
    """Take pc, registers and the callers' records of a run that left."""
    state.pc = words[layout.PC]
    if words[layout.REASON] == layout.WRONG:
        raise RuntimeError(f"the guard of a loop was wrong about instruction {state.pc}")
    state.registers[:] = words[layout.REGISTERS : layout.REGISTERS + 11]
    frames = list(outer)
    for depth in range(len(frames), words[layout.DEPTH]):
        place = layout.FRAMES + depth * layout.FRAME_WORDS
        return_pc, *saved, number, function, index, times, argument = words[
            place : place + layout.FRAME_WORDS
        ]
        code = state.space.code(number) if number else state.code
        then = Looping(function, index, times, argument) if times else None
        frames.append(Frame(code, return_pc, tuple(saved), then))
    state.frames[:] = frames
    if words[layout.CODE]:
        state.code = state.space.code(words[layout.CODE])


def adopt(state: State, address: int, given: int, *, spaced: bool) -> int:
    """Put a run that left a plain call, its words at `address`, into a fresh state.

    `given` is the fuel that the call was given; the result is what it had left.  `spaced` code has
    counted the run, as the fresh state has: it is still the same, in which nothing deleted is used.
    """
    words = _WORDS.from_address(address)
    if spaced:
        state.space.epoch = words[layout.EPOCH]
    _take_place(words, state)
    state.fuel += words[layout.FUEL] - given
    for depth in range(len(state.frames) + 1):
        place = depth * FRAME_STRIDE + FRAME_STRIDE - FRAME_SIZE
        frame = ctypes.string_at(words[layout.STACK] + place, FRAME_SIZE)
        state.memory.stack[place : place + FRAME_SIZE] = frame
    state.memory.show_frames(len(state.frames) + 1)
    _take_packet(state, words)
    state.tail_calls = words[layout.TAIL_CALLS] if words[layout.CODE] else 0
    return words[layout.FUEL]


def _take_packet(state: State, words: Words) -> None:
    """Take context and packet as compiled code left them."""
    context = state.memory.at(CONTEXT)
    if context is not None and context.writable:
        context.data[:] = ctypes.string_at(words[layout.CONTEXT], context.length)
    frame, region = state.memory.packet_frame, state.memory.at(PACKET)
    if frame is not None and words[layout.HIGH]:
        frame.buffer[:] = ctypes.string_at(words[layout.PACKET], len(frame.buffer))
        state.move_packet(words[layout.LOW], words[layout.BEGIN], words[layout.HIGH])
    elif region is not None and region.writable:
        region.data[:] = ctypes.string_at(words[layout.PACKET], region.length)


class BatchExchange:
    """The words of a batch, and all that they point at; for one batch after the other."""

    CHUNK = 1 << 16  # packets between two looks for signals

    def __init__(self, shape: Shape) -> None:
        """Make room for what is the same in all batches of one shape."""
        self.words: Words = _WORDS()
        self.address = ctypes.addressof(self.words)
        self.given = 0  # the fuel for each packet
        stack = (ctypes.c_char * (MAX_FRAMES * FRAME_STRIDE))()
        context, room = shape.context_length, (ctypes.c_char * (shape.context_length or 8))()
        # The packet's entry is kept up to date by compiled code.
        table = (ctypes.c_uint64 * (2 * layout.REGION_WORDS))()
        inside = self.words[layout.CONTEXT] = ctypes.addressof(room)
        writable = int(shape.context_writable and not shape.protected)
        table[:] = [
            *(shape.packet_address, 0, 0, 1, M64, 0),
            *(CONTEXT, context, inside, writable, M64, context),
        ]
        self._keep = stack, table, room
        self._headroom = shape.headroom
        count = 2 if context else 1
        self.words[layout.STACK : layout.REGION_COUNT + 1] = [
            ctypes.addressof(stack),
            ctypes.addressof(table),
            count,
        ]
        self._batch: tuple[PacketBatch, Verdicts] | None = None
        self._make_room(max(2048, shape.buffer_size))

    def begin(self, packets: PacketBatch, verdicts: Verdicts, given: int) -> None:
        """Take up a batch; `given` is the fuel for each packet."""
        self._batch, self.given = (packets, verdicts), given
        words = self.words
        data, offsets = packets.host_addresses
        words[layout.DATA], words[layout.DATA_LENGTH] = data, len(packets.data)
        words[layout.OFFSETS], words[layout.VERDICTS] = offsets, verdicts.buffer_info()[0]
        words[layout.BUDGET] = given
        # An earlier batch may have run code that moves packets, or ends in other programs.
        words[layout.HIGH : layout.CODE + 1] = [0, 0]

    def end(self) -> None:
        """Let go of the batch."""
        self._batch = None

    def _make_room(self, size: int) -> None:
        """Provide memory for the private copy of a packet."""
        self._scratch = (ctypes.c_char * size)()
        self.words[layout.SCRATCH] = ctypes.addressof(self._scratch)
        self.words[layout.ROOM] = size

    def go(self, run: Callable[[int], int], packets: PacketBatch, index: int) -> int:
        """Run from a packet on; gives the index of the packet that it stopped before or in."""
        words = self.words
        words[layout.INDEX] = index
        words[layout.END] = min(len(packets), index + self.CHUNK)
        reason = run(self.address)
        index = words[layout.INDEX]
        if reason == layout.SMALL_SCRATCH:
            self._make_room(2 * (len(packets[index]) + self._headroom))
        return index

    @property
    def room(self) -> int:
        """The bytes of its memory for the private copy of a packet."""
        return self.words[layout.ROOM]

    @property
    def left(self) -> bool:
        """Whether compiled code left within the packet that it stopped in."""
        return self.words[layout.PC] != M64

    @property
    def bad_offsets(self) -> bool:
        """Whether it stopped since the packet's offsets leave the data."""
        return self.words[layout.REASON] == layout.BAD_OFFSETS
