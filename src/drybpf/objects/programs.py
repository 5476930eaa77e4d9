"""The programs of an object file, each attached to the hook of its type, ready to run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

from drybpf import verifier
from drybpf.code import Code
from drybpf.errors import ObjectError, VerifierError
from drybpf.helpers import Helpers
from drybpf.hooks import Hook, Raw, Xdp
from drybpf.host import Host
from drybpf.isa.instruction import SLOT_SIZE
from drybpf.isa.table import ROWS
from drybpf.objects.linker import LinkedProgram
from drybpf.objects.loader import ObjectFile, Types, read_object
from drybpf.objects.namespace import Namespace
from drybpf.objects.sections import ProgramType
from drybpf.program import Program, rebuild

if TYPE_CHECKING:
    from drybpf.objects.btf import Btf

HOOKS = MappingProxyType(
    {
        ProgramType.UNSPEC: Raw(),  # a section that names no type: a function on memory
        ProgramType.XDP: Xdp(),
    }
)
_KERNEL_CALL = next(row.pick[1] for row in ROWS if row.semantics == "call_runtime" and row.pick)


class ObjectProgram(Program):
    """A program of an object file; `linked` is what the file says of it.

    One that cannot run yet (`obstacles` says why) can be verified and disassembled; running it
    raises an `ObjectError`.
    """

    def __init__(
        self, linked: LinkedProgram, *, helpers: Helpers | None = None, host: Host | None = None
    ) -> None:
        """Attach linked code to the hook of its type."""
        code = Code(
            linked.bytecode, name=linked.name, functions=linked.functions, lines=linked.lines
        )
        hook: Hook | None = HOOKS.get(linked.type)
        super().__init__(code, hook=hook, helpers=helpers, host=host)
        self.linked = linked

    @property
    def section(self) -> str:
        """The section that the program is in."""
        return self.linked.section

    @property
    def type(self) -> ProgramType:
        """The kernel's type of program."""
        return self.linked.type

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What keeps the program from running, a sentence each; empty for one that runs."""
        known = self.type in HOOKS
        no_hook = () if known else (f"programs of type {self.type.name} cannot be run yet",)
        return (*no_hook, *self.linked.unsupported)

    def verify(self, *, strict: bool = False) -> None:
        """Raise a `VerifierError` with every objection, but for what `obstacles` names."""
        known = self.helpers if strict else None
        found = verifier.verify(self._checked_code, strict=strict, helpers=known)
        findings = tuple(finding for finding in found if finding.pc not in self.linked.unresolved)
        if findings:
            raise VerifierError(findings)

    @cached_property
    def _checked_code(self) -> Code:
        """The code with its unresolved calls as calls of the kernel's functions.

        Compilers write them as local calls with a distance that means nothing.
        """
        bytecode = bytearray(self.code.bytecode)
        for pc, reference in self.linked.unresolved.items():
            if reference.kind == "call":
                registers = pc * SLOT_SIZE + 1
                bytecode[registers] = _KERNEL_CALL << 4 | bytecode[registers] & 0xF
        return Code(bytecode, name=self.code.name, functions=self.code.functions)

    def _ensure_verified(self) -> None:
        if not self._verified and self.obstacles:
            raise ObjectError(f"{self.name!r} cannot run: {'; '.join(self.obstacles)}")
        super()._ensure_verified()

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as a plain program: what the file says besides is not kept."""
        return rebuild, (Program, self.code, self.options())

    def __repr__(self) -> str:
        """`<Program parser: xdp, 57 slots>`."""
        return f"<Program {self.name}: {self.type.name.lower()}, {len(self.code)} slots>"


class Object:
    """A loaded object file: its programs by name, which share helpers and host.

    `obj["parser"]` and `obj.programs.parser` are the same program.  `file` is what stands in the
    file.
    """

    def __init__(
        self, file: ObjectFile, *, helpers: Helpers | None = None, host: Host | None = None
    ) -> None:
        """Bind the programs of a file; each is linked when it is first asked for."""
        self.file = file
        self.helpers = helpers if helpers is not None else Helpers()
        self.host = host or Host()
        self.programs: Namespace[ObjectProgram] = Namespace(file.programs, self._bind, "program")

    def _bind(self, name: str) -> ObjectProgram:
        return ObjectProgram(self.file.programs[name], helpers=self.helpers, host=self.host)

    @property
    def name(self) -> str:
        """The file's name, without directory and ending."""
        return self.file.name

    @property
    def license(self) -> str:
        """What the section `license` says, such as `GPL`; empty where there is none."""
        return self.file.license

    @property
    def btf(self) -> Btf | None:
        """The types of the object; None where it has none."""
        return self.file.btf

    def __getitem__(self, name: str) -> ObjectProgram:
        """The program of that name; a `KeyError` names those that there are."""
        return self.programs[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is a program of that name."""
        return name in self.programs

    def __iter__(self) -> Iterator[str]:
        """The names of the programs, in the order of the file."""
        return iter(self.programs)

    def __len__(self) -> int:
        """How many programs there are."""
        return len(self.programs)

    def __repr__(self) -> str:
        """`<Object firewall: 1 program: xdp_firewall>`."""
        return f"<Object {self.name}: {repr(self.programs)[1:]}"


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    types: Types = None,
    helpers: Helpers | None = None,
    host: Host | None = None,
) -> Object:
    """Load an object file from its path or its bytes, with its programs ready to run.

    `types` overrides the program types that the section names stand for: one type for all
    programs, or types by the names of programs or sections.  Raises `ObjectError` where the file
    cannot be read or is malformed, `ValueError` for a name in `types` that is not there.
    """
    return Object(read_object(source, types=types), helpers=helpers, host=host)
