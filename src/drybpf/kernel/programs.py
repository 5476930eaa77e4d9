"""Programs in the kernel: loading them, and BPF_PROG_TEST_RUN."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from drybpf.errors import KernelError
from drybpf.isa import decode
from drybpf.kernel import btf, syscall
from drybpf.kernel.descriptor import Descriptor
from drybpf.kernel.syscall import Command, ProgLoad, TestRun

if TYPE_CHECKING:
    from typing_extensions import Buffer

XDP_HAS_FRAGS = 1 << 5  # BPF_F_XDP_HAS_FRAGS: a program that takes packets of several pages
_LOG_ROOM = 1 << 20  # bytes; the log is asked for only after a refusal
_OUTGROWN = 1 << 14  # bytes that a packet may have gained: no skb gets longer than that


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test run gave: r0's low 32 bits, packet and context afterwards, nanoseconds a run."""

    value: int
    data: bytes
    context: bytes
    duration: int


class KernelProgram(Descriptor):
    """A program that the kernel has verified and compiled."""

    def __init__(
        self,
        bytecode: bytes,
        program_type: int,
        *,
        name: str = "",
        license: str = "GPL",  # noqa: A002 (what the section is called)
        functions: Mapping[int, str] | None = None,
        attach_type: int = 0,
        flags: int = 0,
    ) -> None:
        """Load it; map references must be file descriptors.

        `functions` may name functions by their first slot.  Raises `KernelError` with the log of
        the kernel's verifier.
        """
        instructions = syscall.copy_in(bytecode)
        licence = syscall.copy_in(license.encode() + b"\0")
        starts = subprograms(bytecode)
        names = [(slot, (functions or {}).get(slot, f"f{slot}")) for slot in starts]
        info = btf.function_info(names) if len(starts) > 1 else None
        records = syscall.copy_in(info.records if info else b"")
        attributes = ProgLoad(
            prog_type=program_type,
            insn_cnt=len(bytecode) // 8,
            insns=syscall.address(instructions),
            license=syscall.address(licence),
            prog_flags=flags,
            prog_name=syscall.text(name),
            expected_attach_type=attach_type,
        )
        if info:
            attributes.prog_btf_fd = info.btf.fd
            attributes.func_info_rec_size = btf.FUNC_INFO.size
            attributes.func_info = syscall.address(records)
            attributes.func_info_cnt = len(starts)
        try:
            super().__init__(_load(attributes, name))
        finally:
            if info:
                info.btf.close()  # the program holds on to it
        self.name = name

    def test_run(
        self,
        data: Buffer,
        *,
        context: Buffer = b"",
        context_room: int = 0,
        repeat: int = 1,
        flags: int = 0,
        cpu: int = 0,
        batch_size: int = 0,
    ) -> Outcome:
        """Run it on data and context, `repeat` times in a row on the same data.

        `context_room` is the size of the context that comes back.  `flags`, `cpu` and `batch_size`
        are for the types of programs that know them.  Raises `KernelError`.
        """
        size = memoryview(data).nbytes
        held_data, held_context = syscall.copy_in(data), syscall.copy_in(context)
        context_size = memoryview(context).nbytes
        out, context_out = syscall.room(size + _OUTGROWN), syscall.room(context_room)
        attributes = TestRun(
            prog_fd=self.fd,
            data_size_in=size,
            data_size_out=size + _OUTGROWN,
            data_in=syscall.address(held_data),
            data_out=syscall.address(out),
            repeat=repeat,
            ctx_size_in=context_size,
            ctx_size_out=context_room,
            ctx_in=syscall.address(held_context) if context_size else 0,
            ctx_out=syscall.address(context_out) if context_room else 0,
            flags=flags,
            cpu=cpu,
            batch_size=batch_size,
        )
        syscall.bpf(Command.PROG_TEST_RUN, attributes)
        return Outcome(
            attributes.retval,
            bytes(out)[: attributes.data_size_out],
            bytes(context_out)[: attributes.ctx_size_out],
            attributes.duration,
        )

    def __repr__(self) -> str:
        """`<KernelProgram parser>`."""
        return f"<KernelProgram {self.name}>"


def _load(attributes: ProgLoad, name: str) -> int:
    try:
        return syscall.bpf(Command.PROG_LOAD, attributes)
    except KernelError as error:
        if error.errno == errno.EPERM:
            raise
        log = syscall.room(_LOG_ROOM)
        attributes.log_level, attributes.log_size = 1, _LOG_ROOM
        attributes.log_buf = syscall.address(log)
        try:
            return syscall.bpf(Command.PROG_LOAD, attributes)
        except KernelError as again:
            text = log.value.decode(errors="replace")
            raise KernelError(_refusal(name, again, text), error.errno, text) from None


def _refusal(name: str, error: KernelError, log: str) -> str:
    return f"the kernel refused program {name!r}: {error.reason.rpartition(': ')[2]}" + (
        ":" if log.strip() else ""
    )


def subprograms(bytecode: bytes) -> list[int]:
    """The first slots of the functions as the kernel sees them: entry, called, and pointed at."""
    starts, slot = {0}, 0
    for instruction in decode(bytecode):
        row = instruction.row
        if row is not None and row.semantics in ("call_local", "lddw_code_addr"):
            starts.add(slot + 1 + instruction.imm)
        slot += instruction.slots
    return sorted(starts)
