"""Whatever bytes come in: a result or a `BpfError`, within the budget."""

from __future__ import annotations

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf import verifier
from drybpf.code import Code
from drybpf.errors import BpfError
from drybpf.helpers import gather_bytes, memfrob, strcmp
from drybpf.hooks import FixedMetadata, Hook, NoData, Raw, Xdp
from drybpf.isa import ROWS, Row
from drybpf.memory import FUNCTION_HANDLES, PACKET, frame_top
from drybpf.state import Context, Enter, Helper, Invoke
from engines import run_everywhere
from slots import EXIT, M64, MIN64

FAST = settings(max_examples=500, deadline=None, derandomize=True, database=None)
BUDGET = 120

HELPERS: dict[int, Helper] = {
    1: gather_bytes,
    2: memfrob,
    3: lambda _c, function, *_r: Invoke(function - FUNCTION_HANDLES, (1, 2), lambda _c, r0: r0),
    4: strcmp,
    5: lambda context, *_: Enter(context.state.code),
    6: lambda context, address, value, *_: _poke(context, address, value),
}


def _poke(context: Context, address: int, value: int) -> int:
    context.write(address, bytes([value & 0xFF]))
    return len(context.read_string(address))


NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 8, 16, 31, 32, 63, 64, 255, MIN64, MIN64 - 1, M64, 1 << 31]),
    st.sampled_from([PACKET, PACKET + 7, frame_top(0), frame_top(0) - 8, FUNCTION_HANDLES]),
    st.integers(0, M64),
)
HOOKS = st.sampled_from([Raw(), NoData(), Xdp(), FixedMetadata(0, 8)])
IMMEDIATES = st.one_of(st.sampled_from([0, 1, -1, 2, 3, 8]), st.integers(-(1 << 31), (1 << 31) - 1))


@st.composite
def instructions(draw: st.DrawFn) -> bytes:
    """An instruction of the table with fields that are likely to pass."""
    row: Row = draw(st.sampled_from(ROWS))
    fields = {"dst": 0, "src": 0, "offset": 0, "imm": 0}
    for field in row.fields & fields.keys():
        if field in ("dst", "src"):
            fields[field] = draw(st.sampled_from([0, 1, 2, 3, 6, 10]))
        elif field == "offset":
            fields[field] = draw(st.sampled_from([0, 1, 2, -1, -2, -3, -8, -16]))
        else:
            jump = row.target == "imm"
            fields[field] = draw(st.integers(-4, 4) if jump else IMMEDIATES)
    if row.pick:
        fields[row.pick[0]] = row.pick[1]
    registers = fields["src"] << 4 | fields["dst"]
    first = pack("<BBhi", row.opcode, registers, fields["offset"], fields["imm"])
    second = draw(IMMEDIATES) if "next_imm" in row.fields else 0
    return first + pack("<ii", 0, second) if row.wide else first


SOUPS = st.lists(instructions(), max_size=14).map(lambda parts: b"".join(parts) + EXIT)
MEMORY = st.binary(max_size=16)
REGISTERS = st.dictionaries(st.integers(0, 9), NUMBERS)


def survives(
    program: bytes, memory: bytes, registers: dict[int, int], hook: Hook, *, verify: bool
) -> None:
    memory = b"" if isinstance(hook, NoData) else memory
    try:
        outcome = run_everywhere(
            program,
            memory,
            helpers=HELPERS,
            budget=BUDGET,
            registers=registers,
            hook=hook,
            verify=verify,
        )
    except BpfError:
        return
    assert outcome.instructions <= BUDGET
    assert all(0 <= register <= M64 for register in outcome.registers)
    if outcome.value is not None:
        assert 0 <= outcome.value <= M64


@FAST
@given(st.binary(max_size=80), MEMORY)
def test_any_bytes(program: bytes, memory: bytes) -> None:
    survives(program, memory, {}, Raw(), verify=True)


@FAST
@given(st.binary(max_size=80), MEMORY, REGISTERS)
def test_any_bytes_that_a_verifier_lets_pass(
    program: bytes, memory: bytes, registers: dict[int, int]
) -> None:
    survives(program, memory, registers, Raw(), verify=False)


@FAST
@given(SOUPS, MEMORY, REGISTERS, HOOKS)
def test_soups_of_instructions(
    program: bytes, memory: bytes, registers: dict[int, int], hook: Hook
) -> None:
    survives(program, memory, registers, hook, verify=True)


@FAST
@given(SOUPS, MEMORY, REGISTERS, HOOKS)
def test_soups_that_a_verifier_lets_pass(
    program: bytes, memory: bytes, registers: dict[int, int], hook: Hook
) -> None:
    survives(program, memory, registers, hook, verify=False)


@FAST
@given(SOUPS)
def test_findings_lie_within_the_program(program: bytes) -> None:
    code = Code(program)
    for strict in (False, True):
        for finding in verifier.verify(code, strict=strict):
            assert 0 <= finding.pc < len(code)
            assert finding.text
            assert finding.reason


def test_the_soups_are_not_all_refused() -> None:
    """Many of them run, and end in different ways: else the tests above show nothing."""
    ends: set[str] = set()

    @settings(FAST, max_examples=3000)
    @given(SOUPS, REGISTERS)
    def gather(program: bytes, registers: dict[int, int]) -> None:
        if not verifier.verify(Code(program)):
            outcome = run_everywhere(
                program,
                bytes(16),
                helpers=HELPERS,
                budget=BUDGET,
                registers=registers,
            )
            ends.add(outcome.error)

    gather()
    # Hypothesis draws on the constants of the source, so which faults occur changes with it.
    assert "" in ends
    assert len(ends) >= 3
