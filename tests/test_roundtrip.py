"""What is disassembled assembles to the same bytes, in both dialects, whatever the bytes are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drybpf.asm import Dialect, assemble, disassemble, format_instruction
from drybpf.asm.aliases import aliases
from drybpf.asm.trie import Node, root
from drybpf.errors import AssemblyError
from drybpf.isa import ROWS, Instruction, Row, encode
from drybpf.isa.operands import BOUNDS, fill
from support import shared, shared_or_none

DIALECTS: tuple[Dialect, ...] = ("ubpf", "llvm")
VALUES = {"lowest": 0, "highest": 1}

instructions = st.builds(
    lambda row, data: fill(row, {o: data.draw(st.integers(*BOUNDS[o])) for o in row.operands}),
    st.sampled_from(ROWS),
    st.data(),
)
slots = st.one_of(
    instructions.map(Instruction.to_bytes),
    st.binary(min_size=8, max_size=8),
    st.tuples(st.sampled_from(ROWS), st.binary(min_size=7, max_size=7)).map(
        lambda pair: bytes([pair[0].opcode]) + pair[1]
    ),
)


def vectors(name: str) -> list[dict[str, Any]]:
    path = shared_or_none(f"conformance/{name}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()] if path else []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.ubpf)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_row_at_its_bounds(row: Row, dialect: Dialect) -> None:
    for end in VALUES.values():
        values = {operand: BOUNDS[operand][end] for operand in row.operands}
        instruction = fill(row, values)
        text = format_instruction(instruction, dialect)
        assert not text.startswith(".quad")
        assert assemble(text) == instruction.to_bytes()


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("labels", [False, True])
@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(slots, max_size=8).map(b"".join))
def test_any_bytes(dialect: Dialect, labels: bool, program: bytes) -> None:
    text = disassemble(program, dialect=dialect, labels=labels)
    assert assemble(text) == program
    if not labels:
        assert len(text.splitlines()) <= len(program) // 8


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.lists(instructions, max_size=6))
def test_dialects_may_be_mixed(program: list[Instruction]) -> None:
    lines = [format_instruction(one, DIALECTS[at % 2]) for at, one in enumerate(program)]
    assert assemble("\n".join(lines)) == assemble(" ".join(lines)) == encode(program)


TOKENS = st.sampled_from(
    [
        "add",
        "r0",
        "w1",
        ",",
        "1",
        "0x",
        "-5",
        "+3",
        "[",
        "]",
        "(",
        "*",
        "u8",
        "=",
        "if",
        "goto",
        ":",
        "l",
        "exit",
        "lock",
        "fetch",
        ".quad",
        "\n",
        "#",
        ";",
        "//",
        "\x00",
        "é",
        "٣",
        "ll",
        "<",
    ]
)


@settings(max_examples=500, derandomize=True, deadline=None)
@given(st.one_of(st.text(), st.lists(TOKENS).map(" ".join)))
def test_any_text_is_a_program_or_an_assembly_error(text: str) -> None:
    try:
        assert len(assemble(text)) % 8 == 0
    except AssemblyError as error:
        assert 1 <= error.line <= text.count("\n") + 1  # noqa: PT017 - any text may also be good
        assert error.column >= 1  # noqa: PT017


@pytest.mark.parametrize(("template", "row"), list(aliases()), ids=str)
def test_every_alias_reads_as_its_row(template: str, row: Row) -> None:
    values = {"dst": 3, "src": 4, "imm": 5, "offset": 6, "function": 5, "target": 6}
    text = template
    for name, written in {
        "{dst}": "r3",
        "{dst32}": "w3",
        "{src}": "r4",
        "{src32}": "w4",
        "{imm}": "5",
        "{offset}": "+6",
        "{function}": "5",
        "{target}": "6",
        "{target:signed}": "+6",
        "{long_target}": "5",
        "{long_target:signed}": "+5",
        "{function:signed}": "+5",
        "{function:name}": "here",
        "{displacement:signed}": "+5",
        "{_:name}": "LBB0_1",
        "{_:signed}": "+0x10",
    }.items():
        text = text.replace(name, written)
    values["long_target"] = 5
    wanted = {operand: values[operand] for operand in row.operands}
    program = text + "\nexit" * 5 + "\nhere: exit"
    assert assemble(program)[:8] == fill(row, wanted).to_bytes()


def test_no_instruction_begins_with_what_may_end_another() -> None:
    """So that reading as far as possible never takes a token of the next instruction."""
    seen: dict[int, Node] = {}
    waiting = [root()]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen[id(node)] = node
            waiting += node.edges.values()
    going_on = {edge for node in seen.values() if node.pattern for edge in node.edges}
    assert going_on == {" a signed number", "ll", "<"}
    assert not going_on & root().edges.keys()


@pytest.mark.parametrize("vector", vectors("open"), ids=lambda vector: vector["name"])
def test_conformance_vectors_assemble(vector: dict[str, Any]) -> None:
    code = bytes.fromhex(vector["bytecode_hex"])
    assert assemble(vector["asm"]) == code
    for dialect in DIALECTS:
        assert assemble(disassemble(code, dialect=dialect, labels=True)) == code


def test_all_conformance_vectors_are_there() -> None:
    shared("conformance/open.jsonl")
    assert len(vectors("open")) == 174


@pytest.mark.parametrize(
    "vector",
    [vector for vector in vectors("negative_open") if vector["kind"] == "assembler-error"],
    ids=lambda vector: vector["name"],
)
def test_conformance_mistakes_are_refused_in_the_first_line(vector: dict[str, Any]) -> None:
    with pytest.raises(AssemblyError) as caught:
        assemble(vector["asm"])
    assert caught.value.line == 1
    assert caught.value.text == vector["asm"].splitlines()[0]
