"""The examples of README and docs are executed: Python blocks run, console blocks are compared."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from drybpf.cli.commands import group, main
from drybpf.isa import ROWS
from support import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text("utf-8")) if kind == language]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {"__name__": "example", "tmp_path": tmp_path}
    for text in blocks(page, "python"):
        exec(compile(text, str(page), "exec"), names)  # noqa: S102 (our own documentation)


def commands(text: str) -> Iterator[tuple[str, str]]:
    assert text.startswith("$ "), "a console block begins with a command"
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def printed_by(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    name, *arguments = shlex.split(command)
    if name == "python":  # a script of an example
        done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        return (done.stdout + done.stderr).decode()
    assert name == "drybpf"
    main(arguments)
    printed = capsys.readouterr()
    return printed.out + printed.err


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_console_blocks_print_what_they_show(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    for text in blocks(page, "console"):
        for command, output in commands(text):
            assert output == printed_by(command, capsys), command


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, command in group.commands.items():
        assert command.help
        section = page.split(f"## drybpf {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                for option in parameter.opts:
                    assert re.search(rf"`{option}\b", section), f"{name} {option}"


def test_every_instruction_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "isa.md").read_text("utf-8")
    for row in ROWS:
        assert row.mnemonic in page


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([\w./-]+\.\w+|LICENSE\S*)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
