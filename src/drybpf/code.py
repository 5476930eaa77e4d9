"""A program's code as a value: decoded once, with the facts that every engine needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from drybpf import flow
from drybpf.cached import cached_property
from drybpf.isa import Instruction, decode
from drybpf.isa.table import ROWS, Row


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A place in the source that an instruction was compiled from; `line` and `column` from 1."""

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        """`parser.c:12: if (data + 14 > data_end)`."""
        return f"{self.file}:{self.line}: {self.text.strip()}".rstrip(": ")


class Code:
    """Bytecode with what is known about it.  Immutable; equal when the bytes and names are.

    `functions` maps entry slots to names, `lines` maps slots to source lines, and `references`
    maps the slot of an `lddw` that names a map, variable or function to its 64-bit value.
    """

    def __init__(
        self,
        bytecode: bytes | bytearray | memoryview,
        *,
        name: str = "",
        functions: Mapping[int, str] | None = None,
        lines: Mapping[int, SourceLine] | None = None,
        references: Mapping[int, int] | None = None,
    ) -> None:
        """Decode; raises `DecodeError` where the length is no multiple of 8."""
        if isinstance(bytecode, str | int):  # bytes() would make so many zeros of a number
            raise TypeError(f"bytecode is bytes, not {type(bytecode).__name__}")
        self.bytecode = bytes(bytecode)
        self.name = name
        self.functions: Mapping[int, str] = MappingProxyType(dict(functions or {}))
        self.lines: Mapping[int, SourceLine] = MappingProxyType(dict(lines or {}))
        self.references: Mapping[int, int] = MappingProxyType(dict(references or {}))
        slots: list[Instruction | None] = []
        for instruction in decode(self.bytecode):
            slots.append(instruction)
            if instruction.second is not None:
                slots.append(None)
        self.slots = tuple(slots)

    @cached_property
    def entries(self) -> tuple[int, ...]:
        """The slots where functions begin, in order."""
        return flow.function_entries(self.slots, self.functions)

    @cached_property
    def fuel(self) -> Mapping[int, int]:
        """What each fuel point charges, by its slot; both engines read this table."""
        return flow.fuel_points(self.ways, self.entries)

    @cached_property
    def ways(self) -> tuple[tuple[int, ...], ...]:
        """The slots that may come next within the function, by the slot (`flow.successors`)."""
        return tuple(flow.successors(self.slots, pc) for pc in range(len(self.slots)))

    @cached_property
    def branches(self) -> Mapping[int, int]:
        """The conditional jumps that can go two ways: their targets by their slots."""
        return MappingProxyType(flow.branches(self.slots))

    @cached_property
    def may_write(self) -> bool:
        """Whether a store other than to the stack, or a helper, could change memory.

        A store counts as one to the stack where its base is r10 itself.
        """
        if _WRITING.isdisjoint(self.bytecode[::8]):
            return False
        return any(_may_write(instruction) for instruction in self.slots if instruction)

    def line_at(self, pc: int) -> SourceLine | None:
        """The source line of an instruction: its own, or the last one given before it."""
        first, _ = flow.function_bounds(self.entries, len(self.slots), pc)
        while pc >= first:
            if pc in self.lines:
                return self.lines[pc]
            pc -= 1
        return None

    def function_name(self, pc: int) -> str:
        """The name of the function that a slot lies in."""
        first, _ = flow.function_bounds(self.entries, len(self.slots), pc)
        return self.functions.get(first) or (self.name or "main" if first == 0 else f"f{first}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle what the code was made from."""
        return _rebuild, (
            self.bytecode,
            self.name,
            dict(self.functions),
            dict(self.lines),
            dict(self.references),
        )

    def _key(self) -> tuple[object, ...]:
        return self.bytecode, self.name, dict(self.functions), dict(self.references)

    def __eq__(self, other: object) -> bool:
        """Compare bytes, names and references."""
        return isinstance(other, Code) and self._key() == other._key()

    def __hash__(self) -> int:
        """Hash the bytes."""
        return hash(self.bytecode)

    def __len__(self) -> int:
        """The number of slots."""
        return len(self.slots)

    def __repr__(self) -> str:
        """`<Code parser: 57 slots>`."""
        return f"<Code {self.name or 'main'}: {len(self)} slots>"


def _stores(row: Row) -> bool:
    return row.form.startswith("[{dst}")


def _calls_out(row: Row) -> bool:
    return row.semantics in ("call_helper", "call_runtime", "callx")


_WRITING = frozenset(row.opcode for row in ROWS if _stores(row) or _calls_out(row))


def _may_write(instruction: Instruction) -> bool:
    row = instruction.row
    if row is None:
        return False
    return instruction.dst != 10 if _stores(row) else _calls_out(row)


def _rebuild(
    bytecode: bytes,
    name: str,
    functions: dict[int, str],
    lines: dict[int, SourceLine],
    references: dict[int, int],
) -> Code:
    return Code(bytecode, name=name, functions=functions, lines=lines, references=references)
