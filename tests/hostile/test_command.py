"""Group T: names printed in a terminal, and what must not give the command a traceback."""
# ruff: noqa: N802 -- tests of hostile input carry the name of their row, in its capitals

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drybpf.cli import main
from drybpf.cli.output import clean
from elf_writer import RETURN_1, ElfWriter
from support import FIREWALL

DRYBPF = [sys.executable, "-m", "drybpf"]
COMMANDS = ("run", "verify", "disasm", "dump", "bench")
GARBAGE = {
    "nothing": b"",
    "magic": b"\x7fELF",
    "header": b"\x7fELF" + bytes(200),
    "half a slot": bytes(7),
    "no instructions": b"\xff" * 64,
    "text": b"text",
    "broken text": b"exit \xff",
}


def test_T5_control_characters_become_escapes() -> None:
    assert clean("a\x1b[2Jb\nc\u202ed") == "a\\x1b[2Jb\\nc\\u202ed"


@pytest.mark.parametrize("command", COMMANDS)
def test_T5_names_of_programs(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = ElfWriter()
    section = writer.section("xdp", RETURN_1 * 2)
    for place, name in enumerate(("a\x1b[2J", "b\x1b[2J")):
        writer.symbol(name, section, place * len(RETURN_1), size=len(RETURN_1))
    path = tmp_path / "names.o"
    path.write_bytes(writer.build())
    main([command, str(path)])
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out + printed.err
    assert "a\\x1b[2J" in printed.out + printed.err


@pytest.mark.parametrize("arguments", [["\x1b[31m"], ["run", "--\x1b[31m"], ["run", "\x1b[31m"]])
def test_T5_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) in (2, 3)
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["", ".s", ".o", ".bin"])
@pytest.mark.parametrize("kind", GARBAGE)
def test_T6_garbage(
    kind: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(GARBAGE[kind])
    for command in COMMANDS:
        assert main([command, str(path)]) in (0, 1, 3)
        assert capsys.readouterr().err.count("\n") <= 1


def test_T6_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert main([command, "missing.o"]) == 3
        assert capsys.readouterr().err == "drybpf: missing.o: No such file or directory\n"


@pytest.mark.parametrize("arguments", [["--mem", "00"], ["--help"]])
@pytest.mark.parametrize("command", ["run", "dump"])
def test_T6_a_broken_pipe(command: str, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    arguments = arguments if command == "run" else []
    done = subprocess.run(
        [*DRYBPF, command, str(FIREWALL), *arguments],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(os.name != "posix", reason="the shell's redirections")
@pytest.mark.parametrize(
    ("redirection", "code", "message"),
    [
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">/dev/full", 1, "drybpf: No space left on device\n"),
    ],
)
def test_T6_output_that_cannot_be_written(redirection: str, code: int, message: str) -> None:
    if redirection == ">/dev/full" and not Path("/dev/full").exists():
        pytest.skip("the system has no /dev/full")
    command = f'"$@" {redirection}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *DRYBPF, "disasm", str(FIREWALL)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, message)
