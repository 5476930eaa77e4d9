"""What commands read: programs of every kind, and memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

import click

from drybpf.asm import assemble
from drybpf.cli.failures import CannotRunError
from drybpf.code import Code
from drybpf.errors import DecodeError, ObjectError
from drybpf.objects import Object, load
from drybpf.program import Program

if TYPE_CHECKING:
    from drybpf.objects.loader import ProgramTypes

ELF_MAGIC = b"\x7fELF"
LARGEST = 64 << 20  # bytes of any program file
_TEXT = {".s", ".asm", ".txt"}


def read_file(path: str) -> bytes:
    """Read a regular file of reasonable size.  Raises `OSError` or `DecodeError`."""
    status = os.stat(path)  # noqa: PTH116 (its error names the path)
    if not S_ISREG(status.st_mode):
        raise DecodeError(f"{path}: not a regular file")
    if status.st_size > LARGEST:
        raise DecodeError(f"{path}: larger than {LARGEST >> 20} MiB")
    return Path(path).read_bytes()


def read_programs(path: str, name: str | None = None) -> list[Program]:
    """The programs of a file: an ELF object, assembly text, or raw bytecode.

    With a `name` the one program of that name.
    """
    data = read_file(path)
    if data.startswith(ELF_MAGIC):
        return _of_object(load(path), name)
    if name is not None:
        raise click.UsageError("--program names a program of an object file")
    return [Program(Code(_bytecode(path, data), name=Path(path).stem))]


def read_program(path: str, name: str | None = None) -> Program:
    """The one program that is meant, to run it.

    Raises `UsageError` where there are several, `CannotRunError` where it cannot be run.
    """
    return read_program_of(path, name)[0]


def read_program_of(
    path: str, name: str | None = None, *, types: ProgramTypes = None, btf: str | None = None
) -> tuple[Program, Object | None]:
    """The same, with the object that the program is of; `types` and `btf` are for `load`."""
    data = read_file(path)
    obj = load(path, types=types, btf=btf) if data.startswith(ELF_MAGIC) else None
    program = _only(read_programs(path, name) if obj is None else _of_object(obj, name))
    can_run(program)
    return program, obj


def read_one(path: str, name: str | None = None) -> Program:
    """The one program that is meant, to look at it; a `UsageError` where there are several."""
    return _only(read_programs(path, name))


def _only(programs: list[Program]) -> Program:
    if len(programs) != 1:
        names = ", ".join(program.name for program in programs) or "none"
        raise click.UsageError(f"say which program with --program: {names}")
    return programs[0]


def can_run(program: Program) -> None:
    """Raise `CannotRunError` where a program cannot be run, with the reason."""
    if why := getattr(program, "cannot_run", ""):  # only programs of objects tell
        raise CannotRunError(f"{program.name!r} cannot run: {why}")


def read_packets(pcap: str | None, mem: str | None) -> Iterator[bytes]:
    """What a program is to be run on: the packets of a capture, or the one memory or packet."""
    if pcap is not None and mem is not None:
        raise click.UsageError("--pcap and --mem exclude each other")
    if pcap is None:
        return iter([read_memory(mem)])
    from drybpf.packets import read_capture  # noqa: PLC0415 (only for captures)

    return (packet.data for packet in read_capture(pcap))


def write_file(path: str, data: bytes, *sources: str) -> None:
    """Write a file, which must be none of the sources that were read."""
    with writing(path, *sources):
        Path(path).write_bytes(data)


@contextmanager
def writing(path: str, *sources: str) -> Iterator[None]:
    """Write a file, which must be none of the sources, in a `with` block; it may fail to."""
    refuse_to_overwrite(path, *sources)
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error


def refuse_to_overwrite(path: str, *sources: str) -> None:
    """Raise a `UsageError` where a path is that of a file that is read."""
    for source in sources:
        if os.path.exists(path) and os.path.samefile(path, source):  # noqa: PTH110, PTH121 (text)
            raise click.UsageError(f"the output would overwrite {source}, which is read")


def _of_object(found: Object, name: str | None) -> list[Program]:
    if name is None:
        return list(found.programs.values())
    if name not in found.programs:
        raise ObjectError(f"no program {name!r}; there are {', '.join(found.programs)}")
    return [found.programs[name]]


def _bytecode(path: str, data: bytes) -> bytes:
    if Path(path).suffix.lower() in _TEXT or _is_text(data):
        try:
            return assemble(data.decode())
        except UnicodeDecodeError as error:
            raise DecodeError(f"{path}: neither bytecode nor text: {error}") from error
    return data


def _is_text(data: bytes) -> bool:
    return bool(data) and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in data)


def read_memory(text: str | None) -> bytes:
    """Memory as given: the bytes of the file of that name if there is one, else hexadecimal."""
    if not text:
        return b""
    try:
        exists = Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or a zero byte in it
        exists = False
    if exists:
        return read_file(text)
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError as error:
        raise click.UsageError(f"--mem {text!r} is neither a file nor hexadecimal") from error
