"""The programs of an object file, each attached to the hook of its type, ready to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from drybpf import hooks, verifier
from drybpf.asm import format_instruction
from drybpf.cached import cached_property
from drybpf.errors import Finding, ObjectError, VerifierError
from drybpf.helpers import Helpers
from drybpf.helpers.kernel import KernelHelper, describe_missing, kernel_helpers, misplaced, missing
from drybpf.hooks import Raw
from drybpf.host import Host
from drybpf.objects.binding import Bound, bind
from drybpf.objects.linker import LinkedProgram
from drybpf.objects.obstacles import Faults, Obstacle
from drybpf.objects.sections import ProgramType
from drybpf.program import Program, rebuild
from drybpf.space import Space

HOOKS = MappingProxyType(
    {
        ProgramType.UNSPEC: Raw(),  # a section that names no type: a function on memory
        **{ProgramType[name.upper()]: hook for name, hook in hooks.HOOKS.items()},
    }
)
_M32 = (1 << 32) - 1


class ObjectProgram(Program):
    """A program of an object file; `linked` is what the file says of it.

    What it refers to and does not get is named in `obstacles`.  It runs all the same, and faults
    where it comes to such a place; only a program of a type without a hook cannot be run.
    """

    def __init__(
        self,
        linked: LinkedProgram,
        bound: Bound | None = None,
        *,
        helpers: Helpers | None = None,
        host: Host | None = None,
        space: Space | None = None,
        prepare: Callable[..., None] | None = None,
        license: str = "",  # noqa: A002 (what the section is called)
    ) -> None:
        """Attach linked code to the hook of its type.

        `bound` is the same code with its references resolved; without it none is.  `prepare` is
        called before the first run, and with `run=False` before a pickling.  `license` is the
        object's, for the kernel.
        """
        helpers = helpers if helpers is not None else Helpers()
        if bound is None:
            bound = bind(linked, lambda found: f"refers to {found}", Faults(helpers))
        hook = HOOKS.get(linked.type) or Raw()
        if not hook.program_type:
            helpers = helpers.over(kernel_helpers(), missing)
        super().__init__(bound.code, hook=hook, helpers=helpers, host=host, space=space)
        self.linked, self.bound = linked, bound
        self._prepare = prepare
        self.license = license

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
        """What is not supported, a sentence each; empty where all is.

        Calls of functions that may be missing (weak symbols) are none.
        """
        reasons: dict[str, int] = {}
        for obstacle in (*self.bound.obstacles, *self._missing()):
            reasons.setdefault(obstacle.reason, obstacle.pc)
        places = sorted((pc, reason) for reason, pc in reasons.items())
        return tuple(filter(None, (self.cannot_run, *(f"insn {pc} {why}" for pc, why in places))))

    @cached_property
    def calls(self) -> Mapping[int, int]:
        """The first call of each helper and kernel function, by its number.

        Calls of functions that may be missing are left out.
        """
        first: dict[int, int] = {}
        others = {pc for pc, found in self.linked.unresolved.items() if found.weak}
        others |= {obstacle.pc for obstacle in self.bound.obstacles}
        for pc, instruction in enumerate(self.code.slots):
            row = instruction.row if instruction else None
            if instruction and row and row.semantics == "call_helper" and pc not in others:
                first.setdefault(instruction.imm & _M32, pc)
        return MappingProxyType(first)

    def _missing(self) -> Iterator[Obstacle]:
        """The calls of helpers that are not there."""
        for number, pc in self.calls.items():
            if number not in self.helpers:
                why = describe_missing(number, self.hook.program_type)
                yield Obstacle(pc, f"calls a helper that is missing: {why}")
            elif isinstance(self.helpers.find(number), KernelHelper) and (
                why := misplaced(number, self.hook.program_type)
            ):
                yield Obstacle(pc, f"calls {why}")

    @property
    def cannot_run(self) -> str:
        """Why no run can begin, what to do about it included; empty where one can."""
        if self.type in HOOKS:
            return ""
        name = self.type.name
        return (
            f"programs of type {name} cannot be run yet; "
            f"load(..., types=...) has it run as one of another type"
        )

    def kernel_options(self) -> dict[str, Any]:
        """See `Program`: its licence, and whether it takes packets of several pages."""
        section = self.section.removeprefix("?")
        return {"license": self.license, "frags": section.startswith("xdp.frags")}

    def verify(self, *, strict: bool = False) -> None:
        """Raise a `VerifierError` with every objection.

        What `obstacles` names is no objection but to the strict verifier, as it is to the kernel.
        """
        known = self.helpers if strict else None
        findings = verifier.verify(self.code, strict=strict, helpers=known)
        if strict:
            findings += tuple(
                Finding(obstacle.pc, self._text(obstacle.pc), obstacle.reason)
                for obstacle in self.bound.obstacles
            )
        if findings:
            raise VerifierError(tuple(sorted(findings, key=lambda finding: finding.pc)))

    def _text(self, pc: int) -> str:
        instruction = self.code.slots[pc]
        return format_instruction(instruction) if instruction else ""

    def _ensure_verified(self) -> None:
        if self.cannot_run:
            raise ObjectError(f"{self.name!r} cannot run: {self.cannot_run}")
        super()._ensure_verified()
        if self._prepare is not None:
            self._prepare()
            self._prepare = None

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle as a plain program: what the file says besides is not kept."""
        if self._prepare is not None:
            self._prepare(run=False)
        return rebuild, (Program, self.code, self.options())

    def __repr__(self) -> str:
        """`<Program parser: xdp, 57 slots>`."""
        return f"<Program {self.name}: {self.type.name.lower()}, {len(self.code)} slots>"
